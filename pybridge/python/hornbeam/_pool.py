"""The threads that run handlers: Python's own, so that leaving Python never
meets a C++ frame under a handler's code.

One thread always waits beside those that run, and starts the next one before
it takes up a job; how many jobs run at once is bounded by the native queue.
"""

from __future__ import annotations

import os
import threading
from typing import Any, Callable

from hornbeam import _context, _engine, _native, errors
from hornbeam._native import Job

#: Threads at the most, running and waiting inside nested calls.
MAX_THREADS = 1000
#: An idle thread ends after this time, unless it is the last one.
IDLE_MS = 10_000

limit = 0
_threads = 0
_lock = threading.Lock()
#: What a job of each kind is given to.
runners: dict[str, Callable[[Job], None]] = {}


def start() -> None:
    """Open the pool for a node that has just started."""
    _native.set_pool_limit(limit or (os.cpu_count() or 1) + 4)
    _add_thread()


def _add_thread() -> None:
    global _threads
    with _lock:
        if _threads >= MAX_THREADS:
            return
        _threads += 1
    threading.Thread(target=_work, name="hornbeam.pool", daemon=True).start()


def _work() -> None:
    global _threads
    while True:
        job = _native.next_job(IDLE_MS)
        if job is None:
            with _lock:
                if _threads > 1 and _native.idle_threads() > 0:
                    _threads -= 1
                    return
            continue
        if _native.idle_threads() == 0:
            _add_thread()
        try:
            runners[job.kind](job)
        except BaseException as e:  # a handler may raise SystemExit and worse
            fail(job, e)
        finally:
            del job
            _native.job_done()


def fail(job: Job, error: BaseException) -> None:
    """Answer a job with an exception."""
    job.fail(*_failure(error))


def _failure(error: BaseException) -> tuple[int, str, str, str]:
    code, message, name, text = errors.describe(error)
    return (code, message, name, text)


def run_call(job: Job, function: Callable[..., Any], *before: Any) -> None:
    """Run `function(*before, *args, **kwargs)` as the handler call of `job`
    and answer with the result."""
    from hornbeam import process

    with _context.entered(job.depth, job.left_ms), process.handler_call():
        job.reply(function(*before, *job.args, **job.kwargs))


def _forked() -> None:
    global _threads, _lock
    _threads = 0
    _lock = threading.Lock()


_engine.on_start.append(start)
_engine.on_fork.append(_forked)
