"""What state, topics and rpc cost from Python, beside the nearest thing that Python
has, all in one run: compare the ratios, the machine is noisy.

    ./dev bench api
"""

from __future__ import annotations

import os
import tempfile
import threading

from _measure import cost
from _peers import second_node


def row(what: str, ours: float, peer: str = "", theirs: float = 0.0) -> None:
    beside = f"{peer:<38}{theirs:9.2f} {ours / theirs:7.2f} x" if peer else ""
    print(f"{what:<38}{ours:9.2f}   {beside}", flush=True)


def local() -> None:
    from hornbeam_erlang import (
        publish,
        receive_pubsub,
        state_get,
        state_get_multi,
        state_incr,
        state_set,
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

    subscribe("topic")

    def message() -> object:
        publish("topic", 1)
        return receive_pubsub(1000)

    row("publish + receive, here", cost(message))


def remote() -> None:
    from hornbeam_erlang import rpc_call

    with second_node() as name:
        row(
            "rpc_call, C++ module, other node",
            cost(lambda: rpc_call(name, "hornbeam", "echo", [1])),
            "two wake-ups over pipes",
            wakeups(),
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
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RUNTIME_DIRECTORY"] = folder
        import hornbeam

        hornbeam.configure(cluster="bench", secret=f"{folder}/bench.pem")
        print(f"{'µs a call':<38}{'ours':>9}   {'beside':<38}{'':9}{'ratio':>7}")
        local()
        remote()


if __name__ == "__main__":
    main()
