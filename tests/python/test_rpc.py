"""Calls to modules of a named node."""

import types

import pytest

import hornbeam
import hornbeam_dist
import hornbeam_erlang as erlang
from hornbeam import NodeError, NotFoundError, rpc

TOOLS = types.ModuleType("tools_of_the_rpc_tests")
TOOLS.double = lambda x: 2 * x
TOOLS._hidden = lambda: "secret"
TOOLS.number = 5
TOOLS.__all__ = ["double"]  # what others have defined


@pytest.fixture(params=["here", "there"])
def target(request, worker):
    """A node and the module there that has `echo` and the like."""
    if request.param == "there":
        return worker, "services"
    module = types.ModuleType("services_here")
    module.echo = lambda x: x
    module.add = lambda *xs: sum(xs)
    module._private = lambda: "secret"
    module.not_a_function = 5
    rpc.export(module)
    module.__all__ = [x for x in vars(module) if x[0] != "_"]
    return erlang.node(), "services_here"


def test_a_call_returns_the_result(target):
    assert erlang.rpc_call(*target, "add", [1, 2, 3]) == 6
    assert erlang.rpc_call(*target, "add", []) == 0
    assert erlang.rpc_call(*target, "add", (1, 2)) == 3
    assert erlang.rpc_call(*target, "echo", [None]) is None


def test_results_are_copies(target):
    value = [1, {"a": (2, b"3")}]
    found = erlang.rpc_call(*target, "echo", [value])
    assert found == value and found is not value


def test_an_unknown_module_or_function_is_named(target):
    with pytest.raises(NotFoundError, match="no_module"):
        erlang.rpc_call(target[0], "no_module", "f", [])
    with pytest.raises(NotFoundError, match="no_function"):
        erlang.rpc_call(*target, "no_function", [])


def test_private_names_and_what_is_no_function_are_not_called(target):
    for function in ("_private", "not_a_function", "__dict__", ""):
        with pytest.raises(NotFoundError):
            erlang.rpc_call(*target, function, [])


def test_modules_that_are_not_exported_are_not_called(worker):
    with pytest.raises(NotFoundError, match="exports no module 'os'"):
        erlang.rpc_call(worker, "os", "getcwd", [])


def test_a_module_can_be_exported_at_run_time(worker):
    rpc.export(TOOLS)
    rpc.export(TOOLS, "by_another_name")
    for module in ("tools_of_the_rpc_tests", "by_another_name"):
        assert erlang.rpc_call(erlang.node(), module, "double", [21]) == 42
        back = [erlang.node(), module, "double", [4]]
        assert erlang.rpc_call(worker, "services", "rpc_call", back) == 8


def test_a_coroutine_function_is_awaited_there(worker):
    assert erlang.rpc_call(worker, "services", "soon", [5]) == 5


def test_this_node_can_be_called_by_its_name():
    assert erlang.rpc_call(erlang.node(), "hornbeam", "node", []) == erlang.node()


def test_a_node_that_is_not_there_is_a_connection_error():
    with pytest.raises(ConnectionError, match="nobody@127.0.0.1") as e:
        erlang.rpc_call("nobody@127.0.0.1", "m", "f", [])
    assert isinstance(e.value, RuntimeError)


def test_a_cast_to_a_node_that_is_not_there_says_nothing():
    assert erlang.rpc_cast("nobody@127.0.0.1", "m", "f", []) is None
    assert erlang.rpc_cast(erlang.node(), "no module", "f", []) is None


def test_a_call_that_takes_too_long_is_a_timeout_error(worker):
    with pytest.raises(TimeoutError, match=worker) as e:
        erlang.rpc_call(worker, "services", "slow", [], timeout_ms=30)
    assert isinstance(e.value, RuntimeError)
    assert erlang.rpc_call(worker, "services", "add", [1]) == 1


def test_without_a_limit_a_call_waits(worker):
    assert erlang.rpc_call(worker, "services", "slow", [0.01], None) is None


def test_a_node_that_dies_during_a_call_is_a_connection_error(other_nodes):
    other_nodes("mortal@127.0.0.1")
    with pytest.raises(NodeError, match="mortal@127.0.0.1"):
        erlang.rpc_call("mortal@127.0.0.1", "services", "dies", [], 20000)
    # It is known to hooks a moment longer, but gets no task.
    tasks = [erlang.execute_async("there", "echo", i) for i in range(20)]
    assert [erlang.await_result(x)[0] for x in tasks] == [[i] for i in range(20)]


def test_the_death_of_one_node_leaves_the_others_connected(
    worker, other_nodes, name, eventually
):
    """Also while something is under way on their connections."""
    task = erlang.execute_async("there", "slow", 3)
    for i in range(3):
        node = other_nodes(f"mayfly{i}@127.0.0.1")
        node.process.kill()
        eventually(lambda: f"mayfly{i}@127.0.0.1" not in erlang.nodes())
        for _ in range(50):
            assert erlang.call("there add", 1) == 1
    # More than a heartbeat: the task fails if its node is lost in between.
    assert erlang.await_result(task) is None
    assert worker in erlang.nodes()


def test_a_node_that_was_started_again_is_called_again(other_nodes, eventually):
    phoenix = "phoenix@127.0.0.1"
    other_nodes(phoenix)
    with pytest.raises(NodeError):
        erlang.rpc_call(phoenix, "services", "dies", [], 20000)
    other_nodes(phoenix)
    assert erlang.rpc_call(phoenix, "services", "add", [1]) == 1


def test_a_cast_runs_there(worker, name, eventually):
    hornbeam_dist.rpc_cast(worker, "services", "subscribe", [name])
    eventually(lambda: hornbeam.pubsub.subscribers(name) == 1)
    hornbeam_dist.rpc_cast(worker, "services", "publish", [name, "hello"])
    eventually(
        lambda: erlang.rpc_call(worker, "services", "heard", [name]) == ["hello"]
    )
    hornbeam_dist.rpc_cast(worker, "services", "unsubscribe", [name])


def test_no_cast_is_lost(worker, name, eventually):
    table = hornbeam.tables.table("state", worker)
    for i in range(100):
        erlang.cast("there note", (name, i), i)
    eventually(lambda: all(table.contains((name, i)) for i in range(100)))


def test_ping_says_whether_a_node_answers(worker):
    for name in (worker, erlang.node()):
        assert erlang.ping(name) and erlang.ping(name) == "pong"
    answer = hornbeam_dist.ping("nobody@127.0.0.1")
    assert not answer and answer == "pang"


def test_connect_and_disconnect(other_nodes, eventually):
    guest = "guest@127.0.0.1"
    other_nodes(guest)
    assert guest in erlang.nodes()
    assert hornbeam_dist.connect(guest) is True
    assert hornbeam_dist.disconnect(guest) is True
    eventually(lambda: guest not in erlang.nodes())
    assert hornbeam_dist.disconnect(guest) is False
    assert hornbeam_dist.connect(guest) is True
    assert erlang.rpc_call(guest, "services", "add", [1]) == 1


def test_to_connect_to_nobody_is_a_connection_error():
    with pytest.raises(ConnectionError, match="nobody"):
        hornbeam_dist.connect("nobody@127.0.0.1")


def test_hornbeam_dist_has_the_documented_names():
    names = {"connect", "disconnect", "ping", "rpc_call", "rpc_cast", "nodes", "node"}
    assert set(hornbeam_dist.__all__) == names
    assert hornbeam_dist.rpc_call is erlang.rpc_call
    assert hornbeam_dist.node() == erlang.node()
    assert hornbeam_dist.nodes() == erlang.nodes()
