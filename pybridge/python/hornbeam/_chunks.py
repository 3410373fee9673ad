"""The one way to drive a stream: what a handler of this process has returned, chunk
by chunk. A plain generator runs in one context and an async one in one task, from
the first step to the last, whoever asks."""

from __future__ import annotations

import collections
import contextvars
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from hornbeam import (
    _calls,
    _context,
    _late,
    _loop,
    _outcome,
    _owner,
    _pool,
    _ports,
    _real,
    errors,
)
from hornbeam._outcome import Outcome

if TYPE_CHECKING:
    import asyncio
    import concurrent.futures

    Reply = asyncio.Future[Outcome]
else:
    asyncio = _late.stand_in("asyncio", globals())

T = TypeVar("T")

#: What comes after the last chunk.
END = object()


class Chunks:
    """The chunks of one call: of generators of both kinds and other iterators as
    they come, anything else as the only one. Its handler has begun."""

    def __init__(
        self,
        call: _calls.Call,
        result: Any,
        context: contextvars.Context | None = None,
        here: bool = False,
    ) -> None:
        """`context`: in which the handler has begun, if that is not this one;
        `here`: the caller makes all steps itself, in a context of its own."""
        #: Held around its steps: what comes from other nodes has its own held.
        self._permit = call.permit if call.bounded else None
        self._context = context or contextvars.copy_context()
        if call.owner is not None:
            self._context.run(_owner._owner.set, call.owner)
        #: A step that nobody waits for any more ends before the generator does.
        self._lock = _real.threading().RLock()
        self._iterator: Any = None
        self._steps: _Steps | None = None
        self._here = here
        if hasattr(result, "__anext__"):
            self._steps = self._context.run(_Steps, result, call.home, call.owner)
        elif hasattr(result, "__next__") and hasattr(result, "__iter__"):
            self._iterator = result
        else:
            self._iterator = iter((result,))

    def stepper(self) -> Callable[[], Outcome]:
        """What makes a step: the next chunk, or END, or what the handler raised."""
        if self._steps is not None:
            return self._next_of_task
        return self._step if self._here else self._next_in_context

    def each(self, f: Callable[[Callable[[], Outcome]], T]) -> T:
        """What `f(step)` returns, which makes several steps in this thread. That
        costs less than to enter the context for each."""
        if self._steps is not None:
            return f(self._next_of_task)
        with self._lock:
            return self._context.run(f, self._step)

    async def next_on_loop(self) -> Outcome:
        """A step, for an event loop."""
        if self._steps is None:
            return await _in_thread(self._next_in_context)
        ms = self._left_ms()
        if ms is None:
            return await self._steps.ask_on_loop(False)
        try:
            async with _ports.timeout(ms / 1000):
                return await self._steps.ask_on_loop(False)
        except TimeoutError:
            return False, errors.too_late()

    def close(self) -> Outcome:
        """Close the handler's generator; its `finally` blocks run."""
        if self._steps is not None:
            return _outcome.flat(_outcome.of(self._wait_for_end, self._steps))
        if self._here:
            return self._close()
        with self._lock:
            return self._context.run(self._close)

    async def close_on_loop(self) -> Outcome:
        """The same, for an event loop."""
        if self._steps is not None:
            return await self._steps.ask_on_loop(True)
        return await _in_thread(self.close)

    def _next_in_context(self) -> Outcome:
        with self._lock:
            return self._context.run(self._step)

    def _step(self) -> Outcome:
        if self._permit is not None:
            self._permit.hold()
        try:
            return True, next(self._iterator)
        except StopIteration:
            return True, END
        except BaseException as e:
            return False, e
        finally:
            if self._permit is not None:
                self._permit.let_go()

    def _close(self) -> Outcome:
        if self._permit is not None:
            self._permit.hold()
        try:
            if hasattr(self._iterator, "close"):
                self._iterator.close()
            return True, END
        except BaseException as e:
            return False, e
        finally:
            if self._permit is not None:
                self._permit.let_go()

    def _next_of_task(self) -> Outcome:
        assert self._steps is not None
        return _outcome.flat(_outcome.of(self._wait, self._steps))

    def _wait(self, steps: _Steps) -> Outcome:
        _loop.refuse_own(steps.loop)
        return _loop.wait(steps.ask(False), self._left_ms())

    def _wait_for_end(self, steps: _Steps) -> Outcome:
        reply = steps.ask(True)
        if _late.running_loop() is steps.loop:  # it ends when its loop has a moment
            return True, END
        return _loop.wait(reply, None)

    def _left_ms(self) -> float | None:
        """Of the deadlines of the call and of whoever asks."""
        limits = self._context.run(_context.left_ms), _context.left_ms()
        return min((x for x in limits if x is not None), default=None)


async def _in_thread(f: Callable[[], Outcome]) -> Outcome:
    return _outcome.flat(await _pool.in_thread(f))


class _Steps:
    """An async generator whose steps one task of its loop makes: what is open in
    it, as a timeout or a task group, finds itself where it was. All but the
    constructor and `ask` belongs to the loop's thread."""

    def __init__(
        self, generator: Any, home: Any, owner: _owner.Owner | None
    ) -> None:
        self.loop = _loop.usable(home)
        self._owner = owner
        self._generator = generator
        self._context = contextvars.copy_context()
        self._task: asyncio.Task[None] | None = None
        # Whether to close it, and whom to answer.
        self._asked: collections.deque[tuple[bool, Reply]] = collections.deque()
        self._wakeup: asyncio.Future[None] | None = None
        # What it came to while nobody asked, and whether that was the last.
        self._early: Outcome | None = None
        self._over = False

    def ask(self, close: bool) -> concurrent.futures.Future[Outcome]:
        """For the next step, or the end; for another thread."""
        return _loop.post(self._ask(close), self.loop)

    async def ask_on_loop(self, close: bool) -> Outcome:
        """The same, for any loop."""
        if asyncio.get_running_loop() is self.loop:
            return await self._ask(close)
        return await asyncio.wrap_future(self.ask(close))

    async def _ask(self, close: bool) -> Outcome:
        if self._over:
            early, self._early = self._early, None
            return early or (True, END)
        if asyncio.get_running_loop() is not self.loop:  # which was closed
            if self._task is not None:
                return False, _loop.closed()
            self.loop = asyncio.get_running_loop()
        reply: Reply = self.loop.create_future()
        self._asked.append((close, reply))
        if self._task is None:
            self._task = self.loop.create_task(self._run(), context=self._context)
        elif self._wakeup is not None and not self._wakeup.done():
            self._wakeup.set_result(None)
        try:
            return await reply
        except asyncio.CancelledError:
            # Nobody waits for the step any more: asyncio's way to stop it.
            if reply.cancelled() and not close:
                self._task.cancel()
            raise

    async def _run(self) -> None:
        if self._owner is not None:
            _owner.stand_for(self._owner)
        try:
            while not self._over:
                await self._next_step()
        finally:
            self._over = True
            for _, reply in self._asked:
                _answer(reply, (True, END))

    async def _next_step(self) -> None:
        try:
            while not self._asked:
                self._wakeup = self.loop.create_future()
                await self._wakeup
        except asyncio.CancelledError as e:
            # By something that is open in it, as a timeout, or the end of the
            # loop: that is for the generator to see.
            if self._early is not None:
                raise
            self._early = await self._outcome(self._generator.athrow(e))
            return
        close, reply = self._asked.popleft()
        early, self._early = self._early, None
        if close:
            end = getattr(self._generator, "aclose", None)
            early = (True, END) if end is None else await self._outcome(end())
            self._over = True
        _answer(reply, early or await self._outcome(self._generator.__anext__()))

    async def _outcome(self, step: Any) -> Outcome:
        ok, value = await _outcome.of_awaitable(step)
        if not ok and isinstance(value, StopAsyncIteration):
            ok, value = True, END
        self._over = not ok or value is END
        return ok, value


def _answer(reply: Reply, x: Outcome) -> None:
    if not reply.done():
        reply.set_result(x)
