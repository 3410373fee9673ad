"""How answers of the native module reach event loops."""

from __future__ import annotations

import itertools
import weakref
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from hornbeam import _context, _engine, _late, _native, _outcome, errors

if TYPE_CHECKING:
    import asyncio
else:
    asyncio = _late.stand_in("asyncio", globals())


T = TypeVar("T")


class Port:
    """Where one event loop gets its answers."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.completions = _native.Completions()
        self.waiting: dict[int, asyncio.Future[Any]] = {}
        self.keys = itertools.count(1)
        loop.add_reader(self.completions.fileno(), self.drain)

    def drain(self) -> None:
        for key, ok, local, value in self.completions.drain():
            future = self.waiting.pop(key, None)
            if future is None or future.done():
                continue  # cancelled meanwhile
            # Not as its exception: a future can't carry each.
            future.set_result((ok, (local, value) if ok else value))

    async def wait(self, start: Any, timeout_ms: float | None, what: str) -> Any:
        """`start(completions, key)` and wait for the answer."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        key = next(self.keys)
        self.waiting[key] = future
        permits = _context.permits.get()
        for permit in permits:
            permit.release()
        try:
            start(self.completions, key)
            if timeout_ms is None:
                answer = await future
            else:
                async with timeout(max(0.0, timeout_ms) / 1000):
                    answer = await future
        except asyncio.TimeoutError:
            raise errors.no_answer(what) from None
        finally:
            self.waiting.pop(key, None)
            for permit in permits:
                permit.reacquire()
        return _outcome.value(answer)

    def once(
        self, start: Callable[[Any, int], None], f: Callable[[Any], object]
    ) -> Callable[[], object]:
        """`start(completions, key)`, and call `f` when that is answered, unless what
        is returned has been called before."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        future.add_done_callback(lambda x: None if x.cancelled() else f(x.result()))
        key = next(self.keys)
        self.waiting[key] = future
        start(self.completions, key)

        def forget() -> None:
            self.waiting.pop(key, None)
            future.cancel()

        return forget


def timeout(seconds: float | None) -> Any:
    """As `asyncio.timeout`, for absurdly long ones too."""
    if seconds is not None and seconds > 1e9:
        seconds = None
    return asyncio.timeout(seconds)


_of_loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Port]
_of_loops = weakref.WeakKeyDictionary()


def port() -> Port:
    """That of the running loop."""
    loop = asyncio.get_running_loop()
    found = _of_loops.get(loop)
    if found is None:
        _engine.ensure()
        found = _of_loops[loop] = Port(loop)
    return found


async def notice(
    box: _native.Mailbox, notify: Callable[[Any, int], int], ms: float | None
) -> None:
    """Return when `notify(completions, key)`, which asks for a notice of the mailbox,
    is answered, or nothing has come for `ms`."""
    number = 0

    def start(c: Any, key: int) -> None:
        nonlocal number
        number = notify(c, key)

    try:
        await port().wait(start, ms, "receive")
    except errors.HornbeamTimeout:
        pass
    finally:
        box.forget_notice(number)


async def topic_message(
    box: _native.Mailbox,
    look: Callable[[], T | None],
    ms: float | None,
    topic: str | None = None,
) -> T | None:
    """What `look` finds in the mailbox, None if that is nothing for `ms`."""
    until = _context.Until(_context.left_ms() if ms is None else ms)
    while (found := look()) is None:
        left = until.left_ms()
        if left is not None and left <= 0:
            return None
        await notice(box, lambda c, key: box.notify_of_topic(c, key, topic), left)
    return found


async def with_task(task: _native.Task, awaitable: Any) -> Any:
    """Await what the handler of a task has returned, in an asyncio task that is
    cancelled with it."""
    here, mine = port(), asyncio.current_task()
    cancelled: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    cancelled.add_done_callback(lambda _: mine.cancel())  # type: ignore[union-attr]
    key = next(here.keys)
    here.waiting[key] = cancelled
    task.notify_cancel(here.completions, key)
    try:
        return await awaitable
    finally:
        here.waiting.pop(key, None)


def _forked() -> None:
    global _of_loops
    # In one step: a thread of the parent may have been in the middle of it.
    for x in list(_of_loops.data.values()):  # type: ignore
        x.completions.close()
        _native.leak_after_fork(x)
    _of_loops = weakref.WeakKeyDictionary()


_engine.on_fork.append(_forked)
