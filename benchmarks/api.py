"""What state, topics and rpc cost from Python, beside the nearest thing that Python
has.

    ./dev bench api [--only PART]
"""

from __future__ import annotations

import os
import threading

from _bench import main
from _measure import cost, costs
from _peers import own_node, second_node
from _rows import Rows


def local(out: Rows) -> None:
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
    out.table("here", "µs")
    peer = "dict under a lock"
    for name, mine, theirs in (
        ("state_get", lambda: state_get("n"), get),
        ("state_set", lambda: state_set("n", 1), put),
        ("state_incr", lambda: state_incr("n"), incr),
    ):
        ours, beside = costs([mine, theirs])
        out.row(name, ours, peer, beside)
    keys = [f"k{i}" for i in range(100)]
    for key in keys:
        state_set(key, 1)
        table[key] = 1

    def many() -> dict[str, int]:
        with lock:
            return {k: table[k] for k in keys}

    ours, beside = costs([lambda: state_get_multi(keys), many])
    out.row("state_get_multi of 100", ours, "dict comprehension", beside)

    subscribe("topic")

    def message() -> object:
        publish("topic", 1)
        return receive_pubsub(1000)

    out.row("publish + receive, here", cost(message))


def remote(out: Rows) -> None:
    from hornbeam_erlang import rpc_call

    with second_node() as name:
        out.table("another node, TLS", "µs")
        ours = cost(lambda: rpc_call(name, "hornbeam", "echo", [1]))
        out.row("rpc_call, C++ module", ours, "two wake-ups over pipes", wakeups())


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


PARTS = {"local": local, "remote": remote}
around = own_node


if __name__ == "__main__":
    raise SystemExit(main(__file__))
