"""Tasks: calls of hooks whose results are fetched later.

A task id names the node that runs the task, so whoever has the id can wait for
it, ask how it is, watch its progress or cancel it, on any node.
"""

from __future__ import annotations

import builtins
import contextvars
import functools
import math
import time
from typing import (
    Any,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Sequence,
    TypedDict,
    TypeVar,
    overload,
)

from hornbeam import (
    _context,
    _engine,
    _map,
    _native,
    _owner,
    _pool,
    _waits,
    errors,
    hooks,
)
from hornbeam._calls import Call, by_position, finish_on_loop, run_in_pool
from hornbeam._native import Job

T = TypeVar("T")
R = TypeVar("R")

# Tasks of this process: what they call, and later what came of it.
_calls: dict[str, tuple[Any, ...]] = {}
_results: dict[str, tuple[bool, Any]] = {}


class Status(TypedDict):
    """What is known of a task; times are seconds since the epoch."""

    id: str
    #: "waiting", "running", "done", "failed" or "cancelled"
    state: str
    hook: str
    action: str
    node: str
    submitted: float
    #: None: it has not begun, or not ended.
    started: float | None
    ended: float | None
    #: The last report; None if there was none.
    progress: Any


#: How often whoever waits tries to start a thread for handlers if there is none.
_RETRY_MS = 50

# -- for those who have an id -------------------------------------------------


#: Start an action of a hook and return the id of the task at once.
execute_async = _native.execute_async
#: Wait for a task and return its result.
await_result = _native.await_result


def _execute_async(*given: Any, **kwargs: Any) -> str:
    """What `execute_async` does unless this process has the hook and no deadline
    is around."""
    app_path, action, *args = by_position(hooks.PARAMETERS, given, kwargs)
    hooks._check(app_path, action)
    where = _native.pick("hook", app_path)
    if where is None:
        raise errors.not_there("hook", app_path)
    timeout, depth = _context.timeout(), _context.depth()
    _pool.keep_one()
    task_id = _native.make_task_id(where)
    served = hooks.registry.local.get(app_path)
    if served is not None:
        # The deadline counts from now, however long the pool takes.
        at = None if timeout is None else time.monotonic() + timeout / 1000
        context = contextvars.copy_context()
        _calls[task_id] = (served, app_path, action, args, kwargs, at, depth, context)
        _native.submit_local_task(task_id, app_path, action)
    else:
        _native.submit_task(task_id, app_path, action, args, kwargs, timeout, depth)
    return task_id


def _await_result(task_id: str, timeout_ms: float = 30000) -> Any:
    """What `await_result` does unless the task is of this node and no deadline is
    around."""
    _check_id(task_id)
    timeout = _context.timeout(timeout_ms)
    where = _node_of(task_id)
    if where != _native.name():
        return _ask("await", task_id, timeout)
    while not _pool.keep_one():  # nobody else tries again
        left = _RETRY_MS if timeout is None else min(timeout, _RETRY_MS)
        try:
            local, value = _native.await_local_task(task_id, left)
        except errors.HornbeamTimeout:
            if timeout is not None:
                timeout -= left
                if timeout <= 0:
                    raise
        else:
            return local_result(task_id) if local else value
    local, value = _native.await_local_task(task_id, timeout)
    return local_result(task_id) if local else value


def status(task_id: str, timeout_ms: float = 5000) -> Status:
    """How a task is.

    This and the functions below raise `NotFoundError` if the task is unknown
    or no longer kept, `NodeError` if its node has gone, and `HornbeamTimeout`
    if that node does not answer in time.
    """
    return _ask("status", task_id, timeout_ms)


def cancel(task_id: str, timeout_ms: float = 5000) -> bool:
    """Cancel a task; false if it has ended.

    Those who wait for it get `TaskCancelled` at once. If it has not begun, it
    never begins. If it runs, `cancelled()` is true in its handler from now on
    and `check()` raises; a coroutine is cancelled as asyncio does it.
    """
    return _ask("cancel", task_id, timeout_ms)


def forget(task_id: str, timeout_ms: float = 5000) -> bool:
    """Keep the result of a task no longer: for results that nobody will fetch. If
    the task has not ended, those who wait for it by then still get it. False if there
    is nothing to forget."""
    return _ask("forget", task_id, timeout_ms)


# -- many at once -------------------------------------------------------------


@overload
def map(
    f: Callable[[T], Coroutine[Any, Any, R]],
    items: Iterable[T],
    *,
    max_concurrency: int | None = None,
) -> builtins.list[R]: ...


@overload
def map(
    f: Callable[[T], R], items: Iterable[T], *, max_concurrency: int | None = None
) -> builtins.list[R]: ...


def map(
    f: Callable[[Any], Any],
    items: Iterable[Any],
    *,
    max_concurrency: int | None = None,
) -> builtins.list[Any]:
    """`[f(x) for x in items]`, with `max_concurrency` calls at once, by default the
    number of cores and 4.

    Each is run by a process of this node that is linked to the caller, a coroutine
    function on the node's event loop, any other in a thread of its own. The first
    call that fails ends all others, and its exception is raised; when the caller
    ends, or its deadline passes (`HornbeamTimeout`), they end too. What ends so is
    told as each process is: a coroutine at its next `await`, a thread at its next call
    about processes. `items` is iterated over by the caller, as far as it is needed.
    Values and results are handed over as they are, not copied. In coroutines use
    `hornbeam.aio.map`.
    """
    return _waits.here(_map.steps(f, items, max_concurrency))


def watch(task_id: str, timeout_ms: float | None = None) -> Iterator[Any]:
    """The reports of progress of a task as they come, until it ends.

    Whoever comes late or is slow gets the latest report, not all of them; the
    last one is never missed. How the task ended is told by `await_result`.
    Raises `HornbeamTimeout` if it has not ended after `timeout_ms`.
    """
    _check_id(task_id)
    _node_of(task_id)
    return _reports(task_id, _countdown(timeout_ms))


def _reports(task_id: str, left: Callable[[], float]) -> Iterator[Any]:
    seen = 0
    while (news := _ask("watch", task_id, left(), seen)) is not None:
        seen, value = news
        yield value


def list(node: str | None = None, timeout_ms: float = 5000) -> builtins.list[Status]:
    """The tasks of this node, or of another: those that have not ended and
    those whose results are kept."""
    where = _native.name() if node is None else _native.full_name(node)
    timeout, depth = _context.timeout(timeout_ms), _context.depth()
    return _native.request(where, "tasks", "list", (), timeout, depth)


def _ask(what: str, task_id: str, timeout_ms: float | None, *args: Any) -> Any:
    _check_id(task_id)
    where = _node_of(task_id)
    timeout, depth = _context.timeout(timeout_ms), _context.depth()
    return _native.request(where, "tasks", what, (task_id, *args), timeout, depth)


def _check_id(task_id: str) -> None:
    if not isinstance(task_id, str):
        raise TypeError(f"a task id must be a str, not {type(task_id).__name__}")


def _node_of(task_id: str) -> str:
    try:
        return _native.task_node(task_id)
    except TypeError as e:
        raise errors.NotFoundError(str(e)) from None


def _countdown(timeout_ms: float | None) -> Callable[[], float]:
    """What is left of `timeout_ms` from now on."""
    if isinstance(timeout_ms, bool) or not isinstance(
        timeout_ms, (int, float, type(None))
    ):
        raise TypeError(
            "a timeout is a number of milliseconds or None, not "
            f"{type(timeout_ms).__name__}"
        )
    # Not the default for calls: a task may take longer than any of those.
    at = time.monotonic() + (math.inf if timeout_ms is None else timeout_ms / 1000)
    return lambda: max(0.0, (at - time.monotonic()) * 1000)


# -- for handlers -------------------------------------------------------------


def progress(value: Any) -> None:
    """Report how far the task is that this handler works on: any value that
    can be sent. Does nothing if it is called as no task."""
    task = _context.task.get()
    if task is not None:
        task.progress(value)


def cancelled() -> bool:
    """Whether the task that this handler works on has been cancelled."""
    task = _context.task.get()
    return task is not None and task.cancelled()


def check() -> None:
    """Raise `TaskCancelled` if the task that this handler works on has been
    cancelled."""
    if cancelled():
        raise errors.TaskCancelled("the task was cancelled")


# -- tasks of this process ----------------------------------------------------


def local_result(task_id: str) -> Any:
    """What a task of this process returned, or raises what it raised."""
    if task_id not in _results:  # dropped since the wait ended
        raise errors.NotFoundError(f"the result of the task {task_id!r} is not kept")
    ok, value = _results[task_id]
    if ok:
        return value
    errors.raise_elsewhere(value)


def _run_local(job: Job) -> None:
    *call, context = _calls.pop(job.name)
    # That of who submitted it, but for the variables of ours.
    context.run(_context.task.set, job.task)
    context.run(_run_in_context, job.name, *call)


def _run_in_context(
    task_id: str,
    served: _native.Served,
    app_path: str,
    action: str,
    args: Sequence[Any],
    kwargs: dict[str, Any],
    at: float | None,
    depth: int,
) -> None:
    timeout = None if at is None else (at - time.monotonic()) * 1000

    if timeout is not None and timeout <= 0:
        late = errors.HornbeamTimeout("the deadline passed before the task began")
        _finish(task_id, False, late)
        return
    run_in_pool(
        lambda: served.handler.call(app_path, action, args, kwargs, served),
        depth,
        timeout,
        functools.partial(_finish, task_id),
    )


def _go_on_from_native(
    task_id: str, awaitable: Any, served: _native.Served, owner: _owner.Owner
) -> None:
    """What is left of a task that the native module has begun."""
    call = Call(awaitable, (), {}, served.handler.home, served)
    answer = functools.partial(_finish, task_id)
    finish_on_loop(call, awaitable, owner, None, answer)


def _finish(task_id: str, ok: bool, value: Any) -> None:
    _results[task_id] = (ok, value)
    _native.finish_local_task(task_id, ok, value)


def _send_result(job: Job) -> None:
    ok, value = _results.get(job.name) or (
        False,
        errors.NotFoundError(f"the result of the task {job.name!r} is not kept"),
    )
    _pool.answer(job, ok, value)


def _forked() -> None:
    _calls.clear()
    _results.clear()
    _context.task.set(None)


_pool.runners.update(local=_run_local, result=_send_result)
_engine.on_fork.append(_forked)
