"""`state` of processes that have the same HORNBEAM_CLUSTER: one table."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from launched import PATIENCE, free_port

README = Path(__file__).resolve().parents[2] / "README.md"


@pytest.fixture
def environment(tmp_path):
    """Apart from all other programs of this user."""
    tmp_path.chmod(0o700)
    return {
        **os.environ,
        "HORNBEAM_CLUSTER": "shared",
        "HORNBEAM_SECRET": str(tmp_path / "secret.pem"),
        "RUNTIME_DIRECTORY": str(tmp_path),
    }


def run(code, environment):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def hornbeam(environment, *words):
    return subprocess.run(
        [os.environ["HORNBEAM_BIN"], *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def test_state_outlives_the_processes_that_share_it(environment):
    code = """
        from hornbeam_erlang import *
        print(state_incr("n"), state_get("k"))
        state_set("k", {"a": [1, 2.5, "x"]})
    """
    assert run(code, environment) == "1 None\n"
    assert run(code, environment) == "2 {'a': [1, 2.5, 'x']}\n"
    other = {**environment, "HORNBEAM_CLUSTER": "another"}
    assert run(code, other) == "1 None\n"


@pytest.mark.forks
def test_forked_and_spawned_processes_count_in_one_state(environment):
    code = """
        import multiprocessing
        from hornbeam_erlang import state_get, state_incr

        def work(n):
            for i in range(n):
                state_incr("n")

        if __name__ == "__main__":
            work(100)
            for how in ("fork", "spawn"):
                context = multiprocessing.get_context(how)
                all = [context.Process(target=work, args=(1000,)) for _ in range(3)]
                for x in all: x.start()
                for x in all: x.join()
            print(state_get("n"))
    """
    path = Path(environment["RUNTIME_DIRECTORY"]) / "program.py"
    path.write_text(textwrap.dedent(code))
    done = subprocess.run(
        [sys.executable, path],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.stdout == "6100\n", done.stderr


def test_the_workers_of_gunicorn_count_together_as_the_readme_says(
    environment, tmp_path
):
    text = README.read_text()
    program = re.search(r"```python\n(# hits\.py\n.*?)```", text, re.S)[1]
    words = re.search(r"HORNBEAM_CLUSTER=shop (gunicorn .*)", text)[1].split()
    (tmp_path / "hits.py").write_text(program)
    port = free_port()
    log = tmp_path / "log"
    with log.open("w") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", *words, "-b", f"127.0.0.1:{port}"],
            env={**environment, "HORNBEAM_CLUSTER": "shop"},
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    seen = []
    until = time.monotonic() + PATIENCE

    def visit(n):
        for _ in range(n):
            while True:
                try:
                    url = f"http://127.0.0.1:{port}/"
                    with urllib.request.urlopen(url, timeout=10) as answer:
                        seen.append(int(answer.read().split()[1]))
                    break
                except OSError:
                    assert server.poll() is None, log.read_text()
                    assert time.monotonic() < until, log.read_text()

    try:
        visit(1)
        threads = [threading.Thread(target=visit, args=(50,)) for _ in range(4)]
        for x in threads:
            x.start()
        for x in threads:
            x.join()
    finally:
        server.terminate()
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
    assert sorted(seen) == list(range(1, 202))


def test_state_is_listed_and_removed(environment):
    counting = """
        import sys
        from hornbeam_erlang import state_incr
        state_incr("n")
        print("there", flush=True)
        sys.stdin.readline()
        try:
            state_incr("n")
        except RuntimeError as e:
            print(e)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(counting)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout.readline() == "there\n"
        listed = hornbeam(environment, "state", "ls").stdout.splitlines()
        assert len(listed) == 2
        table, entries, _, _, writer, processes = listed[1].split()[:6]
        assert (table, entries, writer) == ("shared/state", "1", "-")
        assert processes == str(program.pid)
        refused = hornbeam(environment, "state", "rm", "state")
        assert refused.returncode == 1
        assert str(program.pid) in refused.stderr and "--force" in refused.stderr
        assert hornbeam(environment, "state", "rm", "--force", "state").returncode == 0
        program.stdin.write("\n")
        program.stdin.close()
        assert "removed" in program.stdout.readline()
    assert len(hornbeam(environment, "state", "ls").stdout.splitlines()) == 1
    missing = hornbeam(environment, "state", "rm", "state")
    assert missing.returncode == 1 and "no table 'state'" in missing.stderr
    assert run(textwrap.dedent(counting), environment).startswith("there")


def test_waiting_for_a_stopped_process_lets_other_threads_run(environment):
    """Who waits for the lock of writers does not hold Python's."""
    stopped = """
        import os, signal, threading
        from hornbeam_erlang import state_incr
        state_incr("n")
        print("there", flush=True)
        while True:
            state_incr("n")
    """
    waiting = """
        import sys, threading, time
        from hornbeam_erlang import state_set
        done = threading.Event()
        def write():
            state_set("k", 1)
            done.set()
        threading.Thread(target=write, daemon=True).start()
        ticks = 0
        while not done.wait(0.001):
            ticks += 1
            if ticks == 20:
                print("ticking", flush=True)
        print("done", flush=True)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(stopped)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        try:
            assert writer.stdout.readline() == "there\n"
            # Until it is caught in the middle of a write.
            until = time.monotonic() + PATIENCE
            while True:
                assert time.monotonic() < until
                writer.send_signal(signal.SIGSTOP)
                os.waitid(os.P_PID, writer.pid, os.WSTOPPED | os.WNOWAIT)
                listed = hornbeam(environment, "state", "ls").stdout
                if listed.splitlines()[1].split()[4] == str(writer.pid):
                    break
                writer.send_signal(signal.SIGCONT)
            with subprocess.Popen(
                [sys.executable, "-c", textwrap.dedent(waiting)],
                env=environment,
                stdout=subprocess.PIPE,
                text=True,
            ) as waiter:
                assert waiter.stdout.readline() == "ticking\n"
                writer.send_signal(signal.SIGCONT)
                assert waiter.stdout.readline() == "done\n"
        finally:
            writer.kill()


def test_two_programs_with_different_settings_are_told_which(environment):
    code = """
        import hornbeam, sys
        from hornbeam_erlang import state_incr
        hornbeam.configure(tables={"state": {"engine": "lmdb", "max_entries": LIMIT}})
        try:
            print(state_incr("n"), flush=True)
        except RuntimeError as e:
            print(e)
        sys.stdin.readline()
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code.replace("LIMIT", "10"))],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as first:
        assert first.stdout.readline() == "1\n"
        said = run(code.replace("LIMIT", "20").replace("sys.stdin", "# "), environment)
        assert "max_entries (10 there, 20 here)" in said
        first.stdin.close()
