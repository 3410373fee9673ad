"""The life of this process's node: its start, forks and the end of Python."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from typing import Any, Callable

from hornbeam import _native, errors, values

_lock = threading.Lock()
_exit_hooked = False
#: What the configuration says; set before the node starts.
settings: dict[str, Any] = {}
task_keep_ms = 3600 * 1000
task_keep_count = 10000

#: Called in this order after each start of a node, before it opens its doors.
on_start: list[Callable[[], None]] = []
#: Called in a forked child, before anything else runs.
on_fork: list[Callable[[], None]] = []


def ensure() -> None:
    """Start the node of this process unless it runs."""
    global _exit_hooked
    with _lock:
        if not _native.start(settings, task_keep_ms, task_keep_count):
            return
        if not _exit_hooked:
            _exit_hooked = True
            atexit.register(_native.leave)
        _hook_multiprocessing()
    for f in on_start:
        f()
    _native.open_doors()


def _hook_multiprocessing() -> None:
    # Its children end without running atexit.
    util = sys.modules.get("multiprocessing.util")
    process = sys.modules.get("multiprocessing.process")
    if util is not None and process is not None and process.parent_process():
        util.Finalize(None, _native.leave, exitpriority=0)


def configure(**options: Any) -> None:
    """Say how the node of this process shall start: `name`, `cluster`,
    `listen`, `host`, `port`, `secret`, `peers`, ... (see docs/configuration.md).
    Only before the first call."""
    if _native.running():
        raise errors.HornbeamError(
            "the node of this process runs already: call configure() first"
        )
    settings.update(options)


def _before_fork() -> None:
    _lock.acquire()
    _native.before_fork()


def _after_fork_in_parent() -> None:
    _native.after_fork_in_parent()
    _lock.release()


def _after_fork_in_child() -> None:
    _native.after_fork_in_child()
    _lock.release()
    # Two nodes of one name can't be in one cluster.
    if settings.pop("name", None) is not None or settings.get("listen"):
        settings.pop("port", None)
    for f in on_fork:
        f()


os.register_at_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)

_native.set_python_types(
    {
        "Atom": values.Atom,
        "Pid": values.Pid,
        "Ref": values.Ref,
        "encode": values.encode,
        "decode": values.decode,
        "exception": errors.make_exception,
        "ensure": ensure,
    }
)
