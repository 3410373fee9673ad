"""Process groups as OTP's `pg`: processes of all nodes under a common name.

    groups.join("printers")
    for pid in groups.get_members("printers"):
        process.send(pid, "print this")

A group is any value that can be sent; where Erlang has an atom, a str stands for it.
It exists while it has members. A process that joins n times is there n times; its end
takes it out of all groups, and so does the end of its node. Only its own node can have
a process join or leave.

Scopes are apart from each other; that of whoever names none is "pg". What one reads is
what this node knows: others hear of a change a moment later. Nothing here waits.
"""

from __future__ import annotations

from typing import Any, Iterable

from hornbeam import _native, _spawned, process
from hornbeam.values import Pid, Ref

__all__ = [
    "demonitor",
    "get_local_members",
    "get_members",
    "join",
    "leave",
    "monitor",
    "monitor_scope",
    "which_groups",
]


def _pids(who: Pid | Iterable[Pid] | None) -> list[Pid]:
    if who is None:
        return [process.self()]
    try:
        return [who] if isinstance(who, Pid) else list(who)
    except TypeError:
        raise TypeError(
            f"members of a group are Pids, not {type(who).__name__}"
        ) from None


def join(
    group: Any, who: Pid | Iterable[Pid] | None = None, *, scope: Any = "pg"
) -> None:
    """Have a process of this node, or several, by default the calling one, join a
    group. Raises `ValueError` for one of another node."""
    _native.group_join(scope, group, _pids(who))


def leave(
    group: Any, who: Pid | Iterable[Pid] | None = None, *, scope: Any = "pg"
) -> bool:
    """Have a process of this node, or several, by default the calling one, leave a
    group, once. False if none of them was a member."""
    return _native.group_leave(scope, group, _pids(who))


def get_members(group: Any, *, scope: Any = "pg") -> list[Pid]:
    """The members of a group in all nodes, those of this node first."""
    return _native.group_members(scope, group, False)


def get_local_members(group: Any, *, scope: Any = "pg") -> list[Pid]:
    """The members of a group in this node."""
    return _native.group_members(scope, group, True)


def which_groups(*, scope: Any = "pg") -> list[Any]:
    """The groups that have members."""
    return _native.group_names(scope)


def monitor(group: Any, *, scope: Any = "pg") -> tuple[Ref, list[Pid]]:
    """Have `(ref, "join", group, pids)` and `(ref, "leave", group, pids)` sent to the
    calling process when a group changes. Returns the reference, and the members by
    now."""
    if group is ...:
        raise TypeError("a group is a value that can be sent, not ...")
    return _spawned.act(lambda box: _native.group_monitor(scope, group, box))


def monitor_scope(*, scope: Any = "pg") -> tuple[Ref, dict[Any, list[Pid]]]:
    """The same for all groups of a scope: the reference, and the members of each."""
    return _spawned.act(lambda box: _native.group_monitor(scope, ..., box))


def demonitor(ref: Ref, *, scope: Any = "pg") -> bool:
    """End a monitor, and drop what it has sent that waits still. False if there was
    none."""
    found = _native.group_demonitor(scope, ref)
    while found and process.receive(0, match=ref) is not None:
        pass
    return found
