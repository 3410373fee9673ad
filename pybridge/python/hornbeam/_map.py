"""A function of many values at once, each in a process that is linked to whoever
waits for all of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Callable, Iterable

from hornbeam import _context, _late, _spawned, _waits, errors, process
from hornbeam._waits import Steps
from hornbeam.values import Pid, Ref

if TYPE_CHECKING:
    import asyncio
    import inspect
else:
    asyncio = _late.stand_in("asyncio", globals())
    inspect = _late.stand_in("inspect", globals())

_END = object()


class _One:
    """A value, and what has come of it. That stays in this Python: it need be
    nothing that can be sent."""

    pid: Pid
    ok = False
    found: Any = None

    def __init__(self, item: Any, place: int) -> None:
        self.item = item
        self.place = place

    def result(self, reason: Any) -> Any:
        if self.ok:
            return self.found
        if isinstance(self.found, asyncio.CancelledError):
            raise errors.TaskCancelled("a call of tasks.map was cancelled by its code")
        if self.found is not None:
            raise self.found
        raise errors.HornbeamError(f"a process of tasks.map was ended: {reason}")


def steps(
    f: Callable[[Any], Any], items: Iterable[Any], max_concurrency: int | None
) -> Steps:
    if not callable(f):
        raise TypeError(f"tasks.map takes a function, not {type(f).__name__}")
    most = _most(max_concurrency)
    body = _await_one if _spawned.is_coroutine_function(f) else _call_one
    me = process.self()
    waiting = iter(items)
    results: list[Any] = []
    running: dict[Ref, _One] = {}

    def is_end(x: Any) -> bool:
        if type(x) is not tuple or len(x) != 5:
            return False
        return isinstance(x[1], Ref) and x[1] in running

    try:
        while True:
            while len(running) < most:
                item = next(waiting, _END)
                if item is _END:
                    most = 0
                    break
                one = _One(item, len(results))
                results.append(None)
                running[_start(body, f, one, me)] = one
            if not running:
                return results
            got = yield _waits.Look(None, is_end, _context.left_ms())
            if got is _waits.NOTHING:
                raise errors.too_late()
            one = running.pop(got[1])
            if not one.ok:  # who traps exits may have got that of the link
                process.receive(0, match=("EXIT", one.pid, ...))
            results[one.place] = one.result(got[4])
    finally:
        if running and process.is_alive(me):  # else they have ended with it
            for ref, one in running.items():
                process.unlink(one.pid)
                process.exit(one.pid, "kill")
                process.demonitor(ref, flush=True)


def _most(given: int | None) -> int:
    if given is None:
        return (os.cpu_count() or 1) + 4
    if not isinstance(given, int) or isinstance(given, bool):
        raise TypeError(f"max_concurrency must be an int, not {type(given).__name__}")
    if given < 1:
        raise ValueError(f"max_concurrency must be at least 1, not {given}")
    return given


def _start(body: Callable[..., Any], f: Callable[..., Any], one: _One, me: Pid) -> Ref:
    # Linked to whoever maps, also in what starts the child of a supervisor.
    token = _spawned.supervisor.set(None)
    try:
        made = _spawned.spawn(body, (f, one, me), link=True, monitor=True)
    finally:
        _spawned.supervisor.reset(token)
    assert made.monitor is not None
    one.pid = made.box.pid
    return made.monitor


def _call_one(f: Callable[[Any], Any], one: _One, me: Pid) -> None:
    try:
        found = f(one.item)
        if inspect.iscoroutine(found):
            found.close()
            raise TypeError(
                "what is mapped has returned a coroutine, which nobody runs: map a "
                "function that is itself `async def`, or a plain one"
            )
    except BaseException as e:
        _end(one, me, False, e)
    else:
        _end(one, me, True, found)


async def _await_one(f: Callable[[Any], Any], one: _One, me: Pid) -> None:
    try:
        found = await f(one.item)
    except BaseException as e:
        _end(one, me, False, e)
    else:
        _end(one, me, True, found)


def _end(one: _One, me: Pid, ok: bool, found: Any) -> None:
    # The end of the process is no news there but by the monitor. If it has been ended
    # by now, this raises, and what its code has made of that is not its result.
    process.unlink(me)
    one.ok, one.found = ok, found
