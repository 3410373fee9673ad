"""What `hornbeam.configure` takes."""

from __future__ import annotations

from typing import Any

from hornbeam import _context, _engine, _native, _pool, errors

#: Those of a node, as in runtime/settings/settings.hpp, and its plug-ins.
NODE = frozenset(
    "name cluster listen host port secret insecure_loopback_without_tls hidden "
    "remote_debug "
    "peers workers heartbeat_ms detection_ms connect_ms flush_ms join_ms tables "
    "handshake_ms link_buffer_bytes forget_ms advertise plugins serve".split()
)

_MOST = (1 << 63) - 1

#: Those of its Python side, and what each may be.
PYTHON = {
    "pool": (0, 4096),
    "call_timeout_ms": (0, _MOST),
    "task_keep_ms": (0, _MOST),
    "task_keep_count": (0, _MOST),
    "task_keep_bytes": (0, _MOST),
}


def configure(**options: Any) -> None:
    """Say how the node of this process shall start: `name`, `cluster`, `listen`,
    `host`, `port`, `secret`, `peers`, `pool`, ... (see docs/configuration.md). Only
    before the first call.

    Raises TypeError for a setting that there is not or of another type, ValueError for
    one that can't be, and changes nothing then."""
    if _native.running():
        raise errors.HornbeamError(
            "the node of this process runs already: call configure() first"
        )
    for key in options:
        if key not in NODE and key not in PYTHON:
            known = ", ".join(sorted([*NODE, *PYTHON]))
            raise TypeError(f"there is no setting {key!r}; there are: {known}")
    node = {k: v for k, v in options.items() if k in NODE}
    python = {
        k: _native.to_number(k, v, *PYTHON[k])
        for k, v in options.items()
        if k in PYTHON
    }
    plugins = node.get("plugins", [])
    if not isinstance(plugins, (list, tuple)):
        raise TypeError(f"plugins is a list of files, not {type(plugins).__name__}")
    _native.check_settings({**_engine.settings, **node})
    _engine.settings.update(node)
    if "pool" in python:
        _pool.limit = python["pool"]
    if "call_timeout_ms" in python:
        _context.default_timeout_ms = python["call_timeout_ms"] or None
    if "task_keep_ms" in python:
        _engine.task_keep_ms = python["task_keep_ms"]
    if "task_keep_count" in python:
        _engine.task_keep_count = python["task_keep_count"]
    if "task_keep_bytes" in python:
        _engine.task_keep_bytes = python["task_keep_bytes"]
