"""Leaving Python ends the node cleanly, whatever is still running."""

import os
import statistics
import subprocess
import sys
import textwrap
import threading
import time
import types

import pytest
from launched import SLOWER

import hornbeam

PATIENCE = 60 * SLOWER  # seconds; a deadline for what should take far less

# Sixteen threads in calls of all kinds, and a large heap.
BUSY = textwrap.dedent(
    """
    import asyncio, itertools, sys, threading, time
    from hornbeam_erlang import *
    from hornbeam_erlang import receive_pubsub, subscribe
    import hornbeam
    from hornbeam import aio, functions, hooks, process, tables, tasks

    class Slow:
        def __init__(self, x): self.x = x

    def slow_to_term(x):
        time.sleep(30)

    hornbeam.register_type(Slow, "slow", slow_to_term, Slow)

    class Service:
        def add(self, a, b): return a + b
        def sleep(self): time.sleep(60)
        def spin(self):
            while True: pass
        def wait(self): return receive_pubsub(None)
        def chunks(self):
            for i in itertools.count(): yield i
        def nested(self, n):
            return execute("service", "nested", n - 1) if n else state_incr("nested")
        def inner(self, n):
            return await_result(execute_async("service", "nested", n))

    class Coroutines:
        async def wait(self): await asyncio.sleep(60)
        async def add(self, a, b): return a + b

    register_hook("service", Service())
    register_hook("coroutines", Coroutines())
    functions.register_function("add", lambda a, b: a + b)
    state_set("n", 0)
    ready = threading.Semaphore(0)

    def state_calls():
        state_incr("n"); state_set("x", {"a": [1, 2, 3]}); state_get("x")
        state_get_multi(["n", "x"]); state_keys("n"); state_keys()

    numbers = itertools.count()

    def kinds():
        yield lambda: state_calls()
        yield lambda: execute("service", "add", 1, 2)
        yield lambda: await_result(execute_async("service", "sleep"), None)
        yield lambda: (subscribe("quiet"), receive_pubsub(None))
        yield lambda: rpc_call(node(), "hornbeam", "echo", [1])
        yield lambda: publish("busy", list(range(100)))
        yield lambda: (subscribe("busy"), receive_pubsub(None))
        yield lambda: [x for x, _ in zip(stream("service", "chunks"), range(50))]
        yield lambda: asyncio.run(loop_calls())
        yield lambda: await_result(execute_async("service", "wait"), None)
        yield lambda: execute("service", "nested", 20)
        yield lambda: await_result(execute_async("service", "inner", 5))
        yield lambda: execute("coroutines", "wait")
        yield lambda: await_result(execute_async("coroutines", "add", 1, 2))
        yield lambda: tables.table(f"t{next(numbers) % 50}").set(1, 2)
        yield lambda: state_set("slow", Slow(1))

    async def loop_calls():
        subscribe("quiet")
        async def forever(f):
            while True:
                await f()
        await asyncio.gather(
            forever(lambda: aio.execute("service", "add", 1, 2)),
            forever(lambda: aio.execute("coroutines", "add", 1, 2)),
            forever(lambda: aio.rpc_call(node(), "hornbeam", "echo", [1])),
            aio.execute("service", "wait"),
            aio.receive_pubsub(),
            aio.await_result(execute_async("service", "sleep"), None),
        )

    def run(call):
        ready.release()
        while True:
            call()

    for call in kinds():
        threading.Thread(target=run, args=(call,), daemon=True).start()
    execute_async("service", "spin")
    for _ in range(16):
        ready.acquire()
    heap = [[i] for i in range(300_000)]
    at_end = state_incr("n")

    def leaving():
        print("leaving", time.monotonic(), flush=True)

    def late_thread():
        threading.main_thread().join()
        state_incr("late")
        leaving()

    class Broken(Exception):
        pass

    way = sys.argv[1]
    if way == "thread":
        threading.Thread(target=late_thread).start()
    else:
        leaving()
    if way == "exit":
        sys.exit(7)
    if way == "raise":
        raise Broken("on purpose")
    if way == "handler":
        execute_async("service", "spin")
        sys.exit(8)
    """
)
CODES = {"end": 0, "exit": 7, "raise": 1, "handler": 8, "thread": 0}


class Run:
    """One program, run to its end."""

    def __init__(self, code, *args, timeout=PATIENCE, **env):
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **env},
        )
        try:
            self.out, self.err = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.out, self.err = self.process.communicate()
            raise AssertionError(f"does not end:\n{self.out}\n{self.err}") from None
        ended = time.monotonic()
        self.code = self.process.returncode
        stamps = [x.split() for x in self.out.splitlines() if x.startswith("leaving")]
        self.seconds = ended - float(stamps[-1][1]) if stamps else None

    def check(self, code, lines):
        assert (self.code, self.err) == (code, ""), self.out
        found = [x for x in self.out.splitlines() if not x.startswith("leaving")]
        assert found == lines


def leave_busy(times):
    took = []
    for i in range(times):
        way = list(CODES)[i % len(CODES)]
        done = Run(BUSY, way)
        assert done.code == CODES[way], f"{way}:\n{done.out}\n{done.err}"
        if way == "raise":
            assert done.err.endswith("Broken: on purpose\n"), done.err
            assert done.err.count("Traceback") == 1, done.err
        else:
            assert done.err == "", f"{way}:\n{done.err}"
        took.append(done.seconds)
    print("seconds to leave:", " ".join(f"{x:.2f}" for x in sorted(took)))
    assert statistics.median(took) < 1 * SLOWER, sorted(took)
    assert max(took) < 3 * SLOWER, sorted(took)


def test_leaving_python_ends_the_node_cleanly_whatever_is_still_running():
    leave_busy(10)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_leaving_python_ends_the_node_cleanly_fifty_times():
    leave_busy(50)


def test_what_is_called_while_python_leaves_begins_nothing_anew():
    # A log that is opened again would be waited for.
    Run(
        textwrap.dedent(
            """
            import threading
            from hornbeam import _engine, _log
            from hornbeam_erlang import register_hook
            register_hook("first", len)
            _log.stop()
            register_hook("while it leaves", len)
            _engine.ensure()
            print(any(x.name == "hornbeam.log" for x in threading.enumerate()))
            """
        )
    ).check(0, ["False"])


def test_a_program_that_only_imports_us_leaves_nothing_to_end():
    Run("import hornbeam, hornbeam_erlang; print('done')").check(0, ["done"])


def test_exit_hooks_that_run_after_ours_get_answers_or_errors_but_never_wait():
    Run(
        textwrap.dedent(
            """
            import atexit, time
            def late():
                state_set("k", 1)
                print(state_get("k"), execute("h", "x"), publish("t", 1))
                for call in (
                    lambda: await_result(task, None),
                    lambda: await_result(execute_async("h", "x"), None),
                    lambda: receive_pubsub(None),
                    lambda: rpc_call("other@127.0.0.1:9", "m", "f", [], None),
                    lambda: rpc_call(node(), "hornbeam", "echo", [1]),
                ):
                    try:
                        print(call())
                    except RuntimeError as e:
                        print(type(e).__name__)
                print("leaving", time.monotonic(), flush=True)
            atexit.register(late)
            from hornbeam_erlang import *
            from hornbeam_erlang import receive_pubsub
            register_hook("h", lambda action: action)
            register_hook("slow", lambda action: time.sleep(60))
            task = execute_async("slow", "x")
            """
        )
    ).check(0, ["1 x 0"] + ["HornbeamError"] * 5)


def test_os_exit_ends_at_once_with_its_code():
    done = Run(
        textwrap.dedent(
            """
            import os, threading, time
            from hornbeam_erlang import *
            state_incr("n")
            for _ in range(4):
                threading.Thread(
                    target=lambda: [state_incr("n") for _ in iter(int, 1)], daemon=True
                ).start()
            print("leaving", time.monotonic(), flush=True)
            os._exit(9)
            """
        )
    )
    assert (done.code, done.err) == (9, "")
    assert done.seconds < 3


CHILDREN = textwrap.dedent(
    """
    import multiprocessing, sys, threading, time
    from hornbeam_erlang import *

    def work(way, queue):
        for _ in range(4):
            threading.Thread(
                target=lambda: [state_incr("n") for _ in iter(int, 1)], daemon=True
            ).start()
        register_hook("forever", lambda action: time.sleep(60))
        execute_async("forever", "x")
        queue.put(state_incr("counter"))
        if way == "exit":
            sys.exit(5)
        if way == "thread":
            def late():
                while threading.main_thread().is_alive() and state_incr("late") < 2000:
                    pass
                queue.put(state_incr("late") > 0)
            threading.Thread(target=late).start()

    if __name__ == "__main__":
        start = multiprocessing.get_context(sys.argv[1])
        state_incr("counter", 10)
        for way, code in (("end", 0), ("exit", 5), ("thread", 0)):
            queue = start.SimpleQueue()
            child = start.Process(target=work, args=(way, queue))
            child.start()
            print(queue.get())
            if way == "thread":
                print(queue.get())
            print("leaving", time.monotonic(), flush=True)
            child.join(30)
            print(child.exitcode == code)
        print(state_get("counter"))
    """
)


@pytest.mark.parametrize(
    "method",
    [pytest.param("fork", marks=pytest.mark.forks), "spawn", "forkserver"],
)
def test_children_of_multiprocessing_leave_cleanly(method, tmp_path):
    (tmp_path / "program.py").write_text(CHILDREN)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "program.py"), method],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    lines = [x for x in done.stdout.splitlines() if not x.startswith("leaving")]
    first = "11" if method == "fork" else "1"
    expected = [first, "True"] * 2 + [first, "True", "True"] + ["10"]
    assert lines == expected


def test_casts_and_publishes_under_way_at_exit_arrive_on_another_node(worker):
    """Also to a node to which the connection is not even made."""
    from conftest import CLUSTER, SECRET

    from hornbeam_erlang import receive_pubsub, subscribe

    subscribe("last words")
    program = textwrap.dedent(
        f"""
        import time
        import hornbeam
        from hornbeam_erlang import *
        hornbeam.configure(cluster={CLUSTER!r}, secret={str(SECRET)!r})
        {{first}}
        print("leaving", time.monotonic(), flush=True)
        """
    )
    me = hornbeam.cluster.node()
    address = hornbeam.cluster.status()["address"]
    publishes = textwrap.dedent(
        f"""
        hornbeam.cluster.connect("{me}:{address.rpartition(":")[2]}")
        while not hornbeam.pubsub.subscribers("last words"):
            pass
        for i in range(20_000):
            publish("last words", i)
        """
    )
    for _ in range(3):
        done = Run(program.replace("{first}", publishes))
        done.check(0, [])
        assert done.seconds < 3
        assert [receive_pubsub(PATIENCE * 1000) for _ in range(20_000)] == list(
            range(20_000)
        )

    arrived = threading.Semaphore(0)
    words = types.ModuleType("words")
    words.say = lambda x: arrived.release()
    words.__all__ = ["say"]
    hornbeam.rpc.export(words)
    for _ in range(3):
        cast = f"hornbeam.rpc.rpc_cast({me!r}, 'words', 'say', [1])"
        Run(program.replace("{first}", cast)).check(0, [])
        assert arrived.acquire(timeout=PATIENCE)
