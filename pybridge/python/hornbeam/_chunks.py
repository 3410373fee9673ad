"""The one way to drive a stream: what a handler of this process has returned, chunk
by chunk. A plain generator runs in one context and an async one in one task, from
the first step to the last, whoever asks."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import threading
from typing import Any

from hornbeam import _calls, _context, _loop, _outcome, _pool
from hornbeam._outcome import Outcome

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
    ) -> None:
        """`context`: in which the handler has begun, if that is not this one."""
        self._call = call
        self._context = context or contextvars.copy_context()
        self._steps: _Steps | None = None
        #: A step that nobody waits for any more ends before the generator does.
        self._lock = threading.RLock()
        if hasattr(result, "__anext__"):
            self._steps = self._context.run(_Steps, result, call.home)
        elif hasattr(result, "__next__") and hasattr(result, "__iter__"):
            self._iterator = result
        else:
            self._iterator = iter((result,))

    def next(self) -> Outcome:
        """The next chunk, or END, or what the handler raised."""
        if self._steps is not None:
            return _outcome.flat(_outcome.of(self._wait, self._steps))
        with self._lock:
            return self._context.run(self._step)

    async def next_on_loop(self) -> Outcome:
        """The same, for an event loop."""
        if self._steps is not None:
            return await asyncio.wrap_future(self._steps.ask(False))
        return await self._in_thread(self._step)

    def close(self) -> Outcome:
        """Close the handler's generator; its `finally` blocks run."""
        if self._steps is not None:
            return _outcome.flat(_outcome.of(self._wait_for_end, self._steps))
        with self._lock:
            return self._context.run(self._close)

    async def close_on_loop(self) -> Outcome:
        """The same, for an event loop."""
        if self._steps is not None:
            return await asyncio.wrap_future(self._steps.ask(True))
        return await self._in_thread(self._close)

    async def _in_thread(self, f: Any) -> Outcome:
        def run() -> Outcome:
            with self._lock:
                return self._context.run(f)

        return _outcome.flat(await _pool.in_thread(run))

    def _wait(self, steps: _Steps) -> Outcome:
        _loop.refuse_own(steps.loop)
        ms = self._context.run(_context.left_ms)
        here = _context.left_ms()
        if here is not None:
            ms = here if ms is None else min(ms, here)
        return _loop.wait(steps.ask(False), ms)

    def _wait_for_end(self, steps: _Steps) -> Outcome:
        reply = steps.ask(True)
        if _loop.current() is steps.loop:  # it ends when its loop has a moment
            return True, END
        return _loop.wait(reply, None)

    def _step(self) -> Outcome:
        try:
            with self._call:
                return True, next(self._iterator)
        except StopIteration:
            return True, END
        except BaseException as e:
            return False, e

    def _close(self) -> Outcome:
        if not hasattr(self._iterator, "close"):
            return True, None
        with self._call:
            return _outcome.of(self._iterator.close)


class _Steps:
    """An async generator whose steps one task of its loop makes: what is open in
    it, as a timeout or a task group, finds itself where it was."""

    def __init__(self, generator: Any, home: Any) -> None:
        self.loop = _loop.usable(home)
        self._asked: asyncio.Queue[
            tuple[bool, concurrent.futures.Future[Outcome]]
        ] = asyncio.Queue()
        self._over = False
        self._task = asyncio.run_coroutine_threadsafe(self._run(generator), self.loop)

    def ask(self, close: bool) -> concurrent.futures.Future[Outcome]:
        """For the next step, or the end."""
        reply: concurrent.futures.Future[Outcome] = concurrent.futures.Future()
        reply.add_done_callback(self._forgotten)
        self.loop.call_soon_threadsafe(self._take, close, reply)
        return reply

    def _forgotten(self, reply: concurrent.futures.Future[Outcome]) -> None:
        # Nobody waits for the step any more: asyncio's way to stop it.
        if reply.cancelled():
            self._task.cancel()

    def _take(self, close: bool, reply: concurrent.futures.Future[Outcome]) -> None:
        if self._over:
            _answer(reply, (True, END))
        else:
            self._asked.put_nowait((close, reply))

    async def _run(self, generator: Any) -> None:
        reply = None
        try:
            over = False
            while not over:
                close, reply = await self._asked.get()
                ok, value = await _step_of(generator, close)
                over = close or not ok or value is END
                _answer(reply, (ok, value))
        finally:
            self._over = True
            while not self._asked.empty():
                _answer(self._asked.get_nowait()[1], (True, END))


async def _step_of(generator: Any, close: bool) -> Outcome:
    if close:
        if not hasattr(generator, "aclose"):
            return True, END
        return await _outcome.of_awaitable(generator.aclose())
    ok, value = await _outcome.of_awaitable(generator.__anext__())
    if not ok and isinstance(value, StopAsyncIteration):
        return True, END
    return ok, value


def _answer(reply: concurrent.futures.Future[Outcome], x: Outcome) -> None:
    if reply.set_running_or_notify_cancel():
        reply.set_result(x)
