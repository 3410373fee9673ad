"""What a call carries along: its deadline, how deep it is nested, and the task
that it works on."""

from __future__ import annotations

import contextlib
import time
from contextvars import ContextVar
from typing import Any, Iterator

from hornbeam import errors
from hornbeam._native import Task
from hornbeam.errors import HornbeamError, TaskCancelled

MAX_DEPTH = 100


class _Limit(float):
    """The moment at which a `deadline` block has to be through."""

    over = False


# Moments of time.monotonic(), the soonest of which counts; None: there are none.
_deadline: ContextVar[tuple[float, ...] | None]
_deadline = ContextVar("hornbeam_deadline", default=None)
_depth: ContextVar[int] = ContextVar("hornbeam_depth", default=0)
task: ContextVar[Task | None] = ContextVar("hornbeam_task", default=None)

#: The permits in bounded handlers that the code of this context has. A coroutine
#: that waits for another call releases them meanwhile; threads do so by themselves.
permits: ContextVar[tuple[Any, ...]] = ContextVar("hornbeam_permits", default=())

#: Milliseconds for calls without a timeout of their own; None: no limit.
default_timeout_ms: float | None = None


@contextlib.contextmanager
def deadline(ms: float) -> Iterator[None]:
    """Bound everything inside to `ms` milliseconds, nested and remote calls
    too. What is not done by then raises `HornbeamTimeout`. An inner deadline
    can only be sooner than an outer one."""
    if isinstance(ms, bool) or not isinstance(ms, (int, float)):
        raise TypeError(f"a deadline is a number of ms, not {type(ms).__name__}")
    if ms != ms:
        raise ValueError("a deadline can't be NaN")
    mine = _Limit(time.monotonic() + min(max(ms, 0), 1e15) / 1000)
    token = _deadline.set((*(_deadline.get() or ()), mine))
    try:
        yield
    finally:
        # What the block has started keeps it; blocks of generators may overlap.
        left = tuple(x for x in _deadline.get() or () if x is not mine)
        try:
            _deadline.reset(token)
        except ValueError:  # this is not the context in which it was entered
            mine.over = True
        else:
            _deadline.set(left or None)


def _soonest() -> float | None:
    limits = _deadline.get()
    if limits is None:
        return None
    live = tuple(x for x in limits if not getattr(x, "over", False))
    if len(live) < len(limits):
        _deadline.set(live or None)
    return min(live, default=None)


def left_ms() -> float | None:
    """Milliseconds that are left here, never negative; None: no limit."""
    at = _soonest()
    if at is None:
        return None
    return max(0.0, (at - time.monotonic()) * 1000)


class Until:
    """The end of a wait of so many milliseconds, or of none."""

    def __init__(self, ms: float | None) -> None:
        self._at = None if ms is None else time.monotonic() + max(0.0, ms) / 1000

    def left_ms(self) -> float | None:
        if self._at is None:
            return None
        return max(0.0, (self._at - time.monotonic()) * 1000)


def forget() -> None:
    """For what has no caller: the context is that of none."""
    _deadline.set(None)
    _depth.set(0)
    permits.set(())
    task.set(None)


def timeout(asked: float | None = None) -> float | None:
    """The timeout for a call: the sooner of what it asks for and what is left
    here. Raises if nothing is left, so that no work is started in vain."""
    left = left_ms()
    if left is None:
        return default_timeout_ms if asked is None else asked
    if left <= 0:
        raise errors.too_late()
    if asked is None or not isinstance(asked, (int, float)):
        return left
    return min(asked, left)


def depth() -> int:
    """The depth that a call from here is at. Raises beyond the limit."""
    inner = _depth.get() + 1
    if inner > MAX_DEPTH:
        raise HornbeamError(
            f"more than {MAX_DEPTH} calls inside each other: does a handler call "
            "itself?"
        )
    return inner


def of_table_call() -> tuple[float | None, int]:
    """For the native module: the timeout of a call to a table of another node,
    5 seconds unless less is left here, and its depth."""
    return timeout(5000), depth()


@contextlib.contextmanager
def entered(at_depth: int, ms: float | None = None) -> Iterator[None]:
    """Around a handler: its calls are deeper, and bounded by its caller. The
    handler of a task that has been cancelled is not begun."""
    mine = task.get()
    if mine is not None and not mine.begin():
        raise TaskCancelled("the task was cancelled before it began")
    depth_token = _depth.set(at_depth)
    permits_token = permits.set(())
    at = None if ms is None else (time.monotonic() + ms / 1000,)
    deadline_token = _deadline.set(at)
    try:
        yield
    finally:
        _deadline.reset(deadline_token)
        permits.reset(permits_token)
        _depth.reset(depth_token)
