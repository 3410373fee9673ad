"""Who receives: pids and mailboxes.

`self()` is the pid of whoever runs: the asyncio task (and the tasks that it
starts), else the call of a handler, else the thread. Each gets its mailbox at
first use and leaves all topics when it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from contextvars import ContextVar
from typing import Iterator

from hornbeam import _engine, _native
from hornbeam.values import Pid, Ref


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
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


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


def self() -> Pid:
    """The pid of whoever calls."""
    return mailbox().pid


def make_ref() -> Ref:
    """A reference that no other call in any node returns."""
    return _native.make_ref()


def _forked() -> None:
    # Subscriptions and pids stay with the parent.
    global _thread
    _thread = threading.local()
    _owner.set(None)


_engine.on_fork.append(_forked)
