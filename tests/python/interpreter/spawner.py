"""What each node of a scenario has: a process that spawns others for those of other
nodes, as Erlang's nodes do."""

from __future__ import annotations

import threading
import time
from typing import Callable

from interpreter import machine, otp  # noqa: F401
from interpreter.processes import SPAWNER

from hornbeam import Atom, Pid, aio, process

_before: set[Pid] = set()


async def _spawn_for_others() -> None:
    process.register(SPAWNER)
    while True:
        who, ref, how = await aio.process.receive()
        pid = process.spawn(machine.body_of(how[1]), how)
        process.send(who, (ref, pid))


def begin() -> None:
    """Called once in each node."""
    if process.whereis(SPAWNER) is None:
        process.spawn(_spawn_for_others)
        until(lambda: process.whereis(SPAWNER) is not None, "the spawner")


def begin_scenario() -> None:
    process.self()
    _before.clear()
    _before.update(process.processes())


def end_scenario() -> list[str]:
    """Ends all processes that have been spawned since, and waits until no code of
    theirs runs. Returns what the interpreter did not know."""

    _before.add(process.self())

    def are_gone() -> bool:
        left = [x for x in process.processes() if x not in _before]
        for pid in left:
            process.exit(pid, Atom("kill"))
        return not left and not machine.running

    until(are_gone, "the processes of the scenario to end")
    found = list(machine.failures)
    machine.failures.clear()
    return found


def until(f: Callable[[], object], what: str) -> None:
    """The deadline is for what should take far less."""
    late = time.monotonic() + 60
    pause = threading.Event()
    while not f():
        if time.monotonic() > late:
            raise AssertionError(f"waited in vain for {what}")
        pause.wait(0.001)
