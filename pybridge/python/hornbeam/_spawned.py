"""Processes that were spawned: how their code is run, and ended."""

from __future__ import annotations

import collections
import contextvars
import functools
import itertools
import time
import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Callable

from hornbeam import (
    _context,
    _engine,
    _late,
    _log,
    _loop,
    _native,
    _owner,
    _pool,
    _ports,
    _real,
    errors,
)
from hornbeam.errors import HornbeamError, ProcessExit
from hornbeam.values import Pid, Ref

if TYPE_CHECKING:
    import asyncio
    import inspect
else:
    asyncio = _late.stand_in("asyncio", globals())
    inspect = _late.stand_in("inspect", globals())

__all__ = ["ProcessExit", "Spawned", "act", "spawn"]

#: In what a supervisor starts: it, to which that is linked.
supervisor: ContextVar[Pid | None] = ContextVar("hornbeam_supervisor", default=None)

#: Crash reports in a second; the rest is counted.
REPORTS = 20


class Spawned(_owner.Owner):
    """A process that was spawned."""

    keeps_pid = True
    listens = True
    box: _native.Mailbox
    monitor: Ref | None = None
    #: Whether its coroutine has been told that it has ended.
    told = False

    def __init__(self, name: str) -> None:
        self.name = name
        self.box = _native.Mailbox(True)
        self.box.keep_end_reason(None, 0)
        #: The tasks that its coroutine has started.
        self.tasks: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()

    def mailbox(self) -> _native.Mailbox:
        if not self.box.alive:
            raise self.ended()
        return self.box

    def ended(self) -> BaseException:
        """What ends its code, wherever that is."""
        reason = self.box.end_reason
        if _late.running_loop() is not None:
            task = _late.running_task()
            if task is not None and self.task is not None and self.task() is task:
                self.told = True
            return asyncio.CancelledError(reason)
        return ProcessExit(reason)

    def lives(self) -> bool:
        return self.box.alive

    def close(self, reason: object = None) -> None:
        # It is not `over`: code of it that goes on, as in a thread of the pool, is
        # nobody else's, and is told of the end.
        try:
            self.box.close(reason)
        except (TypeError, ValueError):  # what is no term is no reason
            self.box.close((type(reason).__name__, text_of(reason)))


def act(f: Callable[..., Any], *args: Any) -> Any:
    """Call `f(mailbox, ...)` for whoever calls."""
    owner = _owner.owner()
    box = owner.mailbox()
    try:
        return f(box, *args)
    except HornbeamError:
        refuse_ended(box)
        raise


def refuse_ended(box: _native.Mailbox) -> None:
    """Raise what ends the code of a spawned process, if this is one that has been
    ended."""
    owner = _owner._owner.get()  # whose mailbox its tasks may read
    while owner is not None:
        if isinstance(owner, Spawned) and owner.box is box and not box.alive:
            raise owner.ended() from None
        owner = owner.outer


def spawn(
    f: Callable[..., Any],
    args: tuple[Any, ...],
    *,
    link: bool = False,
    monitor: bool = False,
) -> Spawned:
    if not callable(f):
        raise TypeError(
            f"what is spawned must be a function, not {type(f).__name__}"
            + (": call none, pass it and its arguments" if _is_called(f) else "")
        )
    refuse_dead()
    made = Spawned(_name_of(f))
    linked_to: Pid | None = None
    try:
        if link:
            above = supervisor.get()
            if above is not None:
                _native.link(made.box, above)
            else:
                act(_native.link, made.box.pid)
                above = act(lambda box: box.pid)
            linked_to = above
        if monitor:
            made.monitor = act(_native.monitor, made.box.pid, None)
        context = contextvars.copy_context()
        context.run(_be, made)
        if _is_coroutine_function(f):
            _run_on_loop(made, f, args, context)
        else:
            _run_in_thread(made, f, args, context)
    except BaseException:  # nothing was started: nobody is told that it has ended
        if linked_to is not None:
            _native.unlink(made.box, linked_to)
        if made.monitor is not None:
            act(_native.demonitor, made.monitor, True)
        made.close("killed")
        raise
    return made


def refuse_dead() -> None:
    """Raise what ends the code of a spawned process, if this is one that has been
    ended."""
    owner = _owner._owner.get()
    if isinstance(owner, Spawned) and not owner.box.alive:
        raise owner.ended()


def _is_called(x: Any) -> bool:
    return hasattr(x, "send") and hasattr(x, "throw")


def _is_coroutine_function(f: Any) -> bool:
    while isinstance(f, functools.partial):
        f = f.func
    return inspect.iscoroutinefunction(f) or inspect.iscoroutinefunction(
        getattr(type(f), "__call__", None)
    )


def _name_of(f: Any) -> str:
    while isinstance(f, functools.partial):
        f = f.func
    module, name = getattr(f, "__module__", ""), getattr(f, "__qualname__", "")
    return f"{module}.{name}" if name else type(f).__qualname__


def _be(owner: _owner.Owner) -> None:
    """Have this context be of that process, and nothing else of its caller's."""
    _owner._owner.set(owner)
    _context.forget()
    supervisor.set(None)


# -- plain functions ----------------------------------------------------------


def _run_in_thread(
    made: Spawned,
    f: Callable[..., Any],
    args: tuple[Any, ...],
    context: contextvars.Context,
) -> None:
    thread = _real.threading().Thread(
        target=context.run,
        args=(_thread_body, made, f, args),
        name=f"hornbeam.process {made.box.pid.serial}",
        daemon=True,
    )
    try:
        thread.start()
    except (RuntimeError, MemoryError) as e:
        raise HornbeamError(f"no thread can be started for a process: {e}") from e


def _thread_body(
    made: Spawned, f: Callable[..., Any], args: tuple[Any, ...]
) -> None:
    generation = _native.fork_generation()
    reason: Any = "normal"
    try:
        _refuse_unrun(f(*args))
    except BaseException as e:
        # If it has been ended, that is how it hears of it, and no news; in a child
        # that it has forked its mailbox is closed.
        if made.box.alive or made.box.closed:
            reason = _reason_of_end(made, e)
    del f, args
    made.close(reason)
    if _native.fork_generation() != generation:
        _pool.end_child()


def _refuse_unrun(x: Any) -> None:
    """Raise if what a function has returned is the code that was to be run."""
    if inspect.iscoroutine(x) or inspect.isgenerator(x):
        x.close()  # it will never be run, and is told so
    elif not inspect.isasyncgen(x):
        return
    raise TypeError(
        f"it has returned a {type(x).__name__}, which nobody runs: spawn a function "
        "that is itself `async def`, or a plain one"
    )


# -- coroutines ---------------------------------------------------------------

_keys = itertools.count(1)
_running: set[asyncio.Task[Any]] = set()


def _run_on_loop(
    made: Spawned,
    f: Callable[..., Any],
    args: tuple[Any, ...],
    context: contextvars.Context,
) -> None:
    loop = _loop.own()
    loop.call_soon_threadsafe(_begin, loop, made, f, args, context, context=context)


def _begin(
    loop: asyncio.AbstractEventLoop,
    made: Spawned,
    f: Callable[..., Any],
    args: tuple[Any, ...],
    context: contextvars.Context,
) -> None:
    if loop.get_task_factory() is None:
        loop.set_task_factory(_make_task)
    name = f"hornbeam.process {made.box.pid.serial}"
    body = _coroutine_body(made, f, args)
    task = asyncio.Task(
        body, loop=loop, name=name, context=context  # type: ignore[call-arg]
    )
    _running.add(task)
    task.add_done_callback(_running.discard)


def _make_task(
    loop: asyncio.AbstractEventLoop, coroutine: Any, context: Any = None
) -> asyncio.Task[Any]:
    """As the loop does, and notes for which process."""
    task: asyncio.Task[Any] = asyncio.Task(
        coroutine, loop=loop, context=context  # type: ignore[call-arg]
    )
    owner = _owner._owner.get()
    while owner is not None:  # one of its tasks may be a process by itself
        if isinstance(owner, Spawned):
            owner.tasks.add(task)
        owner = owner.outer
    return task


async def _coroutine_body(
    made: Spawned, f: Callable[..., Any], args: tuple[Any, ...]
) -> None:
    task = asyncio.current_task()
    assert task is not None
    _owner.stand_for(made, task)
    reason: Any = "normal"
    port, forget = _ports.port(), None
    try:
        if not made.box.alive:
            return
        forget = port.once(made.box.keep_end_reason, lambda _: _cancel(task, made))
        await f(*args)
    except BaseException as e:
        if made.box.alive:
            reason = _reason_of_end(made, e)
    finally:
        del f, args
        if forget is not None:
            forget()
        made.close(reason)
        for child in list(made.tasks):
            child.cancel()


def _cancel(task: asyncio.Task[Any] | None, made: Spawned) -> None:
    assert task is not None
    if not made.told:  # else what it does before its end would be cancelled
        task.cancel(made.box.end_reason)


# -- crashes ------------------------------------------------------------------


def exit_in(e: BaseException) -> ProcessExit | None:
    """The `process.exit` that an exception is, or a group of nothing else."""
    while isinstance(e, BaseExceptionGroup):
        if e.split(ProcessExit)[1] is not None:
            return None
        e = e.exceptions[0]
    return e if isinstance(e, ProcessExit) else None


def reason_of(e: BaseException) -> Any:
    """The exit reason that an uncaught exception is."""
    left = exit_in(e)
    if left is not None:
        return left.reason
    reason = getattr(e, "exit_reason", None)
    if reason is not None:
        return reason
    return ((type(e).__qualname__, errors._message(e)), errors.format_exception(e))


def _reason_of_end(made: Spawned, e: BaseException) -> Any:
    report(made.box.pid, made.name, e)
    return reason_of(e)


_reported: collections.deque[float] = collections.deque(maxlen=REPORTS)
_left_out = 0


def report(pid: Pid, name: str, e: BaseException) -> None:
    """Log that a process has crashed, if it has, unless that happens too often."""
    global _left_out
    if exit_in(e) is not None or _engine.leaving:
        return
    now = time.monotonic()
    if len(_reported) == REPORTS and now - _reported[0] < 1:
        _left_out += 1
        return
    _reported.append(now)
    text, left_out, _left_out = f"the process {pid} ({name}) crashed", _left_out, 0
    if left_out:
        text += f" (and {left_out} others, not shown)"
    _log.say(_log.ERROR, "crash", text, error=e)


def text_of(x: Any) -> str:
    try:
        return repr(x)
    except BaseException as e:
        return f"<no text: {type(e).__name__}>"


def _forked() -> None:
    # Their code stays with the parent: none of it runs here.
    for task in _running:
        _native.leak_after_fork(task)
    _running.clear()


_engine.on_fork.append(_forked)
