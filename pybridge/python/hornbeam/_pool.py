"""The threads that run handlers: Python's own, so that leaving Python never
meets a C++ frame under a handler's code.

One thread always waits beside those that run, and starts the next one before
it takes up a job; how many jobs run at once is bounded by the native queue.
"""

from __future__ import annotations

import contextvars
import functools
import itertools
import os
import sys
from typing import TYPE_CHECKING, Any, Callable

from hornbeam import _context, _engine, _late, _log, _native, _outcome, _real, errors
from hornbeam._native import Job
from hornbeam._outcome import Outcome
from hornbeam.errors import HornbeamError

if TYPE_CHECKING:
    import asyncio
    import concurrent.futures
else:
    asyncio = _late.stand_in("asyncio", globals())
    concurrent = _late.stand_in("concurrent.futures", globals())

#: Threads at the most, running and waiting inside nested calls.
MAX_THREADS = 1000
#: An idle thread ends after this time, unless it is the last one.
IDLE_MS = 10_000

limit = 0
_threads = 0
_lock = _real.threading().Lock()
#: What a job of each kind is given to.
runners: dict[str, Callable[[Job], None]] = {}


def start() -> None:
    """Open the pool for a node that has just started."""
    _native.set_pool_limit(limit or (os.cpu_count() or 1) + 4)
    _add_thread()


def keep_one() -> bool:
    """Try again to start a thread if there is none; false if there is none yet."""
    if _threads == 0:
        _add_thread()
    return _threads > 0


def _add_thread() -> None:
    """Without one that can be had, the work goes on with those there are."""
    global _threads
    with _lock:
        if _threads >= MAX_THREADS:
            return
        _threads += 1
    try:
        thread = _real.threading().Thread
        thread(target=_work, name="hornbeam.pool", daemon=True).start()
    except BaseException as e:
        with _lock:
            _threads -= 1
        if _threads == 0:
            text = "no thread can be started for handlers: what waits for one goes on "
            _log.say(_log.ERROR, "node", text + "when it can", key="pool", error=e)
        if not isinstance(e, (RuntimeError, MemoryError)):
            raise


def _work() -> None:
    global _threads
    generation = _native.fork_generation()
    while True:
        job = _native.next_job(IDLE_MS)
        if job is None:
            if _native.fork_generation() != generation:
                end_child()
            with _lock:
                if _threads > 1 and _native.idle_threads() > 0:
                    _threads -= 1
                    return
            continue
        if _native.idle_threads() == 0:
            _add_thread()
        # Its own, as those have that next_job runs by itself.
        ok, error = _outcome.of(contextvars.Context().run, _run, job)
        if not ok:
            _outcome.of(fail, job, error)
        del job, error
        if _native.fork_generation() != generation:
            end_child()
        _native.job_done()


def _run(job: Job) -> None:
    # Coroutines and threads that the handler starts take it along.
    _context.task.set(job.task)
    runners[job.kind](job)


def end_child() -> None:
    # The code of a handler or a process has forked and returned in the child as
    # well: nothing is left to do there, and its node's threads would keep it alive.
    try:
        sys.stdout.flush()
        sys.stderr.flush()
        _engine.leave()
    finally:
        os._exit(0)


def fail(job: Job, error: BaseException) -> None:
    """Answer a job with an exception."""
    job.fail(*errors.describe(error))


def answer(job: Job, ok: bool, value: Any) -> None:
    """Answer a job with what its handler has come to."""
    if ok:
        ok, value = _outcome.of(job.reply, value)  # it may be no term
    if not ok:
        fail(job, value)


# Calls that wait for a thread, by a number.
_calls: dict[str, tuple[concurrent.futures.Future[Outcome], Callable[[], Any]]] = {}
_numbers = itertools.count(1)


async def in_thread(
    function: Callable[..., Any],
    /,
    *args: Any,
    context: contextvars.Context | None = None,
) -> Outcome:
    """What becomes of a call, as by `asyncio.to_thread`, but in the pool: Python
    waits at its end for the threads of that one, even if they wait for ever."""
    _engine.ensure()
    if not keep_one():
        raise HornbeamError("no thread can be started for handlers: try again later")
    if context is None:  # one that is empty is false
        context = contextvars.copy_context()
    call = functools.partial(context.run, function, *args)
    future: concurrent.futures.Future[Outcome] = concurrent.futures.Future()
    number = str(next(_numbers))
    _calls[number] = (future, call)
    if not _native.submit_call(number):
        del _calls[number]
        raise errors.node_ended()
    return await asyncio.wrap_future(future)


def _run_submitted(job: Job) -> None:
    future, call = _calls.pop(job.name)
    if future.set_running_or_notify_cancel():
        future.set_result(_outcome.of(call))


def _forked() -> None:
    global _threads, _lock
    _threads = 0
    _calls.clear()
    _lock = _real.threading().Lock()


runners["call"] = _run_submitted
runners["forget"] = lambda job: None  # next_job has done it
_engine.on_start.append(start)
_engine.on_fork.append(_forked)
