"""Supervisors over Python processes, by OTP's rules."""

import asyncio
import signal
import subprocess
import sys
import threading

import pytest

import hornbeam
from hornbeam import aio, gen_server, process, supervisor
from hornbeam.gen_server import AlreadyStarted, GenServer, InitFailed, Stop
from hornbeam.supervisor import Child, ChildSpec, DynamicSupervisor, Supervisor

SOON = 20_000  # ms


@pytest.fixture(autouse=True)
def apart():
    with process.scope() as pid:
        yield pid


class Shop(GenServer):
    def init(self, log=None, label=None):
        process.trap_exit()
        self.log, self.label = log, label
        self.tell("started")

    def tell(self, what):
        if self.log is not None:
            process.send(self.log, (what, self.label))

    def handle_call(self, request, caller):
        if request == "fail":
            raise LookupError("as told")
        if request == "stop":
            return Stop("normal", reply="bye")
        return hornbeam.self()

    def terminate(self, reason):
        self.tell("stopped")


def children_of(tree):
    return {x.id: x.pid for x in supervisor.which_children(tree)}


def eventually(f):
    for _ in range(4000):
        if found := f():
            return found
        threading.Event().wait(0.005)
    raise AssertionError("it does not become true")


def end(pid, reason="kill"):
    ref = process.monitor(pid)
    process.exit(pid, reason)
    process.receive(SOON, match=ref)


def shops(apart, labels="abc", **more):
    return [ChildSpec(x, Shop, (apart, x), **more) for x in labels]


def told(n):
    return [process.receive(SOON, match=(str, str)) for _ in range(n)]


def test_children_start_in_order_and_stop_in_reverse(apart):
    tree = Supervisor(shops(apart)).start()
    assert told(3) == [("started", x) for x in "abc"]
    shown = supervisor.which_children(tree)
    assert [x.id for x in shown] == ["c", "b", "a"]
    assert all(isinstance(x, Child) and x.type == "worker" for x in shown)
    assert supervisor.count_children(tree) == {
        "specs": 3,
        "active": 3,
        "supervisors": 0,
        "workers": 3,
    }
    gen_server.stop(tree, "shutdown")
    assert told(3) == [("stopped", x) for x in "cba"]
    assert not process.is_alive(tree)


def test_a_child_that_dies_comes_back_alone(apart):
    tree = Supervisor(shops(apart), intensity=3).start()
    before = children_of(tree)
    end(before["b"])
    after = eventually(lambda: (c := children_of(tree))["b"] != before["b"] and c)
    assert after["a"] == before["a"] and after["c"] == before["c"]
    assert gen_server.call(after["b"], "self") == after["b"]
    gen_server.stop(tree, "shutdown")


@pytest.mark.parametrize(
    "strategy, same", [("one_for_all", ""), ("rest_for_one", "a")]
)
def test_others_are_started_again_with_it(apart, strategy, same):
    tree = Supervisor(shops(apart), strategy=strategy, intensity=3).start()
    before = children_of(tree)
    end(before["b"])
    after = eventually(
        lambda: (c := children_of(tree))["c"] not in (before["c"], None, "restarting")
        and c["b"] != before["b"]
        and c
    )
    assert [x for x in "abc" if after[x] == before[x]] == list(same)
    gen_server.stop(tree, "shutdown")


def test_too_many_restarts_end_it(apart):
    tree = Supervisor(shops(apart, "a"), intensity=2).start()
    ref = process.monitor(tree)
    for _ in range(3):
        pid = eventually(
            lambda: isinstance(p := children_of(tree)["a"], hornbeam.Pid)
            and process.is_alive(p)
            and p
        )
        end(pid)
    assert process.receive(SOON, match=ref)[4] == "shutdown"


def test_the_period_is_in_milliseconds(apart):
    tree = Supervisor(shops(apart, "a"), intensity=1, period_ms=20).start()
    for _ in range(5):
        before = children_of(tree)["a"]
        end(before)
        eventually(lambda: children_of(tree)["a"] not in (before, "restarting"))
        threading.Event().wait(0.04)
    gen_server.stop(tree, "shutdown")


@pytest.mark.parametrize(
    "restart, ends, comes_back",
    [
        ("permanent", "normal", True),
        ("transient", "normal", False),
        ("transient", "kill", True),
        ("temporary", "kill", False),
    ],
)
def test_the_restart_says_when_it_comes_back(apart, restart, ends, comes_back):
    tree = Supervisor(shops(apart, "a", restart=restart), intensity=3).start()
    before = children_of(tree)["a"]
    if ends == "normal":
        assert gen_server.call(before, "stop") == "bye"
    else:
        end(before)
    if comes_back:
        eventually(lambda: children_of(tree)["a"] not in (before, "restarting"))
    else:
        expected = {} if restart == "temporary" else {"a": None}
        eventually(lambda: children_of(tree) == expected)
    gen_server.stop(tree, "shutdown")


def test_any_function_that_starts_a_linked_process_is_a_start(apart):
    def worker(to):
        process.send(to, ("runs", "worker"))
        process.receive()

    async def coroutine(to):
        process.send(to, ("runs", "coroutine"))
        await aio.process.receive()

    tree = Supervisor(
        [
            ChildSpec("worker", process.spawn_link, (worker, apart)),
            ChildSpec("coroutine", lambda: process.spawn_link(coroutine, apart)),
        ],
        intensity=5,
    ).start()
    assert sorted(told(2)) == [("runs", "coroutine"), ("runs", "worker")]
    for x in children_of(tree).values():
        assert tree in process.process_info(x, "links")
        end(x)
    assert sorted(told(2)) == [("runs", "coroutine"), ("runs", "worker")]
    last = children_of(tree)
    gen_server.stop(tree, "shutdown")
    assert not any(map(process.is_alive, last.values()))


def test_trees_have_trees_below_them(apart):
    inner = Supervisor(shops(apart, "b"), intensity=2)
    tree = Supervisor([*shops(apart, "a"), ChildSpec("inner", inner)]).start()
    assert told(2) == [("started", "a"), ("started", "b")]
    assert supervisor.count_children(tree)["supervisors"] == 1
    below = children_of(tree)["inner"]
    end(children_of(below)["b"])
    assert told(1) == [("started", "b")]
    gen_server.stop(tree, "shutdown")
    assert told(2) == [("stopped", "b"), ("stopped", "a")]
    assert not process.is_alive(below)


def test_a_child_that_does_not_start_stops_those_before_it(apart):
    def broken():
        raise ZeroDivisionError("as told")

    with pytest.raises(InitFailed, match="failed_to_start_child.*'bad'.*as told"):
        Supervisor([*shops(apart, "a"), ChildSpec("bad", broken)]).start()
    assert told(2) == [("started", "a"), ("stopped", "a")]


def test_a_start_that_returns_no_pid_is_told_by_its_type():
    with pytest.raises(InitFailed, match="start must return a Pid or None, not int"):
        Supervisor([ChildSpec("bad", lambda: 5)]).start()


def test_a_child_may_have_nothing_to_start():
    tree = Supervisor([ChildSpec("none", lambda: None)]).start()
    assert supervisor.which_children(tree) == [Child("none", None, "worker")]
    gen_server.stop(tree, "shutdown")


def test_a_linked_supervisor_ends_with_its_starter(apart):
    def starter(to):
        process.send(to, Supervisor(shops(to, "a")).start_link())
        process.receive()
        process.exit("gone")

    pid = process.spawn(starter, apart)
    tree = process.receive(SOON, match=hornbeam.Pid)
    ref = process.monitor(tree)
    process.send(pid, "go on")
    assert process.receive(SOON, match=ref)[4] == "gone"
    assert told(2) == [("started", "a"), ("stopped", "a")]


def test_children_come_and_go_while_it_runs(apart):
    tree = Supervisor(shops(apart, "a")).start()
    spec = ChildSpec("b", Shop, (apart, "b"))
    pid = supervisor.start_child(tree, spec)
    assert children_of(tree)["b"] == pid
    with pytest.raises(AlreadyStarted) as e:
        supervisor.start_child(tree, spec)
    assert e.value.pid == pid
    supervisor.terminate_child(tree, "b")
    assert children_of(tree)["b"] is None
    with pytest.raises(InitFailed, match="already_present"):
        supervisor.start_child(tree, spec)
    again = supervisor.restart_child(tree, "b")
    assert again != pid
    with pytest.raises(InitFailed, match="running"):
        supervisor.delete_child(tree, "b")
    supervisor.terminate_child(tree, "b")
    supervisor.delete_child(tree, "b")
    assert set(children_of(tree)) == {"a"}
    for f in (supervisor.terminate_child, supervisor.delete_child):
        with pytest.raises(LookupError, match="no child 'b'"):
            f(tree, "b")
    gen_server.stop(tree, "shutdown")


def test_children_of_a_dynamic_supervisor_are_made_of_one_start(apart):
    tree = DynamicSupervisor(Shop, (apart,), restart="transient").start()
    pids = [supervisor.start_child(tree, x) for x in "abc"]
    assert told(3) == [("started", x) for x in "abc"]
    assert {x.pid for x in supervisor.which_children(tree)} == set(pids)
    supervisor.terminate_child(tree, pids[1])
    assert told(1) == [("stopped", "b")]
    end(pids[0])
    assert told(1) == [("started", "a")]
    gen_server.stop(tree, "shutdown")
    assert sorted(told(2)) == [("stopped", "a"), ("stopped", "c")]


def test_significant_children_end_it(apart):
    tree = Supervisor(
        [
            ChildSpec("a", Shop, restart="transient", significant=True),
            ChildSpec("b", Shop),
        ],
        auto_shutdown="any_significant",
    ).start()
    ref = process.monitor(tree)
    gen_server.call(children_of(tree)["a"], "stop")
    assert process.receive(SOON, match=ref)[4] == "shutdown"


def test_one_that_does_not_end_in_time_is_killed():
    def deaf():
        process.trap_exit()
        while True:
            process.receive()

    tree = Supervisor(
        [ChildSpec("deaf", process.spawn_link, (deaf,), shutdown_ms=20)]
    ).start()
    pid = children_of(tree)["deaf"]
    ref = process.monitor(pid)
    eventually(lambda: process.process_info(pid, "trap_exit"))
    gen_server.stop(tree, "shutdown")
    assert process.receive(SOON, match=ref)[4] == "killed"


def test_all_of_it_can_be_awaited(apart):
    async def main():
        tree = await aio.supervisor.start(Supervisor(shops(apart, "a")))
        assert [x.id for x in await aio.supervisor.which_children(tree)] == ["a"]
        spec = ChildSpec("b", Shop, (apart, "b"))
        pid = await aio.supervisor.start_child(tree, spec)
        assert await aio.gen_server.call(pid, "self") == pid
        assert (await aio.supervisor.count_children(tree))["active"] == 2
        await aio.supervisor.terminate_child(tree, "b")
        await aio.supervisor.restart_child(tree, "b")
        await aio.supervisor.terminate_child(tree, "b")
        await aio.supervisor.delete_child(tree, "b")
        await aio.gen_server.stop(tree, "shutdown")

    asyncio.run(main())


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: ChildSpec("x", 5), "start of the child 'x' must be .*, not int"),
        (lambda: ChildSpec("x", Shop, restart="often"), "restart of the child 'x'"),
        (lambda: ChildSpec("x", Shop, shutdown_ms=-1), "shutdown_ms of the child 'x'"),
        (lambda: ChildSpec("x", Shop, shutdown_ms="soon"), "shutdown_ms of .* 'soon'"),
        (lambda: ChildSpec("x", Shop, shutdown=5), "shutdown: it is shutdown_ms, in"),
        (lambda: ChildSpec("x", Shop, type="other"), "type of the child 'x'"),
        (lambda: Supervisor([Shop]), "children are ChildSpecs, not type"),
        (lambda: Supervisor(period=5), "period: it is period_ms, in milliseconds"),
        (lambda: Supervisor(colour=5), "a supervisor has no colour"),
        (lambda: Supervisor(strategy="any").start(), "strategy must be one of"),
        (lambda: Supervisor(intensity=-1).start(), "intensity"),
        (lambda: Supervisor(period_ms=0).start(), "period"),
        (
            lambda: Supervisor([ChildSpec("x", Shop), ChildSpec("x", Shop)]).start(),
            "duplicate_child_name",
        ),
        (
            lambda: Supervisor([ChildSpec("x", Shop, significant=True)]).start(),
            "bad_combination",
        ),
    ],
)
def test_what_can_not_work_is_refused_by_name(make, text):
    with pytest.raises((TypeError, ValueError, InitFailed), match=text):
        make()


def test_run_ends_with_1_when_the_tree_gives_up():
    code = """
import hornbeam
from hornbeam import process
from hornbeam.supervisor import ChildSpec, Supervisor

def fails():
    raise LookupError("as told")

hornbeam.run(Supervisor([ChildSpec("x", process.spawn_link, (fails,))]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert done.returncode == 1
    assert b"LookupError: as told" in done.stderr


@pytest.mark.parametrize(
    "sent, code",
    [("SIGINT", 0), ("SIGINT SIGINT", 0), ("SIGINT SIGINT SIGINT", 0), ("SIGTERM", 3)],
)
def test_run_stops_the_tree_in_order_when_python_is_to_end(sent, code):
    program = """
import os, signal, sys
import hornbeam
from hornbeam import process
from hornbeam.gen_server import GenServer
from hornbeam.supervisor import ChildSpec, Supervisor

signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))

class Child(GenServer):
    def init(self, name):
        process.trap_exit()
        self.name = name

    def terminate(self, reason):
        print(f"{self.name} begins to end", flush=True)
        input()  # the test says when
        print(f"{self.name} ends", flush=True)

def waits(**options):
    print("runs", flush=True)
    return receive(**options)

receive, process.receive = process.receive, waits
hornbeam.run(Supervisor([ChildSpec(x, Child, [x]) for x in "ab"]))
print("through")
"""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout.readline() == "runs\n"
        for i, name in enumerate(sent.split()):
            run.send_signal(getattr(signal, name))
            if i == 0:
                assert run.stdout.readline() == "b begins to end\n"
        out, err = run.communicate("\n\n", timeout=60)
    through = ["through"] if code == 0 else []
    assert out.splitlines() == ["b ends", "a begins to end", "a ends", *through]
    assert (run.returncode, err) == (code, "")


@pytest.mark.parametrize(
    "error",
    [
        SystemExit(3),
        KeyboardInterrupt(),
        GeneratorExit(),
        StopIteration(),
        asyncio.CancelledError(),
    ],
    ids=repr,
)
def test_whatever_a_start_raises_is_the_reason(error):
    def start():
        raise error

    with pytest.raises(InitFailed, match=type(error).__name__):
        Supervisor([ChildSpec("x", start)]).start()


def test_a_start_that_exits_fails_with_that_reason(caplog):
    with pytest.raises(InitFailed, match="as told"):
        Supervisor([ChildSpec("x", process.exit, ["as told"])]).start()
    with pytest.raises(InitFailed, match="object object"):
        Supervisor([ChildSpec("x", process.exit, [object()])]).start()
    assert not [x for x in caplog.records if x.name == "hornbeam.crash"]


def test_a_start_may_be_a_coroutine_function(apart):
    async def start(label):
        await asyncio.sleep(0)
        return await aio.gen_server.start_link(Shop, apart, label)

    async def fail():
        raise LookupError("as told")

    tree = Supervisor([ChildSpec("x", start, ["x"])]).start()
    assert told(1) == [("started", "x")]
    first = children_of(tree)["x"]
    assert process.process_info(first, "links") == [tree]
    end(first)
    assert told(1) == [("started", "x")]
    with pytest.raises(InitFailed, match="LookupError: as told"):
        supervisor.start_child(tree, ChildSpec("y", fail))
    gen_server.stop(tree, "shutdown")


def test_a_child_that_its_start_has_not_linked_comes_back_as_well():
    tree = Supervisor([ChildSpec("x", process.spawn, [process.receive])]).start()
    first = children_of(tree)["x"]
    end(first)
    eventually(lambda: children_of(tree)["x"] not in (first, "restarting", None))
    second = children_of(tree)["x"]
    assert process.is_alive(second)
    ref = process.monitor(second)
    gen_server.stop(tree, "shutdown")
    assert process.receive(SOON, match=ref)[4] == "shutdown"


def test_a_start_that_returns_who_is_dead_is_tried_again(apart):
    def start():
        process.send(apart, ("try", "x"))
        _, ref = process.spawn_monitor(int)
        return process.receive(SOON, match=ref)[3]

    with process.scope():
        process.trap_exit()
        tree = Supervisor([ChildSpec("x", start)], intensity=2).start_link()
        end = process.receive(SOON, match=("EXIT", tree, ...))
    assert end[2] == "shutdown"
    assert told(3) == [("try", "x")] * 3


def test_who_starts_children_minds_no_message_that_is_not_for_it():
    Supervisor().start()
    starter = supervisor._starter_pid
    for x in (1, "start", (), ("start",), ("DOWN", 1, 2, 3, 4), ("watch",)):
        process.send(starter, x)
    gen_server.stop(Supervisor([ChildSpec("x", Shop)]).start())
    assert supervisor._starter_pid == starter


def test_python_ends_under_a_tree_without_a_word():
    code = """
import sys
from hornbeam.gen_server import GenServer
from hornbeam.supervisor import ChildSpec, Supervisor

children = [ChildSpec(i, GenServer) for i in range(20)]
Supervisor([ChildSpec("below", Supervisor(children)), *children]).start()
sys.exit(5)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (5, b"")


def test_temporary_children_that_have_ended_leave_nothing():
    tree = Supervisor().start()
    before = len(supervisor._starts)
    for i in range(5):
        spec = ChildSpec(i, Shop, restart="temporary")
        gen_server.stop(supervisor.start_child(tree, spec))
    nothing = ChildSpec("nothing", lambda: None, restart="temporary")
    assert supervisor.start_child(tree, nothing) is None
    eventually(lambda: len(supervisor._starts) == before)
    assert supervisor.which_children(tree) == []


@pytest.mark.parametrize("how", ["deadline", "cancelled", "killed", "wrong thread"])
def test_a_child_that_nobody_waits_for_any_more_is_started_again_all_the_same(how):
    goes_on, begun = threading.Event(), threading.Event()
    others = set(supervisor._starts)

    class Slow(GenServer):
        def init(self):
            begun.set()
            goes_on.wait()

    tree = Supervisor(intensity=3).start()
    child = ChildSpec("slow", Slow)

    async def cancel():
        asking = asyncio.create_task(aio.supervisor.start_child(tree, child))
        while not begun.is_set():
            await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    async def block():
        with pytest.raises(hornbeam.HornbeamError, match="event loop"):
            supervisor.start_child(tree, child)

    if how == "deadline":
        with pytest.raises(gen_server.CallTimeout), hornbeam.deadline(500):
            supervisor.start_child(tree, child)
    elif how == "killed":
        asking = process.spawn(supervisor.start_child, tree, child)
        begun.wait()
        end(asking)
    else:
        asyncio.run(cancel() if how == "cancelled" else block())
    goes_on.set()
    before = eventually(lambda: children_of(tree).get("slow"))
    end(before)
    after = eventually(lambda: (pid := children_of(tree)["slow"]) != before and pid)
    assert process.is_alive(after)
    gen_server.stop(tree, "shutdown")
    eventually(lambda: supervisor._starts.keys() <= others)


def test_a_question_that_makes_no_sense_ends_no_tree(apart):
    tree = Supervisor(shops(apart, "a")).start()
    for request in ("hello", ("start_child", 5), ("start_child",), {"a": 1}, []):
        answer = gen_server.call(tree, request)
        assert answer[0] == "error", request
    process.send(tree, (hornbeam.Atom("$gen_call"), "nobody", "hello"))
    assert children_of(tree).keys() == {"a"}
    gen_server.stop(tree, "shutdown")


def test_a_child_spec_is_for_a_supervisor_of_this_node(worker):
    there = hornbeam.rpc.rpc_call(worker, "services", "start_echo", [])
    for elsewhere in (there, ("sup", worker)):
        with pytest.raises(ValueError, match="is for a supervisor of this node"):
            supervisor.start_child(elsewhere, ChildSpec("a", Shop))
    tree = Supervisor(name="a tree").start()
    here = ("a tree", hornbeam.cluster.node())
    assert process.is_alive(supervisor.start_child(here, ChildSpec("a", Shop)))
    gen_server.stop(tree, "shutdown")
    with pytest.raises(gen_server.CallError, match="noproc"):
        supervisor.start_child(tree, ChildSpec("b", Shop))
