"""As `hornbeam.process`, for coroutines: what waits is awaited."""

from __future__ import annotations

from typing import Any

from hornbeam import _native, _waits
from hornbeam.process import *  # noqa: F401, F403


async def receive(  # type: ignore[no-redef]
    timeout_ms: float | None = None, default: Any = None, *, match: Any = ...
) -> Any:
    """As `hornbeam.process.receive`."""
    waiting = _native.waiting_receive(timeout_ms, default, match)
    if waiting is not None:
        return await waiting
    return await _waits.on_loop(_waits.receive(timeout_ms, default, match))
