"""Tables that belong to a process: owners, heirs, access."""

import asyncio
import gc
import queue
import threading

import pytest

import hornbeam
import hornbeam_erlang as erlang
from hornbeam import NotFoundError, aio, process, tables

TRANSFER = "ETS-TRANSFER"


class Other:
    """A thread that does what it is told: somebody else."""

    def __init__(self):
        self._todo, self._done = queue.Queue(), queue.Queue()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self.pid = self(hornbeam.self)

    def _run(self):
        while (f := self._todo.get()) is not None:
            try:
                self._done.put((True, f()))
            except BaseException as e:
                self._done.put((False, e))

    def __call__(self, f):
        self._todo.put(f)
        ok, value = self._done.get(timeout=60)
        if not ok:
            raise value
        return value

    def end(self):
        self._todo.put(None)
        self._thread.join()
        gc.collect()


@pytest.fixture
def other():
    x = Other()
    yield x
    x.end()


def test_a_new_table_belongs_to_whoever_makes_it(name, other):
    mine = tables.new(name)
    assert mine.owner == hornbeam.self()
    assert mine.info()["access"] == "protected"
    assert mine.info()["owner"] == hornbeam.self()
    assert tables.table(name).owner == hornbeam.self()
    theirs = other(lambda: tables.new(name + " 2", kind="bag"))
    assert theirs.owner == other.pid
    assert theirs.info()["kind"] == "bag"


def test_a_table_that_is_just_opened_belongs_to_nobody(name):
    assert tables.table(name).owner is None


def every_read(t):
    return [
        lambda: t.get("k"),
        lambda: t.get_many(["k"]),
        lambda: t.get_multi(["k"]),
        lambda: t.contains("k"),
        lambda: "k" in t,
        lambda: t.left_ms("k"),
        lambda: t.keys(),
        lambda: t.scan(),
        lambda: list(t),
        lambda: t.unwatch(t.watch(print)),
    ]


def every_write(t):
    return [
        lambda: t.set("k", 1),
        lambda: t.set_many({"k": 1}),
        lambda: t.insert_new("k", 1),
        lambda: t.insert_new_many({"l": 1}),
        lambda: t.swap("k", 1),
        lambda: t.compare_and_swap("k", 1, 1),
        lambda: t.incr("k"),
        lambda: t.decr("k"),
        lambda: t.update_counter("k", [1]),
        lambda: t.expire("k", 0),
        lambda: t.delete_object("k", 1),
        lambda: t.take("k"),
        lambda: t.delete("k"),
        lambda: t.clear(),
    ]


def test_anybody_reads_a_protected_table_and_its_owner_writes_it(name, other):
    t = tables.new(name)
    for write in every_write(t):
        write()
        with pytest.raises(hornbeam.HornbeamError) as refused:
            other(write)
        text = str(refused.value)
        assert f"the table '{name}' is protected" in text
        assert "only its owner" in text and "may write it" in text
        assert "others may only read it" in text
    t.set("k", 1)
    for read in every_read(t):
        read()
        other(read)
    assert other(lambda: t.get("k")) == 1


def test_an_error_of_access_names_the_owner(name, other):
    t = tables.new(name)
    owner = hornbeam.self()
    with pytest.raises(hornbeam.HornbeamError) as refused:
        other(t.clear)
    assert repr(owner) in str(refused.value)


def test_a_private_table_is_for_its_owner_alone(name, other):
    t = tables.new(name, access="private")
    for call in every_write(t) + every_read(t):
        call()
        with pytest.raises(hornbeam.HornbeamError, match="neither read nor write"):
            other(call)


def test_the_size_of_a_private_table_is_for_everybody(name, other):
    t = tables.new(name, access="private")
    t.set("k", 1)
    assert other(lambda: len(t)) == other(t.size) == 1
    assert other(t.info)["size"] == 1


def test_a_public_table_is_for_everybody_but_ends_with_its_owner(name, eventually):
    someone = Other()
    t = someone(lambda: tables.new(name, access="public"))
    for call in every_write(t) + every_read(t):
        call()
    someone.end()
    eventually(lambda: raises_not_found(lambda: t.get("k")))


def raises_not_found(f):
    try:
        f()
    except NotFoundError as e:
        assert "is no more" in str(e)
        return True
    return False


def test_a_file_is_written_by_who_may_read_and_read_by_who_may_write(
    name, other, tmp_path
):
    t = tables.new(name)
    t.set("k", 1)
    path = tmp_path / "snapshot"
    assert other(lambda: t.save(path)) == 1
    with pytest.raises(hornbeam.HornbeamError, match="may write it"):
        other(lambda: t.load(path))
    assert t.load(path) == 1


def test_a_table_ends_with_its_owner_and_its_name_is_free(name, eventually):
    someone = Other()
    t = someone(lambda: tables.new(name))
    someone(lambda: t.set("k", 1))
    assert t.get("k") == 1
    someone.end()
    eventually(lambda: raises_not_found(lambda: t.get("k")))
    again = tables.new(name, kind="bag")
    assert len(again) == 0 and again.owner == hornbeam.self()


def test_the_table_of_a_task_ends_with_the_task(name):
    async def make():
        t = tables.new(name)
        t.set("k", 1)
        # A task that it starts, and a thread, are the same process.
        await asyncio.create_task(write(t))
        await asyncio.to_thread(t.set, "k", 3)
        return t

    async def write(t):
        t.set("k", 2)

    async def main():
        t = await asyncio.create_task(make())
        await asyncio.sleep(0)
        with pytest.raises(NotFoundError):
            t.get("k")

    asyncio.run(main())


def test_the_table_of_a_handler_call_ends_with_the_call(name, eventually):
    def handler(action):
        tables.new(name).set("k", 1)
        return tables.table(name).get("k")

    erlang.register_hook(name, handler)
    assert erlang.await_result(erlang.execute_async(name, "x")) == 1
    eventually(lambda: tables.table(name).get("k") is None)


def test_the_heir_gets_the_table_and_a_message(name):
    owner = Other()
    me = hornbeam.self()
    t = owner(lambda: tables.new(name, heir=me, heir_data={"why": "will"}))
    owner(lambda: t.set("k", 1))
    assert t.info()["heir"] == me
    owner.end()
    assert process.receive(20_000) == (TRANSFER, name, owner.pid, {"why": "will"})
    assert t.owner == me
    assert t.incr("k") == 2
    assert t.info()["heir"] == me


def test_an_heir_that_gives_the_table_away_gets_it_back(name):
    owner, other = Other(), Other()
    me = hornbeam.self()
    t = owner(lambda: tables.new(name, heir=me, heir_data="will"))
    owner.end()
    assert process.receive(20_000) == (TRANSFER, name, owner.pid, "will")
    t.give_away(other.pid)
    assert t.owner == other.pid
    other.end()
    assert process.receive(20_000) == (TRANSFER, name, other.pid, "will")
    t.set("k", 1)


def test_a_heir_that_has_ended_inherits_nothing(name, eventually):
    owner, heir = Other(), Other()
    t = owner(lambda: tables.new(name, heir=heir.pid))
    heir.end()
    owner.end()
    eventually(lambda: raises_not_found(t.size))


def test_the_owner_names_another_heir_or_none(name, other, eventually):
    owner = Other()
    me = hornbeam.self()
    t = owner(lambda: tables.new(name, heir=other.pid))
    owner(lambda: t.set_heir(me, "yours"))
    assert t.info()["heir"] == me
    with pytest.raises(hornbeam.HornbeamError, match=f"heir of the table '{name}'"):
        t.set_heir(me)
    owner.end()
    assert process.receive(20_000) == (TRANSFER, name, owner.pid, "yours")

    t.set_heir(other.pid)
    t.set_heir(None)
    assert t.info()["heir"] is None


def test_the_owner_gives_its_table_away(name, other):
    t = tables.new(name, heir=hornbeam.self())
    t.set("k", 1)
    t.give_away(other.pid, ["a", "gift"])
    got = other(lambda: process.receive(20_000))
    assert got == (TRANSFER, name, hornbeam.self(), ["a", "gift"])
    assert t.owner == other.pid
    assert other(lambda: t.incr("k")) == 2
    with pytest.raises(hornbeam.HornbeamError, match="may write it"):
        t.incr("k")
    with pytest.raises(hornbeam.HornbeamError, match="only its owner may give away"):
        t.give_away(hornbeam.self())
    me = hornbeam.self()
    other(lambda: t.give_away(me))
    assert process.receive(20_000) == (TRANSFER, name, other.pid, None)
    assert t.incr("k") == 3


def test_a_task_waits_for_a_table(name):
    async def heir():
        pid.set_result(hornbeam.self())
        tag, which, sender, data = await aio.receive(20_000)
        assert tag == TRANSFER
        t = tables.table(which)
        t.set("k", "written by its heir")
        return t.get("k"), t.owner == hornbeam.self(), data

    async def owner():
        t = tables.new(name, access="private")
        t.give_away(await pid, "data")

    async def main():
        nonlocal pid
        pid = asyncio.get_running_loop().create_future()
        waiting = asyncio.create_task(heir())
        await asyncio.create_task(owner())
        return await waiting

    pid = None
    assert asyncio.run(main()) == ("written by its heir", True, "data")


def test_a_table_is_given_to_living_processes_of_its_node(name, worker):
    t = tables.new(name)
    gone = Other()
    gone.end()
    there = erlang.execute("there", "pid")
    for pid in gone.pid, there:
        with pytest.raises(hornbeam.HornbeamError, match="no living process"):
            t.give_away(pid)
    with pytest.raises(hornbeam.HornbeamError, match="already"):
        t.give_away(hornbeam.self())
    with pytest.raises(hornbeam.HornbeamError, match="of this node"):
        t.set_heir(there)
    with pytest.raises(hornbeam.HornbeamError, match="of this node"):
        tables.new(name + " 2", heir=there)
    assert t.owner == hornbeam.self()


def test_only_an_owner_gives_away_what_belongs_to_nobody(name, other):
    t = tables.table(name)
    with pytest.raises(hornbeam.HornbeamError, match="that is nobody"):
        t.give_away(other.pid)


def test_other_nodes_are_nobodys_owner(name, worker):
    t = tables.new(name)
    t.set("k", 1)
    there = (worker, "services", "use_table")
    assert erlang.rpc_call(*there, [name, erlang.node(), "get", "k"]) == 1
    assert erlang.rpc_call(*there, [name, erlang.node(), "owner"]) == hornbeam.self()
    with pytest.raises(hornbeam.HornbeamError, match="may write it"):
        erlang.rpc_call(*there, [name, erlang.node(), "set", "k", 2])
    with pytest.raises(hornbeam.HornbeamError, match="give_away needs a table of"):
        tables.table(name, worker).give_away(hornbeam.self())


def test_a_name_is_taken_once(name):
    tables.new(name)
    with pytest.raises(hornbeam.HornbeamError, match=f"a table '{name}' already"):
        tables.new(name)
    tables.table(name + " 2")
    with pytest.raises(hornbeam.HornbeamError, match="already"):
        tables.new(name + " 2")


@pytest.mark.parametrize(
    "options, error, text",
    [
        ({"access": "secret"}, ValueError, "public, protected, private"),
        ({"access": 1}, TypeError, "access"),
        ({"heir": "bob"}, TypeError, "heir must be a pid, not 'bob'"),
        ({"heir_data": object()}, TypeError, "heir_data"),
        ({"colour": 1}, TypeError, "no option 'colour'"),
        ({"home": "x@127.0.0.1"}, hornbeam.HornbeamError, "of this node"),
    ],
)
def test_new_says_what_it_can_not_take(name, options, error, text):
    with pytest.raises(error, match=text):
        tables.new(name, **options)
    assert len(tables.new(name)) == 0  # the name is still free


def test_a_table_that_is_not_public_needs_an_owner(name):
    with pytest.raises(hornbeam.HornbeamError, match="needs an owner"):
        tables.table(name, access="private")
    assert tables.table(name, access="public").owner is None


def test_wrong_pids_are_type_errors(name):
    t = tables.new(name)
    for call in (lambda: t.give_away("bob"), lambda: t.set_heir(5)):
        with pytest.raises(TypeError, match="must be a pid"):
            call()


@pytest.mark.forks
def test_a_forked_child_does_not_own_its_parents_tables(fresh_python):
    out = fresh_python(
        """
        import os
        import hornbeam
        from hornbeam import tables

        t = tables.new("mine")
        t.set("k", 1)
        if os.fork() == 0:
            try:
                t.set("k", 2)
            except hornbeam.HornbeamError as e:
                assert "only its owner" in str(e)
                assert tables.new("mine").get("k") is None
                print("child", flush=True)
            os._exit(0)
        assert os.wait()[1] == 0
        t.set("k", t.get("k") + 1)
        print("parent", t.get("k"))
        """
    )
    assert out == "child\nparent 2\n"
