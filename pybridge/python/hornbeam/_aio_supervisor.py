"""As `hornbeam.supervisor`, for coroutines: what waits is awaited."""

from __future__ import annotations

from typing import Any

from hornbeam import _waits, supervisor
from hornbeam.supervisor import (  # noqa: F401
    Child,
    ChildSpec,
    DynamicSupervisor,
    Supervisor,
)
from hornbeam.values import Pid


async def start(tree: Supervisor) -> Pid:
    """As `tree.start`."""
    found: Pid = await _waits.on_loop(tree._start_steps(False))
    return found


async def start_link(tree: Supervisor) -> Pid:
    """As `tree.start_link`."""
    found: Pid = await _waits.on_loop(tree._start_steps(True))
    return found


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
