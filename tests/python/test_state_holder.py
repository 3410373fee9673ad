"""A state that processes share."""

import asyncio
import gc
import threading

import pytest

import hornbeam
from hornbeam import aio, debug, gen_server, process, state_holder, supervisor
from hornbeam.gen_server import CallError, CallTimeout, InitFailed
from hornbeam.state_holder import StateHolder
from hornbeam.supervisor import ChildSpec, Supervisor
from hornbeam_erlang import rpc_call

SOON = 20_000  # ms


@pytest.fixture(autouse=True)
def apart():
    with process.scope() as pid:
        yield pid


class Inline(StateHolder):
    inline = True


@pytest.fixture(params=[StateHolder, Inline], ids=lambda x: x.__name__)
def kind(request):
    return request.param


class OnLoop:
    def __getattr__(self, name):
        f = getattr(aio.state_holder, name)
        return lambda *args: asyncio.run(f(*args))


@pytest.fixture(params=[state_holder, OnLoop()], ids=["here", "on a loop"])
def api(request):
    return request.param


def test_functions_read_and_change_the_state(kind, api, name):
    pid = kind.start(dict, [("a", 1)], name=name)
    api.update(name, lambda x: x | {"b": 2})
    assert api.get(pid, len) == 2
    assert api.get_and_update(pid, lambda x: (x["a"], {})) == 1
    assert api.get(name) == {}
    api.put(pid, [5])
    assert api.get(pid, sum) == 5
    gen_server.stop(pid)


def test_coroutine_functions_do_the_same(api):
    async def first():
        await asyncio.sleep(0)
        return 3

    async def more(x):
        await asyncio.sleep(0)
        return x + 1

    pid = StateHolder.start(first)
    api.update(pid, more)
    assert api.get(pid, more) == 5
    assert api.get(pid) == 4


def test_a_cast_is_done_in_its_turn(kind, api):
    pid = kind.start(list)
    for i in range(50):
        state_holder.cast(pid, lambda x, i=i: [*x, i])
    assert api.get(pid) == list(range(50))
    gen_server.stop(pid)
    state_holder.cast(pid, len)
    state_holder.cast("nobody at all", len)


def test_what_comes_out_is_a_copy(kind):
    pid = kind.start(lambda: {"a": [1]})
    state_holder.get(pid, lambda x: x["a"]).append(2)
    assert state_holder.get(pid) == {"a": [1]}


def test_what_can_not_be_sent_is_an_error_of_who_asks(kind, api):
    pid = kind.start(dict, [("a", 1)])
    with pytest.raises(TypeError, match="dict_values"):
        api.get(pid, lambda x: x.values())
    with pytest.raises(TypeError, match="dict_values"):
        api.get_and_update(pid, lambda x: (x.values(), {}))
    with pytest.raises(TypeError, match=r"the new state\), not int"):
        api.get_and_update(pid, lambda x: 5)
    assert api.get(pid) == {"a": 1}
    api.update(pid, lambda x: x.values())  # a state may be anything
    with pytest.raises(TypeError):
        api.get(pid)
    assert api.get(pid, list) == [1]


def test_a_function_that_raises_ends_the_holder(kind, api):
    pid = kind.start(dict)
    with pytest.raises(CallError, match="KeyError: 'nothing'"):
        api.get(pid, lambda x: x["nothing"])
    assert not process.is_alive(pid)
    with pytest.raises(CallError, match="noproc"):
        api.get(pid, len)
    with pytest.raises(InitFailed, match="as told"):
        kind.start(fail)
    with pytest.raises(InitFailed, match="a function that makes its first state"):
        kind.start({})


def fail(*_):
    raise LookupError("as told")


def test_a_supervisor_starts_it_with_its_first_state(kind, eventually):
    tree = Supervisor([ChildSpec("x", kind, (list, "ab"))]).start()

    def child():
        found = supervisor.which_children(tree)[0].pid
        return found if isinstance(found, hornbeam.Pid) else None

    first = child()
    state_holder.put(first, "other")
    with pytest.raises(CallError):
        state_holder.get(first, fail)
    second = eventually(lambda: child() != first and child())
    assert state_holder.get(second) == ["a", "b"]
    process.exit(tree, "kill")


def test_an_answer_that_does_not_come_in_time_is_an_error(api):
    pid = StateHolder.start(int)
    go_on = threading.Event()
    state_holder.cast(pid, lambda x: go_on.wait(SOON / 1000))
    with pytest.raises(CallTimeout):
        api.get(pid, lambda x: x, 20)
    go_on.set()
    assert api.get(pid) is True
    assert state_holder._holders[pid]._functions == {}


def test_a_plain_function_may_block_beside_others():
    first, second = StateHolder.start(int), StateHolder.start(int)
    meeting = threading.Barrier(2)
    state_holder.cast(first, lambda x: meeting.wait(SOON / 1000))
    assert state_holder.get(second, lambda x: meeting.wait(SOON / 1000)) in (0, 1)


def test_functions_run_one_at_a_time(kind):
    pid = kind.start(int)

    def add():
        for _ in range(100):
            state_holder.update(pid, lambda x: x + 1)

    refs = [process.spawn_monitor(add)[1] for _ in range(4)]
    assert [process.receive(SOON, match=x)[4] for x in refs] == ["normal"] * 4
    assert state_holder.get(pid) == 400


def test_at_another_node_there_is_no_function(worker, api):
    there = rpc_call(worker, "services", "start_holder", [[1, 2]])
    assert api.get(there) == [1, 2]
    api.put(there, "other")
    assert api.get(there) == "other"
    for f in (api.get, api.update, api.get_and_update, state_holder.cast):
        with pytest.raises(TypeError, match="functions can't be sent to the node of"):
            f(there, len)
    gen_server.stop(there)


def test_who_is_no_holder_is_told(api):
    other = gen_server.GenServer.start()
    with pytest.raises(TypeError, match="is no StateHolder of this Python"):
        api.get(other, len)
    with pytest.raises(TypeError, match="takes functions, not int"):
        api.update(other, 5)
    gen_server.stop(other)


@pytest.mark.parametrize(
    "request_", [5, None, ("get", 10**9), ("get", "x"), (1, 2), ("put",)], ids=repr
)
def test_a_request_that_there_is_not_is_answered_so(kind, request_):
    pid = kind.start(int)
    assert gen_server.call(pid, request_)[0] == "error"
    gen_server.cast(pid, request_)
    assert state_holder.get(pid) == 0


def test_its_state_is_seen_and_replaced_as_that_of_each_server(kind):
    pid = kind.start(int)
    assert debug.get_state(pid) == {"state": 0}
    debug.replace_state(pid, {"state": 4})
    assert state_holder.get(pid) == 4


def test_a_holder_that_has_ended_leaves_nothing(kind, eventually):
    before = len(state_holder._holders)
    pids = [kind.start(int) for _ in range(10)]
    for pid in pids:
        state_holder.cast(pid, lambda x: x)
        process.exit(pid, "kill")
    eventually(lambda: gc.collect() >= 0 and len(state_holder._holders) <= before)
