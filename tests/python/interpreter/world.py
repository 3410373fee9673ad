"""The nodes of one scenario and its trace: main is the node of this process, the
others are processes of their own."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any, Callable

from interpreter import machine, spawner, terms
from interpreter.machine import Context, Step, Steps, plain, waiting
from interpreter.terms import OK
from launched import PATIENCE

from hornbeam import Atom, cluster, process, rpc


class World:
    """`start_node(name)` starts another node and connects to it."""

    def __init__(self, start_node: Callable[[str], Any]) -> None:
        self.start_node = start_node
        self.numbers = itertools.count(1)
        #: Nodes that no scenario uses, and that are not connected.
        self.spare: list[tuple[str, Any]] = [self.fresh()]
        #: Those of the scenario that run, by their names.
        self.others: dict[str, Any] = {}
        self.labels: dict[str, str] = {}
        self.finished = True
        self.lines: list[tuple[str, Any]] = []
        spawner.begin()

    def run(self, name: str, way: str) -> list[str]:
        """The trace of a scenario."""
        self.labels = {cluster.node(): "main"}
        self.lines, self.finished = [], False
        while len(self.spare) < machine.text_of(name).count("start_node("):
            self.spare.append(self.fresh())  # that they come is no news to it
        for other, _ in self.spare:
            if other in cluster.nodes():  # it had something left to tell
                self.disconnect(other)
        spawner.begin_scenario()
        c = Context(name, way)
        what = ("harness", "run_main", [])
        pid, ref = process.spawn_monitor(machine.body_of(way), machine.start(c, what))
        got = process.receive(PATIENCE * 1000, match=ref)
        self.finished = True
        failures = self._close()
        assert not failures, failures
        assert got is not None, f"main/0 did not return within {PATIENCE} seconds"
        assert got[4] == "normal", f"main/0 ended with {got[4]}"
        return terms.render(self.lines, self.labels.get)

    def _close(self) -> list[str]:
        failures = spawner.end_scenario()
        for name, node in self.others.items():
            failures += rpc.rpc_call(name, "interpreter.spawner", "end_scenario", [])
            self.disconnect(name)
            self.spare.append((name, node))
        self.others.clear()
        return failures

    def trace(self, group: str, x: Any) -> None:
        process.self()  # who has been ended traces no more
        if not self.finished:
            self.lines.append((group, x))

    # -- other nodes

    def add(self, label: str) -> str:
        name, node = self.spare.pop()
        cluster.connect(name, PATIENCE * 1000)
        rpc.rpc_call(name, "interpreter.spawner", "begin_scenario", [])
        self.labels[name] = label
        self.others[name] = node
        return name

    def fresh(self) -> tuple[str, Any]:
        name = f"scenario{next(self.numbers)}@here"
        node = self.start_node(name)
        rpc.rpc_call(name, "interpreter.spawner", "begin", [])
        self.disconnect(name)
        return name, node

    def remove(self, name: str) -> None:
        node = self.others.pop(name)
        self._see_off(name, node.process.kill)
        node.__exit__()

    def disconnect(self, name: str) -> None:
        self._see_off(name, lambda: cluster.disconnect(name))

    def _see_off(self, name: str, leave: Callable[[], object]) -> None:
        """What comes next gets no news of it."""
        with process.scope():
            process.monitor_nodes()
            connected = name in cluster.nodes()
            leave()
            if connected:
                news = process.receive(PATIENCE * 1000, match=("nodedown", name))
                assert news is not None, f"{name} does not go"

    def close(self) -> None:
        for _, node in [*self.spare, *self.others.items()]:
            node.process.kill()
            node.__exit__()


current: World


# -- what scenarios call ------------------------------------------------------------


@waiting("harness:run_main/0")
def run_main(c: Context) -> Steps:
    yield from machine.apply_named(c, "", "", "main", [])
    current.finished = True


@plain("trace/1")
def trace(c: Context, x: Any) -> Any:
    current.trace("", x)
    return OK


@plain("trace_any/2")
def trace_any(c: Context, group: Any, x: Any) -> Any:
    current.trace(group, x)
    return OK


def _blocking(f: Callable[..., Any], *args: Any) -> Steps:
    """The node's loop goes on meanwhile."""

    async def on_loop(*args: Any) -> Any:
        return await asyncio.to_thread(f, *args)

    return (yield Step(f, on_loop, args))


@waiting("start_node/1")
def start_node(c: Context, label: Any) -> Steps:
    return Atom((yield from _blocking(current.add, label)))


@waiting("stop_node/1")
def stop_node(c: Context, name: Any) -> Steps:
    yield from _blocking(current.remove, name)
    return OK


@waiting("disconnect_node/1")
def disconnect_node(c: Context, name: Any) -> Steps:
    yield from _blocking(current.disconnect, name)
    return OK
