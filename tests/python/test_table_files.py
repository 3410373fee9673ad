"""Snapshots of tables: all of it comes back, and no damage gets in."""

import pytest

import hornbeam
from hornbeam import tables


def test_a_snapshot_brings_everything_back(name, tmp_path):
    table = tables.table(name)
    entries = {1: "a", 1.5: [None], "k": {"x": (1, b"2")}, ("t",): 2**80}
    table.set_many(entries)
    table.set("short", 1, ttl_ms=60_000)
    assert table.save(tmp_path / "file") == 5
    table.clear()
    table.set("other", 1)
    assert table.load(str(tmp_path / "file")) == 5
    assert 0 < table.left_ms("short") <= 60_000
    table.delete("short")
    assert dict(table.items()) == entries
    assert [x.name for x in tmp_path.iterdir()] == ["file"]


def test_any_damage_is_refused_by_name_and_changes_nothing(name, tmp_path):
    table = tables.table(name)
    table.set_many({i: "value" * i for i in range(20)})
    file = tmp_path / "snapshot"
    table.save(file)
    whole = file.read_bytes()
    table.clear()
    table.set("kept", 1)
    damaged = [whole[:n] for n in (0, 1, 10, len(whole) // 2, len(whole) - 1)]
    damaged += [whole + b"x", b"not one of ours" * 100]
    for at in range(0, len(whole), max(1, len(whole) // 50)):
        damaged.append(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])
    for data in damaged:
        file.write_bytes(data)
        with pytest.raises(RuntimeError, match="snapshot"):
            table.load(file)
        assert dict(table.items()) == {"kept": 1}


def test_a_snapshot_that_can_not_be_written_or_read_is_an_error(name, tmp_path):
    table = tables.table(name)
    with pytest.raises(RuntimeError, match="no folder"):
        table.save(tmp_path / "no folder" / "x")
    with pytest.raises(RuntimeError, match="missing"):
        table.load(tmp_path / "missing")
    for bad in (5, None, 1.5):
        with pytest.raises(TypeError):
            table.save(bad)


def test_snapshots_are_for_tables_of_this_node(worker, name, tmp_path):
    table = tables.table(name, worker)
    for call in (table.save, table.load):
        with pytest.raises(hornbeam.HornbeamError, match="table of this node"):
            call(tmp_path / "x")
