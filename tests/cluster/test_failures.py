"""Nodes that are killed or stopped in the middle of calls, tasks and streams: no
caller waits longer than it takes to notice, and nothing is left on either side."""

import os
import signal
import textwrap

import pytest
from launched import up

DETECTION_MS = 1500

# What each node can serve, as a hook with the node's name.
SERVICE = """
import asyncio, threading, time
import hornbeam
from hornbeam_erlang import (
    await_result, execute, execute_async, node, register_hook, rpc_call, stream,
)

lock = threading.Lock()
inside = 0
generators = 0
let_go = threading.Event()

class Inside:
    def __init__(self, what="inside"):
        self.what = what
    def __enter__(self):
        with lock:
            globals()[self.what] += 1
    def __exit__(self, *_):
        with lock:
            globals()[self.what] -= 1

class Service:
    def hold(self):
        with Inside():
            let_go.wait(100)
        return node()
    async def hold_softly(self):
        with Inside():
            while not let_go.is_set():
                await asyncio.sleep(0.005)
        return node()
    def report(self):
        with Inside():
            hornbeam.tasks.progress(1)
            let_go.wait(100)
    def two(self):
        with Inside("generators"):
            yield 1
            yield 2
            with Inside():
                let_go.wait(100)
            yield 3
    def endless(self):
        with Inside("generators"):
            n = 0
            while True:
                yield n
                n += 1
    def nested(self, other, depth):
        if depth == 0:
            return [node()]
        return [node(), *execute(other, "nested", node(), depth - 1)]
    async def nested_softly(self, other, depth):
        if depth == 0:
            return [node()]
        return [node(), *await hornbeam.aio.execute(
            other, "nested_softly", node(), depth - 1)]

register_hook(node(), Service)
register_hook(node() + " one at a time", Service, concurrency=1)

def counts():
    return {"inside": inside, "generators": generators, **hornbeam.cluster.status()}

def go():
    let_go.set()

def knows(node):
    return bool(hornbeam.hooks.providers(node))

outcomes = []

def use(provider, wait=True):
    \"\"\"Calls, tasks and streams of `provider`, each in a thread that writes down
    how it ended and after how long.\"\"\"
    began = time.monotonic()

    def start(f, *args):
        def run():
            try:
                end = f(*args)
            except BaseException as e:
                end = e
            outcomes.append((f.__name__, end, time.monotonic() - began))
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def call():
        return execute(provider, "hold")
    def task():
        return await_result(execute_async(provider, "hold"), 60000)
    def soft_task():
        return await_result(execute_async(provider, "hold_softly"), 60000)
    def watch():
        return list(hornbeam.tasks.watch(execute_async(provider, "report")))
    def chunks():
        got = []
        try:
            for x in stream(provider, "two"):
                got.append(x)
        except Exception as e:
            assert got == [1, 2], got
            raise e
        return got
    def loop():
        async def main():
            async def chunks():
                async for x in hornbeam.aio.stream(provider, "two"):
                    pass
            done = await asyncio.gather(
                hornbeam.aio.execute(provider, "hold"),
                hornbeam.aio.await_result(execute_async(provider, "hold"), 60000),
                chunks(),
                return_exceptions=True)
            kinds = {type(x) for x in done}
            assert len(kinds) == 1, done
            if isinstance(done[0], BaseException):
                raise done[0]
            return done
        return asyncio.run(main())
    return [start(f) for f in (call, call, task, soft_task, watch, chunks, loop)]

#: How many handlers run then.
BUSY = 9
#: How many of them are generators.
STREAMS = 2

def use_from_here(provider):
    use(provider)
"""

PRELUDE = """
import gc, os, time
import hornbeam
import service
from service import counts, use
from hornbeam_erlang import *

ONE, TWO = "one@127.0.0.1", "two@127.0.0.1"

def until(condition, what, seconds=20):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, ("in vain: " + what, counts())
        time.sleep(0.005)
    return found

hornbeam.cluster.wait_for(ONE, TWO, timeout_ms=20000)
for x in (ONE, TWO):
    for y in (ONE, TWO, node()):
        until(lambda: rpc_call(x, "service", "knows", [y]), f"{x} knows {y}")
    until(lambda: hornbeam.hooks.providers(x), x)

def native_threads():
    # Not CAF's: it starts more of them with the first dial, whenever that is.
    names = []
    for x in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{x}/comm") as f:
                names.append(f.read())
        except OSError:  # it has ended by now
            pass
    return sum(not x.startswith("caf.") for x in names)

def at(node, *names):
    there = rpc_call(node, "service", "counts", [])
    return [there[x] for x in names]

def ask(node, function, *args):
    return rpc_call(node, "service", function, list(args))

def nothing_left_here(threads):
    until(lambda: not any(counts()[x] for x in
          ("calls_open", "streams_consumed", "streams_provided", "tasks_running",
           "inside", "generators")), "nothing is left here")
    # The pool keeps idle threads for a while.
    until(lambda: native_threads() <= threads, "threads have ended", 30)
"""


class Cluster:
    def __init__(self, folder, more=""):
        self.folder = folder
        (folder / "run").mkdir()
        (folder / "service.py").write_text(SERVICE)
        (folder / "cluster.toml").write_text(
            textwrap.dedent(
                f"""
                [cluster]
                name = "test"
                secret = "test.pem"
                heartbeat_ms = 100
                detection_ms = {DETECTION_MS}
                [defaults]
                path = ["."]
                modules = ["service"]
                exports = ["service"]
                {more}
                [nodes.web]
                [nodes.one]
                [nodes.two]
                """
            )
        )

    def passes(self, script, how=None):
        """Runs `script` on web. With a signal `how` it goes to the node one once
        the script is "ready"; if that stops the node, it goes on once the
        script has "seen" it."""
        with up(self.folder, PRELUDE + textwrap.dedent(script)) as nodes:
            if how is not None:
                nodes.line(r"\| ready$")
                pid = nodes.pid_of("one")
                os.kill(pid, how)
                nodes.line(r"\| seen$")
                if how == signal.SIGSTOP:
                    os.kill(pid, signal.SIGCONT)
            assert nodes.wait(90) == 0, str(nodes)
            assert nodes.line("all well")


@pytest.fixture
def cluster(tmp_path):
    tmp_path.chmod(0o700)
    return Cluster(tmp_path, more="pool = 20")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_whoever_waits_for_a_provider_that_fails_is_told_in_time(cluster, how):
    script = f"""
    before = native_threads()
    waiting = use(ONE)
    idle = [stream(ONE, "endless") for _ in range(5)]
    assert [next(x) for x in idle] == [0] * 5
    until(lambda: at(ONE, "inside", "generators")
          == [service.BUSY, service.STREAMS + 5], "all are at work")
    began = time.monotonic()
    print("ready", flush=True)
    for x in waiting:
        x.join(20)
    took = time.monotonic() - began
    assert took < ({DETECTION_MS} + 1500) / 1000, took
    assert len(service.outcomes) == len(waiting)
    for name, error, _ in service.outcomes:
        assert isinstance(error, hornbeam.NodeError), (name, error)
        assert error.node == ONE, (name, error.node)
    for x in idle:  # what had come, then the error
        got = []
        try:
            got.extend(iter(lambda: next(x), None))
        except hornbeam.NodeError as e:
            assert e.node == ONE
        else:
            raise AssertionError("the stream went on")
    del x, idle, waiting
    gc.collect()
    nothing_left_here(before + 2)
    assert execute(TWO, "nested", ONE, 0) == [TWO]
    print("seen", flush=True)
    hornbeam.cluster.wait_for(ONE, timeout_ms=20000)
    ask(ONE, "go")
    until(lambda: at(ONE, "inside", "generators", "streams_provided",
          "tasks_running", "calls_open") == [0] * 5, "nothing is left there")
    until(lambda: hornbeam.hooks.providers(ONE), "its hook")
    assert execute(ONE, "hold") == ONE
    """
    cluster.passes(script, how)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_provider_keeps_nothing_of_a_consumer_that_fails(cluster, how):
    script = """
    before = native_threads()
    ask(ONE, "use_from_here", node())
    until(lambda: (counts()["inside"], counts()["generators"])
          == (service.BUSY, service.STREAMS), "all are at work")
    print("ready", flush=True)
    until(lambda: ONE not in nodes(), "the consumer is down")
    # Generators that wait are closed; what runs ends when it does.
    service.let_go.set()
    nothing_left_here(before + 2)
    # Tasks outlive those who have submitted them.
    ended = hornbeam.tasks.list()
    assert len(ended) == 4 and all(x["state"] == "done" for x in ended), ended
    print("seen", flush=True)
    hornbeam.cluster.wait_for(ONE, timeout_ms=20000)
    until(lambda: at(ONE, "calls_open", "streams_consumed") == [0, 0],
          "nothing is left there")
    """
    cluster.passes(script, how)


def test_nested_calls_of_two_nodes_with_pools_of_one_do_not_deadlock(tmp_path):
    tmp_path.chmod(0o700)
    script = """
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as several:
        for suffix in ("", " one at a time"):
            done = [several.submit(execute, ONE + suffix, "nested", TWO, 5)
                    for _ in range(40)]
            assert [x.result(30) for x in done] == [[ONE, TWO] * 3] * 40
    async def main():
        return await asyncio.gather(*[
            hornbeam.aio.execute(ONE, "nested_softly", TWO, 5) for _ in range(40)])
    assert asyncio.run(main()) == [[ONE, TWO] * 3] * 40
    """
    Cluster(tmp_path, more="pool = 1").passes(script)
