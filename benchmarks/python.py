"""Python processes beside asyncio: messages, spawns, calls of servers, memory, timers
and restarts.

    ./dev bench python [--only PART]
"""

from __future__ import annotations

import asyncio
import functools
import gc
import threading
import time
from collections.abc import Callable, Coroutine
from statistics import quantiles
from typing import Any

from _bench import main
from _peers import own_node
from _rows import Rows

from hornbeam import gen_server, process, supervisor
from hornbeam.aio import gen_server as aio_gen_server
from hornbeam.aio import process as aio
from hornbeam.values import Pid

Body = Callable[..., Coroutine[Any, Any, Any]]


def of_process(body: Body, *args: Any) -> Any:
    """What `body` returns as the code of a coroutine process."""
    found: list[Any] = []
    done = threading.Event()

    async def run() -> None:
        found.append(await body(*args))
        done.set()

    process.spawn(run)
    if not done.wait(300):
        raise TimeoutError(f"{body.__name__} takes more than five minutes")
    return found[0]


def in_turns(
    ours: Callable[[], float], theirs: Callable[[], float], rounds: int = 5
) -> tuple[float, float]:
    """Medians of both, measured in turns."""
    a, b = zip(*((ours(), theirs()) for _ in range(rounds)))
    return sorted(a)[rounds // 2], sorted(b)[rounds // 2]


# -- messages -------------------------------------------------------------------

MESSAGES = 50_000


async def echo() -> None:
    while True:
        match await aio.receive():
            case ("ping", to):
                process.send(to, "pong")


async def ping_pong() -> float:
    other, me = process.spawn(echo), process.self()
    began = time.perf_counter()
    for _ in range(MESSAGES):
        process.send(other, ("ping", me))
        await aio.receive()
    took = time.perf_counter() - began
    process.exit(other, "kill")
    return took / MESSAGES / 2 * 1e6


async def ping_pong_of_asyncio() -> float:
    there: asyncio.Queue[Any] = asyncio.Queue()
    back: asyncio.Queue[Any] = asyncio.Queue()

    async def echo() -> None:
        while True:
            match await there.get():
                case ("ping", to):
                    to.put_nowait("pong")

    other = asyncio.create_task(echo())
    began = time.perf_counter()
    for _ in range(MESSAGES):
        there.put_nowait(("ping", back))
        await back.get()
    took = time.perf_counter() - began
    other.cancel()
    return took / MESSAGES / 2 * 1e6


async def count_to(n: int) -> None:
    for _ in range(n):
        await aio.receive()


def one_way() -> float:
    """Messages a second from outside to a coroutine process."""
    n = 4 * MESSAGES
    pid, ref = process.spawn_monitor(count_to, n)
    began = time.perf_counter()
    for i in range(n):
        process.send(pid, i)
    process.receive(match=ref)
    return n / (time.perf_counter() - began)


def messages(out: Rows) -> None:
    out.table("a message", "µs")
    ours, theirs = in_turns(
        functools.partial(of_process, ping_pong),
        lambda: asyncio.run(ping_pong_of_asyncio()),
    )
    out.row("ping-pong of two", ours, "asyncio.Queue", theirs, at_most=1 / 4)
    out.row("of a thread to one", 1e6 / one_way(), ours_at_most=2)


# -- spawns ---------------------------------------------------------------------

SPAWNS = 20_000


async def nothing() -> None:
    pass


async def spawn_and_end() -> float:
    began = time.perf_counter()
    for _ in range(SPAWNS):
        _, ref = process.spawn_monitor(nothing)
        await aio.receive(match=ref)
    return (time.perf_counter() - began) / SPAWNS * 1e6


async def task_and_end() -> float:
    began = time.perf_counter()
    for _ in range(SPAWNS):
        await asyncio.create_task(nothing())
    return (time.perf_counter() - began) / SPAWNS * 1e6


def spawns(out: Rows) -> None:
    out.table("a process from its start to the news of its end", "µs")
    ours, theirs = in_turns(
        functools.partial(of_process, spawn_and_end),
        lambda: asyncio.run(task_and_end()),
    )
    out.row("spawn_monitor", ours, "create_task, awaited", theirs, at_most=1 / 2)


# -- servers --------------------------------------------------------------------

CALLS = 10_000


class Awaited(gen_server.GenServer):
    async def handle_call(self, request: Any, caller: gen_server.Caller) -> Any:
        return request


class Inline(gen_server.GenServer):
    inline = True

    def handle_call(self, request: Any, caller: gen_server.Caller) -> Any:
        return request


class Pooled(gen_server.GenServer):
    def handle_call(self, request: Any, caller: gen_server.Caller) -> Any:
        return request


async def calls_of(server: Any, n: int) -> float:
    began = time.perf_counter()
    for i in range(n):
        await aio_gen_server.call(server, i)
    return (time.perf_counter() - began) / n * 1e6


def servers(out: Rows) -> None:
    out.table("a call of a server, by a coroutine process", "µs")
    for name, cls, n, bound in (
        ("async def handle_call", Awaited, CALLS, 10.0),
        ("def handle_call, inline", Inline, CALLS, 10.0),
        ("def handle_call, in the pool", Pooled, CALLS // 10, None),
    ):
        server = cls.start()
        cost = sorted(of_process(calls_of, server, n) for _ in range(5))[2]
        out.row(name, cost, ours_at_most=bound)
        gen_server.stop(server)


# -- memory ---------------------------------------------------------------------


async def wait_for_a_message() -> None:
    await aio.receive()


class Forever:
    def __await__(self) -> Any:
        yield self


async def wait_for_ever() -> None:
    await Forever()


def resident() -> int:
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * 4096


def growth(n: int, make: Callable[[], object]) -> float:
    """Bytes of memory that each of `n` takes."""
    gc.collect()
    before, kept = resident(), [make() for _ in range(n)]
    of_process(nothing)  # which comes after all of them
    gc.collect()
    return (resident() - before) / len(kept)


def begun() -> object:
    coroutine = wait_for_ever()
    coroutine.send(None)
    return coroutine


def memory(out: Rows) -> None:
    n = 100_000
    made: list[Pid] = []

    def spawned() -> None:
        made.append(process.spawn(wait_for_a_message))

    growth(1000, spawned)
    out.table(f"{n:,} that wait, each", "B")
    coroutine = growth(n, begun)
    ours = growth(n, spawned)
    out.row("a process beyond its coroutine", ours - coroutine, ours_at_most=1200)
    for pid in made:
        process.exit(pid, "kill")


# -- timers and restarts --------------------------------------------------------


async def lateness(n: int, span_ms: float) -> list[float]:
    """How many milliseconds too late so many timers within a span come."""
    me, late = process.self(), []
    for i in range(n):
        ms = 200 + span_ms * i / n
        process.send_after(ms, me, time.monotonic() + ms / 1000)
    for _ in range(n):
        late.append((time.monotonic() - await aio.receive()) * 1000)
    return late


def timers(out: Rows) -> None:
    out.table("50,000 timers within a second", "ms")
    late = of_process(lateness, 50_000, 1000.0)
    out.row("how late 99 % come at most", quantiles(late, n=100)[98], ours_at_most=5)


class Brief(gen_server.GenServer):
    async def handle_info(self, message: Any) -> Any:
        return gen_server.Stop("normal")

    async def init(self) -> None:
        process.send(process.self(), "end")


def restarts(out: Rows) -> None:
    seconds = 2.0
    begun = 0

    async def child() -> Any:
        nonlocal begun
        begun += 1
        return await aio_gen_server.start_link(Brief)

    tree = supervisor.Supervisor(
        [supervisor.ChildSpec("brief", child)], intensity=10**9, period_ms=1
    )
    pid = tree.start()
    time.sleep(seconds)
    rate = begun / seconds
    process.exit(pid, "kill")
    out.table("a restart by one supervisor", "µs")
    out.row("a server that ends at once", 1e6 / rate, ours_at_most=100)


PARTS = {
    "messages": messages,
    "spawns": spawns,
    "servers": servers,
    "memory": memory,
    "timers": timers,
    "restarts": restarts,
}
around = own_node


if __name__ == "__main__":
    raise SystemExit(main(__file__))
