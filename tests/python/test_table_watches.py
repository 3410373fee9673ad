"""Watching tables: changes come to callbacks and mailboxes."""

import pytest

import hornbeam
from hornbeam import tables
from hornbeam.tables import MISSING, Change


class Heard(list):
    """A callback that keeps what it was told."""

    def __init__(self, eventually):
        self.eventually = eventually

    def __call__(self, change):
        self.append(change)

    def wait(self, count):
        self.eventually(lambda: len(self) >= count, f"{count} changes, {self}")
        assert len(self) == count
        return list(self)


@pytest.fixture
def heard(eventually):
    return Heard(eventually)


def test_a_watched_key_tells_old_and_new(table, heard):
    watch = table.watch(heard, key="k")
    table.set("other", 0)
    table.set("k", 1)
    table.incr("k")
    table.delete("k")
    assert heard.wait(3) == [
        Change("set", "k", MISSING, 1),
        Change("set", "k", 1, 2),
        Change("delete", "k", 2, MISSING),
    ]
    assert table.unwatch(watch) is True
    assert table.unwatch(watch) is False


def test_a_watched_prefix_tells_of_its_keys_only(table, heard):
    watch = table.watch(heard, prefix="user:")
    table.set_many({"user:1": 1, "use": 2, 5: 3, b"user:1": 4})
    table.set("user:2", 5)
    assert [x.key for x in heard.wait(2)] == ["user:1", "user:2"]
    table.unwatch(watch)


def test_all_keys_can_be_watched(table, heard):
    watch = table.watch(heard)
    for key in (1, "a", (1, 2)):
        table.set(key, 0)
    assert [x.key for x in heard.wait(3)] == [1, "a", (1, 2)]
    table.unwatch(watch)


def test_what_expires_or_makes_room_is_told(make_table, heard):
    table = make_table(max_entries=1)
    watch = table.watch(heard)
    table.set("a", 1)
    table.set("b", 2, ttl_ms=20)
    kinds = [(x.kind, x.key) for x in heard.wait(4)]
    assert sorted(kinds) == [
        ("evict", "a"),
        ("expire", "b"),
        ("set", "a"),
        ("set", "b"),
    ]
    table.unwatch(watch)


def test_after_unwatch_nothing_comes(table, heard):
    other = []
    watch = table.watch(heard)
    rest = table.watch(other.append)
    table.unwatch(watch)
    table.set("k", 1)
    heard.eventually(lambda: other)
    assert heard == []
    table.unwatch(rest)


def test_a_callback_that_raises_does_not_end_the_watch(table, heard, caplog):
    def callback(change):
        heard(change)
        raise ValueError("no")

    watch = table.watch(callback)
    table.set("k", 1)
    table.set("k", 2)
    assert len(heard.wait(2)) == 2
    table.unwatch(watch)
    heard.eventually(lambda: "ValueError: no" in caplog.text)


def test_without_a_callback_the_mailbox_of_the_caller_gets_messages(table):
    watch = table.watch(key="k")
    table.set("k", 1)
    topic, message = hornbeam.pubsub.receive(20_000, "table:" + table.name)
    assert topic == "table:" + table.name
    assert message == (
        "table_event",
        watch.number,
        table.name,
        "set",
        "k",
        {"new": 1},
    )
    table.unwatch(watch)


def test_to_watch_nonsense_is_a_type_error(table):
    for call in (
        lambda: table.watch(5),
        lambda: table.watch(print, key="k", prefix="k"),
        lambda: table.watch(print, prefix=5),
        lambda: table.watch(print, key=object()),
    ):
        with pytest.raises(TypeError):
            call()
    assert not tables._callbacks


def test_a_watch_hears_that_its_node_is_lost(other_nodes, heard):
    node = other_nodes("watched@127.0.0.1")
    table = tables.table("watched", "watched@127.0.0.1")
    watch = table.watch(heard)
    table.set("k", 1)
    heard.wait(1)
    node.__exit__()
    assert heard.wait(2)[1].kind == "end"
    assert table.unwatch(watch) is False


@pytest.mark.forks
def test_a_child_has_a_copy_of_the_tables_and_no_watches(fresh_python):
    out = fresh_python(
        """
        import os, sys
        from hornbeam import tables

        table = tables.table("t", kind="ordered_set", max_entries=100)
        table.set_many({i: i for i in range(3)})
        heard = []
        watch = table.watch(heard.append)
        child = os.fork()
        if child == 0:
            assert list(table) == [0, 1, 2]
            assert tables.table("t").info()["max_entries"] == 100
            assert table.unwatch(watch) is False
            table.set(5, 5)
            again = tables.table("t").watch(heard.append, key=6)
            tables.table("t").set(6, 6)
            while not heard:
                pass
            print("child", [x.key for x in heard], len(table))
            sys.exit()
        assert os.waitpid(child, 0)[1] == 0
        table.set("later", 1)
        while not heard:
            pass
        print("parent", [x.key for x in heard], list(table))
        """
    )
    assert out.splitlines() == [
        "child [6] 5",
        "parent ['later'] [0, 1, 2, 'later']",
    ]
