"""`hornbeam.tables`: every operation, on a table here and on one of another
node."""

import threading
import time

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

import hornbeam
import hornbeam_erlang as erlang
from hornbeam import _native, tables
from hornbeam.tables import MISSING


def test_a_table_says_what_it_is_called_and_where_it_is(make_table, worker):
    table = make_table()
    assert table.node == (worker if make_table.worker else erlang.node())
    assert repr(table) == f"<Table {table.name!r} of {table.node}>"
    with pytest.raises(AttributeError):
        table.name = "other"


# -- one key ------------------------------------------------------------------


def test_get_set_and_delete(table):
    marker = object()
    assert table.get("k") is None
    assert table.get("k", marker) is marker
    assert table.get(key="k", default=5) == 5
    assert table.set("k", None) is None
    assert table.get("k", marker) is None
    assert table.delete("k") is True
    assert table.delete("k") is False


def test_contains_in_and_len(table):
    table.set(1, "one")
    assert 1 in table and table.contains(1)
    assert 1.0 not in table and True not in table and not table.contains("1")
    assert len(table) == table.size() == 1


def test_take_gives_a_value_once(table):
    table.set("job", [1])
    assert table.take("job") == [1]
    assert table.take("job", "gone") == "gone"


def test_swap_gives_what_was_there(table):
    assert table.swap("k", 1) is None
    assert table.swap("k", 2, "nothing") == 1
    assert table.swap("new", 3, "nothing") == "nothing"
    assert table.get_many(["k", "new"]) == [2, 3]


def test_insert_new_leaves_what_is_there(table):
    assert table.insert_new("k", 1) is True
    assert table.insert_new("k", 2) is False
    assert table.get("k") == 1


def test_compare_and_swap_compares_exactly(table):
    table.set("k", 1)
    for other in (1.0, True, "1", [1], None, MISSING):
        assert table.compare_and_swap("k", other, "changed") is False
    assert table.compare_and_swap("k", 1, {"a": [2]}) is True
    assert table.compare_and_swap("k", {"a": [2]}, None) is True
    assert table.get("k", "default") is None


def test_compare_and_swap_knows_missing_keys(table):
    assert table.compare_and_swap("k", 1, 2) is False
    assert table.compare_and_swap("k", MISSING, 1) is True
    assert table.compare_and_swap("k", MISSING, 2) is False
    assert table.compare_and_swap("k", 1, MISSING) is True
    assert "k" not in table


def test_missing_can_not_be_stored(table):
    assert repr(MISSING) == "MISSING"
    with pytest.raises(TypeError, match="value: a value of type Missing"):
        table.set("k", MISSING)


def test_of_many_that_compare_and_swap_each_counts(table):
    table.set("n", 0)
    start = threading.Barrier(4)

    def add():
        start.wait()
        for _ in range(25):
            n = table.get("n")
            while not table.compare_and_swap("n", n, n + 1):
                n = table.get("n")

    threads = [threading.Thread(target=add) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert table.get("n") == 100


# -- counters -----------------------------------------------------------------


def test_incr_and_decr(table):
    assert table.incr("n") == 1
    assert table.incr("n", 10) == 11
    assert table.decr("n") == 10
    assert table.decr("n", delta=2**70) == 10 - 2**70
    assert table.incr("n", 2**70) == 10


def test_to_count_what_is_no_integer_is_a_type_error_that_names_it(table):
    table.set("k", "text")
    for call in (table.incr, table.decr, lambda k: table.update_counter(k, [1])):
        with pytest.raises(TypeError, match="k.*integer"):
            call("k")
    with pytest.raises(TypeError, match="delta"):
        table.incr("n", 1.5)
    assert table.get("k") == "text"
    assert "n" not in table


def test_update_counter_does_all_steps_or_none(table):
    assert table.update_counter("n", [1, 2, (0, 3)]) == [1, 3, 6]
    assert table.update_counter("n", [(0, 10, 10, 0), 1]) == [0, 1]
    assert table.update_counter("n", [(0, -5, 0, 100)]) == [100]
    assert table.update_counter("n", []) == []
    assert table.update_counter("new", [1], 41) == [42]
    table.set("pair", ("hits", 5, 7))
    assert table.update_counter("pair", [(2, 1), (3, -1)]) == [6, 6]
    with pytest.raises(TypeError, match="pair"):
        table.update_counter("pair", [(2, 1), (1, 1)])
    assert table.get("pair") == ("hits", 6, 6)


@pytest.mark.parametrize("steps", [[(0,)], [(0, 1, 2)], ["1"], [(-1, 1)], [(0, 1.5)]])
def test_steps_of_a_counter_that_make_no_sense_are_type_errors(table, steps):
    with pytest.raises(TypeError):
        table.update_counter("n", steps)
    assert "n" not in table


def test_steps_of_a_counter_are_a_list(table):
    with pytest.raises(TypeError, match="steps must be a list, not int"):
        table.update_counter("n", 1)


# -- several keys -------------------------------------------------------------


def test_get_many_keeps_the_order_and_takes_any_key(table):
    table.set_many([("a", 1), ([1], "list"), (1, "int"), (1.0, "float")])
    asked = [1.0, [1], "x", "a", 1, "a"]
    assert table.get_many(asked) == ["float", "list", None, 1, "int", 1]
    assert table.get_many(iter(["x", "a"]), default=0) == [0, 1]
    assert table.get_many([]) == []
    with pytest.raises(TypeError, match="keys must be a list, not int"):
        table.get_many(5)


def test_get_multi_gives_a_dict(table):
    table.set("a", 1)
    assert table.get_multi(["a", "b"]) == {"a": 1, "b": None}
    with pytest.raises(ValueError, match="1 and True"):
        table.get_multi(["a", 1, "b", True])


def test_set_many_takes_a_dict_or_pairs(table):
    table.set_many({"a": 1, "b": [2]})
    table.set_many((k, k) for k in (1, "c"))
    table.set_many([(1.0, "float"), (1, "last"), (1, "very last")])
    assert table.get_many(["a", "b", "c", 1, 1.0]) == [
        1,
        [2],
        "c",
        "very last",
        "float",
    ]
    table.set_many([])
    assert len(table) == 5


def test_set_many_is_all_or_nothing(table):
    with pytest.raises(TypeError, match=r"entries\['b'\]\[1\]: a value of type object"):
        table.set_many({"a": 1, "b": [2, object()]})
    with pytest.raises(TypeError, match=r"entries\[1\]\[0\]: "):
        table.set_many([("a", 1), (object(), 2)])
    with pytest.raises(TypeError, match="key and.* value"):
        table.set_many([("a", 1), ("b",)])
    with pytest.raises(TypeError, match="entries must be a dict or pairs.*not int"):
        table.set_many(5)
    assert len(table) == 0


def test_insert_new_many_is_all_or_nothing(table):
    assert table.insert_new_many({"a": 1, "b": 2}) is True
    assert table.insert_new_many({"c": 3, "b": 4}) is False
    assert table.get_many(["a", "b", "c"]) == [1, 2, None]


# -- all of them --------------------------------------------------------------


def test_keys_with_a_prefix_are_in_order(table):
    table.set_many({f"user:{i}": i for i in (3, 1, 2)} | {"other": 0, b"user:4": 4})
    assert table.keys("user:") == ["user:1", "user:2", "user:3"]
    assert table.keys("user:", 2) == ["user:1", "user:2"]
    assert table.keys("user:", limit=0) == []
    assert len(table.keys()) == 5
    with pytest.raises(TypeError, match="prefix must be a str, not int"):
        table.keys(5)
    with pytest.raises(TypeError, match="limit must be an integer"):
        table.keys("user:", "2")
    with pytest.raises(ValueError, match="scan"):
        table.keys(None, 5)


def test_iteration_gives_every_entry_once(table):
    entries = {i: str(i) for i in range(2500)}
    table.set_many(entries)
    assert dict(table.items()) == entries
    assert sorted(table) == sorted(entries)
    pairs = list(table.items(batch=7))
    assert len(pairs) == 2500 and dict(pairs) == entries


def test_scan_gives_a_part_and_where_to_go_on(table):
    table.set_many({i: i for i in range(100)})
    found, place = table.scan(limit=10)
    assert 0 < len(found) < 100
    while place is not None:
        more, place = table.scan(place, 10)
        found += more
    assert sorted(found) == [(i, i) for i in range(100)]
    assert table.scan(limit=10**6)[1] is None


def test_what_stays_during_a_walk_comes_once_whatever_is_written(table):
    kept = {f"kept {i}": i for i in range(500)}
    table.set_many(kept)
    seen = []
    for i, (key, _) in enumerate(table.items(batch=20)):
        seen.append(key)
        table.set(("new", i), i)
        table.delete(("new", i - 3))
        if i > 5000:
            break
    ours = [key for key in seen if key in kept]
    assert sorted(ours) == sorted(kept)


def test_clear_leaves_nothing(table):
    table.set_many({i: i for i in range(100)})
    assert table.clear() is None
    assert len(table) == 0 and list(table) == [] and table.keys() == []


def test_info_says_what_a_table_is_and_holds(make_table):
    table = make_table(kind="ordered_set", max_entries=3, ttl_ms=60_000)
    table.set_many({1: 1, 2: 2, 3: 3, 4: 4})
    info = table.info()
    assert info["name"] == table.name
    assert info["kind"] == "ordered_set" and info["engine"] == "memory"
    assert info["size"] == 3 and info["evicted"] == 1
    assert info["max_entries"] == 3 and info["ttl_ms"] == 60_000


# -- kinds --------------------------------------------------------------------


def test_an_ordered_set_is_in_key_order_and_compares_by_value(make_table):
    table = make_table(kind="ordered_set")
    table.set_many({3: "c", "text": "s", 1: "a", 2.5: "b"})
    assert list(table) == [1, 2.5, 3, "text"]
    table.set(1.0, "float")
    assert table.get(1) == "float" and len(table) == 4


def test_a_bag_holds_several_values_each_once(make_table):
    table = make_table(kind="bag")
    for value in (1, 2, 1, 1.0):
        table.set("k", value)
    assert table.get("k") == [1, 2, 1.0]
    assert table.delete_object("k", 2) == 1
    assert table.delete_object("k", 2) == 0
    assert table.take("k") == [1, 1.0]


def test_a_duplicate_bag_holds_values_as_often_as_they_were_set(make_table):
    table = make_table(kind="duplicate_bag")
    for value in (1, 2, 1):
        table.set("k", value)
    assert table.get("k") == [1, 2, 1] and len(table) == 3
    assert table.delete_object("k", 1) == 2
    assert table.get("k") == [2]


def test_a_bag_has_no_counters_and_swaps(make_table):
    table = make_table(kind="bag")
    for call in (
        lambda: table.incr("k"),
        lambda: table.swap("k", 1),
        lambda: table.compare_and_swap("k", 1, 2),
    ):
        with pytest.raises((TypeError, ValueError, RuntimeError), match="bag"):
            call()


# -- time and room ------------------------------------------------------------


def test_a_key_is_gone_when_its_time_is_over(table, eventually):
    table.set("short", 1, ttl_ms=30)
    table.set("long", 1, ttl_ms=60_000)
    table.set("ever", 1)
    assert 0 < table.left_ms("long") <= 60_000
    assert table.left_ms("ever") == 0
    assert table.left_ms("missing") is None
    eventually(lambda: "short" not in table)
    assert table.get("short") is None and sorted(table) == ["ever", "long"]
    eventually(lambda: table.info()["expired"] == 1)


def test_a_set_without_a_time_takes_the_time_away(table):
    table.set("k", 1, ttl_ms=60_000)
    table.set("k", 2)
    assert table.left_ms("k") == 0


def test_a_counter_keeps_its_time(table):
    table.incr("n", ttl_ms=60_000)
    table.incr("n")
    assert 0 < table.left_ms("n") <= 60_000


def test_a_table_has_a_time_for_all_that_have_none(make_table, eventually):
    table = make_table(ttl_ms=40)
    table.set("default", 1)
    table.set("ever", 1, ttl_ms=0)
    table.insert_new_many({"many": 1})
    eventually(lambda: sorted(table) == ["ever"])


def test_expire_sets_the_time_of_what_is_there(table, eventually):
    table.set("k", 1)
    assert table.expire("k", 60_000) is True
    assert table.left_ms("k") > 0
    assert table.expire("k", 0) is True
    assert table.left_ms("k") == 0
    assert table.expire("missing", 10) is False
    assert table.expire("k", 1) is True
    eventually(lambda: "k" not in table)


@pytest.mark.parametrize("bad", ["5", 1.5, [1]], ids=repr)
def test_a_time_to_live_is_an_integer(table, bad):
    for call in (
        lambda: table.set("k", 1, ttl_ms=bad),
        lambda: table.set_many({"k": 1}, ttl_ms=bad),
        lambda: table.incr("k", ttl_ms=bad),
        lambda: table.expire("k", bad),
    ):
        with pytest.raises(TypeError, match="ttl_ms must be an integer"):
            call()
    with pytest.raises(ValueError, match="negative"):
        table.set("k", 1, ttl_ms=-1)
    assert len(table) == 0


def test_what_was_used_least_recently_makes_room(make_table):
    table = make_table(max_entries=3)
    table.set_many({"a": 1, "b": 2, "c": 3})
    table.get("a")
    table.set("d", 4)
    assert sorted(table) == ["a", "c", "d"]
    assert table.info()["evicted"] == 1


def test_a_bound_in_bytes_holds(make_table):
    table = make_table(max_bytes=100_000)
    for i in range(100):
        table.set(i, b"x" * 10_000)
    assert 5 <= len(table) <= 10
    assert table.info()["bytes"] <= 100_000
    assert 99 in table


# -- declarations -------------------------------------------------------------


def test_two_declarations_that_agree_are_one(name):
    a = tables.table(name, ttl_ms=500, kind="bag")
    b = tables.table(name, kind="bag", ttl_ms=500)
    a.set("k", 1)
    assert b.get("k") == [1] and tables.table(name).get("k") == [1]


def test_two_declarations_that_differ_say_in_what(name):
    tables.table(name, ttl_ms=500)
    with pytest.raises(hornbeam.HornbeamError, match=r"ttl_ms.*500.*600"):
        tables.table(name, ttl_ms=600)


@pytest.mark.parametrize(
    "options, error, words",
    [
        ({"colour": 1}, TypeError, "no option 'colour'; there are: engine, kind"),
        ({"kind": "heap"}, ValueError, "kind can't be 'heap'; there are: set, ord"),
        ({"kind": 5}, TypeError, "kind must be a str, not int"),
        ({"ttl_ms": "5"}, TypeError, "ttl_ms must be an integer, not str"),
        ({"ttl_ms": True}, TypeError, "ttl_ms must be an integer, not bool"),
        ({"max_entries": -1}, ValueError, "max_entries can't be negative"),
        ({"engine": "redis"}, ValueError, "engine can't be 'redis'"),
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_named(name, options, error, words):
    with pytest.raises(error, match=words):
        tables.table(name, **options)


def test_options_of_another_nodes_table_are_declared_there(worker, name):
    with pytest.raises(TypeError, match="this node"):
        tables.table(name, worker, kind="bag")


# -- a table with a home ------------------------------------------------------


def test_a_table_with_a_home_is_used_there(worker, name):
    table = tables.table(name, home=worker)
    assert table.node == worker
    table.set("k", 1)
    assert tables.table(name, worker).get("k") == 1
    assert tables.table(name).get("k") == 1


def test_a_home_that_is_down_is_a_node_error_at_once(name):
    table = tables.table(name, home="nobody@127.0.0.1")
    begun = time.monotonic()
    with pytest.raises(hornbeam.NodeError, match="nobody@127.0.0.1"):
        table.get("k")
    assert time.monotonic() - begun < 4


def test_a_deadline_bounds_a_call_to_another_node(worker, name):
    table = tables.table(name, worker)
    with hornbeam.deadline(0), pytest.raises(hornbeam.HornbeamTimeout):
        table.get("k")


# -- errors -------------------------------------------------------------------


def test_what_can_not_be_stored_is_named(table):
    for call, place in (
        (lambda: table.get(object()), "key: "),
        (lambda: table.set("k", [{"a": object()}]), r"value\[0\]\['a'\]: "),
        (lambda: table.swap("k", object()), "value: "),
        (lambda: table.compare_and_swap("k", object(), 1), "expected: "),
        (lambda: table.get_many(["a", object()]), "keys: "),
        (lambda: table.insert_new(("k", object()), 1), r"key\[1\]: "),
    ):
        with pytest.raises(TypeError, match=f"^{place}a value of type object can't"):
            call()
    assert len(table) == 0


def test_wrong_arguments_say_which(table):
    for call, words in (
        (lambda: table.get(), "needs 'key'"),
        (lambda: table.set("k"), "needs 'value'"),
        (lambda: table.get("k", 1, True), "takes at most 2 arguments by place"),
        (lambda: table.get("k", key="k"), "got 'key' twice"),
        (lambda: table.get("k", fallback=1), "has no parameter 'fallback'"),
        (lambda: table.size(1), "at most 0"),
    ):
        with pytest.raises(TypeError, match=words):
            call()


def test_an_object_that_its_class_has_not_made_is_a_type_error():
    for cls in (tables.Table, _native.Table):
        with pytest.raises(TypeError, match="made"):
            cls.__new__(cls).get("k")


# -- any values, in any order -------------------------------------------------

KEYS = st.one_of(
    st.integers(-2, 2),
    st.floats(-1, 1, width=16),
    st.booleans(),
    st.text("ab", max_size=2),
    st.binary(max_size=1),
    st.none(),
    st.tuples(st.integers(0, 1)),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda x: st.lists(x, max_size=3)
    | st.tuples(x, x)
    | st.dictionaries(st.text(max_size=3), x, max_size=3),
    max_leaves=8,
)


def exact(x):
    """What tells two values apart as terms do."""
    return repr(x)


@settings(max_examples=60, deadline=None, print_blob=True)
@given(st.lists(st.tuples(KEYS, VALUES), max_size=20))
def test_what_is_set_comes_back(worker_or_none, pairs):
    for node in worker_or_none:
        table = tables.table("what is set", node)
        table.clear()
        table.set_many(pairs)
        model = {exact(k): (k, v) for k, v in pairs}
        found = table.get_many([k for k, _ in model.values()])
        note(f"{node}: {found}")
        assert [exact(x) for x in found] == [exact(v) for _, v in model.values()]
        assert {exact(k): exact(v) for k, v in table.items()} == {
            k: exact(v) for k, (_, v) in model.items()
        }
        assert len(table) == len(model)


@pytest.fixture(scope="module")
def worker_or_none(_worker):
    return [None, _worker]
