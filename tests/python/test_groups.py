"""Process groups as OTP's pg, here and across nodes."""

import asyncio

import pytest

import hornbeam
from hornbeam import aio, groups, process
from hornbeam_dist import rpc_call

SOON = 20_000  # ms


@pytest.fixture(autouse=True)
def apart():
    with process.scope() as pid:
        yield pid


def end(pid):
    ref = process.monitor(pid)
    process.exit(pid, "kill")
    process.receive(SOON, match=ref)


def test_who_joins_is_a_member_until_it_leaves(name, apart):
    assert groups.get_members(name) == []
    groups.join(name)
    assert groups.get_members(name) == groups.get_local_members(name) == [apart]
    assert name in groups.which_groups()
    assert groups.leave(name) is True
    assert groups.leave(name) is False
    assert groups.get_members(name) == []
    assert name not in groups.which_groups()


def test_several_join_at_once_and_one_as_often_as_it_likes(name, apart):
    other = process.spawn(process.receive)
    groups.join(name, [apart, other, apart])
    assert groups.get_members(name) == [apart, other, apart]
    groups.leave(name, apart)
    assert groups.get_members(name) == [other, apart]
    groups.leave(name, [apart, other])
    assert groups.get_members(name) == []


def test_one_that_ends_leaves_all_its_groups(name, eventually):
    pid = process.spawn(process.receive)
    groups.join((name, 1), pid)
    groups.join((name, 2), pid)
    end(pid)
    eventually(lambda: not groups.get_members((name, 1)))
    eventually(lambda: not groups.get_members((name, 2)))
    groups.join(name, pid)  # it is dead: as if it ended a moment later
    assert groups.get_members(name) == []


def test_scopes_are_apart_and_a_str_is_an_atom(name, apart):
    groups.join(name, scope="here")
    assert groups.get_members(name) == []
    assert groups.get_members(hornbeam.Atom(name), scope="here") == [apart]
    assert groups.which_groups(scope=hornbeam.Atom("here")) == [name]


def test_a_monitor_tells_of_its_group(name, apart):
    groups.join(name)
    ref, members = groups.monitor(name)
    assert members == [apart]
    other = process.spawn(process.receive)
    groups.join((name, "another"), other)
    groups.join(name, other)
    end(other)
    assert process.receive(SOON, match=ref) == (ref, "join", name, [other])
    assert process.receive(SOON, match=ref) == (ref, "leave", name, [other])
    groups.join(name)
    assert groups.demonitor(ref) is True
    assert groups.demonitor(ref) is False
    assert process.receive(0) is None


def test_a_monitor_of_a_scope_tells_of_all_groups(name, apart):
    groups.join("first", scope=name)
    ref, members = groups.monitor_scope(scope=name)
    assert members == {"first": [apart]}
    groups.join("second", scope=name)
    assert process.receive(SOON, match=ref) == (ref, "join", "second", [apart])
    assert groups.demonitor(ref, scope=name)


def test_all_of_it_works_in_coroutines(name):
    async def member(to):
        groups.join(name)
        process.send(to, "joined")
        await aio.process.receive()

    async def watch():
        ref, members = groups.monitor(name)
        pid = process.spawn(member, process.self())
        assert members == []
        assert await aio.process.receive(SOON, match=ref) == (ref, "join", name, [pid])
        process.exit(pid, "kill")
        assert await aio.process.receive(SOON, match=ref) == (ref, "leave", name, [pid])
        groups.demonitor(ref)

    asyncio.run(watch())


def test_members_of_other_nodes_are_seen_and_go_when_they_end(name, worker, eventually):
    there = rpc_call(worker, "services", "start_echo", [])
    ref, _ = groups.monitor(name)
    rpc_call(worker, "services", "join_group", [name, there])
    assert process.receive(SOON, match=ref) == (ref, "join", name, [there])
    assert groups.get_members(name) == [there]
    assert groups.get_local_members(name) == []
    process.send(there, "stop")
    assert process.receive(SOON, match=ref) == (ref, "leave", name, [there])
    assert groups.get_members(name) == []
    groups.demonitor(ref)


def test_those_of_another_node_join_there(name, worker):
    there = rpc_call(worker, "services", "start_echo", [])
    with pytest.raises(ValueError, match="is a process of another node"):
        groups.join(name, there)
    process.send(there, "stop")


def test_what_is_no_pid_is_refused(name):
    with pytest.raises(TypeError, match="members of a group are Pids, not int"):
        groups.join(name, [1])
    with pytest.raises(TypeError, match="not \\.\\.\\."):
        groups.monitor(...)


def test_the_end_of_no_monitor_drops_no_message(name, apart):
    ref = hornbeam.make_ref()
    process.send(apart, (ref, "an answer"))
    assert not groups.demonitor(ref, scope=name)
    assert process.receive(0) == (ref, "an answer")
