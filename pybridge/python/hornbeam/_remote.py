"""Processes that are spawned on another node: of functions that it exports."""

from __future__ import annotations

from typing import Any, Callable

from hornbeam import _native, _owner, _spawned, _waits
from hornbeam._waits import Steps
from hornbeam.values import Pid, Ref

#: What the service `rpc` is asked for instead of a module.
SERVICE = "$spawn"
_PATIENCE_MS = 5000


def spawn(
    node: str,
    f: Any,
    args: tuple[Any, ...],
    *,
    link: bool = False,
    monitor: bool = False,
) -> Steps:
    """`(pid, monitor or None)`."""
    if not isinstance(f, str):
        raise TypeError(
            "code is not sent: on another node a function is named, as "
            f"'module:function', not given as {type(f).__name__}"
        )
    module, colon, function = f.partition(":")
    if not (module and colon and function) or ":" in function:
        raise ValueError(f"a function of another node is 'module:function', not {f!r}")
    to = _native.full_name(node)
    me = _owner.mailbox().pid
    above = (_spawned.supervisor.get() or me) if link else None
    time = _waits.check_timeout(_PATIENCE_MS)
    asked = (SERVICE, f, [me, above, monitor, list(args)])
    pid, ref = yield _waits.Request(to, "rpc", "call", asked, time)
    if ref is None:
        return pid, None
    mine = _spawned.act(_native.monitor, pid, None)  # it begins when it is monitored
    _native.send(pid, (ref,))
    return pid, mine


def begin(find: Callable[[str, str], Any], name: str, given: list[Any]) -> Any:
    """On the other node: `(pid, reference of its begin or None)`."""
    caller, above, monitored, args = given
    f = find(*name.split(":"))
    if not monitored:
        return _spawned.spawn(f, tuple(args), link_to=above).pid, None
    ref = _native.make_ref()
    waits = _when_told if _spawned.is_coroutine_function(f) else _when_told_here
    made = _spawned.spawn(waits, (caller, ref, f, args), link_to=above)
    made.name = name
    return made.pid, ref


async def _when_told(
    caller: Pid, ref: Ref, f: Callable[..., Any], args: list[Any]
) -> None:
    if await _waits.on_loop(_is_told(caller, ref)):
        await f(*args)


def _when_told_here(
    caller: Pid, ref: Ref, f: Callable[..., Any], args: list[Any]
) -> None:
    if _waits.here(_is_told(caller, ref)):
        f(*args)


def _is_told(caller: Pid, ref: Ref) -> Steps:
    """Whether it is to begin; not if whoever wanted it has gone."""
    gone = _spawned.act(_native.monitor, caller, None)

    def is_news(x: Any) -> bool:
        return type(x) is tuple and any(isinstance(y, Ref) and y == ref for y in x[:1])

    def is_any(x: Any) -> bool:
        return is_news(x) or (
            type(x) is tuple and len(x) == 5 and isinstance(x[1], Ref) and x[1] == gone
        )

    got = yield _waits.Look(None, is_any, None)
    _spawned.act(_native.demonitor, gone, True)
    return is_news(got)
