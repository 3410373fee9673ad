"""Whoever registers something returns when the other nodes know of it."""

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest
from launched import SLOWER, Asked

PATIENCE = 60 * SLOWER

# Says its address, then does what each line says and prints what came of it.
NODE = """
import asyncio, json, sys, time
import hornbeam
from hornbeam import aio, cluster, pubsub
from hornbeam_erlang import *
from hornbeam_erlang import publish, subscribe
name, secret = sys.argv[1:]
hornbeam.configure(listen=True, name=name, cluster="registering", secret=secret,
                   detection_ms=60_000)
cluster.node()
print(cluster.status()["address"], flush=True)

def timed(f, *args):
    began = time.monotonic()
    f(*args)
    return time.monotonic() - began

def on_loop(f, *args):
    async def main():
        return f(*args)
    return asyncio.run(main())

def known(name):
    until = time.monotonic() + 30
    while name not in hornbeam.functions.names() and time.monotonic() < until:
        time.sleep(0.002)
    return name in hornbeam.functions.names()

loop_of_tasks = asyncio.new_event_loop()

def cancelled(topic):
    async def main():
        try:
            async with asyncio.timeout(0.1):
                await aio.subscribe(topic)
        except TimeoutError:
            return "late"
    return loop_of_tasks.run_until_complete(main())

for line in sys.stdin:
    print(json.dumps(eval(line)), flush=True)
"""


@pytest.fixture
def pair(tmp_path):
    tmp_path.chmod(0o700)
    with contextlib.ExitStack() as stack:

        def start(name):
            env = {"RUNTIME_DIRECTORY": str(tmp_path)}
            secret = tmp_path / "secret.pem"
            return stack.enter_context(
                Asked(NODE, f"{name}@127.0.0.1", secret, env=env)
            )

        a, b = start("a"), start("b")
        assert a(f"cluster.connect('b@{b.ready}')") is True
        yield a, b


REGISTER = {
    "hook": (
        "register_hook('{0}', lambda action: 'done')",
        "execute('{0}', 'go')",
        "done",
    ),
    "function": ("register_function('{0}', lambda: 'done')", "call('{0}')", "done"),
    "topic": ("subscribe('{0}')", "publish('{0}', 1)", 1),
    "subscription": ("bool(pubsub.subscribe('{0}'))", "publish('{0}', 1)", 1),
    "aio hook": (
        "asyncio.run(aio.register_hook('{0}', lambda action: 'done'))",
        "execute('{0}', 'go')",
        "done",
    ),
    "aio function": (
        "asyncio.run(aio.register_function('{0}', lambda: 'done'))",
        "call('{0}')",
        "done",
    ),
}


@pytest.mark.parametrize("what", list(REGISTER))
def test_what_is_registered_is_known_everywhere_at_once(pair, what):
    a, b = pair
    register, use, expected = REGISTER[what]
    for i in range(30):
        here, there = (a, b) if i % 2 else (b, a)
        here(register.format(f"n{i}"))
        assert there(use.format(f"n{i}")) == expected, i


def test_what_a_task_subscribes_to_is_known_everywhere_at_once(pair):
    a, b = pair
    a(
        "globals().update(box=[], loop=asyncio.new_event_loop(),"
        " sub=lambda t: box.append(loop.run_until_complete(aio.subscribe(t))) or True)"
    )
    for i in range(20):
        assert a(f"bool(sub('t{i}'))") is True
        assert b(f"publish('t{i}', 1)") == 1, i


def until_stopped(pid):
    states = {}
    until = time.monotonic() + PATIENCE
    while set(states.values()) != {"T"}:
        assert time.monotonic() < until, states
        states = {
            x.name: (x / "stat").read_text().rsplit(") ", 1)[1][0]
            for x in Path(f"/proc/{pid}/task").iterdir()
        }


def test_a_node_that_stands_still_is_waited_for_once(pair):
    a, b = pair
    assert a("timed(register_hook, 'first', bool)") < 0.5
    os.kill(b.process.pid, signal.SIGSTOP)
    try:
        until_stopped(b.process.pid)
        once = a("timed(register_hook, 'second', bool)")
        assert 0.9 < once < 3 * SLOWER
        # All together, whatever it is that they register.
        assert a("timed(register_function, 'third', bool)") < 0.5
        assert a("timed(subscribe, 'fourth')") < 0.5
        assert a("timed(register_hook, 'fourth', bool)") < 0.5
        # On a running loop nobody waits, nor for what is there already.
        assert a("on_loop(timed, register_function, 'fifth', bool)") < 0.5
        assert a("timed(register_hook, 'first', bool)") < 0.5
    finally:
        os.kill(b.process.pid, signal.SIGCONT)
    # What nobody has waited for comes in its time; then it is waited for again.
    assert b("known('fifth')") is True
    assert b("call('fifth')") is False
    a("register_function('sixth', lambda: 6)")
    assert b("call('sixth')") == 6


def test_a_subscription_whose_announcement_is_cancelled_is_none(pair):
    a, b = pair
    os.kill(b.process.pid, signal.SIGSTOP)
    try:
        until_stopped(b.process.pid)
        assert a("cancelled('given up')") == "late"
    finally:
        os.kill(b.process.pid, signal.SIGCONT)
    a("subscribe('behind it')")
    assert b("pubsub.subscribers('given up')") == 0
