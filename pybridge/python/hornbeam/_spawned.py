"""Processes that were spawned: how their code is run, and ended."""

from __future__ import annotations

import collections
import contextvars
import functools
import time
import types
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
    pid: Pid
    #: The monitor that its caller has asked for.
    monitor: Ref | None = None
    name: str
    #: Whether its code has been told that it has ended.
    told = False

    def mailbox(self) -> _native.Mailbox:
        if not self.box.alive:
            raise self.ended()
        return self.box

    def ended(self) -> BaseException:
        """What ends its code, wherever that is."""
        reason = self.box.end_reason
        if _late.running_loop() is None:
            return ProcessExit(reason)
        if _late.running_task() is self:
            self.told = True
        return asyncio.CancelledError(reason)

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
    box = _native.own_box()
    if box is None:
        box = _owner.mailbox()
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
    link_to: Pid | None = None,
    monitor: bool = False,
) -> Spawned:
    made: _Thread | _Coroutine
    if (
        isinstance(f, types.FunctionType) and f.__code__.co_flags & _COROUTINE
    ) or is_coroutine_function(f):
        made = _Coroutine(_turns or _make_turns(), f, args)
    elif not callable(f):
        raise TypeError(
            f"what is spawned must be a function, not {type(f).__name__}"
            + (": call none, pass it and its arguments" if _is_called(f) else "")
        )
    else:
        refuse_dead()
        made = _Thread(f, args)
    linked_to: Pid | None = None
    try:
        if link_to is not None:  # of another node
            _native.link(made.box, link_to)
            linked_to = link_to
        if link:
            above = supervisor.get()
            if above is not None:
                _native.link(made.box, above)
            else:
                act(_native.link, made.pid)
                above = act(lambda box: box.pid)
            linked_to = above
        if monitor:
            if not isinstance(made, _Coroutine) or not made.watch():
                made.monitor = act(_native.monitor, made.pid, None)
        made.start()
    except BaseException:  # nothing was started: nobody is told that it has ended
        if linked_to is not None:
            _native.unlink(made.box, linked_to)
        if made.monitor is not None:
            act(_native.demonitor, made.monitor, True)
        made.close("killed")
        raise
    return made


def refuse_dead() -> _native.Mailbox | None:
    """The mailbox of the process whose code calls, if that was spawned. Raises what
    ends its code, if it has been ended."""
    owner = _owner._owner.get()
    return owner.mailbox() if isinstance(owner, Spawned) else None


def _is_called(x: Any) -> bool:
    return hasattr(x, "send") and hasattr(x, "throw")


_COROUTINE = 0x80  # inspect.CO_COROUTINE


def is_coroutine_function(f: Any) -> bool:
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


# -- plain functions ----------------------------------------------------------


class _Thread(Spawned):
    """A process whose code is a plain function, in a thread of its own."""

    def __init__(self, f: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.name = _name_of(f)
        self.box = _native.Mailbox(True)
        self.pid = self.box.pid
        context = contextvars.copy_context()
        context.run(_be, self)
        self.thread = _real.threading().Thread(
            target=context.run,
            args=(_thread_body, self, f, args),
            name=f"hornbeam.process {self.pid.serial}",
            daemon=True,
        )

    def start(self) -> None:
        try:
            self.thread.start()
        except (RuntimeError, MemoryError) as e:
            raise HornbeamError(f"no thread can be started for a process: {e}") from e


def _be(owner: _owner.Owner) -> None:
    """Have this context be of that process, and nothing else of its caller's."""
    _owner._owner.set(owner)
    _context.forget()
    supervisor.set(None)


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


class _Coroutine(_native.Coroutine, Spawned):  # type: ignore[misc]
    """A process whose code is a coroutine. To what that awaits it is the task that
    runs, and it is no more of one than that needs."""

    _name: str | None = None
    #: The tasks that its coroutine has started.
    tasks: weakref.WeakSet[asyncio.Task[Any]] | None = None
    _callbacks: list[tuple[Callable[..., Any], Any]] | None = None

    @property
    def name(self) -> str:
        return self._name or _name_of(self.function)

    @name.setter
    def name(self, x: str) -> None:
        self._name = x

    def note(self, task: asyncio.Task[Any]) -> None:
        """It is of this process, and ends with it."""
        if self.tasks is None:
            self.tasks = weakref.WeakSet()
            self.follow_up = True
        self.tasks.add(task)

    # What the native module calls.

    def code_of(self, x: Any) -> Any:
        """A coroutine for what its function has returned."""
        return _awaited(x)

    def failed(self, e: BaseException) -> None:
        if self.box.alive:  # else that is how it hears of it, and no news
            self.close(_reason_of_end(self, e))

    def after_end(self) -> None:
        for task in list(self.tasks or ()):
            task.cancel()
        callbacks, self._callbacks = self._callbacks or [], None
        for f, context in callbacks:
            self.get_loop().call_soon(f, self, context=context)

    # What else a task has.

    def get_name(self) -> str:
        return f"hornbeam.process {self.pid.serial}"

    def set_name(self, name: object) -> None:
        pass

    def cancelled(self) -> bool:
        return self.done() and self.told

    def get_stack(self, *, limit: int | None = None) -> list[Any]:
        frame = getattr(self.get_coro(), "cr_frame", None)
        return [] if frame is None else [frame]

    def add_done_callback(self, f: Callable[..., Any], *, context: Any = None) -> None:
        context = context or contextvars.copy_context()
        if self.done():
            self.get_loop().call_soon(f, self, context=context)
            return
        self._callbacks = [*(self._callbacks or ()), (f, context)]
        self.follow_up = True

    def remove_done_callback(self, f: Callable[..., Any]) -> int:
        before = self._callbacks or []
        self._callbacks = [x for x in before if x[0] != f]
        return len(before) - len(self._callbacks)

    def __repr__(self) -> str:
        return f"<{self.get_name()}: {self.name if self.function else 'ended'}>"


async def _awaited(x: Any) -> Any:
    return await x


_turns: _native.Scheduler | None = None
_lock = _real.threading().Lock()


def _make_turns() -> _native.Scheduler:
    """The turns of coroutine processes: in the node's own loop."""
    global _turns
    loop = _loop.own()
    with _lock:
        if _turns is None:
            _engine.ensure()
            current = asyncio.tasks._current_tasks  # type: ignore[attr-defined]
            turns = _native.Scheduler(loop, current, asyncio.CancelledError)
            loop.call_soon_threadsafe(_attend, loop, turns)
            _turns = turns
        return _turns


def _attend(loop: asyncio.AbstractEventLoop, turns: _native.Scheduler) -> None:
    if loop.get_task_factory() is None:
        loop.set_task_factory(_make_task)
    timer: asyncio.TimerHandle | None = None

    def run() -> None:
        nonlocal timer
        again = turns.run()
        if again == 0:
            loop.call_soon(run)
        elif again > 0:
            if timer is not None:
                timer.cancel()
            timer = loop.call_later(again, run)

    loop.add_reader(turns.fileno(), run)


def _make_task(
    loop: asyncio.AbstractEventLoop, coroutine: Any, context: Any = None
) -> asyncio.Task[Any]:
    """As the loop does, and notes for which process."""
    task: asyncio.Task[Any] = asyncio.Task(
        coroutine, loop=loop, context=context  # type: ignore[call-arg]
    )
    owner = _owner._owner.get()
    while owner is not None:  # one of its tasks may be a process by itself
        if isinstance(owner, _Coroutine):
            owner.note(task)
        owner = owner.outer
    return task


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
    try:
        reason = getattr(e, "exit_reason", None)
    except Exception:  # of a class that is broken
        reason = None
    if reason is not None:
        return reason
    return ((type(e).__qualname__, errors._message(e)), errors.format_exception(e))


def _reason_of_end(made: Spawned, e: BaseException) -> Any:
    report(made.pid, made.name, e)
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
    global _turns, _lock
    if _turns is not None:
        _turns.close()
        _native.leak_after_fork(_turns)
    _turns = None
    _lock = _real.threading().Lock()


_engine.on_fork.append(_forked)
