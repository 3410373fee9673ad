"""As `hornbeam.process`, for coroutines: what waits is awaited."""

from __future__ import annotations

from typing import Any, Awaitable, Callable, overload

from hornbeam import _native, _remote, _spawned, _waits
from hornbeam.process import *  # noqa: F401, F403
from hornbeam.values import Pid, Ref


@overload  # type: ignore[no-redef]
def spawn(f: Callable[..., Any], *args: Any) -> Pid: ...


@overload
def spawn(f: str, *args: Any, node: str) -> Awaitable[Pid]: ...


def spawn(f: Any, *args: Any, node: str | None = None) -> Any:
    """As `hornbeam.process.spawn`; with `node` it is awaited."""
    if node is not None:
        return _first(_remote.spawn(node, f, args))
    return _spawned.spawn(f, args).pid


@overload  # type: ignore[no-redef]
def spawn_link(f: Callable[..., Any], *args: Any) -> Pid: ...


@overload
def spawn_link(f: str, *args: Any, node: str) -> Awaitable[Pid]: ...


def spawn_link(f: Any, *args: Any, node: str | None = None) -> Any:
    """As `hornbeam.process.spawn_link`; with `node` it is awaited."""
    if node is not None:
        return _first(_remote.spawn(node, f, args, link=True))
    return _spawned.spawn(f, args, link=True).pid


@overload  # type: ignore[no-redef]
def spawn_monitor(f: Callable[..., Any], *args: Any) -> tuple[Pid, Ref]: ...


@overload
def spawn_monitor(
    f: str, *args: Any, node: str
) -> Awaitable[tuple[Pid, Ref]]: ...


def spawn_monitor(f: Any, *args: Any, node: str | None = None) -> Any:
    """As `hornbeam.process.spawn_monitor`; with `node` it is awaited."""
    if node is not None:
        return _waits.on_loop(_remote.spawn(node, f, args, monitor=True))
    made = _spawned.spawn(f, args, monitor=True)
    return made.pid, made.monitor


async def _first(steps: _waits.Steps) -> Any:
    return (await _waits.on_loop(steps))[0]


async def receive(  # type: ignore[no-redef]
    timeout_ms: float | None = None, default: Any = None, *, match: Any = ...
) -> Any:
    """As `hornbeam.process.receive`."""
    waiting = _native.waiting_receive(timeout_ms, default, match)
    if waiting is not None:
        return await waiting
    return await _waits.on_loop(_waits.receive(timeout_ms, default, match))
