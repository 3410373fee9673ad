"""The node's own event loop, for coroutine handlers whose loop has ended, and how
what handlers return is awaited."""

from __future__ import annotations

import collections.abc
import functools
import types
import weakref
from typing import TYPE_CHECKING, Any, Callable, Coroutine

from hornbeam import (
    _context,
    _engine,
    _late,
    _native,
    _outcome,
    _pool,
    _ports,
    _real,
    errors,
)
from hornbeam._outcome import Outcome
from hornbeam.errors import HornbeamError

if TYPE_CHECKING:
    import asyncio
    import concurrent.futures
    import inspect

    Future = concurrent.futures.Future
else:
    asyncio = _late.stand_in("asyncio", globals())
    concurrent = _late.stand_in("concurrent.futures", globals())
    inspect = _late.stand_in("inspect", globals())

_lock = _real.threading().Lock()
_loop: asyncio.AbstractEventLoop | None = None

#: What other loops than the node's owe: each future with its coroutine.
_owed: weakref.WeakKeyDictionary[
    asyncio.AbstractEventLoop, dict[Future[Outcome], Coroutine[Any, Any, Outcome]]
] = weakref.WeakKeyDictionary()
_FAR = 1e9  # seconds
_ITERABLE_COROUTINE = 0x100  # inspect.CO_ITERABLE_COROUTINE


def own() -> asyncio.AbstractEventLoop:
    """The node's loop; started at first use, in a thread of its own."""
    global _loop
    with _lock:
        if _loop is None:
            selector = _late.module("selectors").DefaultSelector
            if _real.changed() or selector.__module__ != "selectors":
                raise HornbeamError(
                    "coroutines can't run where gevent or eventlet have replaced "
                    "threads or select: use plain functions, or patch with "
                    "thread=False, socket=False and select=False"
                )
            loop = asyncio.new_event_loop()
            try:
                _real.threading().Thread(
                    target=_run_forever, args=(loop,), name="hornbeam.loop", daemon=True
                ).start()
            except BaseException as e:
                loop.close()
                if isinstance(e, (RuntimeError, MemoryError)):
                    raise HornbeamError(
                        f"no thread can be started for the node's event loop: {e}"
                    ) from e
                raise
            _loop = loop
        return _loop


def _run_forever(loop: asyncio.AbstractEventLoop) -> None:
    # It ends of SystemExit and KeyboardInterrupt in any task of it, and if
    # somebody stops it; others still need it.
    generation = _native.fork_generation()
    while True:
        try:
            loop.run_forever()
        except BaseException as e:
            if _native.fork_generation() != generation:
                _pool.end_child()
            what = {"message": "raised on the loop of hornbeam", "exception": e}
            loop.call_soon(loop.call_exception_handler, what)


def usable(loop: asyncio.AbstractEventLoop | None) -> asyncio.AbstractEventLoop:
    """`loop` while it runs, else the node's."""
    return loop if loop is not None and loop.is_running() else own()


def start(awaitable: Any, home: Any) -> Future[Outcome]:
    """Run what a handler returned on its loop, or the node's."""
    return post(_outcome.of_awaitable(awaitable), usable(home))


def post(
    coroutine: Coroutine[Any, Any, Outcome], loop: asyncio.AbstractEventLoop
) -> Future[Outcome]:
    """Run a coroutine on a loop of another thread. If that is closed before it has
    begun, it runs on the node's loop; if it is closed later, the outcome is an
    error."""
    try:
        future = asyncio.run_coroutine_threadsafe(coroutine, loop)
    except RuntimeError:  # closed
        return asyncio.run_coroutine_threadsafe(coroutine, own())
    if loop is _loop:  # which is never closed
        return future
    owed = _owed_by(loop)
    owed[future] = coroutine
    future.add_done_callback(lambda future: owed.pop(future, None))
    if loop.is_closed():  # perhaps before it was noted
        _pay(owed)
    return future


def _owed_by(
    loop: asyncio.AbstractEventLoop,
) -> dict[Future[Outcome], Coroutine[Any, Any, Outcome]]:
    owed = _owed.get(loop)
    if owed is None:
        with _lock:
            owed = _owed.get(loop)
            if owed is None:
                owed = _owed[loop] = {}
                at_end(loop, functools.partial(_pay, owed))
    return owed


def at_end(loop: asyncio.AbstractEventLoop, f: Callable[[], None]) -> None:
    """Call `f` when the loop is closed, at once if it is."""
    try:
        loop.call_soon_threadsafe(_End(f), loop)
    except RuntimeError:  # closed
        pass


class _End:
    """A timer that never fires: a loop drops its timers when it is closed, which is
    how one hears of that."""

    def __init__(self, f: Callable[[], None]) -> None:
        self._f = f

    def __call__(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.call_later(_FAR, self, loop)

    def __del__(self) -> None:
        self._f()


def _pay(owed: dict[Future[Outcome], Any]) -> None:
    """Give an outcome to all that a closed loop still owes."""
    while True:
        try:
            future, coroutine = owed.popitem()
        except KeyError:
            return
        if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
            _move(future, coroutine)
        else:
            _settle(future, (False, closed()))


def closed() -> HornbeamError:
    return HornbeamError(
        "the event loop on which this handler ran was closed before it ended"
    )


def _move(future: Future[Outcome], coroutine: Coroutine[Any, Any, Outcome]) -> None:
    moved = asyncio.run_coroutine_threadsafe(coroutine, own())

    def over(moved: Future[Outcome]) -> None:
        if moved.cancelled():
            future.cancel()
        else:
            _settle(future, moved.result())

    moved.add_done_callback(over)
    future.add_done_callback(lambda x: moved.cancel() if x.cancelled() else None)


def _settle(future: Future[Outcome], x: Outcome) -> None:
    try:
        future.set_result(x)
    except concurrent.futures.InvalidStateError:
        pass  # nobody waits any more


def run(
    awaitable: Any,
    home: Any,
    ms: float | None,
    begin: Callable[[], object] | None = None,
) -> Any:
    """Run what a handler returned on its loop and wait for the result. `begin` is
    called first by the task that runs it."""
    try:
        refuse_own(usable(home))
    except HornbeamError:
        if hasattr(awaitable, "close"):
            awaitable.close()  # it will never be awaited, and is told so
        raise
    if begin is not None:
        awaitable = _begun(begin, awaitable)
    return _outcome.value(wait(start(awaitable, home), ms))


async def _begun(begin: Callable[[], object], awaitable: Any) -> Any:
    begin()
    return await awaitable


def refuse_own(loop: asyncio.AbstractEventLoop) -> None:
    """Raise if this thread, which is about to wait for `loop`, runs it."""
    if _late.running_loop() is loop:
        raise HornbeamError(
            "this coroutine handler runs on the event loop that is calling it, "
            "which would wait for itself: use `await hornbeam.aio.execute(...)`"
        )


def wait(future: Future[Outcome], ms: float | None) -> Outcome:
    """Wait for it in this thread; it is cancelled if nobody waits any more."""
    try:
        return future.result(None if ms is None else ms / 1000)
    except concurrent.futures.TimeoutError:
        future.cancel()
        raise errors.too_late() from None
    except BaseException:
        future.cancel()
        raise


async def cancelled_with_task(x: Any) -> Any:
    """Await what the handler of a call has returned. If that works on a task,
    this asyncio task is cancelled with it."""
    task = _context.task.get()
    return await (x if task is None else _ports.with_task(task, x))


def is_awaitable(x: Any) -> bool:
    # As `inspect.isawaitable`: a generator that is marked is a coroutine, too.
    if isinstance(x, types.GeneratorType):
        return bool(x.gi_code.co_flags & _ITERABLE_COROUTINE)
    return isinstance(x, collections.abc.Awaitable)


def _forked() -> None:
    global _loop, _lock
    if _loop is not None:
        # The parent's thread runs it, with descriptors that the child shares.
        # Closing it properly would take them out of the parent's epoll too. If one
        # of its tasks has forked, it ends at its next turn: no other runs here.
        if hasattr(_loop, "_ready"):
            _native.leak_after_fork(list(_loop._ready))
            _loop._ready.clear()
        for name in ("_selector", "_ssock", "_csock"):
            if hasattr(_loop, name):
                getattr(_loop, name).close()
        _native.leak_after_fork(_loop)
    _loop = None
    _lock = _real.threading().Lock()


_engine.on_fork.append(_forked)
