"""Programs whose threads gevent or eventlet have replaced, at whatever moment."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys

library, when, left = sys.argv[1:]
options = {x: False for x in left.split()}

def patch():
    if library == "gevent":
        from gevent import monkey
        monkey.patch_all(**options)
    else:
        import eventlet
        eventlet.monkey_patch(**options)

if when == "before the import":
    patch()
import hornbeam
from hornbeam import process
from hornbeam_erlang import await_result, execute, execute_async, publish
from hornbeam_erlang import receive_pubsub, register_hook, state_incr, subscribe

if when == "after the import":
    patch()
if library == "gevent":
    import gevent
    from gevent import sleep
    run_all = lambda f: gevent.joinall([gevent.spawn(f, i) for i in range(5)])
else:
    import eventlet
    from eventlet import sleep
    run_all = lambda f: [x.wait() for x in [eventlet.spawn(f, i) for i in range(5)]]

got = []

def worker(i):
    state_incr("n")
    sleep(0.001)
    register_hook(f"h{i}", lambda action, x: x + i)
    got.append(execute(f"h{i}", "a", 1))
    got.append(await_result(execute_async(f"h{i}", "a", 1), 20_000))
    subscribe(f"t{i}")
    publish(f"t{i}", i)
    got.append(receive_pubsub(timeout=20_000))

run_all(worker)
assert sorted(got) == [0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5], got
assert state_incr("n") == 6

def plain(to):
    sleep(0.001)
    process.send(to, "a thread")

process.spawn(plain, hornbeam.self())
assert process.receive(20_000) == "a thread"

async def coroutine(action):
    return "a coroutine"

async def light():
    pass

register_hook("c", coroutine)
for f in (lambda: execute("c", "x"), lambda: process.spawn(light)):
    try:
        f()
        print("works")
    except hornbeam.HornbeamError as e:
        print(e)
"""


def said_by(library, when, left=""):
    command = [sys.executable, "-c", PROGRAM, library, when, left]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.plain
@pytest.mark.parametrize("when", ["before the import", "after the import"])
@pytest.mark.parametrize("library", ["gevent", "eventlet"])
def test_plain_functions_work_and_coroutines_say_what_to_do(library, when):
    for x in said_by(library, when):
        assert x.startswith("coroutines can't run where gevent or eventlet have")


@pytest.mark.plain
@pytest.mark.parametrize("library", ["gevent", "eventlet"])
def test_what_they_say_helps(library):
    left = "thread socket select"
    assert said_by(library, "before the import", left) == ["works", "works"]
