"""Looking at what runs, as Erlang's `sys` and `observer` do.

    debug.get_state("shop")
    print(debug.tree())
    debug.top("messages", 3)

`get_state`, `replace_state`, `suspend` and `resume` are for servers of Python and C++,
given as in `gen_server.call`. Servers of other nodes refuse them, with a `CallError`,
unless their node was started with `remote_debug` of its `[cluster]`. `tree` and `top`
show this node. In coroutines use `hornbeam.aio.debug` for all but `top`.
"""

from __future__ import annotations

from typing import Any, Iterator, Literal, NamedTuple

from hornbeam import _waits, gen_server, process, supervisor
from hornbeam._waits import Steps
from hornbeam.gen_server import CallError
from hornbeam.values import Atom, Pid

__all__ = ["Row", "get_state", "replace_state", "resume", "suspend", "top", "tree"]

#: Of more children of one supervisor, `tree` shows the number.
MOST_CHILDREN = 100


def get_state(server: Any, timeout_ms: float | None = 5000) -> Any:
    """What `format_status` of a server says: a dict of its public attributes unless
    it has its own; servers of C++ show their state. Raises `CallError`, and
    `CallTimeout` if it does not answer within `timeout_ms` milliseconds, as what is no
    server never does."""
    return gen_server.get_state(server, timeout_ms)


def replace_state(
    server: Any, state: Any, timeout_ms: float | None = 5000
) -> None:
    """Give a server other attributes: those that the dict `state` names; the others
    stay. Between two of its callbacks. Raises `ValueError` if the server can't take
    that and goes on as it was, else as `get_state`."""
    _waits.here(_replace_state(server, state, timeout_ms))


def _replace_state(server: Any, state: Any, timeout_ms: float | None) -> Steps:
    request = (Atom("replace_state"), state)
    found = yield from gen_server.ask_system(server, request, timeout_ms)
    if found != "ok":
        why = found[1]
        text = why[1] if type(why) is tuple else f"its state can't be replaced: {why}"
        raise ValueError(f"{server!r}: {text}")


def suspend(server: Any, timeout_ms: float | None = 5000) -> None:
    """Have a server take nothing but the requests of this module, and its end, until
    `resume`; what else comes waits. Raises as `get_state`."""
    _waits.here(gen_server.ask_system(server, Atom("suspend"), timeout_ms))


def resume(server: Any, timeout_ms: float | None = 5000) -> None:
    """Have a server go on that was suspended. Raises as `get_state`."""
    _waits.here(gen_server.ask_system(server, Atom("resume"), timeout_ms))


# -- the tree -----------------------------------------------------------------


def tree(root: Any = None, timeout_ms: float | None = 1000) -> str:
    """The supervisor `root`, by default each that this Python has started, with all
    below it, as text: a line for each child, with its id, its pid, its name and how
    many messages wait. A supervisor that does not say within `timeout_ms`
    milliseconds what is below it is shown as such."""
    return _waits.here(_tree(root, timeout_ms))


def _tree(root: Any, timeout_ms: float | None) -> Steps:
    found = process.whereis(root) if isinstance(root, str) else root
    if root is not None and not isinstance(found, Pid):
        raise CallError(Atom("noproc"), root, Atom("which_children"))
    all_trees = sorted(supervisor._trees, key=lambda x: x.serial)
    roots = all_trees if root is None else [found]
    below: dict[Pid, list[supervisor.Child] | None] = {}
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        if pid in below:
            continue
        children = below[pid] = yield from _children(pid, timeout_ms)
        waiting += (
            x.pid
            for x in children or ()
            if x.type == "supervisor" and isinstance(x.pid, Pid)
        )
    theirs = {x.pid for children in below.values() for x in children or ()}
    lines: list[str] = []
    for pid in roots:
        if pid not in theirs or root is not None:
            lines.append(_shown(pid, True))
            lines += _lines(pid, below, "")
    return "\n".join(lines)


def _children(pid: Pid, timeout_ms: float | None) -> Any:
    """Those of a supervisor, the first one first; None if it does not say."""
    ask = gen_server.ask(
        gen_server._CALL, pid, (Atom("which_children"),), timeout_ms
    )
    try:
        found = yield from ask
    except CallError:
        return None
    return supervisor.children_of(found)[::-1]


def _lines(pid: Pid, below: Any, indent: str) -> Iterator[str]:
    children = below.pop(pid, ())
    if children is None:
        yield f"{indent}└─ (it does not answer)"
        return
    shown = children[:MOST_CHILDREN]
    left_out = len(children) - len(shown)
    for i, x in enumerate(shown, 1):
        last = i == len(children)
        line = indent + ("└─" if last else "├─")
        if not _is_undefined(x.id):  # as with a dynamic supervisor
            line += f" {x.id!r}"
        if not isinstance(x.pid, Pid):
            yield f"{line} {x.pid or 'not running'}"
            continue
        yield f"{line} {_shown(x.pid, x.type == 'supervisor')}"
        if x.type == "supervisor":
            yield from _lines(x.pid, below, indent + ("   " if last else "│  "))
    if left_out:
        yield f"{indent}└─ and {left_out} more"


def _is_undefined(id: Any) -> bool:
    return isinstance(id, Atom) and id == "undefined"


def _shown(pid: Pid, is_supervisor: bool) -> str:
    text = repr(pid)
    try:
        name = process.process_info(pid, "registered_name")
        waiting = process.process_info(pid, "message_queue_len")
    except ValueError:  # of another node
        name = waiting = None
    if name:
        text += f" {name}"
    if is_supervisor:
        text += " (supervisor)"
    if waiting:
        text += f", {waiting} messages wait" if waiting > 1 else ", 1 message waits"
    return text


# -- the busiest --------------------------------------------------------------


class Row(NamedTuple):
    """A process, as `top` shows it."""

    pid: Pid
    #: That by which it is registered, if it is.
    name: str | None
    #: How many wait in its mailbox.
    messages: int
    links: int
    monitors: int
    monitored_by: int
    #: "waiting" or "running".
    status: str


def top(
    by: Literal["messages", "links", "monitors", "monitored_by"] = "messages",
    count: int = 10,
) -> list[Row]:
    """The `count` processes of this node with the most of that, the first first."""
    if by not in ("messages", "links", "monitors", "monitored_by"):
        raise ValueError(
            "top goes by 'messages', 'links', 'monitors' or 'monitored_by', "
            f"not by {by!r}"
        )
    rows = (_row(x) for x in process.processes())
    found = [x for x in rows if x is not None]
    found.sort(key=lambda x: (-getattr(x, by), x.pid.serial))
    return found[: max(0, count)]


def _row(pid: Pid) -> Row | None:
    def info(item: str) -> Any:
        return process.process_info(pid, item)

    name, waiting = info("registered_name"), info("message_queue_len")
    links, monitors, by = info("links"), info("monitors"), info("monitored_by")
    status = info("status")
    if status is None:  # it has ended meanwhile
        return None
    return Row(
        pid, name or None, waiting, len(links), len(monitors), len(by), status
    )
