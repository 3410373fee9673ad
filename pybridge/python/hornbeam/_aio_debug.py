"""As `hornbeam.debug`, for coroutines: what waits is awaited."""

from __future__ import annotations

from typing import Any

from hornbeam import _waits, debug, gen_server
from hornbeam._aio_gen_server import get_state
from hornbeam.debug import Row, top
from hornbeam.values import Atom

__all__ = [
    "Row",
    "get_state",
    "replace_state",
    "resume",
    "suspend",
    "top",
    "tree",
]


async def replace_state(
    server: Any, state: Any, timeout_ms: float | None = 5000
) -> None:
    """As `hornbeam.debug.replace_state`."""
    await _waits.on_loop(debug._replace_state(server, state, timeout_ms))


async def suspend(server: Any, timeout_ms: float | None = 5000) -> None:
    """As `hornbeam.debug.suspend`."""
    steps = gen_server.ask_system(server, Atom("suspend"), timeout_ms)
    await _waits.on_loop(steps)


async def resume(server: Any, timeout_ms: float | None = 5000) -> None:
    """As `hornbeam.debug.resume`."""
    await _waits.on_loop(gen_server.ask_system(server, Atom("resume"), timeout_ms))


async def tree(root: Any = None, timeout_ms: float | None = 1000) -> str:
    """As `hornbeam.debug.tree`."""
    found: str = await _waits.on_loop(debug._tree(root, timeout_ms))
    return found
