"""Handlers by name: what hooks and functions have in common."""

from __future__ import annotations

from typing import Any, Callable, Sequence

from hornbeam import (
    _calls,
    _context,
    _engine,
    _late,
    _loop,
    _native,
    _owner,
    _pool,
    _real,
)
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
        self.home = _late.running_loop()
        self.bounds = bounds or Bounds()

    def call(
        self,
        name: str,
        action: str | None,
        args: Sequence[Any],
        kwargs: dict[str, Any],
        served: _native.Served | None = None,
        permit: _native.Permit | None = None,
    ) -> _calls.Call:
        """A call of an action of the hook `name`, or of a function: no action."""
        if self.by_method and action is not None:
            function = self._method(name, action)
        else:
            function = self.target
            args = args if action is None else (action, *args)
        bounded = served is not None and self.bounds.concurrency > 0
        return _calls.Call(function, args, kwargs, self.home, served, bounded, permit)

    def _method(self, name: str, action: str) -> Callable[..., Any]:
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
        return method


class Registry:
    """The handlers of this process, of one scope (`hook` or `function`)."""

    def __init__(self, scope: str) -> None:
        self.scope = scope
        #: By name. The native module reads it too; what it needs where Python's
        #: lock is not held is registered there, and has the same handler.
        self.local: dict[str, _native.Served] = {}
        #: Whoever gets a signal meanwhile may register something, too.
        self._lock = _real.threading().RLock()
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
        if self._register(name, handler):
            _engine.announce(self.scope)

    def _register(self, name: str, handler: Handler) -> bool:
        """Whether there was none of that name."""
        bounds = handler.bounds
        with self._lock:
            before = self.local.get(name)
            is_new = before is None
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
        return is_new

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
        self._lock = _real.threading().RLock()
        # The parent's loops look as if they ran, but no thread of ours does.
        for served in self.local.values():
            served.handler.home = None

    def _run(self, job: Job) -> None:
        _calls.run_in_pool(
            lambda: of_job(job, job.action if self.scope == "hook" else None),
            job.depth,
            job.left_ms,
            lambda ok, value: _pool.answer(job, ok, value),
        )


def of_job(job: Job, action: str | None) -> _calls.Call:
    """The call that another node asks for."""
    return job.handler.call(
        job.name, action, job.args, job.kwargs, permit=job.permit
    )


def _go_on_from_native(job: Job, awaitable: Any, owner: _owner.Owner) -> None:
    """What is left of a call that the native module has begun."""
    call = _calls.Call(awaitable, (), {}, job.handler.home)
    _calls.finish_on_loop(
        call,
        awaitable,
        owner,
        job.left_ms,
        lambda ok, value: _pool.answer(job, ok, value),
    )


def _finish_here(handler: Handler, result: Any) -> Any:
    """The same of a call in this thread."""
    if not _loop.is_awaitable(result):
        return result
    return _loop.run(result, handler.home, _context.left_ms())
