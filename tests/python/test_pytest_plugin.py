"""The plug-in of pytest, in programs of its own."""

import re

import pytest

pytest_plugins = "pytester"

HEAD = """
import hornbeam, pytest
from hornbeam import gen_server, process
from hornbeam.gen_server import GenServer
from hornbeam.supervisor import ChildSpec, Supervisor
from hornbeam.pytest_plugin import assert_receive, capture_crashes, refute_receive

class Counter(GenServer):
    def init(self, first=0):
        self.count = first

    def handle_call(self, request, caller):
        self.count += request
        return self.count

    def handle_cast(self, request):
        raise LookupError(request)

def waits():
    process.receive(match="never")

"""


@pytest.fixture
def run(pytester, monkeypatch):
    """`run(tests)` runs tests with the plug-in: what pytest has printed."""

    def run_tests(text, *options, **outcomes):
        pytester.makepyfile(HEAD + text)
        monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
        done = pytester.runpytest_subprocess(
            "-p", "hornbeam.pytest_plugin", "-p", "no:cacheprovider", *options
        )
        done.assert_outcomes(**outcomes)
        return done.stdout.str()

    return run_tests


def test_messages_are_asserted_and_refuted(run):
    said = run(
        """
def test_comes():
    process.send(process.self(), ("x", 1))
    process.send(process.self(), "other")
    assert assert_receive(("x", ...)) == ("x", 1)
    refute_receive(("x", ...), timeout_ms=0)
    assert assert_receive() == "other"

def test_does_not_come():
    for x in range(12):
        process.send(process.self(), ("y", x))
    assert_receive(("x", ...), timeout_ms=1)

def test_is_empty():
    assert_receive(timeout_ms=0)

def test_comes_although():
    process.send(process.self(), 7)
    refute_receive()

def test_each_test_has_a_mailbox_of_its_own():
    refute_receive(timeout_ms=0)
""",
        passed=2,
        failed=3,
    )
    assert "no message that fits ('x', Ellipsis) within 1 ms; in the mailbox" in said
    assert "('y', 9)" in said and "('y', 10)" not in said and "and 2 more" in said
    assert "no message within 0 ms; the mailbox is empty" in said
    assert "there is a message: 7" in said


def test_a_test_that_leaves_processes_behind_fails(run):
    said = run(
        """
def test_leaves_one():
    process.spawn(waits)

def test_leaves_a_server():
    Counter.start()

def test_leaves_a_tree():
    Supervisor([ChildSpec("x", Counter)]).start()

def test_leaves_nothing():
    pid, ref = process.spawn_monitor(process.receive)
    process.send(pid, "end")
    gen_server.stop(Counter.start())
    tree = Supervisor([ChildSpec("x", Counter)]).start()
    gen_server.stop(tree, "shutdown")
    hornbeam.tasks.map(str, range(5))

def test_of_which_nothing_is_there_any_more():
    names = [process.process_info(x, "status") for x in process.processes()]
    from hornbeam import supervisor
    assert not supervisor._trees
""",
        passed=5,
        errors=3,
    )
    assert re.search(r"the test has left behind:\n<.*> \(test_\w+\.waits\)", said)
    assert re.search(r"<.*> \(test_\w+\.Counter\)", said)
    assert "(a supervisor)" in said


def test_a_test_with_an_unexpected_crash_fails(run):
    said = run(
        """
def crash():
    pid, ref = process.spawn_monitor(fail)
    process.receive(match=ref)

def fail():
    raise LookupError("as told")

def test_crashes():
    crash()

def test_is_expected():
    for _ in range(3):
        with capture_crashes() as crashes:
            crash()
            crash()
        assert [type(x.error) for x in crashes] == [LookupError] * 2
        assert "crashed" in crashes[0].text

def test_is_expected_and_then_not():
    with capture_crashes():
        crash()
    crash()

def test_many():
    with capture_crashes() as crashes:
        for _ in range(18):
            crash()
    assert len(crashes) == 18
""",
        passed=4,
        errors=2,
    )
    assert "LookupError('as told')" in said
    assert "what is to crash is expected by capture_crashes()" in said


def test_supervised_children_end_with_their_test(run):
    run(
        """
PIDS = []

class Noting(Counter):
    def init(self, name):
        process.trap_exit()
        self.name = name

    def terminate(self, reason):
        PIDS.append((self.name, reason))

def test_starts(start_supervised):
    pid = start_supervised(Counter, 5)
    assert gen_server.call(pid, 1) == 6
    start_supervised(Noting, "one")
    start_supervised(ChildSpec("two", Noting, ("two",)))
    tree = start_supervised(Supervisor([ChildSpec("x", Counter)], name="below"))
    assert process.whereis("below") == tree
    assert start_supervised(process.spawn_link, waits) in process.processes()
    PIDS.append(pid)

def test_they_have_ended():
    assert not process.is_alive(PIDS[0]) and process.whereis("below") is None
    assert PIDS[1:] == [("two", "shutdown"), ("one", "shutdown")]

def test_comes_back(start_supervised):
    def start():
        return Counter.start_link(name="counter")

    first = start_supervised(start)
    with capture_crashes() as crashes:
        ref = process.monitor(first)
        gen_server.cast(first, "as told")
        assert_receive(ref)
    assert len(crashes) == 1
    while (second := process.whereis("counter")) in (None, first):
        process.receive(1)
    assert gen_server.call(second, 2) == 2

def test_does_not_start(start_supervised):
    with pytest.raises(gen_server.InitFailed), capture_crashes():
        start_supervised(Counter, 1, 2, 3)
""",
        passed=4,
    )


def test_a_node_is_as_new_for_each_test(run):
    run(
        """
from hornbeam_erlang import execute, register_function, register_hook, state_get
from hornbeam_erlang import state_set, subscribe, receive_pubsub, publish

@pytest.mark.parametrize("i", [1, 2])
def test_changes_it(node, i):
    assert node.pid == process.self() and "@" in node.name
    assert state_get("key") is None
    state_set("key", i)
    assert "hook" not in hornbeam.hooks.names()
    assert "function" not in hornbeam.functions.names()
    register_hook("hook", lambda action: i)
    register_function("function", lambda: i)
    assert execute("hook", "x") == i
    assert publish("topic", 1) == 0
    subscribe("topic")
    assert publish("topic", 1) == 1
""",
        passed=2,
    )


def test_a_cluster_is_of_processes_that_end_with_the_test(run, pytester):
    pytester.makepyfile(
        served="""
import os
from hornbeam import process

def os_pid():
    return os.getpid()
"""
    )
    said = run(
        """
import os
from hornbeam_erlang import nodes, rpc_call

SEEN = []

def test_two(cluster):
    made = cluster(2, path=["."], exports=["served"])
    assert nodes() == sorted(x.name for x in made)
    pids = [rpc_call(x.name, "served", "os_pid", []) for x in made]
    assert len({os.getpid(), *pids}) == 3
    ref = process.monitor(("nobody", made[0].name))
    assert assert_receive(ref)[4] == "noproc"
    process.monitor_nodes()
    made[0].kill()
    assert assert_receive(("nodedown", made[0].name), timeout_ms=20_000)
    SEEN.extend(made)

def test_they_have_ended():
    assert [x._process.returncode for x in SEEN] == [-9, 0]

def test_does_not_start(cluster):
    with pytest.raises(RuntimeError, match="(?s)does not start.*no module"):
        cluster(1, modules=["nothing_like_this"])

def test_is_refused(cluster):
    with pytest.raises(TypeError, match="cluster takes no colour"):
        cluster(1, colour="red")

def test_fails(cluster):
    cluster(1)
    assert 0
""".replace("no module", "No module"),
        passed=4,
        failed=1,
    )
    assert re.search(r"test\d@127.0.0.1 \| .* serves at 127.0.0.1:", said)


def test_a_test_that_uses_none_of_it_starts_no_node(run):
    run(
        """
from hornbeam import _native

def test_plain():
    assert not _native.running()
""",
        passed=1,
    )


def test_settings_of_the_program_stay(run, pytester):
    pytester.makeconftest(
        """
import hornbeam
hornbeam.configure(name="mine@127.0.0.1", cluster="mine")
"""
    )
    run(
        """
def test_name(node):
    assert node.name == "mine@127.0.0.1"
""",
        passed=1,
    )
