"""Processes by key, and what becomes of their entries."""

import asyncio
import threading

import pytest

import hornbeam
from hornbeam import process, registry
from hornbeam.registry import AlreadyRegistered, Entry, Registry
from hornbeam_erlang import rpc_call

SOON = 20_000  # ms


@pytest.fixture(autouse=True)
def apart():
    with process.scope() as pid:
        yield pid


@pytest.fixture
def held():
    """`held()` starts a process that does nothing."""
    made = []

    def start():
        made.append(process.spawn(lambda: process.receive(match="go on")))
        return made[-1]

    yield start
    for pid in made:
        process.send(pid, "go on")


def end(pid):
    ref = process.monitor(pid)
    process.exit(pid, "kill")
    process.receive(SOON, match=ref)


def test_a_process_is_found_by_its_key_with_its_value(apart):
    rooms = Registry()
    rooms.register(("room", 1), {"seats": object})
    assert rooms.lookup(("room", 1)) == [Entry(("room", 1), apart, {"seats": object})]
    assert rooms.whereis(("room", 1)) == apart
    assert rooms.keys() == [("room", 1)]
    assert rooms.lookup("other") == [] and rooms.whereis("other") is None


def test_a_unique_key_has_one_process(held, apart):
    rooms = Registry()
    other = held()
    rooms.register("a", pid=other)
    with pytest.raises(AlreadyRegistered, match="the key 'a' is registered") as e:
        rooms.register("a")
    assert (e.value.key, e.value.pid) == ("a", other)
    with pytest.raises(AlreadyRegistered):
        rooms.register("a", pid=other)
    rooms.register("b", pid=other)
    assert sorted(rooms.keys(other)) == ["a", "b"]


def test_another_key_has_any_number_each_once(held, apart):
    rooms = Registry(unique=False)
    others = [held(), held()]
    for i, pid in enumerate(others):
        rooms.register("a", i, pid)
    rooms.register("a", "mine")
    with pytest.raises(AlreadyRegistered):
        rooms.register("a")
    assert [x.pid for x in rooms.lookup("a")] == [*others, apart]
    assert rooms.count() == len(rooms.entries()) == 3
    assert rooms.dispatch("a", "hello") == 3
    assert process.receive(SOON) == "hello"


@pytest.mark.parametrize("unique", [True, False])
def test_who_has_heard_of_an_end_finds_no_entry(held, unique, eventually):
    rooms = Registry(unique=unique)
    for _ in range(20):
        pid = held()
        rooms.register("a", pid=pid)
        rooms.register("b", pid=pid)
        end(pid)
        assert rooms.lookup("a") == rooms.entries() == rooms.keys(pid) == []
    eventually(lambda: not rooms._by_key and not rooms._by_pid)
    eventually(lambda: pid not in registry._watched)


def test_an_entry_ends_with_a_scope():
    rooms = Registry()
    with process.scope():
        rooms.register("a")
    assert rooms.whereis("a") is None
    rooms.register("a")


def test_entries_are_taken_away(held):
    rooms = Registry()
    rooms.register("a")
    assert rooms.unregister("a") and not rooms.unregister("a")
    other = held()
    rooms.register("a", pid=other)
    assert not rooms.unregister("a")
    assert rooms.unregister("a", other)
    assert rooms.entries() == []


def test_a_value_is_changed_by_its_process(held):
    rooms = Registry()
    rooms.register("a", 1)
    assert rooms.update_value("a", lambda x: x + 1) == 2
    assert rooms.lookup("a")[0].value == 2
    with pytest.raises(KeyError):
        rooms.update_value("b", lambda x: x)
    rooms.register("c", 1, held())
    with pytest.raises(KeyError):
        rooms.update_value("c", lambda x: x)


def test_who_can_not_be_registered_is_told(worker, held):
    rooms = Registry()
    dead = held()
    end(dead)
    with pytest.raises(ValueError, match="it is dead"):
        rooms.register("a", pid=dead)
    there = rpc_call(worker, "services", "start_echo", [])
    with pytest.raises(ValueError):
        rooms.register("a", pid=there)
    process.send(there, "stop")
    with pytest.raises(TypeError, match="unhashable"):
        rooms.register([])
    assert rooms.entries() == []


def test_registries_are_apart_and_go_when_nobody_holds_them(apart):
    first, second = Registry(), Registry()
    first.register("a")
    assert second.whereis("a") is None
    second.register("a")
    before = len(registry._registries)
    del first
    assert len(registry._registries) == before - 1


def test_a_keeper_that_was_killed_is_followed_by_another(held, eventually):
    rooms = Registry()
    first, second = held(), held()
    rooms.register("a", pid=first)
    end(registry._keeper)
    rooms.register("b", pid=second)
    for x in (1, (), ("watch",), ("watch", 1), ("DOWN", 1, 2, 3, 4)):
        process.send(registry._keeper, x)
    end(first)
    end(second)
    eventually(lambda: not rooms._by_pid)


def test_of_many_at_once_one_has_a_unique_key():
    rooms = Registry()
    ready = threading.Barrier(8)
    told = []

    def take():
        ready.wait()
        try:
            rooms.register("a")
            told.append("has it")
        except AlreadyRegistered:
            told.append("not")
        ready.wait()

    refs = [process.spawn_monitor(take)[1] for _ in range(8)]
    for ref in refs:
        process.receive(SOON, match=ref)
    assert sorted(told) == ["has it"] + ["not"] * 7


def test_it_is_the_same_in_coroutines():
    rooms = Registry()

    async def main():
        rooms.register("a", 1)
        return rooms.lookup("a")[0].pid == hornbeam.self()

    assert asyncio.run(main())


@pytest.mark.forks
def test_a_forked_child_has_none_of_the_entries(fresh_python):
    assert fresh_python("""
        import os
        from hornbeam.registry import Registry
        rooms = Registry()
        rooms.register("a")
        if os.fork() == 0:
            print(rooms.entries(), rooms.whereis("a"), flush=True)
            rooms.register("a")
            print(len(rooms.entries()), flush=True)
            os._exit(0)
        os.wait()
        print(len(rooms.entries()))
    """) == "[] None\n1\n1\n"
