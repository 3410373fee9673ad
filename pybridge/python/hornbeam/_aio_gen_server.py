"""As `hornbeam.gen_server`, for coroutines: what waits is awaited."""

from __future__ import annotations

from typing import Any

from hornbeam import _waits, gen_server
from hornbeam.gen_server import (
    IGNORE,
    NO_REPLY,
    AlreadyStarted,
    Caller,
    CallError,
    CallTimeout,
    GenServer,
    InitFailed,
    Next,
    Reply,
    Stop,
    cast,
)
from hornbeam.values import Atom, Pid

__all__ = [
    "AlreadyStarted",
    "CallError",
    "CallTimeout",
    "Caller",
    "GenServer",
    "IGNORE",
    "InitFailed",
    "NO_REPLY",
    "Next",
    "Reply",
    "Stop",
    "call",
    "cast",
    "get_state",
    "start",
    "start_link",
    "stop",
]


async def start(
    server: type[GenServer],
    *args: Any,
    name: str | None = None,
    timeout_ms: float | None = None,
) -> Pid | None:
    """As `server.start`."""
    steps = gen_server._start(server, args, name, timeout_ms, False)
    found: Pid | None = await _waits.on_loop(steps)
    return found


async def start_link(
    server: type[GenServer],
    *args: Any,
    name: str | None = None,
    timeout_ms: float | None = None,
) -> Pid | None:
    """As `server.start_link`."""
    steps = gen_server._start(server, args, name, timeout_ms, True)
    found: Pid | None = await _waits.on_loop(steps)
    return found


async def call(server: Any, request: Any, timeout_ms: float | None = 5000) -> Any:
    """As `hornbeam.gen_server.call`."""
    return await _waits.on_loop(gen_server._call(server, request, timeout_ms))


async def stop(
    server: Any, reason: Any = "normal", timeout_ms: float | None = None
) -> None:
    """As `hornbeam.gen_server.stop`."""
    await _waits.on_loop(gen_server._stop(server, reason, timeout_ms))


async def get_state(server: Any, timeout_ms: float | None = 5000) -> Any:
    """As `hornbeam.gen_server.get_state`."""
    steps = gen_server.ask_system(server, Atom("get_state"), timeout_ms)
    return await _waits.on_loop(steps)
