"""Three nodes as real processes: what crosses them, and what a death does."""

import os
import signal
import textwrap

import pytest
from launched import Launched, up

WORKER = """
import threading, time
import numpy
from hornbeam_erlang import (
    node, publish, receive_pubsub, register_function, register_hook, subscribe,
)

class Service:
    def where(self):
        return node()
    def echo(self, *args, **kwargs):
        return args, kwargs
    def raises(self):
        raise KeyError("no such drawer")
    def forever(self):
        time.sleep(3600)
    def count(self, n):
        for i in range(n):
            yield i
    def drip(self):
        yield 1
        time.sleep(3600)
    def nested(self, depth):
        from hornbeam_erlang import execute
        return node() if depth == 0 else execute("back", "go", depth - 1)

register_hook("service", Service)
register_function("double", lambda x: 2 * x)

def add(a, b):
    return a + b

def listen():
    subscribe("question")
    while True:
        publish("answer", [node(), receive_pubsub()])

threading.Thread(target=listen, daemon=True).start()
"""

PRELUDE = """
import os, sys, time
import numpy as np
import hornbeam
from hornbeam.hooks import providers
from hornbeam_erlang import *

WORKERS = ["worker1@127.0.0.1", "worker2@127.0.0.1"]

def until(condition, what, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "in vain: " + what
        time.sleep(0.005)

hornbeam.cluster.wait_for(*WORKERS, timeout_ms=20000)
until(lambda: len(providers("service")) == 2, "service on both workers")
until(lambda: hornbeam.pubsub.subscribers("question") == 2, "two listeners")
"""


class Cluster:
    def __init__(self, folder):
        self.folder = folder
        (folder / "run").mkdir()
        (folder / "worker.py").write_text(WORKER)
        (folder / "cluster.toml").write_text(
            textwrap.dedent(
                """
                [cluster]
                name = "test"
                secret = "test.pem"
                heartbeat_ms = 100
                detection_ms = 1500
                [defaults]
                path = ["."]
                [nodes.web]
                [nodes.worker1]
                modules = ["worker"]
                exports = ["worker"]
                [nodes.worker2]
                modules = ["worker"]
                exports = ["worker"]
                """
            )
        )

    def up(self, script):
        """The cluster, with `script` running on web."""
        return up(self.folder, PRELUDE + textwrap.dedent(script))

    def passes(self, script):
        with self.up(script) as nodes:
            assert nodes.wait(60) == 0, str(nodes)
            assert nodes.line("all well")


@pytest.fixture
def cluster(tmp_path):
    tmp_path.chmod(0o700)
    return Cluster(tmp_path)


def test_calls_hooks_functions_streams_and_topics_cross_nodes(cluster):
    cluster.passes(
        """
        assert nodes() == WORKERS
        for name in WORKERS:
            assert rpc_call(name, "worker", "add", [1, 2]) == 3
        assert {execute("service", "where") for _ in range(4)} == set(WORKERS)
        array = np.arange(6.0).reshape(2, 3)
        (args, kwargs) = execute("service", "echo", array, (1, None), k=b"x")
        assert (args[0] == array).all() and args[1] == (1, None), args
        assert kwargs == {"k": b"x"}
        assert call("double", 21) == 42
        assert list(stream("service", "count", 200)) == list(range(200))
        task = execute_async("service", "echo", 5)
        assert await_result(task) == ((5,), {}) == await_result(task)
        subscribe("answer")
        assert publish("question", "who?") == 2
        got = sorted(receive_pubsub(5000) for _ in range(2))
        assert got == [[w, "who?"] for w in WORKERS], got
        """
    )


def test_errors_of_another_node_name_class_message_and_node(cluster):
    cluster.passes(
        """
        for call_it in (
            lambda: execute("service", "raises"),
            lambda: await_result(execute_async("service", "raises")),
            lambda: next(stream("service", "raises")),
        ):
            try:
                call_it()
            except hornbeam.HandlerError as e:
                assert e.class_name == "KeyError" and "drawer" in str(e), e
                assert "worker" in e.node and "Traceback" in e.traceback
            else:
                raise AssertionError("no error")
        try:
            execute("service", "_private")
        except LookupError:
            pass
        """
    )


def test_nested_calls_across_nodes_do_not_deadlock(cluster):
    cluster.passes(
        """
        def back(action, depth):
            return execute("service", "nested", depth)
        register_hook("back", back)
        until(lambda: "back" in rpc_call(WORKERS[0], "hornbeam", "status", [])
              or True, "")
        until(lambda: execute("service", "nested", 0) in WORKERS, "a first call")
        deadline = time.monotonic() + 20
        while True:
            try:
                assert execute("service", "nested", 8) in WORKERS
                break
            except LookupError:  # the workers have not heard of `back` yet
                assert time.monotonic() < deadline
        """
    )


def test_a_large_array_crosses_while_small_calls_go_on(cluster):
    cluster.passes(
        """
        import threading
        big = np.arange(8 << 20, dtype=np.float64)  # 64 MiB
        done = []
        def carry():
            (args, _) = execute("service", "echo", big)
            done.append((args[0] == big).all())
        thread = threading.Thread(target=carry)
        thread.start()
        during = 0
        while thread.is_alive():
            execute("service", "where")
            during += 1
        thread.join()
        assert done == [True] and during > 10, (done, during)
        """
    )


def test_a_killed_node_fails_its_callers_and_the_others_go_on(cluster):
    script = """
    import threading
    victim, other = WORKERS
    outcome = {}
    task = None
    while task is None or not task.startswith(victim):
        task = execute_async("service", "forever")

    def waits(name, action):
        try:
            action()
            outcome[name] = "no error"
        except hornbeam.NodeError as e:
            outcome[name] = e.node
        except BaseException as e:
            outcome[name] = repr(e)

    threads = [
        threading.Thread(target=waits, args=x)
        for x in (
            ("task", lambda: await_result(task, 60000)),
            ("rpc", lambda: rpc_call(victim, "worker", "time.sleep", [])
             if False else rpc_call(victim, "worker", "listen", [], 60000)),
        )
    ]
    for t in threads:
        t.start()
    until(lambda: rpc_call(victim, "hornbeam", "status", [])["tasks_running"] > 0,
          "the task runs")
    print("ready", flush=True)
    for t in threads:
        t.join(20)
    assert outcome == {"task": victim, "rpc": victim}, outcome
    assert rpc_call(other, "worker", "add", [1, 2]) == 3
    assert execute("service", "where") is not None
    # The launcher has started it again: it is found, but its tasks are gone.
    hornbeam.cluster.wait_for(victim, timeout_ms=20000)
    until(lambda: victim in providers("service"), "its hooks")
    assert rpc_call(victim, "worker", "add", [2, 2]) == 4
    try:
        await_result(task)
        raise AssertionError("an old task was found")
    except LookupError:
        pass
    """
    with cluster.up(script) as nodes:
        nodes.line(r"\| ready$")
        os.kill(nodes.pid_of("worker1"), signal.SIGKILL)
        assert nodes.wait(60) == 0, str(nodes)


def test_a_stopped_node_is_down_after_the_detection_time(cluster):
    script = """
    victim = WORKERS[0]
    print("ready", flush=True)
    begin = time.monotonic()
    until(lambda: victim not in nodes(), "the stopped node is down")
    assert time.monotonic() - begin < 10
    assert execute("service", "where") == WORKERS[1]
    print("seen", flush=True)
    until(lambda: victim in nodes(), "it is back")
    assert rpc_call(victim, "worker", "add", [1, 1]) == 2
    """
    with cluster.up(script) as nodes:
        nodes.line(r"\| ready$")
        pid = nodes.pid_of("worker1")
        os.kill(pid, signal.SIGSTOP)
        nodes.line(r"\| seen$")
        os.kill(pid, signal.SIGCONT)
        assert nodes.wait(60) == 0, str(nodes)


def test_the_tour_of_the_demo_finds_every_answer_right(tmp_path):
    from launched import ROOT

    tmp_path.chmod(0o700)
    with Launched(
        "up",
        ROOT / "config/demo.toml",
        "--run",
        f"web:{ROOT / 'samples/tour.py'}",
        env={
            "RUNTIME_DIRECTORY": str(tmp_path),
            "HORNBEAM_SECRET": str(tmp_path / "secret.pem"),
        },
    ) as nodes:
        assert nodes.wait(60) == 0, str(nodes)
        assert nodes.line("Every answer was right")
