"""Who the code that runs is: the process whose mailbox it reads and in whose name it
sends.

That is a process of the node from its first use on, and ends when whoever runs ends;
then it leaves all topics and loses its tables.

Who that is:

- in the code of a process that was spawned, and in what it awaits: that process
- in the call of a handler in the pool, and in the task that runs its coroutine:
  that call
- in the task for which a `run_until_complete` waits, as that of `asyncio.run`: its
  event loop, until that is closed
- in any other task: the task
- else the thread, or whom its context comes from, as in `asyncio.to_thread`

`scope()` is a process for a block inside of any of them.

Who only receives, and is none of its own yet, reads the mailbox of the nearest that
its context comes from, else that of the loop.
"""

from __future__ import annotations

import contextlib
import sys
import warnings
import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Callable, Iterator, TypeVar

from hornbeam import _engine, _late, _loop, _native, _real
from hornbeam.values import Pid

if TYPE_CHECKING:
    import asyncio

    Task = asyncio.Task[Any]

T = TypeVar("T")


class Owner:
    """Whoever runs, who has a mailbox from the first use on: a thread, a task, a
    loop, the call of a handler or a block."""

    # Defaults of the class, since one is made for each call of a handler.
    box: _native.Mailbox | None = None
    #: Whom the context had before.
    outer: Owner | None = None
    #: The task whose code this stands for, or part of it, and nobody else's.
    task: weakref.ref[Task] | None = None
    over = False
    #: Whether it keeps the pid that it has, even if another process ends that.
    keeps_pid = False
    #: Whether it has subscribed, or a reader was told that it has not.
    listens = False

    def mailbox(self) -> _native.Mailbox:
        """Raises, once, if another process has ended it."""
        box = self.box
        if box is not None and box.alive:
            return box
        if box is not None and not box.closed and (self.keeps_pid or not box.told):
            box.check()
        made = _native.Mailbox()  # which may start the node
        with _lock:
            if self.box is box:
                self.box = made
            return self.box or made

    def lives(self) -> bool:
        return not self.over and (self.box is None or self.box.alive)

    def close(self, _task: object = None) -> None:
        self.over = True
        box, self.box = self.box, None  # contexts may keep this for long
        if box is not None:
            box.close()


#: The nearest whom this context comes from.
_owner: ContextVar[Owner | None] = ContextVar("hornbeam_owner", default=None)
_thread = _real.threading().local()
#: Whom tasks stand for, whatever context their code has entered.
_of_tasks: weakref.WeakKeyDictionary[Task, Owner] = weakref.WeakKeyDictionary()
_of_loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Owner]
_of_loops = weakref.WeakKeyDictionary()
#: Two threads of one call may need a mailbox at once; so may whoever gets a signal.
_lock = _real.threading().RLock()


# -- who runs -----------------------------------------------------------------


def _own() -> Owner | None:
    """Who the code that runs is, if it is somebody by now."""
    found = _owner.get()
    while found is not None and found.over:
        found = found.outer
    task = _late.running_task()
    if task is None:
        return getattr(_thread, "owner", None) if found is None else found
    if found is task:  # a coroutine process is its own task
        return found
    if found is not None and found.task is not None and found.task() is task:
        return found
    if isinstance(task, _native.Coroutine):
        return task  # type: ignore[return-value]
    found = _of_tasks.get(task)
    if found is not None and not found.over:
        return found
    found = _of_loops.get(task.get_loop())
    if found is not None and _is_waited_for(task):
        _owner.set(found)
        return stand_for(found, task)
    return None


def owner() -> Owner:
    """Who the code that runs is; somebody from now on."""
    found = _own()
    if found is not None:
        return found
    task = _late.running_task()
    if task is None:
        return _of_thread()
    if _is_waited_for(task):
        found = _of_loop(task.get_loop())
        _owner.set(found)
    else:
        found = Owner()
        task.add_done_callback(found.close)
        _enter(found)
    return stand_for(found, task)


def _nearest() -> Owner | None:
    """Whom the context of the code that runs comes from, if that lives."""
    found = _owner.get()
    while found is not None and not found.lives():
        found = found.outer
    return found


def _reader(of_topics: bool) -> Owner:
    """Whose mailbox the code that runs reads if it is nobody itself."""
    found = _nearest()
    if found is None:
        loop = _late.running_loop()
        if loop is None:
            return _of_thread()
        found = _of_loop(loop)
    if of_topics and not found.listens:
        found.listens = True
        _warn()
    return found


def _of_thread() -> Owner:
    found: Owner | None = getattr(_thread, "owner", None)
    if found is None:
        found = _thread.owner = Owner()
    return found


def _of_loop(loop: asyncio.AbstractEventLoop) -> Owner:
    found = _of_loops.get(loop)
    if found is None:
        found = _of_loops[loop] = Owner()
        _loop.at_end(loop, found.close)
    return found


def _is_waited_for(task: Task) -> bool:
    """Whether a `run_until_complete` waits for it: that of asyncio and others add a
    callback which says so."""
    callbacks = getattr(task, "_callbacks", None) or ()
    return any(
        "run_until_complete" in getattr(f, "__qualname__", "") for f, _ in callbacks
    )


def stand_for(owner: Owner, task: Task | None = None) -> Owner:
    """Have a task, by default the one that runs, be the code of `owner`."""
    task = task or _late.running_task()
    assert task is not None
    owner.task = weakref.ref(task)
    _of_tasks[task] = owner
    return owner


def _enter(owner: Owner) -> None:
    """Have this context, and those that come from it, know `owner`."""
    before = _owner.get()
    while before is not None and before.over:
        before = before.outer
    owner.outer = before
    # What has ended is let go: each of a chain of tasks may start the next one.
    while before is not None and before.outer is not None and before.outer.over:
        before.outer = before.outer.outer
    _owner.set(owner)


@contextlib.contextmanager
def running_as(owner: Owner) -> Iterator[None]:
    """Around a part of a call: whoever runs it is `owner`."""
    token = _owner.set(owner)
    try:
        yield
    finally:
        _owner.reset(token)


def call_as(owner: Owner, function: Callable[..., T], *args: Any) -> T:
    """Call a function in a context that is nobody's else: it is `owner`."""
    _owner.set(owner)
    return function(*args)


def begin_block() -> Owner:
    """From here on this context is of a process of its own, until that is closed."""
    inside = Owner()
    inside.keeps_pid = True
    task = _late.running_task()
    if task is not None:
        inside.task = weakref.ref(task)
    _enter(inside)
    return inside


@contextlib.contextmanager
def block() -> Iterator[Owner]:
    """As `scope`, but without a pid until somebody asks for it."""
    inside = begin_block()
    try:
        yield inside
    finally:
        inside.close()
        if _owner.get() is inside:  # it may be left in another context
            _owner.set(inside.outer)


def _existing() -> _native.Mailbox | None:
    """The mailbox of whoever acts, if there is one: for the owners of tables."""
    found = _own() or _nearest()
    if found is None and (loop := _late.running_loop()) is not None:
        found = _of_loops.get(loop)
    return None if found is None else found.box


# -- mailboxes ----------------------------------------------------------------


def mailbox() -> _native.Mailbox:
    """The mailbox of whoever calls."""
    return owner().mailbox()


def listener() -> _native.Mailbox:
    """The same for messages of topics, which somebody will have sent to it."""
    found = owner()
    found.listens = True
    return found.mailbox()


def inbox(of_topics: bool = False) -> _native.Mailbox:
    """The mailbox that whoever calls reads."""
    found = _own() or _reader(of_topics)
    box = found.box
    return box if box is not None and box.alive else found.mailbox()


def _warn() -> None:
    # With the line of the program that has called us.
    frame, level = sys._getframe(), 1
    while frame.f_globals.get("__package__") == __package__ and frame.f_back:
        frame, level = frame.f_back, level + 1
    warnings.warn(
        "this waits for messages of topics, but the process whose mailbox it reads "
        "has never subscribed to any: a subscription belongs to the task, handler "
        "call, thread or `hornbeam.process.scope()` that has made it",
        RuntimeWarning,
        stacklevel=level,
    )


@contextlib.contextmanager
def scope() -> Iterator[Pid]:
    """A process for a block: with a pid, a mailbox, links and subscriptions of its
    own, which end with it. `with scope() as pid:`, in tasks and in threads.

    Threads that run with the context of the block belong to it; a task that is
    started in it reads its mailbox, until that subscribes itself.
    """
    with block() as inside:
        yield inside.mailbox().pid


def _forked() -> None:
    # Subscriptions and pids stay with the parent.
    global _thread, _of_tasks, _of_loops, _lock
    _thread = _real.threading().local()
    _of_tasks = weakref.WeakKeyDictionary()
    _of_loops = weakref.WeakKeyDictionary()
    _lock = _real.threading().RLock()
    _owner.set(None)


_engine.on_fork.append(_forked)
