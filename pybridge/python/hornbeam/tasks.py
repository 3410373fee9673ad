"""Tasks: calls of hooks whose results are fetched later.

A task id names the node that runs the task, so whoever has the id can wait for
it, on any node, more than once.
"""

from __future__ import annotations

import time
from typing import Any

from hornbeam import _context, _engine, _handlers, _native, _pool, errors, hooks
from hornbeam._native import Job

# Tasks of this process: what they call, and later what came of it.
_calls: dict[str, tuple[Any, ...]] = {}
_results: dict[str, tuple[bool, Any]] = {}


def execute_async(app_path: str, action: str, /, *args: Any, **kwargs: Any) -> str:
    """Start an action of a hook and return the id of the task at once.

    Raises `NotFoundError` if no node has the hook. What the handler raises is
    raised by `await_result`.
    """
    hooks._check(app_path, action)
    where = _native.pick("hook", app_path)
    if where is None:
        raise errors.NotFoundError(f"no hook {app_path!r} on any connected node")
    timeout, depth = _context.timeout(), _context.depth()
    task_id = _native.make_task_id(where)
    if app_path in hooks.registry.local:
        # The deadline counts from now, however long the pool takes.
        at = None if timeout is None else time.monotonic() + timeout / 1000
        _calls[task_id] = (app_path, action, args, kwargs, at, depth)
        _native.submit_local_task(task_id)
    else:
        _native.submit_task(task_id, app_path, action, args, kwargs, timeout, depth)
    return task_id


def await_result(task_id: str, timeout_ms: float = 30000) -> Any:
    """Wait for a task and return its result.

    Raises `HornbeamTimeout` if it does not end in time (it goes on and can be
    waited for again), `HandlerError` if it failed, `NotFoundError` if it is
    unknown or no longer kept, `NodeError` if its node has gone.
    """
    if not isinstance(task_id, str):
        raise TypeError(f"a task id must be a str, not {type(task_id).__name__}")
    timeout = _context.timeout(timeout_ms)
    where = _node_of(task_id)
    if where != _native.name():
        depth = _context.depth()
        return _native.request(where, "tasks", "await", (task_id,), timeout, depth)
    local, value = _native.await_local_task(task_id, timeout)
    return local_result(task_id) if local else value


def _node_of(task_id: str) -> str:
    try:
        return _native.task_node(task_id)
    except TypeError as e:
        raise errors.NotFoundError(str(e)) from None


def local_result(task_id: str) -> Any:
    """What a task of this process returned, or raises what it raised."""
    if task_id not in _results:  # dropped since the wait ended
        raise errors.NotFoundError(f"the result of the task {task_id!r} is not kept")
    ok, value = _results[task_id]
    if ok:
        return value
    error = errors.wrap(value)
    if error is value:
        raise error
    raise error from value


def _run_local(job: Job) -> None:
    from hornbeam import process

    task_id = job.name
    app_path, action, args, kwargs, at, depth = _calls.pop(task_id)
    era = _native.era()
    timeout = None if at is None else max(0.0, (at - time.monotonic()) * 1000)
    try:
        with _context.entered(depth, timeout), process.handler_call():
            handler = hooks.registry.get(app_path)
            function, before = handler.find(app_path, action)
            value = _handlers.run(
                handler, function, (*before, *args), kwargs, timeout
            )
        _results[task_id] = (True, value)
    except BaseException as e:
        _results[task_id] = (False, e)
    if _native.era() == era:  # else a forked child, and the parent's task
        _native.finish_local_task(task_id)


def _send_result(job: Job) -> None:
    ok, value = _results.get(job.name) or (
        False,
        errors.NotFoundError(f"the result of the task {job.name!r} is not kept"),
    )
    if ok:
        job.reply(value)
    else:
        _pool.fail(job, value)


def _forget(job: Job) -> None:
    _results.pop(job.name, None)


def _forked() -> None:
    _calls.clear()
    _results.clear()


_pool.runners.update(local=_run_local, result=_send_result, forget=_forget)
_engine.on_fork.append(_forked)
