"""Erlang's processes: what they do with each other.

`spawn` starts one. A coroutine function runs on the node's own event loop, so that
a process costs little; any other function gets a thread of its own. Whoever runs
Python code without having been spawned (a thread, a task, the call of a handler) is a
process as well, from its first use of this module on: `self()` is its pid.

Processes live at every node: pids, links, monitors and messages work the same across
nodes, and between Python and C++. The rules are Erlang's. How a process ends:

- its function returns: with the reason "normal"
- `exit(reason)`: with that
- an exception: with `((class name, message), traceback)`; it is logged as
  `hornbeam.crash`
- an exit signal, of a linked process or by `exit(pid, reason)`: everybody else hears
  of that at once; its code stops at its next call of this module, where a thread
  gets `ProcessExit` and a coroutine `asyncio.CancelledError`, each with the reason

An exit reason is any value that can be sent. Where Erlang has an atom ("normal",
"shutdown", "kill"), a str stands for it, also as the first of a tuple.

What waits, as `receive`, blocks a thread; its twin in `hornbeam.aio.process` is a
coroutine and is to be used in `async def`. All else never waits, and is the same.
"""

from __future__ import annotations

from typing import Any, Callable, NoReturn, overload

from hornbeam import _native, _remote, _spawned, _waits
from hornbeam._owner import mailbox, scope
from hornbeam._spawned import ProcessExit
from hornbeam.values import Pid, Ref

__all__ = [
    "ProcessExit",
    "abandoned",
    "alias",
    "cancel_timer",
    "current",
    "demonitor",
    "erase",
    "exit",
    "get",
    "is_alive",
    "link",
    "make_ref",
    "monitor",
    "monitor_nodes",
    "process_info",
    "processes",
    "put",
    "read_timer",
    "receive",
    "register",
    "registered",
    "scope",
    "self",
    "send",
    "send_after",
    "spawn",
    "spawn_link",
    "spawn_monitor",
    "start_timer",
    "trap_exit",
    "unalias",
    "unlink",
    "unregister",
    "whereis",
]


def _flag(name: str, x: Any) -> bool:
    if not isinstance(x, bool):
        raise TypeError(f"{name} must be a bool, not {type(x).__name__}")
    return x


# -- starting -----------------------------------------------------------------


@overload
def spawn(f: Callable[..., Any], *args: Any) -> Pid: ...


@overload
def spawn(f: str, *args: Any, node: str) -> Pid: ...


def spawn(f: Any, *args: Any, node: str | None = None) -> Pid:
    """Start a process that runs `f(*args)`, and return its pid.

    `f` is called in a copy of the caller's context variables, but without its
    deadline, its task and what else is the caller's own. Raises `TypeError` if `f`
    can't be called, `HornbeamError` if no thread can be started.

    With `node`, it is started there, and `f` is the name of a function that this node
    exports: "module:function". That waits for the answer, 5 seconds at most; with
    `hornbeam.aio.process` it is awaited. Raises `NotFoundError` if that node exports
    no such function, `NodeError` if it can't be reached.
    """
    if node is not None:
        pid: Pid = _waits.here(_remote.spawn(node, f, args))[0]
        return pid
    return _spawned.spawn(f, args).pid


@overload
def spawn_link(f: Callable[..., Any], *args: Any) -> Pid: ...


@overload
def spawn_link(f: str, *args: Any, node: str) -> Pid: ...


def spawn_link(f: Any, *args: Any, node: str | None = None) -> Pid:
    """As `spawn`; the process is linked to the caller from its first moment."""
    if node is not None:
        pid: Pid = _waits.here(_remote.spawn(node, f, args, link=True))[0]
        return pid
    return _spawned.spawn(f, args, link=True).pid


@overload
def spawn_monitor(f: Callable[..., Any], *args: Any) -> tuple[Pid, Ref]: ...


@overload
def spawn_monitor(f: str, *args: Any, node: str) -> tuple[Pid, Ref]: ...


def spawn_monitor(f: Any, *args: Any, node: str | None = None) -> tuple[Pid, Ref]:
    """As `spawn`; the caller monitors the process from its first moment."""
    if node is not None:
        found: tuple[Pid, Ref] = _waits.here(
            _remote.spawn(node, f, args, monitor=True)
        )
        return found
    made = _spawned.spawn(f, args, monitor=True)
    assert made.monitor is not None
    return made.pid, made.monitor


def self() -> Pid:
    """The pid of whoever calls."""
    return _native.own_pid() or mailbox().pid


#: The same, for where `self` is taken.
current = self


# -- messages -----------------------------------------------------------------


def send(to: Pid | Ref | str | tuple[str, str], message: Any) -> None:
    """Send `message` to a process, anywhere in the cluster: to a pid or an alias, to
    the process that has a name on this node, or to `(name, node)`.

    Does not wait, and says nothing if nobody is there; messages to one process
    keep their order. Raises `NotFoundError` if nobody on this node has the name.
    """
    _native.send(to, message)


def receive(
    timeout_ms: float | None = None, default: Any = None, *, match: Any = ...
) -> Any:
    """The next message that a process has sent to whoever calls, or `default` if
    none comes within `timeout_ms` milliseconds.

    With `match`, the first that fits, in the order of their arrival; the others stay.
    It is a `Ref` (what answers it: a tuple that begins with it, or the message of
    that monitor), a class, a function that says yes or no, or a value: in a tuple,
    `...` fits anything and a class its instances.

    A process that was spawned gets what topics send here, as `("topic", topic,
    message)`; for others that stays for `hornbeam.pubsub.receive`. On an event loop
    use `await hornbeam.aio.process.receive(...)`.
    """
    return _waits.here(_waits.receive(timeout_ms, default, match))


def make_ref() -> Ref:
    """A reference that no other call in any node returns."""
    return _native.make_ref()


def alias(once: bool = False) -> Ref:
    """Another address of the calling process, until `unalias`; with `once`, until
    the first message that comes through it."""
    return _spawned.act(_native.alias, _flag("once", once))


def unalias(ref: Ref) -> bool:
    """End an alias: what comes through it from now on is dropped. False if it was
    none."""
    return _spawned.act(_native.unalias, ref)


# -- links, monitors, ends ----------------------------------------------------


def link(pid: Pid) -> None:
    """Link the calling process with `pid`: when one ends for another reason than
    "normal", so does the other, unless it traps exits. Raises `NotFoundError` if
    that is no living process of this node; of another node, the exit signal comes
    later."""
    _spawned.act(_native.link, pid)


def unlink(pid: Pid) -> None:
    """End a link: no exit signal comes from it any more."""
    _spawned.act(_native.unlink, pid)


def monitor(what: Pid | str | tuple[str, str], *, alias: str | None = None) -> Ref:
    """Have `("DOWN", ref, "process", pid, reason)` sent here when a process ends, at
    once if it has: the reason is then "noproc". A process that is monitored by its
    name is shown as `(name, node)`.

    With `alias`, the reference is an address of the caller as well; the word says
    until when: "explicit_unalias", "demonitor" or "reply_demonitor" (the first
    message through it ends both).
    """
    return _spawned.act(_native.monitor, what, alias)


def demonitor(ref: Ref, *, flush: bool = False) -> bool:
    """End a monitor; false if there was none, as when its process has ended. With
    `flush`, its message is taken out of the mailbox as well."""
    return _spawned.act(_native.demonitor, ref, flush)


@overload
def exit(reason: Any, /) -> NoReturn: ...


@overload
def exit(pid: Pid, reason: Any, /) -> None: ...


def exit(*args: Any) -> None:
    """`exit(reason)` ends the calling process. `exit(pid, reason)` sends an exit
    signal: the process ends with `reason`, unless it traps exits, or the reason is
    "normal"; "kill" can't be trapped, and is "killed" to those linked to it."""
    if len(args) == 1:
        raise ProcessExit(args[0])
    if len(args) != 2:
        raise TypeError(f"exit takes (reason) or (pid, reason), not {len(args)} values")
    pid, reason = args
    _spawned.act(_native.exit, pid, reason)


def trap_exit(on: bool = True) -> bool:
    """Whether exit signals become messages `("EXIT", pid, reason)` to the calling
    process instead of ending it. Returns what held before."""
    return _spawned.act(_native.trap_exit, _flag("on", on))


def monitor_nodes(on: bool = True) -> None:
    """Whether the calling process gets `("nodeup", node)` and `("nodedown", node)`."""
    _spawned.act(_native.monitor_nodes, _flag("on", on))


# -- names --------------------------------------------------------------------


def register(name: str, pid: Pid | None = None) -> None:
    """Give a process of this node, by default the calling one, a name on this node,
    until it ends. Raises `ValueError` if the name is taken, or the process has one
    already or is dead."""
    _native.register_name(name, self() if pid is None else pid)


def unregister(name: str) -> None:
    """Take a name away. Raises `ValueError` if nobody has it."""
    _native.unregister_name(name)


def whereis(name: str) -> Pid | None:
    """Who has a name on this node."""
    return _native.whereis(name)


def registered() -> list[str]:
    """The names of this node."""
    return _native.registered()


# -- timers -------------------------------------------------------------------


def send_after(ms: float, to: Pid | str, message: Any) -> Ref:
    """Send `message` in `ms` milliseconds to a process of this node; a name is looked
    up then. Returns the timer."""
    return _spawned.act(_native.send_after, ms, to, message, False)


def start_timer(ms: float, to: Pid | str, message: Any) -> Ref:
    """As `send_after`, but what is sent is `("timeout", timer, message)`."""
    return _spawned.act(_native.send_after, ms, to, message, True)


def cancel_timer(timer: Ref) -> int | None:
    """Stop a timer: the milliseconds that were left, or None if it has fired."""
    return _native.cancel_timer(timer)


def read_timer(timer: Ref) -> int | None:
    """The milliseconds that are left, or None if it has fired."""
    return _spawned.act(_native.read_timer, timer)


# -- the process dictionary ---------------------------------------------------


def put(key: Any, value: Any) -> Any:
    """Note a value in the calling process; returns the one before, or None."""
    return _spawned.act(_native.process_put, key, value)


def get(key: Any, default: Any = None) -> Any:
    """What the calling process has noted."""
    return _spawned.act(_native.process_get, key, default)


def erase(key: Any) -> Any:
    """Forget a value; returns it, or None."""
    return _spawned.act(_native.process_erase, key)


# -- looking at them ----------------------------------------------------------

_ITEMS = (
    "links",
    "monitors",
    "monitored_by",
    "registered_name",
    "message_queue_len",
    "trap_exit",
    "dictionary",
    "status",
)


def processes() -> list[Pid]:
    """All processes of this node that live."""
    return _native.processes()


def abandoned() -> list[Pid]:
    """Processes of this node that others have ended while their code goes on: it has
    made no call of this module since. A thread can't be stopped from outside."""
    return _native.abandoned()


def is_alive(pid: Pid) -> bool:
    """Whether a process of this node lives. Raises `ValueError` for one of another
    node."""
    return _native.process_info(pid, "status") is not None


def process_info(pid: Pid, item: str | None = None) -> Any:
    """What Erlang's `process_info` says of a process of this node: one item, or all
    as a dict. None if the process is dead.

    Items: links, monitors, monitored_by, registered_name, message_queue_len,
    trap_exit, dictionary, status.
    """
    if item is not None:
        return _native.process_info(pid, item)
    found = {x: _native.process_info(pid, x) for x in _ITEMS}
    return None if found["status"] is None else found
