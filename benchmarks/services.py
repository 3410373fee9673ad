"""What hooks, functions, tasks and streams cost, here and on another node, beside
what Python, OpenSSL and Erlang take for the like. All in one run: compare the
ratios, the machine is noisy.

    ./dev bench services [--only PART]
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from _measure import (
    cost,
    cost_of_coroutines,
    cost_of_threads,
    costs,
    heading,
    plain,
    row,
    value_of,
)
from _peers import remote_erlang, run_parts, second_node

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


# -- in one process -----------------------------------------------------------


def local() -> None:
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
    heading("in one process, µs", "beside")
    ours, theirs = costs(
        [lambda: execute("local", "a", 1), lambda: handler("a", 1)], 1.0
    )
    row("execute, a Python handler", ours, "the function itself", theirs, 10)
    sys.path.insert(0, str(BUILT))
    import hornbeam_bench_native as native

    ours, theirs = costs(
        [lambda: call("hornbeam.term_size", 1), lambda: native.term_size(1)], 1.0
    )
    row("call, a C++ function", ours, "the same, by pybind11", theirs, 2)
    plain("call, a Python function", cost(lambda: call("one", 1)))
    pool = ThreadPoolExecutor(2)
    ours, theirs = costs(
        [
            lambda: await_result(execute_async("local", "a", 1)),
            lambda: pool.submit(handler, "a", 1).result(),
        ],
        3.0,
    )
    row("execute_async + await_result", ours, "ThreadPoolExecutor", theirs, 1)

    def numbers(action: str, n: int) -> object:
        yield from range(n)

    register_hook("numbers", numbers)
    ours, theirs = costs(
        [lambda: count(stream("numbers", "a", 1000)), lambda: count(numbers("a", 1000))]
    )
    row("stream, a chunk", ours / 1000, "next() of the generator", theirs / 1000, 3)


def count(chunks: object) -> None:
    for _ in chunks:  # type: ignore[attr-defined]
        pass


# -- another node -------------------------------------------------------------


def remote() -> None:
    from hornbeam import aio
    from hornbeam_erlang import execute, stream

    with second_node(WORKER):
        execute("remote", "echo", 1)
        heading("another node, TLS, µs", "beside")
        one = cost(lambda: execute("remote", "echo", 1), 1.0)
        erpc = remote_erlang("remote", "call")
        if erpc is None:
            plain("execute", one)
        else:
            row("execute", one, "erpc:call, no TLS", erpc, 1.6)
        each = cost_of_threads(lambda: execute("remote", "echo", 1))
        row("execute, 16 threads, each", each, "one thread", one, 1 / 4)
        alone, together = (
            cost_of_coroutines(lambda: aio.execute("remote", "echo", 1), n)
            for n in (1, 16)
        )
        row("execute, 16 coroutines, each", together, "one coroutine", alone, 1 / 4)
        chunk = cost(lambda: count(stream("remote", "count", 10_000)), 2.0) / 10_000
        plain("stream, a chunk", chunk, 5.0)
        first = cost(lambda: next(stream("remote", "count", 1)), 1.0)
        row("stream, the first chunk, dropped", first, "execute", one, 1.0)
        row("stream, until the first chunk", until_first(5000), "execute", one, 1.0)
        arrays()


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


def arrays() -> None:
    """Large values, and small calls beside them."""
    import numpy

    from hornbeam_erlang import execute

    secret = os.environ["RUNTIME_DIRECTORY"] + "/bench.pem"
    x = numpy.zeros(1 << 20, dtype=numpy.uint8)
    one = cost(lambda: execute("remote", "size", x), 2.0)
    floor = value_of([str(BUILT / "hornbeam_bench_tls"), secret])
    print(
        f"{'arrays of 1 MiB, MB/s':<44}{1e6 / one * 1.048576:9.0f}   "
        f"{'OpenSSL alone, 64 KiB at a time':<32}{floor:9.0f}"
        f"{1e6 / one * 1.048576 / floor:6.2f} x   >= 0.50 x"
    )
    large = numpy.zeros(100 << 20, dtype=numpy.uint8)
    going = threading.Event()

    def send() -> None:
        while not going.is_set():
            execute("remote", "size", large)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        times = []
        until = time.monotonic() + 4
        while time.monotonic() < until:
            begin = time.perf_counter()
            execute("remote", "echo", 1)
            times.append(time.perf_counter() - begin)
    finally:
        going.set()
        sender.join()
    times.sort()
    p99 = times[int(len(times) * 0.99)] * 1000
    plain("p99 of small calls beside 100 MiB, ms", p99, 20)


# -- asyncio ------------------------------------------------------------------


def loop() -> None:
    import asyncio

    import hornbeam

    async def main() -> float:
        late: list[float] = []
        done = False

        async def tick() -> None:
            while not done:
                begin = time.perf_counter()
                await asyncio.sleep(0.001)
                late.append(time.perf_counter() - begin - 0.001)

        ticker = asyncio.create_task(tick())

        async def hundred() -> None:
            for i in range(100):
                await hornbeam.aio.execute("remote", "echo", i)

        await asyncio.gather(*[hundred() for _ in range(100)])
        done = True
        await ticker
        late.sort()
        return late[int(len(late) * 0.99)] * 1000

    with second_node(WORKER):
        from hornbeam_erlang import execute

        execute("remote", "echo", 1)
        heading("asyncio", "")
        plain("p99 of a 1 ms tick beside 10,000 calls, ms", asyncio.run(main()), 10)


# -- the program --------------------------------------------------------------

PARTS: dict[str, Callable[[], None]] = {
    "local": local,
    "remote": remote,
    "loop": loop,
}


if __name__ == "__main__":
    run_parts(__doc__, PARTS)
