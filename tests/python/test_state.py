"""Shared state: `state_*` and tables, here and of another node."""

import threading

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

import hornbeam
import hornbeam_erlang as erlang
from hornbeam import _native, tables


@pytest.fixture(autouse=True)
def clean_state():
    tables.table("state").clear()


# -- get, set, delete ---------------------------------------------------------


def test_a_missing_key_is_none_or_the_default():
    marker = object()
    assert erlang.state_get("missing") is None
    assert erlang.state_get("missing", marker) is marker
    assert erlang.state_get("missing", default=5) == 5


def test_a_default_tells_a_stored_none_from_a_missing_key():
    erlang.state_set("none", None)
    assert erlang.state_get("none", "missing") is None


def test_set_replaces_and_returns_none():
    assert erlang.state_set("k", 1) is None
    assert erlang.state_set("k", "two") is None
    assert erlang.state_get("k") == "two"


def test_delete_returns_none_even_for_a_missing_key():
    erlang.state_set("k", 1)
    assert erlang.state_delete("k") is None
    assert erlang.state_delete("k") is None
    assert erlang.state_get("k") is None


def test_what_is_stored_is_a_copy():
    value = {"items": [1]}
    erlang.state_set("copy", value)
    value["items"].append(2)
    erlang.state_get("copy")["items"].append(3)
    assert erlang.state_get("copy") == {"items": [1]}


# -- keys are any terms, and exact --------------------------------------------


def test_keys_are_exact():
    keys = [1, 1.0, True, "k", b"k", "1", (1,), [1], None, 0.0, -0.0, False, 0, ""]
    for i, key in enumerate(keys):
        erlang.state_set(key, i)
    assert len(erlang.state_keys()) == len(keys)
    for i, key in enumerate(keys):
        assert erlang.state_get(key) == i, key


@pytest.mark.parametrize(
    "key",
    [
        [1, [2, {"a": b"b"}]],
        {"a": 1, "b": [2]},
        {1, 2},
        ("user", 5),
        frozenset({1}),
        10**10000,
        bytearray(b"x"),
        1.5j,
        hornbeam.Atom("ok"),
    ],
    ids=lambda x: type(x).__name__,
)
def test_any_term_is_a_key(key):
    erlang.state_set(key, "found")
    assert erlang.state_get(key) == "found"
    assert erlang.state_keys() == [key]
    erlang.state_delete(key)
    assert erlang.state_get(key) is None


def test_the_order_of_a_dict_or_set_does_not_matter_in_a_key():
    erlang.state_set({"a": 1, "b": 2}, "dict")
    assert erlang.state_get({"b": 2, "a": 1}) == "dict"
    erlang.state_set({*range(50)}, "set")
    assert erlang.state_get({*reversed(range(50))}) == "set"


def test_subclasses_of_plain_types_are_the_same_key():
    class Name(str):
        pass

    erlang.state_set(Name("k"), 1)
    assert erlang.state_get("k") == 1
    assert type(erlang.state_keys()[0]) is str


def test_state_keys_with_a_prefix_gives_string_keys_only():
    for key in ("user:1", "user:", "use", b"user:2", ("user:3",), "User:4"):
        erlang.state_set(key, 1)
    assert sorted(erlang.state_keys("user:")) == ["user:", "user:1"]
    assert len(erlang.state_keys()) == 6
    assert len(erlang.state_keys(None)) == 6
    assert sorted(erlang.state_keys("")) == ["User:4", "use", "user:", "user:1"]
    assert erlang.state_keys("nobody") == []


# -- several keys at once -----------------------------------------------------


def test_get_multi_of_none_is_empty_and_of_a_generator_works():
    assert erlang.state_get_multi([]) == {}
    erlang.state_set(2, "two")
    assert erlang.state_get_multi(x for x in (1, 2)) == {1: None, 2: "two"}


def test_get_multi_of_a_key_that_is_asked_twice():
    erlang.state_set("k", 1)
    assert erlang.state_get_multi(["k", "k"]) == {"k": 1}


def test_get_multi_takes_only_hashable_keys():
    with pytest.raises(TypeError, match="unhashable"):
        erlang.state_get_multi(["a", [1]])


@pytest.mark.parametrize(
    "a, b", [(1, True), (1, 1.0), (0.0, -0.0), ((1,), (True,)), (0, False)]
)
def test_get_multi_names_two_keys_that_a_dict_cannot_tell_apart(a, b):
    with pytest.raises(ValueError) as e:
        erlang.state_get_multi([a, b])
    assert repr(a) in str(e.value) and repr(b) in str(e.value)


# -- counters -----------------------------------------------------------------


def test_counters_start_at_zero():
    assert erlang.state_incr("up") == 1
    assert erlang.state_decr("down") == -1
    assert erlang.state_incr("zero", 0) == 0
    assert erlang.state_get("zero") == 0


def test_incr_and_decr_are_opposites():
    assert erlang.state_incr("n", 10) == 10
    assert erlang.state_decr("n", 3) == 7
    assert erlang.state_incr("n", -7) == 0
    assert erlang.state_decr("n", -5) == 5


def test_counters_have_no_upper_limit():
    for edge in (2**31, 2**63, 2**64, 10**9999):
        erlang.state_set("big", edge - 1)
        assert erlang.state_incr("big") == edge
        assert erlang.state_decr("big", 2 * edge) == -edge
        assert erlang.state_decr("big") == -edge - 1
        assert erlang.state_get("big") == -edge - 1


def test_a_counter_that_was_big_is_an_ordinary_key_again():
    erlang.state_set("n", 2**63)
    n = erlang.state_decr("n")
    erlang.state_set(n, "by number")
    assert erlang.state_get(2**63 - 1) == "by number"


@pytest.mark.parametrize("value", ["text", 1.0, True, None, [1], b"1"], ids=repr)
@pytest.mark.parametrize("operation", [erlang.state_incr, erlang.state_decr])
def test_to_count_what_is_no_integer_is_a_type_error(operation, value):
    erlang.state_set("k", value)
    with pytest.raises(TypeError):
        operation("k")
    assert erlang.state_get("k") == value
    assert type(erlang.state_get("k")) is type(value)


@pytest.mark.parametrize("delta", ["1", 1.0, True, None, [1], b"1"], ids=repr)
@pytest.mark.parametrize("operation", [erlang.state_incr, erlang.state_decr])
def test_to_count_by_what_is_no_integer_is_a_type_error(operation, delta):
    erlang.state_set("k", 5)
    with pytest.raises(TypeError, match="delta"):
        operation("k", delta)
    assert erlang.state_get("k") == 5
    with pytest.raises(TypeError, match="delta"):
        operation("new", delta)
    assert "new" not in erlang.state_keys()


def test_threads_lose_no_count():
    start = threading.Barrier(8)

    def count():
        start.wait()
        for _ in range(2000):
            erlang.state_incr("shared")

    threads = [threading.Thread(target=count) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert erlang.state_get("shared") == 16000


def test_threads_that_read_see_whole_values():
    end = threading.Event()
    seen = []

    def read():
        while not end.is_set():
            seen.append(erlang.state_get("pair", (0, 0)))

    readers = [threading.Thread(target=read) for _ in range(4)]
    for t in readers:
        t.start()
    for i in range(2000):
        erlang.state_set("pair", (i, -i))
    end.set()
    for t in readers:
        t.join()
    assert all(a == -b for a, b in seen)


# -- tables, here and there ---------------------------------------------------


@pytest.fixture(params=["here", "there"])
def table(request, worker, name):
    if request.param == "there":
        erlang.rpc_call(worker, "services", "make_table", [name])
    found = tables.table(name, worker if request.param == "there" else None)
    yield found
    found.clear()


def test_the_default_table_is_the_one_named_state():
    erlang.state_set("k", 1)
    assert tables.table("state").get("k") == 1


def test_tables_of_different_names_share_nothing():
    a, b = tables.table("name a"), tables.table("name b")
    a.set("k", 1)
    assert b.get("k") is None
    assert erlang.state_get("k") is None
    a.clear()


def test_a_table_of_this_node_by_its_name_is_the_local_one():
    erlang.state_set("k", 1)
    assert tables.table("state", erlang.node()).get("k") == 1


def test_the_state_of_another_node_is_seen_there(worker):
    tables.table("state", worker).set("seen", [1])
    assert erlang.rpc_call(worker, "services", "state_get", ["seen"]) == [1]
    assert erlang.state_get("seen") is None


def test_a_table_of_another_node_is_made_when_it_is_first_asked_for(worker):
    assert tables.table("not made yet", worker).get("k", "nothing") == "nothing"


def test_every_operation_of_a_table_works_here_and_there(table):
    assert table.get("k") is None
    assert table.get("k", "default") == "default"
    assert not table.contains("k")
    table.set("k", None)
    assert table.contains("k")
    assert table.get("k", "default") is None
    assert table.insert_new("k", 1) is False
    assert table.insert_new("new", 1) is True
    assert table.get("new") == 1
    assert table.take("new") == 1
    assert table.take("new", "gone") == "gone"
    assert table.delete("k") is True
    assert table.delete("k") is False
    assert table.incr("n") == 1
    assert table.incr("n", 10**30) == 10**30 + 1
    table.set("m", [1])
    assert table.get_multi(["n", "m", "x"]) == {"n": 10**30 + 1, "m": [1], "x": None}
    table.set(5, 5)
    assert sorted(table.keys("")) == ["m", "n"]
    assert len(table.keys()) == table.size() == 3
    table.clear()
    assert table.size() == 0


def test_a_wrong_counter_is_a_type_error_here_and_there(table):
    table.set("k", "text")
    with pytest.raises((TypeError, RuntimeError), match="integer"):
        table.incr("k")
    assert table.get("k") == "text"


def test_one_of_many_takes_a_key(table):
    table.set("job", 1)
    start = threading.Barrier(4)
    taken = []

    def take():
        start.wait()
        if table.take("job") is not None:
            taken.append(1)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(taken) == 1


class ThroughActor:
    """A table of this node, asked as another node asks it."""

    def __init__(self, name):
        self.name = name

    def ask(self, operation, *args):
        return _native.request(
            erlang.node(), "table:" + self.name, operation, args, 5000, 1
        )

    def __getattr__(self, operation):
        return lambda *args: self.ask(operation, *args)

    def get(self, key):
        return (self.ask("get", key) + [None])[0]

    def take(self, key):
        return (self.ask("take", key) + [None])[0]


KEYS = st.one_of(
    st.integers(-2, 2), st.floats(-1, 1, width=16), st.booleans(), st.sampled_from("ab")
)
OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["set", "delete", "incr", "take", "insert_new"]),
        KEYS,
        st.integers(-(2**70), 2**70),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None, print_blob=True)
@given(OPERATIONS)
def test_the_direct_way_and_the_actor_agree(operations):
    """The model of both: a dict whose keys know their types."""
    local = tables.table("model")
    tables.table("model through its actor")
    actor = ThroughActor("model through its actor")
    local.clear()
    actor.clear()
    model = {}
    for operation, key, value in operations:
        exact = (type(key), repr(key))
        expected = {
            "set": lambda: None,
            "delete": lambda: exact in model,
            "incr": lambda: model.get(exact, 0) + value,
            "take": lambda: model.get(exact),
            "insert_new": lambda: exact not in model,
        }[operation]()
        args = (key,) if operation in ("delete", "take") else (key, value)
        for table in (local, actor):
            found = getattr(table, operation)(*args)
            note(f"{operation}{args} -> {found}")
            assert found == expected
        if operation in ("delete", "take"):
            model.pop(exact, None)
        elif operation == "incr":
            model[exact] = expected
        elif operation == "set" or expected:
            model[exact] = value
    for table in (local, actor):
        found = {(type(k), repr(k)): table.get(k) for k in table.keys()}
        assert found == model
