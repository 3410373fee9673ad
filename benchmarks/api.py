"""What the calls of the Python API cost, beside the nearest thing that Python
has, all in one run: compare the ratios, the machine is noisy.

    ./dev bench api
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from _measure import cost

ROOT = Path(__file__).resolve().parent.parent
WORKER = """
from hornbeam_erlang import register_hook

class Service:
    def echo(self, x):
        return x
    def count(self, n):
        yield from range(n)

register_hook("remote", Service)
"""
CONFIG = """
[cluster]
name = "bench"
secret = "bench.pem"
[node]
name = "worker@127.0.0.1"
[python]
path = ["."]
modules = ["bench_worker"]
"""


def row(what: str, ours: float, peer: str = "", theirs: float = 0.0) -> None:
    beside = f"{peer:<38}{theirs:9.2f} {ours / theirs:7.2f} x" if peer else ""
    print(f"{what:<38}{ours:9.2f}   {beside}", flush=True)


def local() -> None:
    from hornbeam_erlang import (
        await_result,
        call,
        execute,
        execute_async,
        publish,
        receive_pubsub,
        register_function,
        register_hook,
        state_get,
        state_get_multi,
        state_incr,
        state_set,
        stream,
        subscribe,
    )

    lock, table = threading.Lock(), {"n": 1}

    def get() -> object:
        with lock:
            return table.get("n")

    def put() -> None:
        with lock:
            table["n"] = 1

    def incr() -> int:
        with lock:
            table["n"] += 1
            return table["n"]

    state_set("n", 1)
    row("state_get", cost(lambda: state_get("n")), "dict under a lock", cost(get))
    row("state_set", cost(lambda: state_set("n", 1)), "dict under a lock", cost(put))
    row("state_incr", cost(lambda: state_incr("n")), "dict under a lock", cost(incr))
    keys = [f"k{i}" for i in range(100)]
    for key in keys:
        state_set(key, 1)
        table[key] = 1

    def many() -> dict[str, int]:
        with lock:
            return {k: table[k] for k in keys}

    row(
        "state_get_multi of 100",
        cost(lambda: state_get_multi(keys)),
        "dict comprehension under a lock",
        cost(many),
    )

    def handler(action: str, x: int) -> int:
        return x

    register_hook("local", handler)
    register_function("one", handler)
    row(
        "execute, handler here",
        cost(lambda: execute("local", "a", 1)),
        "the function itself",
        cost(lambda: handler("a", 1)),
    )
    row("call, function here", cost(lambda: call("one", "a", 1)))
    pool = ThreadPoolExecutor(2)
    row(
        "execute_async + await_result",
        cost(lambda: await_result(execute_async("local", "a", 1))),
        "ThreadPoolExecutor submit + result",
        cost(lambda: pool.submit(handler, "a", 1).result()),
    )

    def numbers(action: str, n: int) -> object:
        yield from range(n)

    register_hook("numbers", numbers)
    row(
        "stream, a chunk here",
        cost(lambda: list(stream("numbers", "a", 1000))) / 1000,
        "next() of the generator",
        cost(lambda: list(numbers("a", 1000))) / 1000,
    )
    subscribe("topic")

    def message() -> object:
        publish("topic", 1)
        return receive_pubsub(1000)

    row("publish + receive, here", cost(message))


def remote(folder: Path) -> None:
    import hornbeam
    from hornbeam_erlang import execute, rpc_call, stream

    name = "worker@127.0.0.1"
    hornbeam.cluster.wait_for(name, timeout_ms=20000)
    until = time.monotonic() + 20
    while not hornbeam.hooks.providers("remote"):
        assert time.monotonic() < until, "the worker's hook is not there"
    row(
        "rpc_call, C++ module, other node",
        cost(lambda: rpc_call(name, "hornbeam", "echo", [1])),
        "two wake-ups over pipes",
        wakeups(),
    )
    one = cost(lambda: execute("remote", "echo", 1))
    row("execute, handler on another node", one)

    def sixteen() -> None:
        threads = [
            threading.Thread(
                target=lambda: [execute("remote", "echo", 1) for _ in range(50)]
            )
            for _ in range(16)
        ]
        for t in threads:
            t.start()
        for t in threads:
            t.join()

    row("the same, 16 callers, each call", cost(sixteen, 1.5) / 800)
    row(
        "stream, a chunk from another node",
        cost(lambda: list(stream("remote", "count", 1000)), 1.0) / 1000,
    )


def wakeups() -> float:
    """A byte to another process over a pipe and back: the machine's floor."""
    there, here = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        while os.read(there[0], 1) == b"x":
            os.write(here[1], b"x")
        os._exit(0)

    def ping() -> None:
        os.write(there[1], b"x")
        os.read(here[0], 1)

    result = cost(ping)
    os.write(there[1], b"q")
    os.waitpid(child, 0)
    return result


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["RUNTIME_DIRECTORY"] = name
        (folder / "bench_worker.py").write_text(WORKER)
        (folder / "node.toml").write_text(CONFIG)
        import hornbeam

        hornbeam.configure(cluster="bench", secret=str(folder / "bench.pem"))
        print(f"{'µs a call':<38}{'ours':>9}   {'beside':<38}{'':9} ratio")
        local()
        binary = os.environ.get("HORNBEAM_BIN") or str(
            ROOT / "build/release/launcher/hornbeam"
        )
        worker = subprocess.Popen(
            [binary, "node", "--config", str(folder / "node.toml")],
            stdout=subprocess.DEVNULL,
        )
        try:
            remote(folder)
        finally:
            worker.terminate()
            worker.wait(10)


if __name__ == "__main__":
    main()
