"""The node's own event loop, for coroutine handlers whose loop has ended."""

from __future__ import annotations

import asyncio
import inspect
import threading
from typing import Any

from hornbeam import _context, _engine, _native, _ports
from hornbeam.errors import HornbeamError, HornbeamTimeout

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def own() -> asyncio.AbstractEventLoop:
    """The node's loop; started at first use, in a thread of its own."""
    global _loop
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(
                target=_loop.run_forever, name="hornbeam.loop", daemon=True
            ).start()
        return _loop


def current() -> asyncio.AbstractEventLoop | None:
    """The loop that runs in this thread, if one does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def usable(loop: asyncio.AbstractEventLoop | None) -> asyncio.AbstractEventLoop:
    """`loop` while it runs, else the node's."""
    return loop if loop is not None and loop.is_running() else own()


def run(awaitable: Any, home: Any, ms: float | None) -> Any:
    """Run what a handler returned on its loop and wait for the result."""
    loop = usable(home)
    if current() is loop:
        if hasattr(awaitable, "close"):
            awaitable.close()  # it will never be awaited, and is told so
        raise HornbeamError(
            "this coroutine handler runs on the event loop that is calling it, "
            "which would wait for itself: use `await hornbeam.aio.execute(...)`"
        )
    future = asyncio.run_coroutine_threadsafe(as_coroutine(awaitable), loop)
    try:
        return future.result(None if ms is None else ms / 1000)
    except TimeoutError:
        if future.done():  # the handler's own
            raise
        future.cancel()
        raise HornbeamTimeout("the deadline has passed") from None
    except BaseException:
        future.cancel()
        raise


def is_awaitable(x: Any) -> bool:
    return inspect.isawaitable(x)


async def as_coroutine(x: Any) -> Any:
    return await x


async def cancellable(x: Any) -> Any:
    """Await what the handler of a call has returned. If that works on a task,
    this asyncio task is cancelled with it."""
    task = _context.task.get()
    if task is None:
        return await x
    return await _ports.with_task(task, x)


def _forked() -> None:
    global _loop, _lock
    if _loop is not None:
        # The parent's thread runs it, with descriptors that the child shares.
        # Closing it properly would take them out of the parent's epoll too.
        for name in ("_selector", "_ssock", "_csock"):
            if hasattr(_loop, name):
                getattr(_loop, name).close()
        _native.leak_after_fork(_loop)
    _loop = None
    _lock = threading.Lock()


_engine.on_fork.append(_forked)
