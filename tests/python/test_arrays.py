"""NumPy arrays in tables: what goes in comes out, copied or not."""

import gc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hornbeam import tables

numpy = pytest.importorskip("numpy")

BASE = numpy.arange(24, dtype="i4").reshape(2, 3, 4)
ARRAYS = {
    "plain": BASE,
    "not contiguous": BASE[:, ::2, 1:],
    "backwards": BASE[::-1, :, ::-1],
    "Fortran order": numpy.asfortranarray(BASE),
    "transposed": BASE.T,
    "big-endian": BASE.astype(">i4"),
    "no dimensions": numpy.array(2.5),
    "no entries": numpy.zeros((0, 3), "f4"),
    "broadcast": numpy.broadcast_to(numpy.float64(1), (3, 2)),
    "bool": numpy.array([True, False]),
    "complex": numpy.array([1 + 2j]),
    "half": numpy.array([1.5, numpy.inf, numpy.nan], "f2"),
    "text": numpy.array(["a", "b\u1234"]),
    "bytes": numpy.array([b"a", b"bc"]),
    "dates": numpy.array(["2026-11-24", "NaT"], "M8[s]"),
    "read-only": numpy.frombuffer(b"12345678", "u1"),
    "large": numpy.arange(2**17, dtype="f8"),
}


@pytest.fixture(params=["here", "there"])
def table(request, worker):
    found = tables.table("arrays", worker if request.param == "there" else None)
    yield found
    found.clear()


def same(a, b):
    assert type(a) is numpy.ndarray
    assert a.dtype == b.dtype and a.dtype.str == b.dtype.str
    assert a.shape == b.shape
    assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("copy", [True, False])
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_an_array_comes_back_as_it_was(table, array, copy):
    table.set("k", array)
    found = table.get("k", copy=copy)
    same(found, array)
    assert found.flags.c_contiguous
    assert found.flags.writeable is copy


def test_a_copy_is_one_of_ones_own(table):
    x = numpy.zeros(4)
    table.set("k", x)
    x[0] = 1
    found = table.get("k")
    found[1] = 2
    assert table.get("k").tolist() == [0, 0, 0, 0]


def test_without_copy_nobody_can_write(table):
    table.set("k", numpy.zeros(4))
    found = table.get("k", copy=False)
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 1
    with pytest.raises(ValueError):
        found.flags.writeable = True


def test_without_copy_the_value_outlives_its_key(table):
    x = numpy.random.default_rng(1).random(100_000)
    table.set("k", {"deep": [x]})
    found = table.get("k", copy=False)["deep"][0]
    table.set("k", numpy.zeros(100_000))
    table.clear()
    gc.collect()
    same(found, x)


def test_without_copy_two_readers_share_one_memory():
    table = tables.table("arrays")
    table.set("k", numpy.zeros(100_000))
    a, b = table.get("k", copy=False), table.get("k", copy=False)
    assert numpy.shares_memory(a, b)
    assert not numpy.shares_memory(a, table.get("k"))
    table.clear()


def test_what_is_no_array_is_the_same_without_copy(table):
    for value in ({"a": [1, (2.5, None)]}, "text", b"x", {1, 2}):
        table.set("k", value)
        assert table.get("k", copy=False) == value
    assert table.get("missing", 5, copy=False) == 5


def test_an_array_is_an_exact_key(table):
    table.set(numpy.array([1, 2], "i4"), "i4")
    table.set(numpy.array([1, 2], "i8"), "i8")
    table.set(numpy.array([[1, 2]], "i4"), "2d")
    assert table.get(numpy.array([2, 1], "i4")[::-1]) == "i4"
    assert len(table) == 3


@pytest.mark.parametrize(
    "array",
    [numpy.array([object()]), numpy.zeros(2, [("a", "i4")]), numpy.zeros(2, "V3")],
    ids=["objects", "records", "void"],
)
def test_arrays_without_plain_bytes_are_refused_by_place(table, array):
    with pytest.raises(TypeError, match=r"value\['x'\]: an array of dtype"):
        table.set("k", {"x": array})


DTYPES = st.sampled_from(["?", "i1", "u2", ">i4", "<i8", "f2", ">f4", "f8", "c16"])


@settings(max_examples=100, deadline=None, print_blob=True)
@given(DTYPES, st.lists(st.integers(0, 4), max_size=4), st.randoms(), st.booleans())
def test_any_array_comes_back(dtype, shape, random, copy):
    table = tables.table("arrays")
    x = numpy.zeros(shape, dtype)
    flat = x.reshape(-1)
    for i in range(flat.size):
        flat[i] = random.randrange(100)
    if x.ndim > 0:
        axes = list(range(x.ndim))
        random.shuffle(axes)
        x = x.transpose(axes)
    table.set("k", x)
    same(table.get("k", copy=copy), numpy.ascontiguousarray(x).reshape(x.shape))
