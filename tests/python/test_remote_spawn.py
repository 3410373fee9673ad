"""Processes that are spawned on another node."""

import asyncio
import threading

import pytest

import hornbeam
from hornbeam import aio, process, rpc

SOON = 20_000  # ms


@pytest.fixture(autouse=True)
def apart():
    with process.scope() as pid:
        yield pid


@pytest.mark.parametrize("function", ["tell", "tell_and_wait"])
def test_it_runs_there(worker, apart, function):
    pid = process.spawn(f"services:{function}", apart, [1], {"a": 2}, node=worker)
    assert process.receive(SOON) == (worker, pid, [1], {"a": 2})
    assert pid.node == worker


def test_a_coroutine_awaits_it(worker):
    done, found = threading.Event(), []

    async def body():
        me = process.self()
        pid = await aio.process.spawn("services:tell", me, 1, node=worker)
        found.append(await aio.process.receive() == (worker, pid, 1))
        pid = await aio.process.spawn_link("services:tell_and_wait", me, node=worker)
        found.append(await aio.process.receive() == (worker, pid))
        pid, ref = await aio.process.spawn_monitor("services:leave", node=worker)
        found.append((await aio.process.receive(match=ref))[3] == pid)
        done.set()

    process.spawn(body)
    assert done.wait(SOON / 1000)
    assert found == [True] * 3


def test_of_its_end_one_hears_as_of_any(worker, apart):
    for _ in range(20):  # it ends before the answer is here
        pid, ref = process.spawn_monitor("services:tell", apart, node=worker)
        assert process.receive(SOON, match=ref)[3:] == (pid, "normal")
        assert process.receive(SOON) == (worker, pid)
    _, ref = process.spawn_monitor("services:fail_at_once", node=worker)
    (kind, text), _ = process.receive(SOON, match=ref)[4]
    assert (kind, text) == ("LookupError", "at once")


def test_it_is_linked_from_its_first_moment(worker, apart):
    process.trap_exit()
    pid = process.spawn_link("services:fail_at_once", node=worker)
    kind, whose, reason = process.receive(SOON)
    assert (kind, whose, reason[0][0]) == ("EXIT", pid, "LookupError")


def test_it_ends_with_whom_it_is_linked_to(worker, apart):
    def middle(to):
        process.spawn_link("services:tell_and_wait", to, node=worker)
        process.receive()

    mine = process.spawn(middle, apart)
    _, pid = process.receive(SOON)
    ref = process.monitor(pid)
    process.exit(mine, "enough")
    assert process.receive(SOON, match=ref)[4] == "enough"


def test_who_is_gone_before_it_has_begun_begins_nothing(worker, apart):
    """As a caller that ends between the start and its monitor."""
    gone, ref = process.spawn_monitor(int)
    process.receive(SOON, match=ref)
    asked = [gone, None, True, [apart]]
    pid, _ = rpc._native.request(
        worker, "rpc", "call", ("$spawn", "services:tell", asked), SOON, 0
    )
    ref = process.monitor(pid)
    assert process.receive(SOON, match=ref)[4] in ("normal", "noproc")
    assert process.receive(0) is None


def test_this_node_is_one_as_well(apart):
    rpc.export("math")
    with pytest.raises(hornbeam.NotFoundError, match="no function 'nothing'"):
        process.spawn("math:nothing", node=hornbeam.cluster.node())
    _, ref = process.spawn_monitor("math:sqrt", 4.0, node=hornbeam.cluster.node())
    assert process.receive(SOON, match=ref)[4] == "normal"


@pytest.mark.parametrize(
    "f, error, text",
    [
        ("os:getpid", hornbeam.NotFoundError, "exports no module 'os'"),
        ("services:_private", hornbeam.NotFoundError, "no function '_private'"),
        ("services:nothing", hornbeam.NotFoundError, "no function 'nothing'"),
        ("services.tell", ValueError, "'module:function', not 'services.tell'"),
        ("a:b:c", ValueError, "'module:function'"),
        (":tell", ValueError, "'module:function'"),
        (int, TypeError, "code is not sent"),
    ],
)
def test_what_can_not_be_started_there_is_refused(worker, f, error, text):
    with pytest.raises(error, match=text):
        process.spawn(f, node=worker)


def test_what_can_not_be_sent_is_refused(worker):
    with pytest.raises(TypeError):
        process.spawn("services:tell", lambda: 1, node=worker)


def test_a_node_that_is_not_there_is_named():
    with pytest.raises(hornbeam.NodeError, match="nobody@127.0.0.1"):
        process.spawn("services:tell", node="nobody@127.0.0.1")


def test_on_a_running_loop_the_awaitable_is_named(worker):
    async def main():
        with pytest.raises(hornbeam.HornbeamError, match="hornbeam.aio"):
            process.spawn("services:tell", node=worker)

    asyncio.run(main())
