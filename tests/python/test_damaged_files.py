"""Table files with damage: found, set aside or refused, and what is left saved."""

import os
import struct
import subprocess
import sys
import textwrap

import pytest
from launched import PATIENCE

PAGE = 4096


@pytest.fixture
def environment(tmp_path):
    tmp_path.chmod(0o700)
    return {
        **os.environ,
        "HORNBEAM_SECRET": str(tmp_path / "secret.pem"),
        "RUNTIME_DIRECTORY": str(tmp_path),
    }


@pytest.fixture
def state(environment):
    """`state(*words)` is what `hornbeam state` does."""

    def run(*words):
        return subprocess.run(
            [os.environ["HORNBEAM_BIN"], "state", *map(str, words)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    return run


@pytest.fixture
def program(environment, tmp_path):
    """Runs a program with the table `t` in a file, made with some options."""

    def run(code, **options):
        file = {"path": str(tmp_path / "t.lmdb"), "map_bytes": 1 << 23}
        options = {"engine": "lmdb", **file, **options}
        head = textwrap.dedent(
            f"""
            import hornbeam
            from hornbeam import tables
            hornbeam.configure(tables={{"t": {options!r}}})
            try:
                t = tables.table("t")
            except hornbeam.HornbeamError as e:
                print(e)
                raise SystemExit
            """
        )
        done = subprocess.run(
            [sys.executable, "-c", head + textwrap.dedent(code)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        return done

    return run


FILL = """
for i in range(0, 1000, 100):
    t.set_many({f"key {k}": [k, "x" * 100] for k in range(i, i + 100)})
"""


def zero_a_page_of_entries(file):
    """The first one below the top, where it is two pages high."""
    data = bytearray(file.read_bytes())
    commit = max(0, PAGE, key=lambda at: struct.unpack_from("<Q", data, at + 144))
    (at,) = struct.unpack_from("<Q", data, commit + 128)
    while struct.unpack_from("<H", data, at * PAGE + 10) == (1,):
        (place,) = struct.unpack_from("<H", data, at * PAGE + 18)
        low, high = struct.unpack_from("<IH", data, at * PAGE + place)
        at = low | high << 32
    data[at * PAGE : (at + 1) * PAGE] = bytes(PAGE)
    file.write_bytes(data)


def test_a_damaged_table_is_set_aside_reported_and_begins_empty(program, tmp_path):
    file = tmp_path / "t.lmdb"
    program(FILL, check="always")
    zero_a_page_of_entries(file)
    damaged = file.read_bytes()
    said = program("assert len(t) == 0; t.set(1, 2)", check="always").stderr
    (aside,) = tmp_path.glob("t.lmdb.damaged-*")
    assert aside.read_bytes() == damaged
    assert f"{file} is damaged: page " in said and str(aside) in said
    assert "hornbeam state salvage" in said
    assert program("assert t.get(1) == 2", check="always").stderr == ""


def test_a_damaged_durable_table_is_saved_with_the_commands_it_names(
    program, state, tmp_path
):
    file, saved = tmp_path / "t.lmdb", tmp_path / "saved"
    durable = {"durable": "always", "check": "always"}
    program(FILL, **durable)
    whole = state("check", file)
    assert whole.returncode == 0
    assert f"{file}: whole, 1000 entries on " in whole.stdout
    zero_a_page_of_entries(file)
    refused = program("", **durable).stdout
    assert f"hornbeam state salvage '{file}' FILE" in refused
    assert f"hornbeam state restore '{file}' FILE" in refused

    found = state("check", file)
    assert found.returncode == 1
    assert f"{file}: damaged\n  page " in found.stdout
    dumped = state("dump", file, saved)
    assert dumped.returncode == 1 and "salvage" in dumped.stderr
    assert not saved.exists()
    salvaged = state("salvage", file, saved)
    assert salvaged.returncode == 0, salvaged.stderr
    assert f"entries of {file} to {saved}" in salvaged.stdout
    again = state("salvage", file, saved)
    assert again.returncode == 1 and "--force" in again.stderr
    restored = state("restore", file, saved)
    assert restored.returncode == 0, restored.stderr
    assert "set the damaged file aside as " in restored.stdout
    assert state("check", file).returncode == 0
    left = program(
        """
        assert all(t.get(f"key {k}") == [k, "x" * 100] for k in range(1000)
                   if f"key {k}" in t)
        print(len(t))
        """,
        **durable,
    ).stdout
    assert 940 < int(left) < 1000


def test_a_table_is_dumped_and_restored_beside_those_who_use_it(program, state):
    """A dump is a snapshot as `save` and `load` have them."""
    said = program(
        """
        import os, subprocess
        def state(*words):
            done = subprocess.run([os.environ["HORNBEAM_BIN"], "state", *words],
                                  capture_output=True, text=True)
            return done.returncode, done.stdout + done.stderr
        path = t.info()["path"]
        t.set_many({"a": 1, 2: [b"b"]})
        t.set("short", 3, ttl_ms=60_000)
        assert state("check", path)[0] == 0
        assert state("dump", path, path + ".dump")[0] == 0
        t.set("more", 4)
        code, why = state("restore", path, path + ".dump")
        assert code == 1 and "has 4 entries; --force" in why, why
        assert state("restore", "--force", path, path + ".dump")[0] == 0
        assert dict(t.items()) == {"a": 1, 2: [b"b"], "short": 3}
        assert 0 < t.left_ms("short") <= 60_000
        u = tables.table("u")
        assert u.load(path + ".dump") == 3
        u.save(path + ".saved")
        new = path + ".new"
        assert state("restore", new, path + ".saved")[0] == 0
        print(state("check", new)[1])
        """
    ).stdout
    assert "whole, 3 entries" in said


def test_check_without_names_looks_at_all_tables(environment, state, tmp_path):
    environment["HORNBEAM_CLUSTER"] = "many"
    code = "from hornbeam_erlang import state_incr; state_incr('n')"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    found = state("check")
    assert found.returncode == 0, found.stdout + found.stderr
    assert "@tables/many/state.lmdb: whole, 1 entries on " in found.stdout
    broken = tmp_path / "@tables" / "many" / "broken.lmdb"
    broken.write_bytes(b"x" * 10_000)
    broken.chmod(0o600)
    os.mkfifo(broken.with_name("pipe.lmdb"))
    found = state("check")
    assert found.returncode == 1
    assert "pipe.lmdb: it is no file" in found.stderr
    assert f"{broken}: damaged\n  page 0 " in found.stdout
    assert state("check", tmp_path / "none.lmdb").returncode == 1


@pytest.mark.parametrize(
    "options, why",
    [
        ({"check": "often"}, "check"),
        ({"max_bytes": 1 << 32}, "max_bytes: must be less than map_bytes"),
        ({"max_bytes": 2 << 20, "map_bytes": 2 << 20}, "max_bytes: must be less than"),
    ],
)
def test_settings_that_can_not_work_are_refused(options, why):
    code = f"""
import hornbeam
try:
    hornbeam.configure(tables={{"t": {{"engine": "lmdb", **{options!r}}}}})
except (ValueError, hornbeam.HornbeamError) as e:
    print(e)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert why in done.stdout, done.stdout + done.stderr
