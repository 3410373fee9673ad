"""Everything that waits, for asyncio: the event loop is never blocked, and
cancelling the task that awaits stops the waiting."""

from __future__ import annotations

import contextlib
from typing import (
    TYPE_CHECKING,
    Any,
    AsyncGenerator,
    Callable,
    Coroutine,
    Iterable,
    Sequence,
    TypeVar,
    overload,
)

from hornbeam import (
    _aio_debug,
    _aio_gen_server,
    _aio_process,
    _aio_state_holder,
    _aio_supervisor,
    _calls,
    _chunks,
    _context,
    _engine,
    _handlers,
    _late,
    _map,
    _native,
    _outcome,
    _owner,
    _pool,
    _ports,
    _waits,
    errors,
    functions,
    hooks,
    pubsub,
    rpc,
    tasks,
)

if TYPE_CHECKING:
    import asyncio
    import inspect
else:
    asyncio = _late.stand_in("asyncio", globals())
    inspect = _late.stand_in("inspect", globals())


# Type checkers take these for parts of this module, as they do not what is imported.
debug = _aio_debug
gen_server = _aio_gen_server
process = _aio_process
state_holder = _aio_state_holder
supervisor = _aio_supervisor

T = TypeVar("T")
R = TypeVar("R")


async def _execute(*given: Any, **kwargs: Any) -> Any:
    app_path, action, *args = _calls.by_position(hooks.PARAMETERS, given, kwargs)
    served = registry_get(hooks.registry, app_path)
    if served is None:
        return await _invoke("hook", app_path, action, args, kwargs)
    call = served.handler.call(app_path, action, args, kwargs, served)
    return await _calls.run_on_loop(call)


@_calls.done_by(_execute)
async def execute(app_path: str, action: str, *args: Any, **kwargs: Any) -> Any:
    """As `hornbeam.hooks.execute`. A coroutine handler of this process runs on its
    loop; other handlers of this process run in the pool."""


async def _call(*given: Any, **kwargs: Any) -> Any:
    name, args = functions._name_and_args("call", given, kwargs)
    served = registry_get(functions.registry, name)
    if served is None:
        return await _invoke("function", name, "", args, {})
    return await _calls.run_on_loop(served.handler.call(name, None, args, {}, served))


@_calls.done_by(_call)
async def call(name: str, *args: Any) -> Any:
    """As `hornbeam.functions.call`."""


def registry_get(registry: _handlers.Registry, name: str) -> _native.Served | None:
    if not isinstance(name, str):
        raise TypeError(
            f"the name of a {registry.scope} must be a str, not {type(name).__name__}"
        )
    return registry.local.get(name)


async def _invoke(
    scope: str, name: str, action: str, args: Sequence[Any], kwargs: dict[str, Any]
) -> Any:
    timeout, depth = _context.timeout(), _context.depth()

    def start(c: Any, key: int) -> None:
        _native.invoke_async(c, key, scope, name, action, args, kwargs, timeout, depth)

    return (await _ports.port().wait(start, timeout, f"{scope} {name}"))[1]


async def start() -> None:
    """As `hornbeam.start`: to be awaited where an application begins, as in its
    lifespan; the event loop goes on while this node joins others."""
    _engine.start()
    await _joined()


async def _joined() -> None:
    await _ports.port().wait(_native.when_joined, None, "the start of this node")


async def publish(topic: str, message: Any) -> int:
    """As `hornbeam.pubsub.publish`, but while this node is joining others it waits for
    that, and so counts their subscribers too."""
    _engine.ensure()
    await _joined()
    return pubsub.publish(topic, message)


async def rpc_call(
    node: str, module: str, function: str, args: Any, timeout_ms: float = 5000
) -> Any:
    """As `hornbeam.rpc.rpc_call`."""
    items = rpc._check(module, function, args)
    to = _native.full_name(node)
    timeout, depth = _context.timeout(timeout_ms), _context.depth()
    op = (module, function, items)

    def start(c: Any, key: int) -> None:
        _native.request_async(c, key, to, "rpc", "call", op, timeout, depth)

    return (await _ports.port().wait(start, timeout, f"rpc on {to}"))[1]


async def register_hook(app_path: str, handler: Any, **bounds: Any) -> None:
    """As `hornbeam.hooks.register_hook`; returns when the connected nodes know it."""
    hooks.register_hook(app_path, handler, **bounds)
    await _announce("hook")


async def register_function(
    name: str, function: Callable[..., Any], **bounds: Any
) -> None:
    """As `hornbeam.functions.register_function`; returns when the connected nodes
    know of it."""
    functions.register_function(name, function, **bounds)
    await _announce("function")


async def subscribe(topic: str) -> pubsub.Subscription:
    """As `hornbeam.pubsub.subscribe`; returns when the connected nodes know of it."""
    made = pubsub.subscribe(topic)
    with made._or_not_at_all():
        await _announce("topic")
    return made


async def _announce(scope: str) -> None:
    def start(c: Any, key: int) -> None:
        _native.when_known(c, key, scope)

    await _joined()
    with contextlib.suppress(errors.HornbeamTimeout):
        await _ports.port().wait(start, _engine.ANNOUNCING_MS, "the other nodes")


async def await_result(task_id: str, timeout_ms: float = 30000) -> Any:
    """As `hornbeam.tasks.await_result`."""
    tasks._check_id(task_id)
    timeout = _context.timeout(timeout_ms)
    where = tasks._node_of(task_id)
    depth = _context.depth()

    def start(c: Any, key: int) -> None:
        if where == _native.name():
            _native.await_local_task_async(c, key, task_id, timeout)
        else:
            _native.request_async(
                c, key, where, "tasks", "await", (task_id,), timeout, depth
            )

    local, value = await _ports.port().wait(start, timeout, f"task {task_id}")
    return tasks.local_result(task_id) if local else value


async def status(task_id: str, timeout_ms: float = 5000) -> tasks.Status:
    """As `hornbeam.tasks.status`."""
    return await _ask_task("status", task_id, timeout_ms)


async def cancel(task_id: str, timeout_ms: float = 5000) -> bool:
    """As `hornbeam.tasks.cancel`."""
    return await _ask_task("cancel", task_id, timeout_ms)


async def forget(task_id: str, timeout_ms: float = 5000) -> bool:
    """As `hornbeam.tasks.forget`."""
    return await _ask_task("forget", task_id, timeout_ms)


@overload
async def map(
    f: Callable[[T], Coroutine[Any, Any, R]],
    items: Iterable[T],
    *,
    max_concurrency: int | None = None,
) -> list[R]: ...


@overload
async def map(
    f: Callable[[T], R], items: Iterable[T], *, max_concurrency: int | None = None
) -> list[R]: ...


async def map(
    f: Callable[[Any], Any],
    items: Iterable[Any],
    *,
    max_concurrency: int | None = None,
) -> list[Any]:
    """As `hornbeam.tasks.map`."""
    steps = _map.steps(f, items, max_concurrency)
    found: list[Any] = await _waits.on_loop(steps)
    return found


async def watch(
    task_id: str, timeout_ms: float | None = None
) -> AsyncGenerator[Any, None]:
    """As `hornbeam.tasks.watch`, for `async for`."""
    left = tasks._countdown(timeout_ms)
    seen = 0
    while (news := await _ask_task("watch", task_id, left(), seen)) is not None:
        seen, value = news
        yield value


async def _ask_task(
    what: str, task_id: str, timeout_ms: float | None, *args: Any
) -> Any:
    tasks._check_id(task_id)
    where = tasks._node_of(task_id)
    timeout, depth = _context.timeout(timeout_ms), _context.depth()
    op = (task_id, *args)

    def start(c: Any, key: int) -> None:
        _native.request_async(c, key, where, "tasks", what, op, timeout, depth)

    return (await _ports.port().wait(start, timeout, f"task {task_id}"))[1]


async def receive_pubsub(
    timeout: float | None = None, *, timeout_ms: float | None = None
) -> Any:
    """The next message of a topic for this task, or None if none comes in time
    (ms)."""
    box = _owner.inbox(True)
    ms = timeout if timeout_ms is None else timeout_ms
    found = await _ports.topic_message(box, lambda: box.receive_topic(0), ms)
    return None if found is None else found[1]


#: As `hornbeam.process.receive`.
receive = process.receive


async def _stream(*given: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
    app_path, action, *args = _calls.by_position(hooks.PARAMETERS, given, kwargs)
    hooks._check(app_path, action)
    served = hooks.registry.local.get(app_path)
    if served is not None:
        chunks = _local_stream(served, app_path, action, args, kwargs)
        # `async for` alone would leave the inner one to the garbage collector.
        async with contextlib.aclosing(chunks):
            async for chunk in chunks:
                yield chunk
        return
    timeout, depth = _context.timeout(), _context.depth()
    source = _native.open_stream(app_path, action, args, kwargs, timeout, depth)
    try:
        while True:
            # `notify` comes first: it starts the stream.
            await _ports.port().wait(source.notify, _context.timeout(), "stream")
            while (item := source.poll()) is not None:
                more, found = item
                for chunk in found:
                    yield chunk
                if not more:
                    return
    finally:
        source.close()


@_calls.done_by(_stream)
async def stream(
    app_path: str, action: str, *args: Any, **kwargs: Any
) -> AsyncGenerator[Any, None]:
    """As `hornbeam.hooks.stream`, for `async for`."""
    raise NotImplementedError
    yield


def _only_makes_something(function: Any) -> bool:
    """Whether to call it runs none of its code."""
    return (
        inspect.isgeneratorfunction(function)
        or inspect.iscoroutinefunction(function)
        or inspect.isasyncgenfunction(function)
    )


async def _local_stream(
    served: _native.Served,
    app_path: str,
    action: str,
    args: Sequence[Any],
    kwargs: dict[str, Any],
) -> AsyncGenerator[Any, None]:
    call = served.handler.call(app_path, action, args, kwargs, served)
    call.owner = _owner.Owner()  # its steps are made in threads of the pool
    _context.depth()
    timeout = _context.timeout()
    chunks: _chunks.Chunks | None = None
    ok, value = False, None
    try:
        await call.enter_on_loop(timeout)
        if _only_makes_something(call.function):
            ok, value = _outcome.of(_calls.run, call, timeout, None)
        else:
            ok, value = await _pool.in_thread(
                _owner.call_as, call.owner, _calls.run, call, timeout, None
            )
        if ok and inspect.isawaitable(value) and not inspect.isgenerator(value):
            ok, value = await _calls.outcome_at_home(value, call.home)
        if not ok:
            errors.raise_elsewhere(value)
        chunks = _chunks.Chunks(call, value)
        while True:
            ok = False
            _context.timeout()  # raises if nothing is left
            ok, value = await chunks.next_on_loop()
            if not ok:
                errors.raise_elsewhere(value)
            if value is _chunks.END:
                return
            yield value
    finally:
        try:
            if chunks is not None:
                await chunks.close_on_loop()
        finally:
            call.owner.close()
            call.end(ok)
