"""A tour through the API on a cluster of three nodes.

`./dev run` starts the nodes of `config/demo.toml` and runs this file on the node
`web`. Each step says what it calls and what came back, and checks the answer.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from typing import Any

import numpy as np

import hornbeam
from hornbeam_erlang import (
    await_result,
    call,
    execute,
    execute_async,
    node,
    nodes,
    publish,
    receive_pubsub,
    register_function,
    register_hook,
    rpc_call,
    rpc_cast,
    state_decr,
    state_delete,
    state_get,
    state_get_multi,
    state_incr,
    state_keys,
    state_set,
    stream,
    stream_async,
    subscribe,
)
from hornbeam_ml import cache_stats, cached_inference

WORKERS = ["worker1@127.0.0.1", "worker2@127.0.0.1"]
failures: list[str] = []


def title(text: str) -> None:
    print(f"\n== {text}")


def show(what: str, value: Any, expected: Any = None, ok: bool | None = None) -> None:
    """Print a call with its answer; note it if the answer is wrong."""
    if ok is None:
        ok = value == expected
    text = repr(value)
    print(f"  {what}\n    -> {text if len(text) < 100 else text[:97] + '...'}")
    if not ok:
        print(f"    WRONG, expected {expected!r}")
        failures.append(what)


def fails(what: str, kind: type[BaseException], action: Any) -> None:
    """Print a call that is meant to raise."""
    try:
        value = action()
    except kind as e:
        first = str(e).splitlines()[0]
        show(what, f"{type(e).__name__}: {first}", ok=True)
    else:
        show(what, value, f"{kind.__name__} to be raised")


def wait_until(condition: Any, what: str) -> None:
    """News from other nodes take a moment."""
    until = time.monotonic() + 10
    while not condition():
        if time.monotonic() > until:
            sys.exit(f"tour: waited in vain for {what}")
        time.sleep(0.01)


def the_cluster() -> None:
    title("The cluster: three processes, one name each")
    hornbeam.cluster.wait_for(*WORKERS, timeout_ms=20000)
    for name in ("embeddings", "llm", "jobs"):
        wait_until(
            lambda: len(hornbeam.hooks.providers(name)) == 2, f"hook {name} on both"
        )
    show("node()", node(), "web@127.0.0.1")
    show("nodes()", nodes(), WORKERS)


def state() -> None:
    title("State: a table that every thread of the node shares, as ETS")
    state_set("user:1", {"name": "Alice", "visits": 3})
    state_set("user:2", {"name": "Bob"})
    show("state_get('user:1')", state_get("user:1"), {"name": "Alice", "visits": 3})
    show("state_get('user:9')", state_get("user:9"), None)
    show("state_incr('views')", state_incr("views"), 1)
    show("state_incr('views', 10)", state_incr("views", 10), 11)
    show("state_decr('views')", state_decr("views"), 10)
    show("state_keys('user:')", state_keys("user:"), ["user:1", "user:2"])
    state_delete("user:2")
    show(
        "state_get_multi(['user:1', 'user:2'])",
        state_get_multi(["user:1", "user:2"]),
        {"user:1": {"name": "Alice", "visits": 3}, "user:2": None},
    )
    there = hornbeam.tables.table("state", node=WORKERS[0])
    there.set("from", node())
    show(f"table('state', node={WORKERS[0]!r}).get('from')", there.get("from"), node())
    fails(
        "state_set('bad', {'user': {'model': object()}})",
        TypeError,
        lambda: state_set("bad", {"user": {"model": object()}}),
    )


def services() -> None:
    title("Hooks: the service 'embeddings' runs on both workers, called from here")
    where = {execute("embeddings", "where") for _ in range(4)}
    show("execute('embeddings', 'where'), 4 times", sorted(where), WORKERS)
    vector = execute("embeddings", "encode", "processes with mailboxes and links")
    show(
        "execute('embeddings', 'encode', text)",
        f"{type(vector).__name__} {vector.dtype} {vector.shape}",
        "ndarray float32 (512,)",
    )
    same = execute("embeddings", "similarity", "a supervised node", "supervised nodes")
    other = execute("embeddings", "similarity", "a supervised node", "lemon cake")
    show("similarity of like and unlike texts", (same, other), ok=same > other)
    query = "Permission is granted to copy and distribute the GNU software license"
    found = execute("embeddings", "search", query, count=2)
    show("execute('embeddings', 'search', query, count=2)", found, ok=len(found) == 2)
    fails(
        "execute('embeddings', 'teleport')",
        LookupError,
        lambda: execute("embeddings", "teleport"),
    )

    register_hook("embeddings.local", lambda action, *args: (action, node(), args))
    show(
        "execute('embeddings.local', 'encode', 1), a hook of this node",
        execute("embeddings.local", "encode", 1),
        ("encode", "web@127.0.0.1", (1,)),
    )


def tasks() -> None:
    title("Tasks: a longer job runs elsewhere while this node goes on")
    task_id = execute_async("jobs", "index", top=3)
    show("execute_async('jobs', 'index', top=3)", task_id, ok="@" in task_id)
    result = await_result(task_id, timeout_ms=20000)
    show("await_result(task_id)", result, ok=len(result) == 3)
    show("await_result(task_id), again", await_result(task_id), result)


def streams() -> None:
    title("Streams: tokens from another node, one by one")
    tokens = list(stream("llm", "generate", "You may copy and", count=8))
    show("list(stream('llm', 'generate', prompt))", tokens, ok=len(tokens) == 8)

    async def collect() -> list[str]:
        return [x async for x in stream_async("llm", "generate", "You may", count=3)]

    show("async for x in stream_async(...)", asyncio.run(collect()), ok=True)
    chunks: list[int] = []

    def broken() -> None:
        for chunk in stream("llm", "broken", 3):
            chunks.append(chunk)

    fails("a stream that breaks after three chunks", RuntimeError, broken)
    show("the chunks before it", chunks, [0, 1, 2])


def topics() -> None:
    title("Topics: a subscriber on every node gets what is published")
    subscribe("news")
    subscribe("news.read")
    wait_until(lambda: hornbeam.pubsub.subscribers("news") == 3, "three readers")
    count = publish("news", {"headline": "node web is up"})
    show("publish('news', {...})", count, 3)
    got = [receive_pubsub(timeout=5000) for _ in range(3)]
    show(
        "receive_pubsub(), what this node got itself",
        [m for m in got if m and "reader" not in m],
        [{"headline": "node web is up"}],
    )
    readers = sorted(m["reader"] for m in got if m and "reader" in m)
    show("the workers answered by publishing", readers, WORKERS)


def calls() -> None:
    title("Calls to modules of a named node")
    for name in WORKERS:
        show(
            f"rpc_call({name!r}, 'jobs', 'count_words', ['to be or not'])",
            rpc_call(name, "jobs", "count_words", ["to be or not"]),
            4,
        )
    rpc_cast(WORKERS[0], "jobs", "count_words", ["nobody waits for this"])
    fails(
        "rpc_call(..., 'divide', [1, 0]), an error on purpose",
        RuntimeError,
        lambda: rpc_call(WORKERS[0], "jobs", "divide", [1, 0]),
    )
    fails(
        "rpc_call(..., 'nap', [2000], timeout_ms=100), a timeout on purpose",
        TimeoutError,
        lambda: rpc_call(WORKERS[1], "jobs", "nap", [2000], timeout_ms=100),
    )
    fails(
        "rpc_call('nobody@127.0.0.1', ...)",
        ConnectionError,
        lambda: rpc_call("nobody@127.0.0.1", "jobs", "nap", [1]),
    )

    title("Functions by name: in Python and C++, here and there")
    register_function("add", lambda a, b: a + b)
    show("call('add', 1, 2), Python, here", call("add", 1, 2), 3)
    show("call('shout', 'hello'), Python, a worker", call("shout", "hello"), "HELLO!")
    printed = call("hornbeam.to_string", {"a": [1, (2.5, None)]})
    show("call('hornbeam.to_string', ...), C++", printed, '#{"a" => [1, {2.5, none}]}')


def inference() -> None:
    title("Inference with a cache: computed once, by the function and its input")

    def encode(text: str) -> np.ndarray:
        return execute("embeddings", "encode", text)

    first = cached_inference(encode, "a text worth a vector")
    second = cached_inference(encode, "a text worth a vector")
    alike = type(first) is type(second) and bool((first == second).all())
    show("cached_inference(encode, text), twice", f"equal arrays: {alike}", ok=alike)
    show("cache_stats()", cache_stats(), {"hits": 1, "misses": 1, "hit_rate": 0.5})


def main() -> int:
    begin = time.monotonic()
    for step in (
        the_cluster,
        state,
        services,
        tasks,
        streams,
        topics,
        calls,
        inference,
    ):
        step()
    seconds = time.monotonic() - begin
    if failures:
        print(f"\n{len(failures)} answers were WRONG:", *failures, sep="\n  ")
        return 1
    print(f"\nEvery answer was right. {seconds:.1f} s on three nodes.")
    if os.environ.get("HORNBEAM_TOUR_KEEP"):
        print("The cluster stays up. Try, in another terminal:")
        print("  ./dev shell")
        print("  hornbeam status --config config/demo.toml")
        print("Ctrl-C ends it.", flush=True)
        signal.pause()
    return 0


if __name__ == "__main__":
    sys.exit(main())
