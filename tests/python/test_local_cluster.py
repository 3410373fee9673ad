"""HORNBEAM_CLUSTER: the processes of one user on one host find each other."""

import contextlib
import os
import signal
import subprocess
import sys
import time

from launched import SLOWER

PATIENCE = 60 * SLOWER

FIRST = """
import sys
import time
from hornbeam_erlang import node, publish, receive_pubsub, register_hook, subscribe

register_hook("greeter", lambda action, name: f"{action}, {name}")
subscribe("to first")
print(node(), flush=True)
print(receive_pubsub(30000), flush=True)
sys.stdin.readline()
"""

SECOND = """
import sys, time
import hornbeam
from hornbeam_erlang import (
    await_result, execute, execute_async, node, nodes, publish,
)

def members():
    return [x.name for x in hornbeam.cluster.members()]

def until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, members()
        time.sleep(0.005)

node()
until(lambda: sys.argv[1] in members())
assert nodes() == [] # it has no name of its own
until(lambda: hornbeam.hooks.providers("greeter"))
assert execute("greeter", "hello", "you") == "hello, you"
task = execute_async("greeter", "bye", "you")
assert task.startswith(sys.argv[1])
assert await_result(task) == "bye, you"
until(lambda: hornbeam.pubsub.subscribers("to first"))
assert publish("to first", {"n": 1}) == 1
"""


def start(code, folder, *args):
    return subprocess.Popen(
        [sys.executable, "-c", code, *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "HORNBEAM_CLUSTER": "workers",
            "HORNBEAM_SECRET": str(folder / "secret.pem"),
            "RUNTIME_DIRECTORY": str(folder),
        },
    )


def test_processes_that_name_the_same_cluster_share_topics_hooks_and_tasks(tmp_path):
    tmp_path.chmod(0o700)
    with start(FIRST, tmp_path) as first:
        name = first.stdout.readline().strip()
        assert name.startswith("hornbeam-") and name.endswith("@127.0.0.1")
        with start(SECOND, tmp_path, name) as second:
            assert second.wait(PATIENCE) == 0
        assert first.stdout.readline() == "{'n': 1}\n"
        first.stdin.write("\n")
        first.stdin.close()
        assert first.wait(PATIENCE) == 0


LOOKS = """
import sys, time
began = time.monotonic()
from hornbeam.cluster import members, node
found = [x.name for x in members()[1:]]
print(node(), time.monotonic() - began, *found, flush=True)
sys.stdin.readline()
"""


def test_a_member_that_stands_still_is_waited_for_once(tmp_path):
    tmp_path.chmod(0o700)
    with contextlib.ExitStack() as stack:

        def look():
            x = stack.enter_context(start(LOOKS, tmp_path))
            stack.callback(x.kill)
            name, seconds, *found = x.stdout.readline().split()
            return x, name, float(seconds), found

        first, name, _, _ = look()
        first.send_signal(signal.SIGSTOP)
        _, second, seconds, found = look()
        assert 1.9 < seconds < 4 * SLOWER and found == []
        for known in ([second], [second], [second]):
            _, _, seconds, found = look()
            assert seconds < 1 * SLOWER
            assert set(known) <= set(found) and name not in found
        first.send_signal(signal.SIGCONT)
        # As soon as it has answered somebody it is waited for again.
        until = time.monotonic() + PATIENCE
        while True:
            _, _, _, found = look()
            entry = tmp_path / "workers" / name
            if name in found and entry.stat().st_mode & 0o777 == 0o600:
                break
            assert time.monotonic() < until, found


NOTES = """
import sys
import hornbeam
from hornbeam_erlang import node, register_function
hornbeam.configure(pool=1) # which runs them in their order
notes = []
register_function("note", notes.append)
register_function("notes", lambda: notes)
print(node(), flush=True)
sys.stdin.readline()
"""

STARTS = """
import asyncio, sys, time
import hornbeam
from hornbeam import aio
from hornbeam_erlang import call, cast, register_function

async def main():
    longest = 0.0
    async def tick():
        nonlocal longest
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - before)
    ticks = asyncio.create_task(tick())
    began = time.monotonic()
    # All of this waits for one join.
    sent = asyncio.create_task(aio.publish("topic", 1))
    for i in range(100):
        cast("note", i)
        if i % 10 == 0:
            await asyncio.sleep(0.01)
    found = asyncio.create_task(aio.call("notes"))
    await aio.start()
    took = time.monotonic() - began
    cast("note", 100)
    assert await sent == 0
    ticks.cancel()
    assert isinstance(await found, list)
    return took, longest

took, longest = asyncio.run(main())
hornbeam.start()
assert call("notes") == list(range(101)), call("notes")
print(took, longest, flush=True)
"""


def test_a_loop_goes_on_while_its_process_joins_and_casts_keep_their_order(tmp_path):
    tmp_path.chmod(0o700)
    with contextlib.ExitStack() as stack:

        def member(code):
            x = stack.enter_context(start(code, tmp_path))
            stack.callback(x.kill)
            return x

        still = member(LOOKS)
        assert still.stdout.readline()
        assert member(NOTES).stdout.readline()
        still.send_signal(signal.SIGSTOP)
        took, longest = map(float, member(STARTS).stdout.readline().split())
        assert 1.5 < took < 4 * SLOWER
        assert longest < 0.5 * SLOWER


KNOWN = """
import sys
from hornbeam_erlang import node, receive_pubsub, register_hook, subscribe
register_hook("greeter", lambda action, name: f"{action}, {name}")
subscribe("news")
print(node(), flush=True)
sys.stdin.readline()
print([receive_pubsub(30000) for _ in range(2)], flush=True)
"""

ON_A_LOOP = """
import asyncio, inspect, sys, time
import hornbeam, hornbeam_dist, hornbeam_erlang, hornbeam_ml
from hornbeam import aio, cluster, functions, groups, hooks, pubsub, rpc, tasks
import hornbeam_erlang as erlang

CALLS = [
    (hornbeam.start,),
    (cluster.node,), (cluster.nodes,), (cluster.members,), (cluster.status,),
    (cluster.disconnect, "nobody@127.0.0.1"),
    (hooks.names,), (hooks.info,), (hooks.providers, "greeter"),
    (hooks.stream, "greeter", "hello", "you"), (hooks.unregister_hook, "nothing"),
    (hooks.register_hook, "mine", lambda action: 1),
    (functions.names,), (functions.info,), (functions.providers, "f"),
    (functions.cast, "f"), (functions.unregister_function, "nothing"),
    (functions.register_function, "mine", lambda: 1),
    (pubsub.subscribe, "mine"), (erlang.subscribe, "mine"),
    (pubsub.unsubscribe, "mine"), (pubsub.subscribers, "news"), (pubsub.topics,),
    (pubsub.publish, "news", 1), (erlang.publish, "news", 2),
    (tasks.execute_async, "greeter", "hello", "you"),
    (tasks.cancelled,), (tasks.check,), (tasks.progress, 1),
    (groups.get_members, "g"), (groups.get_local_members, "g"),
    (groups.which_groups,), (groups.monitor, "g"), (groups.monitor_scope,),
    (groups.demonitor, hornbeam.make_ref()), (groups.join, "g"), (groups.leave, "g"),
    (rpc.export, "nothing"), (rpc.rpc_cast, "nobody@127.0.0.1", "m", "f", []),
    (hornbeam_ml.cached_inference, len, "abc"), (hornbeam_ml.cache_stats,),
    (erlang.state_get, "k"), (erlang.state_set, "k", 1), (erlang.state_incr, "n"),
    (erlang.state_decr, "n"), (erlang.state_get_multi, ["k"]), (erlang.state_keys,),
    (erlang.state_delete, "k"),
]
# These wait for the answer of another node, whoever calls them, or for messages.
WAITS = [
    cluster.connect, cluster.ping, cluster.wait_for, cluster.reload_secret,
    hooks.execute, functions.call, rpc.rpc_call, tasks.await_result, tasks.status,
    tasks.cancel, tasks.forget, tasks.list, tasks.watch, tasks.map, pubsub.receive,
    pubsub.receive_pubsub,
]
listed = {*(f for f, *_ in CALLS), *WAITS}
for module in (cluster, functions, groups, hooks, pubsub, rpc, tasks,
               hornbeam_dist, hornbeam_erlang, hornbeam_ml):
    for name, f in vars(module).items():
        own = getattr(f, "__module__", None) in (module.__name__, "hornbeam._native")
        if name[0] == "_" or not own or not callable(f) or inspect.isclass(f):
            continue
        elsewhere = name in ("by_position", "finish_on_loop", "run_in_pool",
                             "local_result")
        assert f in listed or elsewhere, f"{module.__name__}.{name} is in no list"

async def main():
    began = time.monotonic()
    slowest = 0.0, ""
    made = {}
    for f, *args in CALLS:
        before = time.monotonic()
        made[f] = f(*args)
        slowest = max(slowest, (time.monotonic() - before, f.__name__))
        await asyncio.sleep(0)
    await aio.start()
    took = time.monotonic() - began
    assert hooks.providers("greeter"), "joined"
    task = made[tasks.execute_async]
    assert await aio.await_result(task) == "hello, you"
    return took, *slowest

print(*asyncio.run(main()), flush=True)
"""


def test_nothing_holds_up_a_loop_while_its_process_joins(tmp_path):
    tmp_path.chmod(0o700)
    with contextlib.ExitStack() as stack:

        def member(code):
            x = stack.enter_context(start(code, tmp_path))
            stack.callback(x.kill)
            return x

        still = member(LOOKS)
        assert still.stdout.readline()
        known = member(KNOWN)
        assert known.stdout.readline()
        still.send_signal(signal.SIGSTOP)
        took, slowest, name = member(ON_A_LOOP).stdout.readline().split()
        assert float(took) > 1.5  # so all was called while it joined
        assert float(slowest) < 0.5 * SLOWER, name
        known.stdin.write("\n")
        known.stdin.flush()
        assert known.stdout.readline() == "[1, 2]\n"
