"""Handlers by name: what hooks and functions have in common."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from typing import Any, Callable

from hornbeam import _context, _engine, _loop, _native, _pool, errors, process
from hornbeam._native import Job
from hornbeam.errors import NotFoundError


class Bounds:
    """How many calls of a handler run and wait at once, and whether one may run
    twice. Raises TypeError and ValueError for what makes no sense."""

    __slots__ = ("concurrency", "queue", "retry")

    def __init__(
        self, concurrency: int | None = None, queue: int = 1000, retry: bool = False
    ) -> None:
        self.concurrency = 0 if concurrency is None else concurrency
        self.queue = queue
        self.retry = retry
        least = {"concurrency": 0 if concurrency is None else 1, "queue": 0}
        for name, at_least in least.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name} must be an int, not {type(value).__name__}")
            if not at_least <= value < 2**31:
                raise ValueError(
                    f"{name} must be at least {at_least} and below 2**31, not {value}"
                )
        if not isinstance(retry, bool):
            raise TypeError(f"retry must be a bool, not {type(retry).__name__}")


class Handler:
    """One registered handler: how to call it, and the loop that is its home."""

    __slots__ = ("target", "by_method", "home", "bounds")

    def __init__(
        self, target: Any, by_method: bool, bounds: Bounds | None = None
    ) -> None:
        self.target = target
        #: Whether an action is the name of a method.
        self.by_method = by_method
        self.home = _loop.current()
        self.bounds = bounds or Bounds()

    @property
    def bounded(self) -> bool:
        return self.bounds.concurrency > 0

    def find(
        self, name: str, action: str
    ) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """The callable for an action and what goes before its arguments."""
        if not self.by_method:
            return self.target, (action,)
        if action.startswith("_"):
            raise NotFoundError(
                f"the action {action!r} of hook {name!r} is private: names that "
                "start with _ can't be called"
            )
        method = getattr(self.target, action, None)
        if not callable(method):
            raise NotFoundError(
                f"the hook {name!r} has no action {action!r}: "
                f"{type(self.target).__name__} has no such method"
            )
        return method, ()


class Call:
    """One call of a handler of this process: counted, and with a permit if it is
    bounded."""

    __slots__ = ("bounded", "permit", "_served", "_began")

    def __init__(self, served: _native.Served) -> None:
        self._served = served
        self.bounded = served.handler.bounded
        self._began = time.perf_counter()
        self.permit: _native.Permit | None = None

    def enter(self, timeout: float | None) -> None:
        """Wait for its permit in this thread. Raises OverloadedError, and
        HornbeamTimeout after `timeout` ms."""
        if self.bounded:
            self.permit = self._served.acquire(timeout)

    def ask(self, answer_to: _native.Completions, key: int) -> None:
        """Ask for its permit, of a bounded handler; the answer says that it has
        come. Raises OverloadedError."""
        self.permit = self._served.ask(answer_to, key)

    def __enter__(self) -> Call:
        """Around code of this thread that runs for it."""
        if self.permit is not None:
            self.permit.hold()
        return self

    def __exit__(self, *_: object) -> None:
        if self.permit is not None:
            self.permit.let_go()

    def end(self, ok: bool) -> None:
        if self.permit is not None:
            self.permit.end()
        self._served.count(ok, time.perf_counter() - self._began)


def run_here(
    served: _native.Served,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Run a handler of this process in this thread, for a local caller: one
    call deeper, not after the deadline, and with its errors wrapped."""
    timeout = None
    if _context._deadline.get() is not None:
        timeout = _context.timeout()
    token = _context._depth.set(_context.depth())
    call = Call(served)
    ok = False
    try:
        call.enter(timeout)
        with call:
            result = finish(function(*args, **kwargs), served.handler.home)
        ok = True
        return result
    except errors.HornbeamError:
        raise
    except Exception as e:
        raise errors.wrap(e) from e
    finally:
        call.end(ok)
        _context._depth.reset(token)


def _finish_here(handler: Handler, result: Any) -> Any:
    return finish(result, handler.home)


def finish(result: Any, home: Any) -> Any:
    """The value of what a handler returned: a coroutine is run first."""
    if _loop.is_awaitable(result):
        return _loop.run(result, home, _context.left_ms())
    return result


class Chunks:
    """What a handler returned as a stream of chunks: generators of both kinds
    step by step, other iterators as they are, anything else as one chunk."""

    def __init__(self, result: Any, home: Any) -> None:
        #: Who runs the generator, if that is a call from another node.
        self.owner: Any = None
        self._home = home
        self._async = None
        self._iterator = None
        if _loop.is_awaitable(result) and not inspect.isgenerator(result):
            result = finish(result, home)
        if hasattr(result, "__anext__"):
            self._async = result
        elif inspect.isgenerator(result) or (
            hasattr(result, "__next__") and hasattr(result, "__iter__")
        ):
            self._iterator = result
        else:
            self._iterator = iter((result,))

    def __iter__(self) -> Chunks:
        return self

    def __next__(self) -> Any:
        if self._async is None:
            return next(self._iterator)  # type: ignore[arg-type]
        try:
            return _loop.run(self._async.__anext__(), self._home, _context.left_ms())
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self) -> None:
        """Close the handler's generator; its `finally` blocks run."""
        if self._async is not None:
            if hasattr(self._async, "aclose"):
                _loop.run(self._async.aclose(), self._home, None)
        elif hasattr(self._iterator, "close"):
            self._iterator.close()  # type: ignore[union-attr]


class Registry:
    """The handlers of this process, of one scope (`hook` or `function`)."""

    def __init__(self, scope: str) -> None:
        self.scope = scope
        #: By name. The native module reads it too; what it needs where Python's
        #: lock is not held is registered there, and has the same handler.
        self.local: dict[str, _native.Served] = {}
        #: Whoever gets a signal meanwhile may register something, too.
        self._lock = threading.RLock()
        _pool.runners[scope] = self._run
        _engine.on_start.append(self._announce)
        _engine.on_fork.append(self._forked)

    def add(self, name: str, handler: Handler) -> None:
        if not isinstance(name, str):
            raise TypeError(
                f"the name of a {self.scope} must be a str, not {type(name).__name__}"
            )
        if not name:
            raise ValueError(f"the name of a {self.scope} must not be empty")
        _engine.ensure()
        self._register(name, handler)

    def _register(self, name: str, handler: Handler) -> None:
        bounds = handler.bounds
        with self._lock:
            before = self.local.get(name)
            self.local[name] = _native.register_handler(
                self.scope,
                name,
                handler,
                handler.target,
                handler.by_method,
                bounds.concurrency,
                bounds.queue,
                bounds.retry,
            )
        del before  # without the lock: what it held may run code
        _native.drop_unused()

    def remove(self, name: str) -> bool:
        if not isinstance(name, str):
            raise TypeError(
                f"the name of a {self.scope} must be a str, not {type(name).__name__}"
            )
        with self._lock:
            before = self.local.pop(name, None)
            found = _native.unregister_handler(self.scope, name)
        del before
        _native.drop_unused()
        return found

    def _announce(self) -> None:
        # A forked child keeps its parent's handlers: its own node learns them.
        for name, served in list(self.local.items()):
            self._register(name, served.handler)

    def _forked(self) -> None:
        self._lock = threading.RLock()
        # The parent's loops look as if they ran, but no thread of ours does.
        for served in self.local.values():
            served.handler.home = None

    def _run(self, job: Job) -> None:
        handler = job.handler
        if self.scope == "hook":
            function, before = handler.find(job.name, job.action)
        else:
            function, before = handler.target, ()
        ms = job.left_ms
        owner = process.Owner()
        goes_on = False
        permit = job.permit
        with _context.entered(job.depth, ms), process.running_as(owner):
            try:
                if permit is not None:
                    _context.permits.set((permit,))
                result = function(*before, *job.args, **job.kwargs)
                if not _loop.is_awaitable(result):
                    job.reply(result)
                    return
                _go_on(job, result, owner)
                goes_on = True
            finally:
                if not goes_on:
                    owner.close()


def _go_on(job: Job, awaitable: Any, owner: Any) -> None:
    """Answer a job with what its handler has still to do: the pool's thread does
    not wait for a coroutine."""
    ms = job.left_ms
    loop = _loop.usable(job.handler.home)
    answer = _answer(job, awaitable, owner)
    future = asyncio.run_coroutine_threadsafe(answer, loop)
    if ms is not None:
        loop.call_soon_threadsafe(loop.call_later, ms / 1000, future.cancel)


async def _answer(job: Job, awaitable: Any, owner: Any) -> None:
    try:
        job.reply(await _loop.cancellable(awaitable))
    except asyncio.CancelledError as e:
        _pool.fail(job, errors.HornbeamTimeout("the coroutine was cancelled"))
        raise e
    except Exception as e:
        _pool.fail(job, e)
    finally:
        owner.close()
