"""What hooks, functions, tasks and streams cost, here and on another node, beside
what Python, OpenSSL, Redis and Erlang take for the like.

    ./dev bench services [--only PART]
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from _bench import main
from _measure import cost, cost_of_coroutines, cost_of_threads, costs, value_of
from _peers import (
    Redis,
    own_node,
    redis_if_installed,
    redis_worker,
    remote_erlang,
    second_node,
)
from _rows import Rows

HERE = Path(__file__).resolve().parent
BUILT = HERE.parent / "build/release/benchmarks"
WORKER = """
from hornbeam_erlang import register_hook

class Service:
    def echo(self, x):
        return x
    def count(self, n):
        yield from range(n)
    def size(self, x):
        return x.nbytes

register_hook("remote", Service)
"""

SENDER = """
import sys
import numpy
import hornbeam
from hornbeam_erlang import execute
hornbeam.configure(cluster="bench", secret=sys.argv[1])
hornbeam.cluster.connect("worker@127.0.0.1")
large = numpy.zeros(800_000_000, dtype=numpy.uint8)
print("sends", flush=True)
while True:
    execute("remote", "size", large)
"""


# -- in one process -----------------------------------------------------------


def local(out: Rows) -> None:
    from hornbeam_erlang import (
        await_result,
        call,
        execute,
        execute_async,
        register_function,
        register_hook,
        stream,
    )

    def handler(action: str, x: int) -> int:
        return x

    register_hook("local", handler)
    register_function("one", lambda x: x)
    out.table("in one process", "µs")
    ours, theirs = costs(
        [lambda: execute("local", "a", 1), lambda: handler("a", 1)], 1.0
    )
    out.row(
        "execute, a Python handler", ours, "the function itself", theirs, at_most=10
    )
    sys.path.insert(0, str(BUILT))
    import hornbeam_bench_native as native

    ours, theirs = costs(
        [lambda: call("hornbeam.term_size", 1), lambda: native.term_size(1)], 1.0
    )
    out.row("call, a C++ function", ours, "the same, by pybind11", theirs, at_most=2)
    out.row("call, a Python function", cost(lambda: call("one", 1)))
    pool = ThreadPoolExecutor(2)
    ours, theirs = costs(
        [
            lambda: await_result(execute_async("local", "a", 1)),
            lambda: pool.submit(handler, "a", 1).result(),
        ],
        3.0,
    )
    out.row(
        "execute_async + await_result", ours, "ThreadPoolExecutor", theirs, at_most=1
    )

    def numbers(action: str, n: int) -> object:
        yield from range(n)

    register_hook("numbers", numbers)
    ours, theirs = costs(
        [lambda: count(stream("numbers", "a", 1000)), lambda: count(numbers("a", 1000))]
    )
    peer = "next() of the generator"
    out.row("stream, a chunk", ours / 1000, peer, theirs / 1000, at_most=3)


def count(chunks: object) -> None:
    for _ in chunks:  # type: ignore[attr-defined]
        pass


# -- another node -------------------------------------------------------------


def remote(out: Rows) -> None:
    from hornbeam_erlang import execute, stream

    with second_node(WORKER), redis_if_installed(out) as at:
        execute("remote", "echo", 1)
        out.table("another node, TLS", "µs")
        one = cost(lambda: execute("remote", "echo", 1), 1.0)
        erpc = remote_erlang("remote", "call")
        out.row("execute", one, "erpc:call, no TLS", erpc, at_most=1.2)
        many_at_once(out, one, at)
        chunk = cost(lambda: count(stream("remote", "count", 10_000)), 2.0) / 10_000
        theirs = at and redis_chunk(at)
        peer = "Redis stream, XREAD of 100"
        out.row("stream, a chunk", chunk, peer, theirs, ours_at_most=5.0)
        first = cost(lambda: next(stream("remote", "count", 1)), 1.0)
        until = until_first(5000)
        theirs = at and redis_first_chunk(at)
        peer, what = "redis-py, a worker answers", "stream, the first chunk, dropped"
        out.row(what, first, "execute", one, at_most=1.0)
        out.row(what, first, peer, theirs)  # which nobody has to stop
        what = "stream, until the first chunk"
        out.row(what, until, "execute", one, at_most=1.0)
        out.row(what, until, peer, theirs, at_most=1.0)
        arrays(out)


def many_at_once(out: Rows, one: float, at: Redis | None) -> None:
    """Sixteen that call another node, beside sixteen that call Redis over TCP, and
    beside one alone."""
    from hornbeam import aio
    from hornbeam_erlang import execute

    each = cost_of_threads(lambda: execute("remote", "echo", 1))
    theirs = at and redis_threads(at)
    name = "execute, 16 threads, each"
    out.row(name, each, "redis-py ECHO, 16 threads, each", theirs, at_most=1.0)
    out.row(name, each, "one thread", one, at_most=1 / 4)
    alone, together = (
        cost_of_coroutines(lambda: aio.execute("remote", "echo", 1), n) for n in (1, 16)
    )
    theirs = at and redis_coroutines(at)
    name = "execute, 16 coroutines, each"
    out.row(name, together, "redis.asyncio ECHO, 16 coroutines", theirs, at_most=1.0)
    out.row(name, together, "one coroutine", alone, at_most=1 / 4)


def redis_threads(at: Redis) -> float:
    """They share a client, as users do: each takes a connection of its pool."""
    import redis

    with redis.Redis("127.0.0.1", at.port) as client:
        return cost_of_threads(lambda: client.echo("1"))


@contextlib.asynccontextmanager
async def redis_aio(at: Redis) -> AsyncIterator[Callable[[], Awaitable[object]]]:
    """A call of Redis for coroutines of this loop; more wait for a connection than
    there are, so that a thousand do not open a thousand."""
    from redis import asyncio as aioredis

    pool = aioredis.BlockingConnectionPool(
        max_connections=16,
        timeout=60,
        host="127.0.0.1",
        port=at.port,
    )
    client = aioredis.Redis(connection_pool=pool)
    try:
        yield lambda: client.echo("1")
    finally:
        await pool.disconnect()


def redis_coroutines(at: Redis) -> float:
    """Microseconds a call of sixteen coroutines at once."""
    coroutines, each = 16, 200

    async def measured() -> float:
        async with redis_aio(at) as call:

            async def many() -> None:
                for _ in range(each):
                    await call()

            async def all_of_them() -> float:
                begin = time.perf_counter()
                await asyncio.gather(*[many() for _ in range(coroutines)])
                return time.perf_counter() - begin

            await all_of_them()  # opens the connections
            return median([await all_of_them() for _ in range(5)])

    return asyncio.run(measured()) / (coroutines * each) * 1e6


def redis_chunk(at: Redis) -> float:
    """Microseconds an entry of a stream of Redis that is there already."""
    import redis

    entries = 10_000
    with redis.Redis("127.0.0.1", at.port) as client:
        with client.pipeline() as pipeline:
            for i in range(entries):
                pipeline.xadd("chunks", {"x": i})
            pipeline.execute()

        def read_all() -> None:
            last, got = "0", 0
            while got < entries:
                [(_, some)] = client.xread({"chunks": last}, count=100)
                last, got = some[-1][0], got + len(some)

        return cost(read_all, 2.0) / entries


def redis_first_chunk(at: Redis) -> float:
    """Microseconds until a worker's first chunk is there; each answer is read to
    its end before the next one begins."""
    import redis

    spent, times = 0.0, 3000
    with redis_worker(at), redis.Redis("127.0.0.1", at.port) as client:
        for i in range(-100, times):  # the first ones wait for the worker's start
            begin = time.perf_counter()
            client.rpush("requests", "reply")
            client.blpop("reply")
            spent += time.perf_counter() - begin if i >= 0 else 0.0
            client.blpop("reply")
    return spent / times * 1e6


def until_first(times: int) -> float:
    """Microseconds until the first chunk is there, of streams that are read to
    their ends before the next one begins."""
    from hornbeam_erlang import stream

    spent = 0.0
    for _ in range(times):
        begin = time.perf_counter()
        chunks = stream("remote", "count", 1)
        next(chunks)
        spent += time.perf_counter() - begin
        count(chunks)
    return spent / times * 1e6


def arrays(out: Rows) -> None:
    """Large values, and small calls beside them."""
    import numpy

    from hornbeam_erlang import execute

    secret = os.environ["RUNTIME_DIRECTORY"] + "/bench.pem"
    x = numpy.zeros(1 << 20, dtype=numpy.uint8)
    one = cost(lambda: execute("remote", "size", x), 2.0)
    floor = value_of([str(BUILT / "hornbeam_bench_tls"), secret])
    peer = "OpenSSL alone, 64 KiB at a time"
    speed = x.nbytes / one
    out.row("arrays of 1 MiB", speed, peer, floor, unit="MB/s", at_least=0.5)
    large = numpy.zeros(100 << 20, dtype=numpy.uint8)
    over = threading.Event()

    def send() -> None:
        while not over.is_set():
            execute("remote", "size", large)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        p99 = p99_for(4, lambda: execute("remote", "echo", 1))
    finally:
        over.set()
        sender.join()
    out.row("p99 of small calls beside 100 MiB", p99, unit="ms", ours_at_most=20)
    with a_large_sender():
        p99 = p99_for(6, lambda: execute("remote", "echo", 1))
    name = "p99 of small calls beside 800 MB of another node"
    out.row(name, p99, unit="ms", ours_at_most=20)


def p99_for(seconds: float, action: Callable[[], object]) -> float:
    """The 99th percentile of what a call takes, in milliseconds."""
    times = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        begin = time.perf_counter()
        action()
        times.append(time.perf_counter() - begin)
    times.sort()
    return times[int(len(times) * 0.99)] * 1000


@contextlib.contextmanager
def a_large_sender() -> Iterator[None]:
    """A third node, which sends 800 MB to the second one again and again."""
    secret = os.environ["RUNTIME_DIRECTORY"] + "/bench.pem"
    sender = subprocess.Popen(
        [sys.executable, "-c", SENDER, secret], stdout=subprocess.PIPE
    )
    try:
        assert sender.stdout is not None and sender.stdout.readline()
        yield
    finally:
        sender.kill()
        sender.wait(10)


# -- asyncio ------------------------------------------------------------------


def loop(out: Rows) -> None:
    import hornbeam
    from hornbeam_erlang import execute

    async def redis_late(at: Redis) -> float:
        async with redis_aio(at) as call:
            return await p99_of_tick(call)

    with second_node(WORKER), redis_if_installed(out) as at:
        execute("remote", "echo", 1)
        ours = asyncio.run(
            p99_of_tick(lambda: hornbeam.aio.execute("remote", "echo", 1))
        )
        theirs = asyncio.run(redis_late(at)) if at else None
        out.table("asyncio", "ms")
        name, peer = "p99 of a 1 ms tick beside 10,000 calls", "redis.asyncio ECHO"
        out.row(name, ours, peer, theirs, ours_at_most=10)


async def p99_of_tick(call: Callable[[], Awaitable[object]]) -> float:
    """Milliseconds by which a tick is late while a hundred coroutines make a
    hundred calls each."""
    late: list[float] = []
    done = False

    async def tick() -> None:
        while not done:
            begin = time.perf_counter()
            await asyncio.sleep(0.001)
            late.append(time.perf_counter() - begin - 0.001)

    ticker = asyncio.create_task(tick())

    async def hundred() -> None:
        for _ in range(100):
            await call()

    await asyncio.gather(*[hundred() for _ in range(100)])
    done = True
    await ticker
    late.sort()
    return late[int(len(late) * 0.99)] * 1000


# -- the program --------------------------------------------------------------

PARTS = {"local": local, "remote": remote, "loop": loop}
around = own_node


if __name__ == "__main__":
    raise SystemExit(main(__file__))
