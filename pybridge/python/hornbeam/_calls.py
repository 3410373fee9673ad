"""The one way to run a handler of this process. Callers differ in where they are:
in this thread (`run_here`), elsewhere (`run_in_pool`), or on an event loop
(`run_on_loop`).

The native module runs plain handlers itself, which costs less
(pybridge/calls/local_call.cpp and plain_jobs.cpp); tests/python/test_ways.py holds
the ways equal.
"""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any, Callable, Sequence, TypeVar, cast

from hornbeam import (
    _context,
    _late,
    _loop,
    _native,
    _outcome,
    _owner,
    _pool,
    _ports,
    errors,
)
from hornbeam._outcome import Outcome

if TYPE_CHECKING:
    import asyncio
    import concurrent.futures
    import inspect
else:
    asyncio = _late.stand_in("asyncio", globals())
    inspect = _late.stand_in("inspect", globals())


class Call:
    """One call of a handler of this process: with a permit if that is bounded,
    counted, and ended once."""

    __slots__ = (
        "function",
        "args",
        "kwargs",
        "home",
        "bounded",
        "permit",
        "owner",
        "_served",
        "_began",
        "_ended",
    )

    def __init__(
        self,
        function: Callable[..., Any],
        args: Sequence[Any],
        kwargs: dict[str, Any],
        home: asyncio.AbstractEventLoop | None,
        served: _native.Served | None = None,
        bounded: bool = False,
        permit: _native.Permit | None = None,
    ) -> None:
        """Without `served` it is counted where it came in, and has its permit."""
        self.function = function
        self.args = args
        self.kwargs = kwargs
        self.home = home
        #: Whether it needs a permit of its own.
        self.bounded = bounded
        self.permit = permit
        #: Who it is; None: whoever calls.
        self.owner: _owner.Owner | None = None
        self._served = served
        self._began = time.perf_counter()
        self._ended = False

    def enter(self, timeout: float | None) -> None:
        """Wait in this thread for the permit that it needs and does not have.
        Raises OverloadedError, and HornbeamTimeout after `timeout` ms."""
        if self.bounded and self.permit is None:
            assert self._served is not None
            self.permit = self._served.acquire(timeout)

    async def enter_on_loop(self, timeout: float | None) -> None:
        """The same on an event loop."""

        def start(c: Any, key: int) -> None:
            assert self._served is not None
            self.permit = self._served.ask(c, key)

        if self.bounded and self.permit is None:
            await _ports.port().wait(start, timeout, "a permit of the handler")

    def lend_on_loop(self) -> None:
        """Have the code of this context give the permit to others when it waits:
        threads do so by themselves."""
        if self.permit is not None:
            _context.permits.set((*_context.permits.get(), self.permit))

    def end(self, ok: bool) -> None:
        if self._ended:
            return
        self._ended = True
        if self._served is not None:
            if self.permit is not None:
                self.permit.end()
            self._served.count(ok, time.perf_counter() - self._began)


Finish = Callable[[Call, Any], Any]


def run(call: Call, timeout: float | None, finish: Finish | None) -> Any:
    """Run a handler in this thread, once its permit is there. `finish` sees to
    what is to be awaited; without it that is returned."""
    permit = None
    if call.bounded:
        call.enter(timeout)
        permit = call.permit
    if permit is not None:
        permit.hold()
    try:
        result = call.function(*call.args, **call.kwargs)
        if finish is not None and _loop.is_awaitable(result):
            return finish(call, result)
        return result
    finally:
        if permit is not None:
            permit.let_go()


F = TypeVar("F", bound=Callable[..., Any])


def done_by(function: Callable[..., Any]) -> Callable[[F], F]:
    """For what is documented as the decorated function, and done by `function`, which
    looks at the names of its arguments itself."""

    def decorate(documented: F) -> F:
        done: Any = functools.wraps(documented)(function)
        return cast(F, done)

    return decorate


def by_position(
    names: tuple[str, ...], args: Sequence[Any], kwargs: dict[str, Any]
) -> list[Any]:
    """The arguments of a call whose first parameters may come by name: those that do
    are taken out of `kwargs`, which are the handler's else."""
    filled = list(args)
    for name in names[len(args) :]:
        if name not in kwargs:
            raise TypeError(f"missing argument: {name!r}")
        filled.append(kwargs.pop(name))
    return filled


# -- for a caller in this thread ----------------------------------------------


def run_here(call: Call) -> Any:
    """One call deeper, not after the deadline, and with its errors as a caller
    sees them."""
    timeout = None
    if _context._deadline.get() is not None:
        timeout = _context.timeout()
    token = _context._depth.set(_context.depth())
    ok = False
    try:
        result = run(call, timeout, wait)
        ok = True
        return result
    except BaseException as e:
        errors.raise_here(e)
    finally:
        call.end(ok)
        _context._depth.reset(token)


def wait(call: Call, awaitable: Any) -> Any:
    """In a task that is the call, if that is somebody."""
    begin = None
    if call.owner is not None:
        begin = functools.partial(_owner.stand_for, call.owner)
    return _loop.run(awaitable, call.home, _context.left_ms(), begin)


def wait_unless_generator(call: Call, awaitable: Any) -> Any:
    """For streams: a generator that is marked as a coroutine is one."""
    return awaitable if inspect.isgenerator(awaitable) else wait(call, awaitable)


# -- for a caller elsewhere, in a thread of the pool --------------------------

Answer = Callable[[bool, Any], None]
_LEFT = object()


def run_in_pool(
    make: Callable[[], Call], depth: int, ms: float | None, answer: Answer
) -> None:
    """As somebody of its own, within the deadline of its caller. This thread does
    not wait for a coroutine. `answer(ok, value)` is called once, whatever the
    handler does."""
    generation = _native.fork_generation()
    owner = _owner.Owner()
    call = None

    def leave(call: Call, awaitable: Any) -> object:
        finish_on_loop(call, awaitable, owner, ms, answer)
        return _LEFT

    try:
        with _context.entered(depth, ms), _owner.running_as(owner):
            call = make()
            call.owner = owner
            ok, value = True, run(call, ms, leave)
    except BaseException as e:
        ok, value = False, e
    if value is _LEFT:
        return
    if call is not None:
        call.end(ok)
    owner.close()
    if _native.fork_generation() == generation:  # else a child, the parent's call
        answer(ok, value)
    del value  # or this frame and an exception would keep each other


def finish_on_loop(
    call: Call,
    awaitable: Any,
    owner: _owner.Owner,
    ms: float | None,
    answer: Answer,
) -> None:
    """Have the handler's loop do what it has left to do, and answer then."""
    call.lend_on_loop()
    ended = False

    def end(ok: bool, value: Any) -> None:
        nonlocal ended
        if not ended:
            ended = True
            call.end(ok)
            owner.close()
            answer(ok, value)

    async def finish() -> None:
        _owner.stand_for(owner)
        limit = _ports.timeout(None if ms is None else ms / 1000)
        try:
            async with limit:
                x = _loop.cancelled_with_task(awaitable)
                ok, value = await _outcome.of_awaitable(x)
                if not ok and isinstance(value, asyncio.CancelledError):
                    raise value  # its own, or that of the limit
        except TimeoutError:
            ok, value = False, errors.too_late()
        except GeneratorExit:  # its loop has ended
            raise
        except BaseException as e:
            ok, value = False, e
        end(ok, value)
        del value  # as above

    def over(future: concurrent.futures.Future[Outcome]) -> None:
        ok, value = _outcome.flat(_outcome.of(future.result))
        if not ok:
            end(ok, value)

    _loop.start(finish(), call.home).add_done_callback(over)


# -- for a caller on an event loop --------------------------------------------


async def run_on_loop(call: Call) -> Any:
    """As `run_here`. A coroutine runs on its loop, other code in the pool."""
    timeout, depth = _context.timeout(), _context.depth()
    token = _context._depth.set(depth)
    permits = _context.permits.set(_context.permits.get())
    in_thread = not inspect.iscoroutinefunction(call.function)
    ok, value = False, None
    try:
        if timeout is None:
            ok, value = await _outcome_on_loop(call, timeout, in_thread)
        else:
            async with _ports.timeout(timeout / 1000):
                ok, value = await _outcome_on_loop(call, timeout, in_thread)
    except TimeoutError as e:
        if isinstance(e, errors.HornbeamError):
            raise
        raise errors.too_late() from None
    finally:
        if not (in_thread and call.bounded):
            call.end(ok)
        _context.permits.reset(permits)
        _context._depth.reset(token)
    if ok:
        return value
    try:
        errors.raise_elsewhere(value)
    finally:
        del value  # or this frame and the exception would keep each other


async def _outcome_on_loop(
    call: Call, timeout: float | None, in_thread: bool
) -> Outcome:
    if in_thread:
        # Its thread has the permit, and keeps it until it is through, whoever
        # waits no longer.
        ok, value = await _pool.in_thread(_run_in_thread, call, timeout)
    else:
        if call.bounded:
            await call.enter_on_loop(timeout)
            call.lend_on_loop()
        ok, value = _outcome.of(run, call, None, None)
    if ok and _loop.is_awaitable(value):
        return await outcome_at_home(value, call.home)
    return ok, value


def _run_in_thread(call: Call, timeout: float | None) -> Any:
    ok = left = False
    call.owner = _owner.Owner()
    finish = wait if call.bounded else None
    try:
        result = _owner.call_as(call.owner, run, call, timeout, finish)
        ok = True
        left = _loop.is_awaitable(result)
        return result
    finally:
        call.owner.close()
        if not left:
            call.end(ok)


async def outcome_at_home(awaitable: Any, home: Any) -> Outcome:
    """What becomes of an awaitable on the loop that is its home. A cancelled
    caller gets CancelledError; one that the handler raises is the handler's."""
    if _loop.usable(home) is not asyncio.get_running_loop():
        return await asyncio.wrap_future(_loop.start(awaitable, home))
    task = asyncio.current_task()
    before = 0 if task is None else task.cancelling()
    ok, value = await _outcome.of_awaitable(awaitable)
    if not ok and task is not None and task.cancelling() > before:
        raise value
    return ok, value
