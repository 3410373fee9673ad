"""As `hornbeam.supervisor`, for coroutines: what waits is awaited."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, AsyncIterator, Callable

from hornbeam import _late, _log, _waits, process, supervisor
from hornbeam.supervisor import Child, ChildSpec, DynamicSupervisor, Supervisor
from hornbeam.values import Pid, Ref

if TYPE_CHECKING:
    import asyncio
    import signal
else:
    asyncio = _late.stand_in("asyncio", globals())
    signal = _late.stand_in("signal", globals())

__all__ = [
    "Child",
    "ChildSpec",
    "DynamicSupervisor",
    "Supervisor",
    "count_children",
    "delete_child",
    "restart_child",
    "running",
    "start",
    "start_child",
    "start_link",
    "terminate_child",
    "which_children",
]


async def start(tree: Supervisor) -> Pid:
    """As `tree.start`."""
    found: Pid = await _waits.on_loop(tree._start_steps(False))
    return found


async def start_link(tree: Supervisor) -> Pid:
    """As `tree.start_link`."""
    found: Pid = await _waits.on_loop(tree._start_steps(True))
    return found


@contextlib.asynccontextmanager
async def running(
    tree: Supervisor, *, on_give_up: Callable[[Any], object] | None = None
) -> AsyncIterator[Pid]:
    """`async with running(tree) as pid:` starts a supervisor, and stops it behind the
    block, from the last child to the first.

    If it gives up meanwhile, `on_give_up` is called with the reason; without it that is
    logged, and this process is told to end (SIGTERM), so that a web server finishes
    what it is at.
    """
    pid, ref = await _waits.on_loop(tree._start_watched())
    watcher = asyncio.create_task(_watch(ref, on_give_up or _end_program))
    try:
        yield pid
    finally:
        watcher.cancel()
        process.demonitor(ref, flush=True)
        await _waits.on_loop(supervisor._stop_tree(pid))


async def _watch(ref: Ref, on_give_up: Callable[[Any], object]) -> None:
    # In the mailbox of the task around this one, which has the monitor.
    reason = (await _waits.on_loop(_waits.receive(None, None, ref)))[4]
    if reason != "normal":
        on_give_up(reason)


def _end_program(reason: Any) -> None:
    text = f"a tree has given up ({reason}): this program is told to end"
    _log.say(_log.ERROR, "processes", text)
    os.kill(os.getpid(), signal.SIGTERM)


async def start_child(of: Any, *child: Any) -> Pid | None:
    """As `hornbeam.supervisor.start_child`."""
    found: Pid | None = await _waits.on_loop(supervisor._start_child(of, child))
    return found


async def terminate_child(of: Any, child: Any) -> None:
    """As `hornbeam.supervisor.terminate_child`."""
    await _waits.on_loop(supervisor._change(of, "terminate_child", child))


async def restart_child(of: Any, child: Any) -> Pid | None:
    """As `hornbeam.supervisor.restart_child`."""
    steps = supervisor._change(of, "restart_child", child)
    found: Pid | None = await _waits.on_loop(steps)
    return found


async def delete_child(of: Any, child: Any) -> None:
    """As `hornbeam.supervisor.delete_child`."""
    await _waits.on_loop(supervisor._change(of, "delete_child", child))


async def which_children(of: Any) -> list[Child]:
    """As `hornbeam.supervisor.which_children`."""
    found: list[Child] = await _waits.on_loop(supervisor._which_children(of))
    return found


async def count_children(of: Any) -> dict[str, int]:
    """As `hornbeam.supervisor.count_children`."""
    found: dict[str, int] = await _waits.on_loop(supervisor._count_children(of))
    return found
