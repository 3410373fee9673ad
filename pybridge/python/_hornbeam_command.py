"""The command `hornbeam` of a wheel, and `python3 -m hornbeam`. A module of its own,
so that the command does not import all of the package."""

import os
import sys


def main() -> None:
    """Become the binary, with nodes that run this interpreter. Never returns."""
    here = os.path.dirname(os.path.abspath(__file__))
    binary = os.path.join(here, "hornbeam", "_bin", "hornbeam")
    os.environ["HORNBEAM_PYTHON"] = sys.executable
    try:
        os.execv(binary, ["hornbeam", *sys.argv[1:]])
    except OSError as e:
        sys.exit(f"hornbeam: can't run {binary}: {e.strerror}")
