"""What an import says in an interpreter that the native module is not for."""

import glob
import os
import sys
import sysconfig


def text():
    # type: () -> str
    """Which interpreter it was built for, and which one this is. This file can be
    read by any version of Python 3."""
    here = os.path.dirname(os.path.abspath(__file__))
    mine = sysconfig.get_config_var("EXT_SUFFIX") or "?"
    built = sorted(
        os.path.basename(x)[len("_native") :]
        for x in glob.glob(os.path.join(glob.escape(here), "_native.*.so"))
    )
    if not built:
        return "the package {} has no native module: it has not been built".format(here)
    return "hornbeam was built for {}, and {} is {}".format(
        " and ".join(_described(x) for x in built),
        sys.executable or "this interpreter",
        _described(mine),
    )


def _described(suffix):
    # type: (str) -> str
    """`CPython 3.11 (x86_64-linux-gnu)` of `.cpython-311-x86_64-linux-gnu.so`."""
    words = suffix.strip(".").split(".")[0].split("-", 2)
    if len(words) == 3 and words[0] == "cpython" and words[1][:1] == "3":
        return "CPython 3.{} ({})".format(words[1][1:], words[2])
    return suffix
