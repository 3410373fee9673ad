"""Table files and snapshots that earlier versions wrote are read by this one.

`tests/fixtures/tables` has the files, and the script that wrote them.
"""

import gzip
import sys
from pathlib import Path

import pytest

import hornbeam
from hornbeam import tables

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures/tables"
sys.path.insert(0, str(FIXTURES))

from contents import (  # noqa: E402
    BAG,
    FAR_MS,
    KEYS,
    KINDS,
    LMDB,
    MANY,
    MAP_BYTES,
    SNAPSHOTS,
    same,
)


@pytest.fixture
def old_file(tmp_path):
    """`old_file(name)` is a copy of a file of the fixtures, and its path."""

    def copy(name):
        to = tmp_path / name
        to.write_bytes(gzip.decompress((FIXTURES / f"{name}.gz").read_bytes()))
        return to

    return copy


@pytest.fixture
def old_table(old_file, name):
    """`old_table(name)` is the lmdb table of the fixtures."""

    def open_it(which):
        path = str(old_file(f"{which}.lmdb"))
        options = {"engine": "lmdb", "map_bytes": MAP_BYTES, **LMDB[which]}
        return tables.table(f"{name} {which}", path=path, **options)

    return open_it


def check_kinds(table):
    for key, value in KINDS.items():
        assert same(table.get(key, hornbeam.tables.MISSING), value), key
    assert FAR_MS // 2 < table.left_ms("far") < FAR_MS
    assert "short" not in table
    extra = {"far", "short", 1} & set(table.keys())
    assert len(list(table.items())) == len(KINDS) + len(extra)


@pytest.mark.parametrize("which", ["kinds", "durable"])
def test_each_kind_of_value_is_found_in_an_old_table_file(which, old_table):
    table = old_table(which)
    check_kinds(table)
    table.set("new", 1)
    assert table.get("new") == 1


def test_each_kind_of_key_is_found_in_an_old_table_file(old_table):
    table = old_table("keys")
    for number, key in enumerate(KEYS):
        assert table.get(key) == number, key
    assert len(table.keys()) == len(KEYS)
    assert table.keys("long") == ["long " * 200]


def test_times_to_live_go_on_in_an_old_table_file(old_table):
    table = old_table("ttl")
    assert FAR_MS // 2 < table.left_ms("by default") < FAR_MS
    assert 0 < table.left_ms("far") < FAR_MS // 2
    assert table.left_ms("for ever") == 0
    assert "short" not in table
    assert table.incr("counter") == 6
    assert FAR_MS // 2 < table.left_ms("counter") < FAR_MS


@pytest.mark.parametrize("which", ["max_entries", "max_bytes"])
def test_eviction_goes_on_in_an_old_table_file(which, old_table):
    table = old_table(which)
    left = dict(table.items())
    assert left.items() <= dict(MANY).items()
    assert "key 00" in left  # used all the time
    assert "key 15" in left  # the newest
    assert len(left) == {"max_entries": 8, "max_bytes": 9}[which]
    for i in range(20):
        table.set(f"key {i + 20}", "x" * 100)
        assert len(table.keys()) == len(left)


def test_an_old_durable_table_is_there_after_a_new_start(old_file, old_table):
    old_file("durable.lmdb-gate")  # says another start of the machine
    check_kinds(old_table("durable"))


@pytest.mark.parametrize(
    "which, engine",
    # lmdb tables are sets
    [(x, "memory") for x in SNAPSHOTS] + [("set", "lmdb"), ("lmdb", "lmdb")],
)
def test_an_old_snapshot_brings_everything_back(
    which, engine, old_file, name, tmp_path
):
    options = {"kind": "set" if which == "lmdb" else which}
    if engine == "lmdb":
        options = {"engine": "lmdb", "path": str(tmp_path / "t.lmdb")}
    table = tables.table(f"{name} {which} {engine}", **options)
    count = table.load(old_file(f"{which}.snapshot"))
    if which == "bag":
        assert (count, table.get("a"), table.get("b")) == (3, [1, 2], [[3]])
    elif which == "duplicate_bag":
        assert (count, table.get("a"), table.get("b")) == (len(BAG), [1, 2, 1], [[3]])
    else:
        check_kinds(table)
    if which == "ordered_set":
        assert table.get(1) == table.get(1.0) == "one as well"
