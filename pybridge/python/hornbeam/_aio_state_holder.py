"""As `hornbeam.state_holder`, for coroutines: what waits is awaited."""

from __future__ import annotations

from typing import Any, Callable

from hornbeam import _waits, state_holder
from hornbeam.state_holder import StateHolder, cast

__all__ = [
    "StateHolder",
    "cast",
    "get",
    "get_and_update",
    "put",
    "update",
]


async def get(
    holder: Any,
    f: Callable[[Any], Any] | None = None,
    timeout_ms: float | None = 5000,
) -> Any:
    """As `hornbeam.state_holder.get`."""
    return await _waits.on_loop(state_holder._ask(holder, "get", f, timeout_ms))


async def update(
    holder: Any, f: Callable[[Any], Any], timeout_ms: float | None = 5000
) -> None:
    """As `hornbeam.state_holder.update`."""
    await _waits.on_loop(state_holder._ask(holder, "update", f, timeout_ms))


async def get_and_update(
    holder: Any,
    f: Callable[[Any], tuple[Any, Any]],
    timeout_ms: float | None = 5000,
) -> Any:
    """As `hornbeam.state_holder.get_and_update`."""
    steps = state_holder._ask(holder, "get_and_update", f, timeout_ms)
    return await _waits.on_loop(steps)


async def put(holder: Any, state: Any, timeout_ms: float | None = 5000) -> None:
    """As `hornbeam.state_holder.put`."""
    await _waits.on_loop(state_holder._put(holder, state, timeout_ms))
