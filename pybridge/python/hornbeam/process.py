"""Who sends and receives: processes, their pids and mailboxes.

`self()` is the pid of whoever runs: the asyncio task (and the tasks that it
starts), else the call of a handler, else the thread. Each is a process of the
node from its first use on: others, in C++ and on other nodes, can send to it,
link to it and monitor it. It ends when whoever runs ends, and then leaves all
topics and loses its tables.
"""

from __future__ import annotations

import contextlib
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Iterator

from hornbeam import _context, _engine, _late, _native
from hornbeam.values import Pid, Ref

if TYPE_CHECKING:
    import asyncio
else:
    asyncio = _late.stand_in("asyncio", globals())


class Owner:
    """A task or handler call, which has a mailbox from its first use on."""

    __slots__ = ("box",)

    def __init__(self) -> None:
        self.box: _native.Mailbox | None = None

    def close(self, _task: object = None) -> None:
        if self.box is not None:
            self.box.close()


_owner: ContextVar[Owner | None] = ContextVar("hornbeam_owner", default=None)
_thread = threading.local()


@contextlib.contextmanager
def handler_call() -> Iterator[None]:
    """Around the call of a handler: it is somebody of its own."""
    owner = Owner()
    try:
        with running_as(owner):
            yield
    finally:
        owner.close()


@contextlib.contextmanager
def running_as(owner: Owner) -> Iterator[None]:
    """Around a part of a call: whoever runs it is `owner`."""
    token = _owner.set(owner)
    try:
        yield
    finally:
        _owner.reset(token)


def _running_task() -> asyncio.Task[object] | None:
    # What `asyncio.current_task()` does, without an exception where no loop runs.
    loop = _late.running_loop()
    return None if loop is None else asyncio.current_task(loop)


def mailbox() -> _native.Mailbox:
    """The mailbox of whoever calls."""
    owner = _owner.get()
    if owner is None:
        task = _running_task()
        if task is None:
            box = getattr(_thread, "box", None)
            if box is None or box.closed:
                box = _thread.box = _native.Mailbox()
            return box
        owner = Owner()
        _owner.set(owner)
        task.add_done_callback(owner.close)
    if owner.box is None or owner.box.closed:
        owner.box = _native.Mailbox()
    return owner.box


def _existing() -> _native.Mailbox | None:
    """The mailbox of whoever calls, if it has one."""
    owner = _owner.get()
    if owner is not None:
        return owner.box
    if _running_task() is not None:
        return None
    return getattr(_thread, "box", None)


def self() -> Pid:
    """The pid of whoever calls."""
    return mailbox().pid


def send(to: Pid | str | tuple[str, str], message: Any) -> None:
    """Send `message` to a process, anywhere in the cluster: to a pid, to the
    process that has a name on this node, or to `(name, node)`.

    Does not wait, and says nothing if nobody is there; messages to one process
    keep their order. Raises `NotFoundError` if nobody on this node has the name.
    """
    _native.send(to, message)


def receive(timeout_ms: float | None = None, default: Any = None) -> Any:
    """The next message that a process has sent to whoever calls, or `default` if
    none comes within `timeout_ms` milliseconds.

    What topics send stays for `hornbeam.pubsub.receive`. In an async task use
    `await hornbeam.aio.receive(...)`.
    """
    if timeout_ms is None:
        timeout_ms = _context.left_ms()
    return mailbox().receive(timeout_ms, default)


def make_ref() -> Ref:
    """A reference that no other call in any node returns."""
    return _native.make_ref()


def _forked() -> None:
    # Subscriptions and pids stay with the parent.
    global _thread
    _thread = threading.local()
    _owner.set(None)


_engine.on_fork.append(_forked)
