"""Values come back as they were, from a table and from another node."""

import collections
import copy
import datetime
import decimal
import enum
import math
import pickle
import struct
import sys
import threading
import types
import uuid
import zoneinfo

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hornbeam
import hornbeam_erlang as erlang
from hornbeam import Atom, Opaque


class Color(enum.Enum):
    RED = 1
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1


class Word(str, enum.Enum):
    YES = "yes"


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __eq__(self, other):
        return type(other) is Point and (self.x, self.y) == (other.x, other.y)

    __hash__ = None


hornbeam.register_type(Point, "tests.Point", lambda p: [p.x, p.y], lambda x: Point(*x))


def same(a, b):
    """Equal in every type, sign and bit, all the way down."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b) or a != a and b != b
    if isinstance(a, complex):
        return same(a.real, b.real) and same(a.imag, b.imag)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return len(a) == len(b) and all(
            same(k, l) and same(a[k], b[l]) for k, l in zip(a, b)
        )
    if isinstance(a, (set, frozenset)):
        return len(a) == len(b) and all(any(same(x, y) for y in b) for x in a)
    if isinstance(a, numpy.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, decimal.Decimal):
        return a.as_tuple() == b.as_tuple()
    return a == b


def through_table(x):
    erlang.state_set("value", x)
    return erlang.state_get("value")


@pytest.fixture(params=["table", "node"])
def trip(request):
    if request.param == "table":
        return through_table
    worker = request.getfixturevalue("worker")
    return lambda x: erlang.rpc_call(worker, "services", "echo", [x])


ZONE = zoneinfo.ZoneInfo("Europe/Berlin")
PLAIN = {
    "none": None,
    "booleans": [True, False],
    "small integers": [0, 1, -1, 127, 128, -128, -129],
    "64-bit edges": [2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64, 2**64 - 1],
    "10,000 digits": [10**9999, -(10**9999) + 1],
    "floats": [0.0, -0.0, 0.1, 5e-324, 1.7976931348623157e308],
    "infinities": [math.inf, -math.inf],
    "nan": math.nan,
    "text": ["", "a", "ü", "\U0001f600", "\0", "a\0b", "x" * 100_000],
    "surrogates": ["\ud800", "a\udfffb", "\udc80\udcff"],
    "bytes": [b"", b"\0\xff", bytes(range(256))],
    "containers": [[], (), {}, set(), [[]], ((),), {"a": {}}, ([1], (2,), {3})],
    "keys": {1: "int", "1": "str", b"1": "bytes", (1, "x"): "tuple", None: "none"},
    "order of a dict": {"z": 1, "a": 2, "m": 3},
    "mixed set": {1, "1", b"1", (1,), None, 2.5},
    "bytearray": bytearray(b"\0x"),
    "frozenset": frozenset({1, frozenset({2})}),
    "sets of frozensets": {frozenset({1}), frozenset()},
    "complex": [1j, complex(-0.0, math.inf), complex(0.1, -2)],
    "decimals": [decimal.Decimal(x) for x in "0.10 -0 1E+500 NaN -Infinity".split()],
    "uuid": uuid.UUID(int=2**128 - 5),
    "dates": [datetime.date.min, datetime.date.max, datetime.date(2026, 2, 28)],
    "timedeltas": [datetime.timedelta.min, datetime.timedelta(0, -1, 5)],
    "times": [datetime.time(1, 2, 3, 4), datetime.time(1, fold=1)],
    "naive datetime": datetime.datetime(2026, 1, 2, 3, 4, 5, 678901),
    "datetime extremes": [datetime.datetime.min, datetime.datetime.max],
    "atom": [Atom("ok"), Atom("")],
    "enums": [Color.RED, Color.BLUE, Level.LOW, Word.YES],
    "registered": [Point(1, [2]), Point("a", None)],
    "deep": [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]],
}


@pytest.mark.parametrize("value", PLAIN.values(), ids=PLAIN)
def test_a_value_comes_back_as_it_was(trip, value):
    assert same(trip(value), value)


FLAGS = [Access.READ, Access.READ | Access.WRITE, Access(0)]


@pytest.mark.parametrize("flag", FLAGS, ids=repr)
def test_flags_come_back_whole(flag):
    assert through_table(flag) is flag


@pytest.mark.parametrize(
    "zone",
    [
        datetime.timezone.utc,
        datetime.timezone(datetime.timedelta(hours=-5, minutes=-30)),
        datetime.timezone(datetime.timedelta(seconds=1, microseconds=5)),
        ZONE,
    ],
    ids=str,
)
def test_datetimes_keep_their_zones(trip, zone):
    for fold in (0, 1):
        value = datetime.datetime(2026, 10, 25, 2, 30, 0, 1, zone, fold=fold)
        found = trip(value)
        assert found.replace(tzinfo=None) == value.replace(tzinfo=None)
        assert found.fold == fold
        assert found.utcoffset() == value.utcoffset()
        assert found.tzinfo == zone


DTYPES = "? i1 u1 i2 >i2 u2 i4 i8 >i8 u8 f2 f4 f8 >f8 c8 c16".split()
DTYPES += ["U5", "S5", "M8[ns]", "m8[us]"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_keep_dtype_shape_and_content(trip, dtype):
    base = numpy.arange(24).astype("i8")
    array = (base % 2 == 0) if dtype == "?" else base.astype(dtype)
    for shaped in (
        array,
        array.reshape(2, 3, 4),
        array.reshape(4, 6).T,
        array.reshape(4, 6)[::2, ::-2],
        array[:0],
        array[:1].reshape(()),
        array.reshape(2, 0 + 12)[:, :0],
        numpy.broadcast_to(array[:3], (2, 3)),
    ):
        found = trip(shaped)
        assert same(found, numpy.ascontiguousarray(shaped).reshape(shaped.shape))
        if found.size and found.ndim:
            found[...] = found  # it can be written to


@pytest.mark.parametrize(
    "scalar, plain",
    [
        (numpy.int8(-5), -5),
        (numpy.uint64(2**64 - 1), 2**64 - 1),
        (numpy.float32(0.5), 0.5),
        (numpy.float64(0.1), 0.1),
        (numpy.bool_(True), True),
        (numpy.str_("a"), "a"),
        (numpy.bytes_(b"a"), b"a"),
        (numpy.complex64(1j), 1j),
    ],
    ids=lambda x: type(x).__name__,
)
def test_numpy_scalars_become_plain_values(trip, scalar, plain):
    assert same(trip(scalar), plain)


@pytest.mark.parametrize(
    "array",
    [
        numpy.array([object()], dtype=object),
        numpy.zeros(2, [("a", "i4"), ("b", "f8")]),
        numpy.zeros(2, "V8"),
        numpy.zeros(2, [("a", "i4")])[0],
        numpy.datetime64("2026-01-02T03:04:05.000000001"),
        numpy.timedelta64(5, "ns"),
        numpy.longdouble(1),
    ],
    ids=lambda x: str(x.dtype),
)
def test_numpy_values_that_would_change_are_refused(array):
    erlang.state_set("value", "before")
    with pytest.raises(TypeError, match="can't be"):
        erlang.state_set("value", array)
    assert erlang.state_get("value") == "before"


def test_subclasses_of_plain_types_become_those(trip):
    Pair = collections.namedtuple("Pair", "a b")
    assert same(trip(Pair(1, 2)), (1, 2))
    assert same(trip(collections.OrderedDict(b=1, a=2)), {"b": 1, "a": 2})
    assert same(trip(collections.Counter("aab")), {"a": 2, "b": 1})
    assert same(trip(type("Text", (str,), {})("x")), "x")
    assert same(trip(type("Number", (int,), {})(5)), 5)


def test_atoms_equal_their_text_but_are_other_keys(trip):
    found = trip(Atom("ok"))
    assert type(found) is Atom and found == "ok"
    erlang.state_set(Atom("an atom"), 1)
    assert erlang.state_get("an atom") is None
    assert erlang.state_get(Atom("an atom")) == 1


def test_pids_and_references_come_back(trip):
    for value in (hornbeam.self(), hornbeam.make_ref()):
        assert same(trip(value), value)
        assert hash(trip(value)) == hash(value)


def test_a_tag_that_nobody_knows_is_opaque(trip):
    value = Opaque("tests.unknown", [1, {"a": b"b"}])
    assert same(trip(value), value)


def test_a_registered_type_is_opaque_there_and_itself_again_here(worker):
    seen = erlang.rpc_call(worker, "services", "describe", [Point(1, 2)])
    assert "Opaque" in seen and "tests.Point" in seen


def test_an_enum_that_is_not_imported_there_is_opaque_there(worker):
    seen = erlang.rpc_call(worker, "services", "describe", [Color.RED])
    assert "Opaque" in seen and "Color" in seen and "RED" in seen


def test_a_type_that_was_registered_again_is_converted_the_new_way():
    class Thing:
        pass

    hornbeam.register_type(Thing, "tests.Thing", lambda x: 1, lambda x: ("first", x))
    assert through_table(Thing()) == ("first", 1)
    hornbeam.register_type(Thing, "tests.Thing", lambda x: 2, lambda x: ("second", x))
    assert through_table(Thing()) == ("second", 2)


@pytest.mark.parametrize("tag", ["datetime", "ndarray", "enum", "decimal"])
def test_builtin_tags_cannot_be_taken(tag):
    with pytest.raises(ValueError, match=tag):
        hornbeam.register_type(Point, tag, list, tuple)


def test_large_values_arrive_whole(trip):
    value = {"bytes": b"x" * 5_000_000, "list": list(range(100_000))}
    assert trip(value) == value


hashable = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(blacklist_categories=()))  # surrogates too
    | st.binary()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.dates()
    | st.datetimes()
    | st.timedeltas(),
    lambda x: st.tuples(x, x) | st.frozensets(x, max_size=3),
    max_leaves=5,
)
values = st.recursive(
    hashable | st.floats() | st.complex_numbers() | st.binary().map(bytearray),
    lambda x: st.lists(x, max_size=5)
    | st.tuples(x, x)
    | st.dictionaries(hashable, x, max_size=5)
    | st.sets(hashable, max_size=5),
    max_leaves=25,
)


@settings(max_examples=100, deadline=None, print_blob=True)
@given(values)
def test_random_nested_values_come_back_from_a_table(value):
    assert same(through_table(value), value)


def test_random_nested_values_come_back_from_another_node(worker):
    @settings(max_examples=80, deadline=None, print_blob=True)
    @given(st.lists(values, max_size=4))
    def check(sent):
        assert same(erlang.rpc_call(worker, "services", "echo", [sent]), sent)

    check()


@settings(max_examples=100, deadline=None, print_blob=True)
@given(hashable, hashable)
def test_random_keys_are_equal_exactly_when_their_values_are(a, b):
    table = hornbeam.tables.table("random keys")
    table.clear()
    table.set(a, "a")
    table.set(b, "b")
    assert table.size() == (1 if same(a, b) else 2)
    assert table.get(b) == "b"


@pytest.mark.parametrize("what", ["1 / 0", "return 'x'", "return 1.5", "return None"])
@pytest.mark.parametrize("value", [2**70, -(2**70), 2**64, -(2**64), -(2**63) - 1, 5])
def test_an_integer_is_read_without_its_operators(value, what):
    names = {}
    methods = "__pos__ __neg__ __abs__ __index__ __int__ __invert__".split()
    body = "\n".join(f"    def {x}(self): {what}" for x in methods)
    exec(f"class Odd(int):\n{body}", names)
    erlang.state_set("odd", names["Odd"](value))
    assert erlang.state_get("odd") == value


def test_a_time_zone_keeps_its_name():
    zone = datetime.timezone(datetime.timedelta(hours=1), "CET")
    for moment in (
        datetime.datetime(2026, 1, 1, tzinfo=zone),
        datetime.time(12, tzinfo=zone),
    ):
        erlang.state_set("moment", moment)
        found = erlang.state_get("moment")
        assert found == moment
        assert found.tzinfo.tzname(None) == "CET"


def test_a_dict_whose_keys_would_become_one_is_refused():
    with pytest.raises(ValueError, match="lost"):
        erlang.state_set("nan", {"inside": {math.nan: 1, float("nan"): 2}})


def test_missing_stays_itself():
    missing = hornbeam.tables.MISSING
    assert copy.deepcopy([missing])[0] is missing
    assert pickle.loads(pickle.dumps(missing)) is missing


@pytest.mark.parametrize("empty", [[], (), {}, set(), "", frozenset()])
def test_an_empty_value_is_as_deep_as_a_number(empty):
    def nested(levels, x):
        for _ in range(levels):
            x = [x]
        return x

    levels = 510 if isinstance(empty, frozenset) else 511
    erlang.state_set("deep", nested(levels, empty))
    with pytest.raises(ValueError, match="deeper"):
        erlang.state_set("deep", nested(levels + 1, empty))


@pytest.fixture
def orders():
    """A module of a program, which another release of it changes."""
    module = sys.modules["orders"] = types.ModuleType("orders")

    def release(text):
        exec(text, module.__dict__)
        return module

    yield release
    del sys.modules["orders"]


def test_what_can_not_be_read_any_more_is_opaque_and_nothing_is_lost(orders):
    new = orders("import enum\nclass Status(enum.Enum): NEW = 1; HELD = 2")
    held = new.Status.HELD
    orders("import enum\nclass Status(enum.Enum): NEW = 1")
    table = hornbeam.tables.table("state")
    table.clear()
    seen = []
    arrived = threading.Event()

    def watch(change):
        seen.append(change.key)
        if change.key == "last":
            arrived.set()

    watching = table.watch(watch)
    erlang.state_set("inside", {"status": held})
    erlang.state_set("alone", held)
    erlang.state_set(held, "as a key")
    assert isinstance(erlang.state_get("inside")["status"], Opaque)
    assert isinstance(table.take("alone"), Opaque) and not table.contains("alone")
    assert isinstance(table.swap("inside", "new")["status"], Opaque)
    assert len(erlang.state_keys()) == 2 and len(list(table.items())) == 2
    mark = next(k for k in erlang.state_keys() if isinstance(k, Opaque))
    assert erlang.state_get(mark) == "as a key"
    erlang.subscribe("orders")
    erlang.publish("orders", held)
    assert isinstance(erlang.receive_pubsub(5000), Opaque)
    erlang.unsubscribe("orders")
    erlang.state_set("last", 1)
    assert arrived.wait(20), "the watch has ended"
    assert isinstance(seen[2], Opaque)
    # It reads as before where the member is known again.
    erlang.state_set("kept", mark)
    again = orders("import enum\nclass Status(enum.Enum): NEW = 1; HELD = 2")
    assert erlang.state_get("kept") is again.Status.HELD
    del watching


def test_a_from_term_that_raises_gives_an_opaque():
    class Kept:
        pass

    def refuse(x):
        raise KeyError("another release")

    hornbeam.register_type(Kept, "kept by the test", lambda x: [1, 2], refuse)
    erlang.state_set("kept", [Kept()])
    assert erlang.state_get("kept") == [Opaque("kept by the test", [1, 2])]
