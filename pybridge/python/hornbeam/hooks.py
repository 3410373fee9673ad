"""Hooks: services by name, anywhere in the cluster.

A hook is called with an action and arguments. The handler of this process
runs in the calling thread and gets the very objects; one on another node gets
copies. Several nodes may have the same hook: this one is preferred, else a call
goes to the one on which the fewest are waited for.
"""

from __future__ import annotations

import contextvars
import functools
from typing import TYPE_CHECKING, Any, Callable, Generator, Sequence

from hornbeam import (
    _calls,
    _chunks,
    _context,
    _engine,
    _handlers,
    _late,
    _log,
    _loop,
    _native,
    _outcome,
    _owner,
    _pool,
    errors,
)
from hornbeam._native import Job
from hornbeam._outcome import Outcome

if TYPE_CHECKING:
    import inspect
else:
    inspect = _late.stand_in("inspect", globals())


def register_hook(
    app_path: str,
    handler: Any,
    *,
    concurrency: int | None = None,
    queue: int = 1000,
    retry: bool = False,
) -> None:
    """Register a handler as `app_path` on this node.

    A function is called with `(action, *args, **kwargs)`; of an instance, the
    method named by the action is called with the rest; a class is instantiated
    once, now. Coroutine functions and generators of both kinds are handlers
    too. Registering a name again replaces the handler.

    With `concurrency`, so many of its calls run at once on this node, `queue`
    more wait for a permit, and what is beyond is refused at once with
    `OverloadedError`. A call that waits for a call of its own gives its permit to
    others meanwhile. With `retry`, the handler says that it may run twice: a
    call whose node goes down is sent to another node that has the hook.

    Raises TypeError for what can't be called, ValueError for bounds that make
    no sense, and whatever the class raises.
    """
    bounds = _handlers.Bounds(concurrency, queue, retry)
    if isinstance(handler, type):
        entry = _handlers.Handler(handler(), True, bounds)
    elif inspect.isroutine(handler) or _is_partial(handler):
        entry = _handlers.Handler(handler, False, bounds)
    elif handler is None or isinstance(handler, (str, bytes, int, float, list, dict)):
        raise TypeError(
            f"the handler of hook {app_path!r} must be a function, a class or an "
            f"instance, not {type(handler).__name__}"
        )
    else:
        entry = _handlers.Handler(handler, not _is_function_like(handler), bounds)
    registry.add(app_path, entry)


def _is_partial(x: Any) -> bool:
    return isinstance(x, functools.partial)


def _is_function_like(x: Any) -> bool:
    # An instance with nothing but __call__ in public is a function.
    cls = type(x)
    return callable(x) and not any(
        callable(getattr(cls, name, None)) for name in dir(cls) if name[0] != "_"
    )


def unregister_hook(app_path: str) -> None:
    """Remove this node's handler of `app_path`; unknown names are fine."""
    registry.remove(app_path)


def names() -> list[str]:
    """All hooks that this node knows of, in the whole cluster, in order."""
    return _native.handler_names("hook")


def providers(app_path: str) -> list[str]:
    """The nodes that have the hook, as far as this node knows."""
    return _native.providers("hook", app_path)


def info() -> list[dict[str, Any]]:
    """What became of calls: a dict for each hook of this node, and for each hook
    and node that this node has called.

    `name`, `node`, `calls`, `errors`, `open` (not ended yet), and in
    milliseconds `p50_ms`, `p95_ms`, `p99_ms`, within an eighth, None before the
    first call; of local calls without bounds one in 16 is timed. Those of this
    node also have `concurrency`, `queue`, `waiting` and `retry`.
    """
    _engine.ensure()
    return _native.handler_info("hook")


def _check(app_path: str, action: str) -> None:
    if not isinstance(app_path, str):
        raise TypeError(
            f"the name of a hook must be a str, not {type(app_path).__name__}"
        )
    if not isinstance(action, str):
        raise TypeError(f"an action must be a str, not {type(action).__name__}")


#: Run an action of a hook and return its result.
execute = _native.execute


#: What comes before the handler's own arguments.
PARAMETERS = ("app_path", "action")


def _execute(*given: Any, **kwargs: Any) -> Any:
    """What `execute` does unless a plain handler of this process has the name."""
    app_path, action, *args = _calls.by_position(PARAMETERS, given, kwargs)
    served = registry.local.get(app_path) if isinstance(app_path, str) else None
    if served is None or not isinstance(action, str):
        _check(app_path, action)
        timeout, depth = _context.timeout(), _context.depth()
        return _native.invoke("hook", app_path, action, args, kwargs, timeout, depth)
    return _calls.run_here(
        served.handler.call(app_path, action, args, kwargs, served)
    )


registry = _handlers.Registry("hook")


def _open(*given: Any, **kwargs: Any) -> Generator[Any, None, None]:
    app_path, action, *args = _calls.by_position(PARAMETERS, given, kwargs)
    _check(app_path, action)
    if app_path in registry.local:
        return _local_stream(app_path, action, args, kwargs)
    return _stream(app_path, action, args, kwargs)


@_calls.done_by(_open)
def stream(
    app_path: str, action: str, *args: Any, **kwargs: Any
) -> Generator[Any, None, None]:
    """The chunks of a hook's action, one by one.

    Nothing runs before the first chunk is asked for. Closing the generator
    closes the handler's; an error of the handler is raised after the chunks
    that came before it. A handler that makes no generator gives one chunk.
    """
    raise NotImplementedError


def _stream(
    app_path: str, action: str, args: Sequence[Any], kwargs: dict[str, Any]
) -> Generator[Any, None, None]:
    if app_path in registry.local:  # by now
        yield from _local_stream(app_path, action, args, kwargs)
        return
    timeout, depth = _context.timeout(), _context.depth()
    source = _native.open_stream(app_path, action, args, kwargs, timeout, depth)
    try:
        more = True
        while more:
            more, chunks = source.next(_context.timeout())
            yield from chunks
    finally:
        source.close()


def _local_stream(
    app_path: str, action: str, args: Sequence[Any], kwargs: dict[str, Any]
) -> Generator[Any, None, None]:
    served = registry.local.get(app_path)
    if served is None:  # by now
        yield from _stream(app_path, action, args, kwargs)
        return
    call = served.handler.call(app_path, action, args, kwargs, served)
    _context.depth()
    timeout = _context.timeout()
    generator: Any = None
    chunks: _chunks.Chunks | None = None
    ok = False
    try:
        result = _calls.run(call, timeout, _calls.wait_unless_generator)
        # Nothing to see to between the chunks?
        if timeout is None and call.permit is None and inspect.isgenerator(result):
            generator = result
            yield from generator
        else:
            chunks = _chunks.Chunks(call, result, here=True)
            step = chunks.stepper()
            while True:
                _context.timeout()
                good, chunk = step()
                if not good:
                    raise chunk
                if chunk is _chunks.END:
                    break
                ok = True
                yield chunk
                ok = False
        ok = True
    except GeneratorExit:
        ok = ok or generator is not None
        raise
    except BaseException as e:
        errors.raise_here(e)
    finally:
        try:
            if generator is not None:
                generator.close()
            elif chunks is not None:
                _outcome.value(chunks.close())
        finally:
            call.end(ok)


# -- streams for other nodes --------------------------------------------------


class _Provided:
    """A stream that another node reads. It is one call, and keeps its mailbox over
    all its jobs."""

    def __init__(self, chunks: _chunks.Chunks, owner: _owner.Owner) -> None:
        self.chunks = chunks
        self.owner = owner

    def close(self) -> None:
        """The consumer has gone: only the log hears of an error."""
        ok, error = self.chunks.close()
        if not ok:
            text = "a stream that was closed by its consumer raised"
            _log.say(_log.ERROR, "hooks", text, f"close {type(error)}", error)
        self.owner.close()


# Between their jobs they are kept by the numbers of their sources.
_streams: dict[int, _Provided] = {}


def _run_stream(job: Job) -> None:
    stream = _streams.get(job.source_id)
    if stream is None:
        if job.closed():
            return
        stream = _begin(job)
    _go_on(job, stream)


def _begin(job: Job) -> _Provided:
    owner = _owner.Owner()
    with _context.entered(job.depth, job.left_ms), _owner.running_as(owner):
        ok, value = _outcome.of(_first, job, owner)
        if not ok:
            owner.close()
            raise value
        call, result = value
        return _Provided(_chunks.Chunks(call, result), owner)


def _first(job: Job, owner: _owner.Owner) -> tuple[_calls.Call, Any]:
    call = _handlers.of_job(job, job.action)
    call.owner = owner
    return call, _calls.run(call, None, _calls.wait_unless_generator)


def _go_on_from_native(
    job: Job, result: Any, owner: _owner.Owner, context: contextvars.Context
) -> None:
    """What is left of a stream that the native module has begun in `context`."""
    call = _calls.Call(result, (), {}, job.handler.home)
    call.owner = owner
    if _loop.is_awaitable(result):
        wait = functools.partial(_calls.wait_unless_generator, call, result)
        ok, result = _outcome.of(context.run, wait)
        if not ok:
            owner.close()
            _pool.fail(job, result)
            return
    _go_on(job, _Provided(_chunks.Chunks(call, result, context), owner))


def _give(job: Job, step: Callable[[], Outcome]) -> Outcome:
    """What ends a stream: END, or what was raised; else there is no credit."""
    may_go_on, send, end = job.take_credit, job.chunk, _chunks.END
    try:
        while may_go_on():
            ok, chunk = step()
            if not ok or chunk is end:
                return ok, chunk
            send(chunk)
    except BaseException as e:  # it is no term
        return False, e
    return True, None


def _go_on(job: Job, stream: _Provided) -> None:
    """Run a stream as far as its consumer has given credit."""
    number = job.source_id
    _streams[number] = stream
    ok, last = stream.chunks.each(functools.partial(_give, job))
    if not ok:
        _streams.pop(number, None)
        _pool.fail(job, last)
        stream.close()
        return
    if last is _chunks.END:
        _streams.pop(number, None)
        stream.owner.close()
        job.end()
        return
    # A forked child has none: the parent goes on with it.
    if job.closed() and _streams.pop(number, None) is not None:
        stream.close()


_pool.runners["stream"] = _run_stream


def _forked() -> None:
    # The parent goes on with its streams: no `finally` runs here as well.
    for stream in _streams.values():
        _native.leak_after_fork(stream)
    _streams.clear()


_engine.on_fork.append(_forked)
