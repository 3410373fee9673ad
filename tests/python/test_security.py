"""Each line of docs/security.md: what a member may do to another node."""

import re
import sys
from pathlib import Path

import pytest

import hornbeam
from hornbeam import debug, gen_server, groups, process, tables, tasks
from hornbeam.gen_server import CallError
from hornbeam_erlang import call, execute, execute_async, publish, rpc_call

PAGE = Path(__file__).resolve().parents[2] / "docs/security.md"
SOON = 20_000  # ms


@pytest.fixture(autouse=True)
def apart():
    with process.scope() as pid:
        yield pid


def test_each_line_of_the_page_has_a_test_and_each_test_a_line():
    named = set(re.findall(r"\| `(\w+)` \|$", PAGE.read_text(), re.M))
    here = {x.removeprefix("test_member_") for x in globals() if "test_member_" in x}
    assert named == here


def test_member_registered(worker):
    assert call("there add", 1, 2) == 3
    assert execute("there", "echo", 1) == [[1], {}]
    with pytest.raises(hornbeam.HornbeamError, match="_private"):
        execute("there", "_private")


def test_member_exported(worker):
    assert rpc_call(worker, "services", "echo", [1]) == 1
    for module, function in (
        ("services", "_private"),
        ("os", "getpid"),
        ("long_work", "LongWork"),
        ("builtins", "eval"),
    ):
        with pytest.raises(hornbeam.NotFoundError):
            rpc_call(worker, module, function, ["1"])


def test_member_spawned(worker, apart):
    pid = process.spawn("services:tell", apart, node=worker)
    assert process.receive(SOON) == (worker, pid)
    for f in ("services:_private", "os:getpid", "builtins:eval"):
        with pytest.raises(hornbeam.NotFoundError):
            process.spawn(f, "1", node=worker)


def test_member_code(worker):
    with pytest.raises(TypeError):
        rpc_call(worker, "services", "echo", [lambda: 1])
    # Not the module of an enum that arrives: only what is imported is looked at.
    sent = hornbeam.Opaque("enum", ["this", "Zen", "A"])
    shown = rpc_call(worker, "services", "describe", [sent])
    assert shown.startswith("hornbeam.values.Opaque")
    assert "this" not in sys.modules


def test_member_topics(worker, name, eventually):
    rpc_call(worker, "services", "subscribe", [name])
    eventually(lambda: hornbeam.pubsub.subscribers(name))
    assert publish(name, "news") == 1
    eventually(lambda: rpc_call(worker, "services", "heard", [name]) == ["news"])
    rpc_call(worker, "services", "unsubscribe", [name])


def test_member_tables(worker, name):
    rpc_call(worker, "services", "make_table", [name])
    there = tables.table(name, worker)
    there.set("a", 1)
    assert there.get("a") == 1
    owned = f"{name} owned"
    there = rpc_call(worker, "services", "start_owner", [owned])
    with pytest.raises(hornbeam.HornbeamError):
        tables.table(owned, worker).set("a", 1)
    process.exit(there, "kill")


def test_member_processes(worker):
    there = rpc_call(worker, "services", "start_counter", [])
    process.send(there, "a message")
    assert gen_server.call(there, "seen") == ["a message"]
    gen_server.stop(there)
    there = rpc_call(worker, "services", "start_counter", [])
    ref = process.monitor(there)
    process.link(there)
    process.trap_exit()
    process.exit(there, "kill")
    assert process.receive(SOON, match=ref)[4] == "killed"
    assert process.receive(SOON, match=("EXIT", there, ...))[2] == "killed"


def test_member_groups(worker, name):
    there = rpc_call(worker, "services", "start_counter", [])
    with pytest.raises(ValueError, match="only its own node"):
        groups.join(name, there)
    with pytest.raises(ValueError):
        process.register(name, there)
    process.exit(there, "kill")


def test_member_tasks(worker):
    task = execute_async("there", "echo", 2)
    assert tasks.await_result(task) == [[2], {}]
    task = execute_async("there", "slow", 5)
    tasks.cancel(task)
    with pytest.raises(hornbeam.TaskCancelled):
        tasks.await_result(task)


@pytest.mark.parametrize(
    "ask",
    [
        debug.get_state,
        gen_server.get_state,
        debug.suspend,
        debug.resume,
        lambda x: debug.replace_state(x, {"list": ["changed"]}),
    ],
)
def test_member_debug(worker, ask):
    there = rpc_call(worker, "services", "start_counter", [])
    with pytest.raises(CallError, match=r"only with remote_debug = true in \[cluster"):
        ask(there)
    assert gen_server.call(there, "seen") == []
    process.exit(there, "kill")


@pytest.mark.parametrize("word", ["system", hornbeam.Atom("system")])
@pytest.mark.parametrize(
    "request_",
    [
        "get_state",
        hornbeam.Atom("get_state"),
        ("replace_state", {"list": ["changed"]}),
        ["replace_state", {"list": ["changed"]}],
        "suspend",
    ],
)
def test_no_spelling_of_a_request_gets_around_that(worker, apart, word, request_):
    there = rpc_call(worker, "services", "start_counter", [])
    ref = hornbeam.make_ref()
    process.send(there, (word, (apart, ref), request_))
    assert process.receive(SOON, match=ref)[1][0] == "error"
    assert gen_server.call(there, "seen") == []
    process.exit(there, "kill")


def test_a_node_with_remote_debug_lets_others_look(other_nodes):
    name = "debugged@127.0.0.1"
    other_nodes(name, "remote_debug = true")
    there = rpc_call(name, "services", "start_counter", [])
    assert debug.get_state(there) == {"list": []}
    debug.suspend(there)
    debug.replace_state(there, {"list": ["changed"]})
    debug.resume(there)
    assert gen_server.call(there, "seen") == ["changed"]
