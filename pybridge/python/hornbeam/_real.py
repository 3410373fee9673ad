"""Threads and locks of the system, also where a program has put others in their place.

gevent and eventlet replace those of `threading` by green ones, which share one thread.
Ours wait in C++ and would hold up all of them.
"""

from __future__ import annotations

import sys
import threading as _threading
import types
from importlib.machinery import BuiltinImporter, ModuleSpec
from typing import Any

_copy: Any = None


def changed() -> bool:
    """Whether the program has put something else in the place of threads."""
    start = getattr(_threading, "_start_new_thread", None)
    return not isinstance(start, types.BuiltinFunctionType)


def threading() -> Any:
    """The module `threading`, or, where it was changed, one as it was."""
    global _copy
    if not changed():
        return _threading
    if _copy is None:
        _copy = _as_it_was()
    return _copy


def _as_it_was() -> Any:
    importer: Any = BuiltinImporter
    below = importer.create_module(ModuleSpec("_thread", importer))
    importer.exec_module(below)
    found = _threading.__spec__
    assert found is not None and found.loader is not None
    copy: Any = types.ModuleType("threading")
    copy.__spec__, copy.__file__ = found, _threading.__file__
    found_there = sys.modules["_thread"]
    sys.modules["_thread"] = below
    try:
        found.loader.exec_module(copy)
    finally:
        sys.modules["_thread"] = found_there
    return copy
