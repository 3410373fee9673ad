"""Nodes: who is there, and how to join them."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from hornbeam import _engine, _native
from hornbeam.errors import HornbeamError, NodeError


def start() -> None:
    """Start the node of this process, which else its first call does, and join its
    `HORNBEAM_CLUSTER`: returns when what the others have is known here, within
    `join_ms` (2,000 by default). On a running event loop it does not wait for that, as
    nothing does there: `await hornbeam.aio.start()`.

    For where a web server's worker begins, as in gunicorn's `post_worker_init`. Raises
    `HornbeamError` if the node can't start or can't be reached; then it may be called
    again.
    """
    _engine.start()
    _native.wait_until_joined()


def node() -> str:
    """The name of this node."""
    return _native.name()


class Member(NamedTuple):
    """A node of the cluster, as it tells of itself."""

    name: str
    #: "node"; "worker", one without a name of its own, as the processes of a web
    #: server; or "hidden", a visiting tool.
    role: str
    #: The number of its process on `host`, 0 if it does not tell.
    pid: int
    #: What its computer calls itself.
    host: str
    #: Where it listens, as `host:port`; "" if it does not.
    address: str
    #: When it was connected, in seconds since 1970 as `time.time()`; of this node, when
    #: it was started.
    since: float


def nodes() -> list[str]:
    """The names of the connected nodes that have a name of their own, in order.

    Workers are missing, which are processes without one: `members()` has them too.
    """
    return _native.nodes()


def members() -> list[Member]:
    """All that are connected, and this node, which is the first; the others are in the
    order of their names."""
    return [Member(*x) for x in _native.members()]


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
    """Wait until all these nodes are connected, and this one knows what they have.
    Raises `NodeError` that names those which are not."""
    until = time.monotonic() + timeout_ms / 1000
    missing = sorted({_native.full_name(x) for x in names} - {node()})
    while missing:
        left = (until - time.monotonic()) * 1000
        for name in list(missing):
            try:
                connect(name, max(1, min(left, 500)))
                missing.remove(name)
            except HornbeamError:
                time.sleep(0.02)
        if missing and left <= 0:
            raise NodeError(
                f"not connected within {timeout_ms} ms: " + ", ".join(missing)
            )


def status() -> dict[str, object]:
    """How this node is: what `hornbeam status` shows, and how much is under way:
    `calls_open` to other nodes, `tasks_running`, `streams_consumed` and
    `streams_provided`, `processes`."""
    return _native.status()
