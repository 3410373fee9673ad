"""A process that may have few threads (a limit of its container, its user or its
memory): each number of them is tried. What can't be done says so, and nothing hangs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent / "no_threads.c"
PROGRAM = """
import os
import hornbeam
from hornbeam import process
from hornbeam_erlang import await_result, execute, execute_async
from hornbeam_erlang import register_hook, state_incr

def tell(what, f):
    try:
        print(what, f(), flush=True)
    except hornbeam.HornbeamError as e:
        print(what, "refused:", e, flush=True)

async def coroutine(action):
    return 7

def plain(to):
    process.send(to, "thread")

async def light(to):
    process.send(to, "coroutine")

def spawned(f):
    process.spawn(f, hornbeam.self())
    return process.receive(20_000)

tell("state", lambda: state_incr("a"))
tell("hook", lambda: register_hook("h", lambda action: 5))
tell("coroutine", lambda: register_hook("c", coroutine))
tell("execute", lambda: execute("h", "x"))
tell("task", lambda: await_result(execute_async("h", "x"), 20_000))
tell("on the loop", lambda: execute("c", "x"))
tell("spawn", lambda: spawned(plain))
tell("spawn light", lambda: spawned(light))
"""
WORKS = {
    "state": "1",
    "hook": "None",
    "coroutine": "None",
    "execute": "5",
    "task": "5",
    "on the loop": "7",
    "spawn": "thread",
    "spawn light": "coroutine",
}


@pytest.fixture(scope="module")
def few_threads(tmp_path_factory):
    library = tmp_path_factory.mktemp("few") / "no_threads.so"
    command = ["cc", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"]
    subprocess.run(command, check=True)

    def run(most):
        environment = {**os.environ, "LD_PRELOAD": str(library), "MOST_THREADS": most}
        return subprocess.run(
            [sys.executable, "-W", "error", "-c", PROGRAM],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


@pytest.mark.plain
@pytest.mark.parametrize("most", range(24))
def test_what_needs_a_thread_that_can_not_be_had_says_so(few_threads, most):
    done = few_threads(str(most))
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    said = dict(re.split(r"(?<=[a-z]) (?=[^ ]*$|refused)", x, 1) for x in lines(done))
    for what, found in said.items():
        if found.startswith("refused: "):
            assert re.search("thread", found), found
        else:
            assert found == WORKS[what]
    if most >= 20:
        assert said == WORKS


def lines(done):
    return done.stdout.splitlines()
