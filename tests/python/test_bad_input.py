"""Whatever is handed in, it works or raises an error that names the culprit:
nothing crashes, hangs, prints a C++ stack or changes the tables."""

import math
import time

import pytest

import hornbeam
import hornbeam_erlang as erlang
import hornbeam_ml


class Strange:
    def __repr__(self):
        raise RuntimeError("no repr")


class Liar:
    """Claims to be hashable, and is none of our types."""

    def __hash__(self):
        return 5

    def __eq__(self, other):
        raise RuntimeError("do not compare me")


def cycle():
    x = [1]
    x.append({"again": x})
    return x


def nested(depth):
    x = 1
    for _ in range(depth):
        x = [x]
    return x


UNSUPPORTED = {
    "object": object(),
    "function": len,
    "lambda": lambda: 0,
    "module": math,
    "class": int,
    "generator": (x for x in ()),
    "range": range(5),
    "memoryview": memoryview(b"x"),
    "file": open("/dev/null"),
    "ellipsis": ...,
    "strange": Strange(),
    "liar": Liar(),
    "iterator": iter([1]),
}


@pytest.fixture(autouse=True)
def unchanged():
    """The state is the same before and after each test of an error."""
    table = hornbeam.tables.table("state")
    table.clear()
    table.set("kept", [1])
    yield
    assert table.get("kept") == [1]


@pytest.mark.parametrize("x", UNSUPPORTED.values(), ids=UNSUPPORTED)
@pytest.mark.parametrize(
    "wrap, place",
    [
        (lambda x: x, "value"),
        (lambda x: [0, x], "value[1]"),
        (lambda x: {"user": {"model": (x,)}}, "value['user']['model'][0]"),
    ],
    ids=["bare", "in a list", "nested"],
)
def test_an_unsupported_value_is_a_type_error_that_names_its_place(x, wrap, place):
    with pytest.raises(TypeError) as e:
        erlang.state_set("new", wrap(x))
    assert str(e.value).startswith(place + ": ")
    assert type(x).__name__ in str(e.value)
    assert erlang.state_keys() == ["kept"]


@pytest.mark.parametrize("x", UNSUPPORTED.values(), ids=UNSUPPORTED)
@pytest.mark.parametrize(
    "call",
    [
        lambda x: erlang.state_get(x),
        lambda x: erlang.state_set(x, 1),
        lambda x: erlang.state_delete(x),
        lambda x: erlang.state_incr(x),
        lambda x: erlang.state_decr(x),
        lambda x: erlang.state_get_multi(["kept", x]),
        lambda x: erlang.state_incr("kept", x),
    ],
    ids="get set delete incr decr get_multi delta".split(),
)
def test_an_unsupported_key_is_a_type_error(x, call):
    with pytest.raises(TypeError) as e:
        call(x)
    assert type(x).__name__ in str(e.value)
    assert erlang.state_keys() == ["kept"]


def test_a_long_key_in_a_place_is_cut_between_characters():
    for length in range(30, 45):
        with pytest.raises(TypeError, match="object"):
            erlang.state_set("new", {"ü" * length: object()})
        with pytest.raises(TypeError, match="object"):
            erlang.state_set("new", {"a" + "\U0001f600" * length: object()})
    with pytest.raises(TypeError, match="object"):
        erlang.state_set("new", {"\ud800": object()})
    with pytest.raises(TypeError, match="object"):
        erlang.state_set("new", {10**10000: object()})


@pytest.mark.parametrize("call", [erlang.state_get, lambda x: erlang.state_set("n", x)])
def test_a_cycle_is_a_value_error(call):
    with pytest.raises(ValueError, match="contains itself"):
        call(cycle())


@pytest.mark.parametrize("depth", [600, 10_000, 100_000])
def test_values_nested_too_deep_are_a_value_error(depth):
    value = nested(depth)
    for call in (
        lambda: erlang.state_set("new", value),
        lambda: erlang.publish("topic", value),
        lambda: hornbeam_ml.cached_inference(len, value),
    ):
        with pytest.raises(ValueError, match="deep"):
            call()
    assert erlang.state_keys() == ["kept"]
    while isinstance(value, list):  # Python's own destructor would recurse
        value = value[0]


def test_what_can_be_stored_can_be_sent_or_is_refused_as_too_deep(worker):
    """The arguments around a value are a few levels more."""
    for depth in range(495, 513):
        value = nested(depth)
        try:
            erlang.state_set("deep", value)
        except ValueError:
            continue
        assert erlang.state_get("deep") == value
        for call, expected in (
            (lambda: erlang.rpc_call(worker, "services", "echo", [value]), value),
            (lambda: erlang.execute("there", "echo", value), [[value], {}]),
        ):
            try:
                assert call() == expected, depth
            except (ValueError, RuntimeError) as e:
                assert depth > 500 and "deep" in str(e), depth
            assert worker in erlang.nodes(), depth


def test_nan_is_a_key_and_a_value():
    erlang.state_set(math.nan, math.nan)
    assert math.isnan(erlang.state_get(math.nan))
    assert erlang.state_get(float("nan")) is not None
    erlang.state_delete(math.nan)
    assert erlang.state_keys() == ["kept"]


def test_integers_of_10_000_digits_are_keys_values_and_counters(worker):
    big = 10**10000 + 7
    erlang.state_set(big, -big)
    assert erlang.state_get(big) == -big
    assert erlang.state_incr(big, 2 * big) == big
    assert erlang.rpc_call(worker, "services", "add", [big, -big, 5]) == 5


def test_surrogates_are_fine_everywhere(worker):
    bad = "\ud800 \udfff"
    erlang.state_set(bad, bad)
    assert erlang.state_get(bad) == bad
    assert erlang.state_keys("\ud800") == [bad]
    assert erlang.rpc_call(worker, "services", "echo", [bad]) == bad
    erlang.register_hook(bad, lambda action, **k: [action, k])
    assert erlang.execute(bad, bad, **{bad: bad}) == [bad, {bad: bad}]
    assert bad in hornbeam.hooks.names()
    erlang.unregister_hook(bad)
    erlang.register_function(bad, lambda: bad)
    assert erlang.call(bad) == bad
    erlang.unregister_function(bad)
    assert erlang.publish(bad, bad) == 0
    assert erlang.cast(bad) is None
    assert hornbeam.tables.table(bad).get(bad) is None
    for call in (
        lambda: erlang.execute(bad, "x"),
        lambda: erlang.execute("there", bad),
        lambda: erlang.call(bad),
        lambda: erlang.execute_async(bad, "x"),
        lambda: next(erlang.stream(bad, "x")),
        lambda: erlang.await_result(bad),
        lambda: erlang.rpc_call(worker, bad, "f", []),
        lambda: erlang.rpc_call(worker, "services", bad, []),
    ):
        with pytest.raises(LookupError):
            call()


def test_a_value_of_256_mib(worker):
    """It is stored; to another node it goes, or is refused with an error."""
    value = bytes(256 * 1024 * 1024)
    erlang.state_set("large", value)
    assert len(erlang.state_get("large")) == len(value)
    try:
        found = erlang.rpc_call(worker, "services", "length", [value], 60000)
        assert found == len(value)
    except (RuntimeError, ValueError) as e:
        assert "bytes" in str(e)
    erlang.state_delete("large")
    assert erlang.rpc_call(worker, "services", "add", [1]) == 1


NODE_NAMES = ["", "@", "a@", "@b", "a b@c", "a@b c", "\ud800", "a@b@c", "x" * 100_000]


@pytest.mark.parametrize("name", NODE_NAMES, ids=lambda x: repr(x[:10]))
@pytest.mark.parametrize(
    "call",
    [
        lambda n: erlang.rpc_call(n, "m", "f", [], timeout_ms=500),
        lambda n: hornbeam.cluster.connect(n, 500),
        lambda n: hornbeam.tables.table("t", n).get("k"),
    ],
    ids=["rpc_call", "connect", "table"],
)
def test_what_is_no_name_of_a_node_is_an_error_that_names_it(name, call):
    with pytest.raises((ValueError, RuntimeError)) as e:
        call(name)
    assert "node" in str(e.value)


@pytest.mark.parametrize("bad", [None, 5, b"a@b", ["a@b"], 1.5], ids=repr)
def test_names_of_a_wrong_type_are_type_errors(worker, bad):
    for call in (
        lambda: erlang.rpc_call(bad, "m", "f", []),
        lambda: erlang.rpc_call(worker, bad, "f", []),
        lambda: erlang.rpc_call(worker, "m", bad, []),
        lambda: erlang.rpc_cast(bad, "m", "f", []),
        lambda: erlang.rpc_cast(worker, bad, "f", []),
        lambda: erlang.execute(bad, "x"),
        lambda: erlang.execute("there", bad),
        lambda: erlang.execute_async(bad, "x"),
        lambda: erlang.execute_async("there", bad),
        lambda: erlang.stream(bad, "x"),
        lambda: erlang.call(bad),
        lambda: erlang.cast(bad),
        lambda: erlang.register_hook(bad, print),
        lambda: erlang.unregister_hook(bad),
        lambda: erlang.register_function(bad, print),
        lambda: erlang.unregister_function(bad),
        lambda: erlang.publish(bad, 1),
        lambda: erlang.subscribe(bad),
        lambda: erlang.unsubscribe(bad),
        lambda: erlang.await_result(bad),
        lambda: erlang.ping(bad),
        lambda: hornbeam.cluster.connect(bad),
        lambda: hornbeam.cluster.disconnect(bad),
        lambda: hornbeam.pubsub.subscribers(bad),
        lambda: hornbeam.tables.table(bad),
    ):
        with pytest.raises(TypeError) as e:
            call()
        assert "must be a str" in str(e.value) or type(bad).__name__ in str(e.value)
        assert "incompatible function arguments" not in str(e.value)


@pytest.mark.parametrize("args", [None, 5, "text", b"x", {"a": 1}, {1}], ids=repr)
def test_rpc_arguments_are_a_list(worker, args):
    for f in (erlang.rpc_call, erlang.rpc_cast):
        with pytest.raises(TypeError, match="args"):
            f(worker, "services", "echo", args)


@pytest.mark.parametrize("timeout", ["5", b"5", [5], {}, True, 1j], ids=repr)
def test_a_timeout_of_a_wrong_type_is_a_type_error(worker, name, timeout):
    erlang.register_hook(name, lambda action: 5)
    task = erlang.execute_async(name, "x")
    there = erlang.execute_async("there", "echo")
    for call in (
        lambda: erlang.await_result(task, timeout),
        lambda: erlang.await_result(there, timeout),
        lambda: erlang.rpc_call(worker, "services", "add", [], timeout),
        lambda: erlang.receive_pubsub(timeout),
        lambda: erlang.receive_pubsub(timeout_ms=timeout),
    ):
        with pytest.raises(TypeError, match="timeout|number"):
            call()


def test_a_timeout_may_be_huge_but_not_nan(worker, name):
    erlang.register_hook(name, lambda action: 5)
    task = erlang.execute_async(name, "x")
    for timeout in (2**31, 2**63, 2**64, 10**400, 1e300, math.inf):
        assert erlang.await_result(task, timeout) == 5
        assert erlang.rpc_call(worker, "services", "add", [1], timeout) == 1
    with pytest.raises(ValueError, match="NaN"):
        erlang.await_result(task, math.nan)
    with pytest.raises(ValueError, match="NaN"):
        erlang.rpc_call(worker, "services", "add", [1], math.nan)


@pytest.mark.parametrize("timeout", [0, -1, -(10**400), -math.inf, -0.5])
def test_a_timeout_that_is_over_is_a_timeout_at_once(worker, timeout):
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        erlang.rpc_call(worker, "services", "slow", [], timeout)
    assert erlang.receive_pubsub(timeout) is None
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize("prefix", [5, b"user:", ["a"], 1.5], ids=repr)
def test_a_prefix_is_a_str(prefix):
    with pytest.raises(TypeError, match="prefix must be a str"):
        erlang.state_keys(prefix)


@pytest.mark.parametrize("keys", [None, 5, 1.5], ids=repr)
def test_several_keys_are_a_list(keys):
    with pytest.raises(TypeError):
        erlang.state_get_multi(keys)


def test_wrong_numbers_of_arguments_are_type_errors():
    for call in (
        lambda: erlang.state_get(),
        lambda: erlang.state_set("k"),
        lambda: erlang.state_incr("k", 1, 2),
        lambda: erlang.state_keys("a", "b"),
        lambda: erlang.execute("there"),
        lambda: erlang.publish("topic"),
        lambda: erlang.call(),
        lambda: erlang.rpc_call("a@b"),
        lambda: erlang.node(5),
    ):
        with pytest.raises(TypeError):
            call()


@pytest.mark.parametrize("name", [""])
def test_an_empty_name_of_a_handler_is_a_value_error(name):
    with pytest.raises(ValueError, match="empty"):
        erlang.register_hook(name, print)
    with pytest.raises(ValueError, match="empty"):
        erlang.register_function(name, print)


def test_marks_that_nobody_made_are_type_errors():
    for cls in (hornbeam.Pid, hornbeam.Ref):
        for fields in ((5, 1, 2), ("a@b", "x", 2), ("a@b", 1, -2), ("a@b", 2**64, 1)):
            with pytest.raises(TypeError):
                erlang.state_set("new", cls(*fields))


@pytest.mark.parametrize("wrong", ["x", 5, None, 1.5], ids=repr)
@pytest.mark.parametrize(
    "call, what",
    [
        (hornbeam.process.trap_exit, "on must be a bool"),
        (hornbeam.process.monitor_nodes, "on must be a bool"),
        (hornbeam.process.alias, "once must be a bool"),
        (hornbeam.process.demonitor, "a monitor must be a Ref"),
        (hornbeam.process.cancel_timer, "a timer must be a Ref"),
        (lambda x: hornbeam.groups.join("g", [x]), "members of a group are Pids"),
        (
            lambda x: hornbeam.groups.join("g", x or 5),
            "members of a group are Pids",
        ),
        (lambda x: hornbeam.tables.table("t").unwatch(x), "a watch must be a Watch"),
    ],
)
def test_what_is_of_a_wrong_type_is_named(call, what, wrong):
    with pytest.raises(TypeError, match=what):
        call(wrong)


@pytest.mark.parametrize(
    "opaque",
    [
        hornbeam.Opaque(5, 1),
        hornbeam.Opaque(None, 1),
        hornbeam.Opaque("ndarray", 5),
        hornbeam.Opaque("ndarray", (1, 2, 3)),
        hornbeam.Opaque("tests.x", object()),
    ],
    ids=["a number as tag", "no tag", "no array", "half an array", "an object"],
)
def test_opaque_values_that_make_no_sense_are_refused(opaque):
    with pytest.raises((TypeError, ValueError)):
        erlang.state_set("new", opaque)
    assert erlang.state_keys() == ["kept"]


def test_a_converter_that_raises_is_reported_or_leaves_an_opaque(name):
    class Thing:
        pass

    def broken(x):
        raise ValueError("bad \ud800 thing")

    hornbeam.register_type(Thing, name, broken, broken)
    with pytest.raises(ValueError, match="thing"):
        erlang.state_set("new", [Thing()])
    hornbeam.register_type(Thing, name, lambda x: 1, broken)
    erlang.state_set("thing", Thing())
    assert erlang.state_get("thing") == hornbeam.Opaque(name, 1)


def test_a_dict_that_changes_while_it_is_read_crashes_nothing(name):
    class Thing:
        pass

    data = {}

    def convert(x):
        data[len(data)] = 1
        return 1

    hornbeam.register_type(Thing, name, convert, lambda x: x)
    data.update({"a": Thing(), "b": Thing()})
    with pytest.raises(ValueError, match="changed"):
        erlang.state_set("new", data)
    assert erlang.state_keys() == ["kept"]


def test_no_error_prints_anything(worker, capfd):
    for call in (
        lambda: erlang.state_set("new", object()),
        lambda: erlang.rpc_call("nobody@127.0.0.1", "m", "f", []),
        lambda: erlang.rpc_call(worker, "services", "fail", []),
        lambda: erlang.execute("no such hook", "x"),
        lambda: erlang.await_result("x"),
    ):
        with pytest.raises(Exception):
            call()
    found = capfd.readouterr()
    assert found.out == found.err == ""
