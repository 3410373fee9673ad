"""Table files on a file system that is full: errors, no signals, and a way out."""

import os
import shutil
import subprocess
import sys
import textwrap

import pytest
from launched import PATIENCE

COMMON = textwrap.dedent(
    """
    import os, re, subprocess, sys, time, traceback
    import hornbeam
    from hornbeam import OverloadedError, tables
    from hornbeam_erlang import *

    HERE = os.environ["RUNTIME_DIRECTORY"]
    FILE = HERE + "/@tables/full/state.lmdb"

    def fill(name, value, **options):
        '''Sets until there is no room; how many.'''
        n = 0
        try:
            while True:
                state_set(f"{name}{n}", value, **options)
                n += 1
        except OverloadedError as e:
            assert str(e) == (
                f"no room for the table file {FILE}: its file system is full "
                "(No space left on device); nothing was changed"), e
            return n

    def another(code):
        '''What another process prints.'''
        code = "from hornbeam_erlang import *\\n" + code
        done = subprocess.run([sys.executable, "-c", code],
                              capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout.strip()
    """
)


@pytest.fixture
def run(tmp_path):
    """Runs a program whose shared tables lie in a file system of so many MiB."""
    mount = ["unshare", "--mount", "sh", "-ec"]
    if not shutil.which("unshare") or (
        subprocess.run([*mount, 'mount -t tmpfs tmpfs "$0"', tmp_path]).returncode
    ):
        pytest.skip("no file system can be mounted here")

    def run(code, size=4):
        options = f"mode=700,size={size}m"
        script = f'mount -t tmpfs -o {options} tmpfs "$1"; exec "$0" -c "$2"'
        done = subprocess.run(
            [*mount, script, sys.executable, tmp_path, COMMON + textwrap.dedent(code)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env={
                **os.environ,
                "RUNTIME_DIRECTORY": str(tmp_path),
                "HORNBEAM_CLUSTER": "full",
                "HORNBEAM_LOG": "error",  # not which processes have ended
            },
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr

    return run


@pytest.mark.parametrize("size", [1, 100, 1000, 3000, 10_000, 100_000])
def test_what_was_deleted_makes_room_on_a_full_file_system(run, size):
    run(
        f"""
        first = fill("k", b"x" * {size})
        assert first * {size} > 1 << 20 or {size} == 1, first
        for _ in range(5):
            for i in range(first):
                state_delete(f"k{{i}}")
            assert state_keys() == []
            for i in range(first // 2):
                state_set(f"k{{i}}", b"y" * {size})
            assert len(state_keys()) == first // 2
        # It holds about as much as at first.
        held = first // 2 + fill("more", b"z" * {size})
        assert held > 0.6 * first, (first, held)
        """
    )


@pytest.mark.parametrize("size", [1, 100, 3000, 20_000])
def test_what_takes_no_more_room_goes_on_on_a_full_file_system(run, size):
    run(
        f"""
        state_set("counter", 1000)
        n = fill("k", b"x" * {size})
        for _ in range(1000):
            state_incr("counter")
        assert state_get("counter") == 2000
        table = tables.table("state")
        for _ in range(3):
            table.clear()
            state_set("k", b"y" * {size})  # at once
            assert fill("k", b"x" * {size}) > 0.6 * n
        """
    )


def test_values_of_all_sizes_take_the_places_of_each_other(run):
    run(
        """
        for size in (100, 3000, 10_000, 200_000, 1, 40_000, 500):
            n = fill("k", b"x" * size)
            assert n > 3
            for i in range(n):
                state_delete(f"k{i}")
        """
    )


def test_another_process_can_open_a_table_that_is_full(run):
    run(
        """
        n = fill("k", b"x" * 3000)
        said = another(f'''
        assert len(state_keys("k")) == {n}
        for i in range(10): state_delete(f"k{{i}}")
        state_set("new", b"y" * 3000)
        print(len(state_keys()))
        '''.replace("\\n        ", "\\n"))
        assert int(said) == n - 9
        assert len(state_get("new")) == 3000
        """
    )


@pytest.mark.forks
def test_a_table_that_was_left_full_can_be_opened_again(run):
    run(
        """
        pid = os.fork()
        if pid == 0:
            fill("k", b"x" * 3000)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        n = len(state_keys("k"))
        assert fill("more", b"y" * 3000) < 3
        for i in range(10):
            state_delete(f"k{i}")
        state_set("new", b"y" * 3000)
        assert len(state_keys("k")) == n - 10
        """
    )


def test_what_expires_leaves_a_full_file_system(run):
    run(
        """
        n = fill("k", b"x" * 3000, ttl_ms=1)
        table = tables.table("state")
        end = time.monotonic() + 20
        while table.info()["expired"] < n:
            assert time.monotonic() < end
        state_set("new", b"y" * 100_000)
        """
    )


@pytest.mark.forks
def test_a_full_file_system_ends_no_process_that_writes(run):
    run(
        """
        import random
        def work(i):
            chance = random.Random(i)
            for round in range(20):
                for _ in range(100):
                    key = f"{i} {chance.randrange(1000)}"
                    size = chance.choice([10, 1000, 3000, 20_000, 60_000])
                    try:
                        state_set(key, b"x" * size, ttl_ms=chance.choice([None, 1]))
                    except OverloadedError:
                        state_delete(key)
                if round % 5 == 0:
                    for key in state_keys(f"{i} "):
                        state_delete(key)
            for key in state_keys(f"{i} "):
                state_delete(key)

        children = []
        for i in range(3):
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    work(i)
                    code = 0
                finally:
                    os._exit(code)
            children.append(pid)
        assert [os.waitpid(x, 0)[1] for x in children] == [0, 0, 0]
        state_set("after", b"x" * 3000)
        """
    )


def test_a_durable_table_is_deleted_from_on_a_full_file_system(run):
    run(
        """
        hornbeam.configure(tables={"log": {
            "engine": "lmdb", "path": HERE + "/log.lmdb", "durable": "always"}})
        log = tables.table("log")
        n = 0
        try:
            while True:
                log.set(n, b"x" * 20_000)
                n += 1
        except OverloadedError as e:
            assert "log.lmdb" in str(e) and "No space left on device" in str(e)
        assert n > 50
        for i in range(n):
            log.delete(i)
        for i in range(n // 2):
            log.set(i, b"y" * 20_000)
        """
    )


@pytest.mark.forks
def test_a_table_begins_where_there_is_little_room_or_says_why_not(run):
    run(
        """
        state_set("node", "has started")
        other = os.open(HERE + "/other", os.O_CREAT | os.O_WRONLY)

        def begin(free):
            '''Whether a table can begin with so many pages that are free.'''
            space = os.statvfs(HERE)
            os.posix_fallocate(other, 0, (space.f_bavail - free) * space.f_frsize)
            path = f"{HERE}/{free}.lmdb"
            def table():
                return tables.table(f"t{free}", engine="lmdb", path=path)
            try:
                table().set("k", 1)
                held = True
            except OverloadedError as e:
                assert path in str(e) and "No space left on device" in str(e), e
                held = False
            assert not held or table().get("k") == 1
            os.ftruncate(other, 0)
            table().set("k", 2)  # with room it goes on, or begins
            assert table().get("k") == 2
            return held

        def in_a_child(free):
            pid = os.fork()
            if pid == 0:
                code = 2
                try:
                    node()  # others find it by a file, which needs room too
                    code = 0 if begin(free) else 1
                except BaseException:
                    traceback.print_exc()
                finally:
                    os._exit(code)
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            assert code in (0, 1), (free, code)
            os.ftruncate(other, 0)
            subprocess.run(f"rm {HERE}/{free}.lmdb*", shell=True)
            return code == 0

        assert not in_a_child(0)
        for free in range(1, 300, 7):
            in_a_child(free)
        assert in_a_child(300)
        """
    )
