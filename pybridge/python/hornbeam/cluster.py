"""Nodes: who is there, and how to join them."""

from __future__ import annotations

import time
from typing import Any

from hornbeam import _native
from hornbeam.errors import HornbeamError, NodeError


def node() -> str:
    """The name of this node."""
    return _native.name()


def nodes() -> list[str]:
    """The names of the connected nodes, in order."""
    return _native.nodes()


def connect(target: str, timeout_ms: float = 5000) -> bool:
    """Connect to `name@host` or `name@host:port`; true if connected.

    This node opens a listener if it has none, and without a configured name
    gets one of its own. Raises `NodeError` with the reason if it fails.
    """
    return _native.connect(_native.full_name(target), timeout_ms)


def disconnect(name: str) -> bool:
    """Say goodbye to a node; false if it was not connected."""
    return _native.disconnect(_native.full_name(name))


def reload_secret() -> None:
    """Read the file of the cluster's secret again, as a node of the launcher does on
    SIGHUP.

    New connections use what is there now, and those to nodes whose certificates are no
    longer in it end; all others go on. Raises `RuntimeError` with the reason if the
    file can't be used, and changes nothing then.
    """
    _native.reload_secret()


class _Answer(str):
    """What Erlang says of a ping; true if it is "pong"."""

    def __bool__(self) -> bool:
        return self == "pong"


PONG, PANG = _Answer("pong"), _Answer("pang")


def ping(name: str, timeout_ms: float = 5000) -> str:
    """"pong", which is true, if a node answers, else "pang", which is false; connects
    first."""
    full = _native.full_name(name)
    if full == _native.name():
        return PONG
    ask: tuple[Any, ...] = ("hornbeam", "node", [])
    try:
        answer = _native.request(full, "rpc", "call", ask, timeout_ms, 0)
    except HornbeamError:
        return PANG
    return PONG if answer == full else PANG


def wait_for(*names: str, timeout_ms: float = 5000) -> None:
    """Wait until all these nodes are connected. Raises `NodeError` that names
    those which are not."""
    until = time.monotonic() + timeout_ms / 1000
    missing = {_native.full_name(x) for x in names} - {node()}
    while missing - set(nodes()):
        left = (until - time.monotonic()) * 1000
        if left <= 0:
            raise NodeError(
                f"not connected within {timeout_ms} ms: "
                + ", ".join(sorted(missing - set(nodes())))
            )
        for name in sorted(missing - set(nodes())):
            try:
                connect(name, min(left, 500))
            except HornbeamError:
                time.sleep(0.02)


def status() -> dict[str, object]:
    """How this node is: what `hornbeam status` shows, and how much is under way:
    `calls_open` to other nodes, `tasks_running`, `streams_consumed` and
    `streams_provided`, `processes`."""
    return _native.status()
