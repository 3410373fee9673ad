"""The life of this process's node: its start, forks and the end of Python."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from typing import Any, Callable

from hornbeam import _late, _log, _native, _real, errors

_UNNAMED = "hornbeam@localhost"

_lock = _real.threading().Lock()
_exit_hooked = False
#: What the configuration says; set before the node starts.
settings: dict[str, Any] = {}
#: The name that a forked child has instead of its parent's: none of its own.
_given_name = ""
task_keep_ms = 3600 * 1000
task_keep_count = 10000
task_keep_bytes = 256 << 20

#: Whether the last attempt to reach others has failed.
_unreached = False

#: How long whoever registers something waits for the nodes that are to know it.
ANNOUNCING_MS = 1000

#: What the processes of a local cluster keep of cached results at most.
CACHE_BYTES = 256 << 20

#: Whether Python ends, so that what comes to its end now is no news.
leaving = False
#: Called then, before anything ends.
on_leave: list[Callable[[], None]] = []

#: Called in this order after each start of a node, before it is reached.
on_start: list[Callable[[], None]] = []
#: Called in a forked child, before anything else runs.
on_fork: list[Callable[[], None]] = []


def ensure() -> None:
    """Start the node of this process unless it runs, or has run and Python ends."""
    global _exit_hooked
    if _native.running():
        return
    _refuse_uwsgi_without_threads()
    # All processes of this user that name the same cluster find each other.
    local_cluster = os.environ.get("HORNBEAM_CLUSTER", "")
    with _lock:
        if local_cluster:
            settings.setdefault("cluster", local_cluster)
            # And share these, unless the configuration says what they are.
            shared = {
                "state": {"engine": "lmdb"},
                "ml_cache": {"engine": "lmdb", "max_bytes": CACHE_BYTES},
            }
            settings["tables"] = {**shared, **settings.get("tables", {})}
        if not _exit_hooked:
            _exit_hooked = True
            atexit.register(leave)
        _log.start()
        try:
            joins = bool(local_cluster)
            worker = settings.get("name", "") in ("", _given_name)
            if not _native.start(
                settings,
                task_keep_ms,
                task_keep_count,
                task_keep_bytes,
                joins,
                worker,
            ):
                return
        except (RuntimeError, TypeError, ValueError) as e:
            raise errors.HornbeamError(f"this node can't start: {e}") from e
        _hook_multiprocessing()
    for f in on_start:
        f()
    _reach()


def _refuse_uwsgi_without_threads() -> None:
    """uWSGI keeps Python's lock between requests then: no other thread ever runs."""
    options = getattr(sys.modules.get("uwsgi"), "opt", None)
    if not isinstance(options, dict):
        return
    asked = [options.get(x) for x in ("enable-threads", "threads")]
    if all(x in (None, False, b"false", b"0") for x in asked):
        raise errors.HornbeamError(
            "this node can't start: uWSGI runs Python without threads; start it with "
            "--enable-threads"
        )


def start() -> None:
    """The same for who wants no more than that: what has failed is tried again."""
    ensure()
    if _unreached:
        _reach()


def _reach() -> None:
    """Have the node that runs reach others, and be reached, as the settings say."""
    global _unreached
    local_cluster = os.environ.get("HORNBEAM_CLUSTER", "")
    try:
        _native.start_networking()
        if local_cluster:
            _native.join_host()
        _unreached = False
    except RuntimeError as e:
        _unreached = True
        raise errors.HornbeamError(f"this node can't be reached: {e}") from e


def announce(scope: str) -> None:
    """Wait until the connected nodes know what this one has of `hook`, `function` or
    `topic`: at most a second, and not on a running event loop."""
    if _late.running_loop() is None:
        _native.wait_until_known(scope)


def _hook_multiprocessing() -> None:
    # Its children end without running atexit, and so do those of Celery.
    util = sys.modules.get("multiprocessing.util")
    if util is not None and _is_child_by("billiard"):
        util.Finalize(None, leave, exitpriority=0)
        # Those of its pool don't even run that.
        signals = sys.modules.get("celery.signals")
        if signals is not None:
            signals.worker_process_shutdown.connect(_leave_celery, weak=False)
    if util is not None and _is_child_by("multiprocessing"):
        util.Finalize(None, _leave_child, exitpriority=0)


def _is_child_by(library: str) -> bool:
    process = sys.modules.get(f"{library}.process")
    return process is not None and bool(process.current_process()._parent_pid)


def _leave_celery(**_: Any) -> None:
    leave()


def _leave_child() -> None:
    # They run this before they wait for threads that are no daemons, which may
    # still call us. Those come first, as everywhere else; to wait twice is fine.
    threading._shutdown()  # type: ignore[attr-defined]
    leave()


def leave() -> None:
    """End the node, and say what is left to be said."""
    global leaving
    try:
        if _native.running():
            leaving = True
            for f in on_leave:
                f()
    finally:
        _log.stop()
        _native.leave()
        _log.finish()


def _after_fork_in_child() -> None:
    global _lock, _given_name, _unreached, leaving
    _unreached = leaving = False
    _lock = _real.threading().Lock()  # a thread of the parent may have held it
    _log.forked()
    parent = _native.after_fork_in_child()
    # Two nodes of one name can't be in one cluster, nor two behind one port.
    named = settings.get("name") or (parent if parent != _UNNAMED else "")
    if named or settings.get("listen") or settings.get("peers"):
        if "#" not in named:  # else the child has the next number
            host = named.partition("@")[2] or settings.get("host", "127.0.0.1")
            usable = ":" not in host and host != "0.0.0.0"
            # Else it gets one when it first listens.
            _given_name = f"hornbeam-{os.urandom(4).hex()}@{host}" if usable else ""
            settings["name"] = _given_name
        settings.pop("port", None)
        # `host:port` or `[::1]:port`, but `::1` is no port of `:`.
        where, colon, _ = settings.get("advertise", "").rpartition(":")
        if colon and (":" not in where or where.endswith("]")):
            settings["advertise"] = where.strip("[]")
    for f in on_fork:
        f()


os.register_at_fork(after_in_child=_after_fork_in_child)
