"""`hornbeam up` that nobody looks after: no reader, no terminal, no manners."""

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from launched import ALONE, BINARY, PATIENCE, Folder, Launched, Watched, greeting

CHATTY = """
import os, threading

def chatter():
    line = b"x" * 200 + b"\\n"
    while True:
        os.write(1, line)

threading.Thread(target=chatter, daemon=True).start()
"""


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def until(condition):
    """The first true result."""
    end = time.monotonic() + PATIENCE
    while True:
        if result := condition():
            return result
        assert time.monotonic() < end


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return {int(x) for x in f.read().split()}


class Started:
    """`hornbeam up` with streams of the test's choice; it ends with the block."""

    def __init__(self, folder, config, before=(), **options):
        self.process = subprocess.Popen(
            [*before, BINARY, "up", config],
            stdin=subprocess.DEVNULL,
            env={**os.environ, **folder.env},
            **options,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()  # its nodes end with it
            self.process.wait()

    def nodes(self, count):
        """The processes of its nodes, once there are so many."""

        def found():
            assert self.process.poll() is None
            pids = children(self.process.pid)
            return len(pids) == count and pids

        return until(found)

    def restarts(self, count):
        """One of its nodes is killed, and another process takes its place."""
        before = self.nodes(count)
        victim = max(before)
        os.kill(victim, signal.SIGKILL)
        until(lambda: victim not in (now := self.nodes(count)) and now != before)

    def ends(self):
        nodes = [Watched(x) for x in children(self.process.pid)]
        self.process.terminate()
        assert self.process.wait(PATIENCE) == 0
        for node in nodes:
            assert node.ends(0)
            node.close()


def written(pid):
    """Bytes that a process has written to anything."""
    with open(f"/proc/{pid}/io") as f:
        return int(re.search(r"wchar: (\d+)", f.read())[1])


def test_a_launcher_whose_output_nobody_reads_goes_on(folder):
    config = folder.cluster({"a": CHATTY, **greeting("b")})
    read, write = os.pipe()
    with Started(folder, config, stdout=write, stderr=write) as up:
        os.close(write)
        up.restarts(2)
        # More than is kept for a reader has come since the pipe was full.
        until(lambda: sum(written(x) for x in up.nodes(2)) > 16 << 20)
        # Now somebody reads, and is told what is missing.
        text, missing = b"", None
        while not missing:
            text = text[-1000:] + os.read(read, 1 << 16)
            missing = re.search(rb"\| (\d+) lines are missing here", text)
        assert int(missing[1]) > 1000
        os.close(read)
        up.restarts(2)
        up.ends()


def test_a_slow_reader_misses_no_line(folder):
    lines = 100_000
    code = f"""
import os
for i in range({lines}):
    os.write(1, b"%06d" % i + b"x" * 94 + b"\\n")
print("done", flush=True)
"""
    with Launched(
        "up", folder.cluster({"a": code}), env=folder.env, cwd=folder.path
    ) as up:
        up.line(r"\| done$")
    numbers = [int(x[11:17]) for x in up.out if x.endswith("x" * 94)]
    assert numbers == list(range(lines))


@pytest.mark.parametrize("streams", ["read end is closed", "none at all"])
def test_a_launcher_that_can_write_nowhere_goes_on(folder, streams):
    config = folder.cluster(greeting("a", "b"))
    read, write = os.pipe()
    os.close(read)
    closed = ["sh", "-c", 'exec "$@" >&- 2>&- <&-', "sh"]
    with Started(
        folder,
        config,
        before=closed if streams == "none at all" else (),
        stdout=write,
        stderr=write,
    ) as up:
        os.close(write)
        up.restarts(2)
        up.ends()


def test_a_parent_that_ignores_the_end_of_its_children_changes_nothing(folder):
    config = folder.cluster(greeting("a", "b"))

    def ignore():
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)

    with Started(
        folder,
        config,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=ignore,
    ) as up:
        up.restarts(2)
        up.ends()


def test_nohup_keeps_the_launcher_when_its_terminal_goes(folder):
    with folder.up(folder.cluster(greeting("a")), before=["nohup"]) as up:
        up.line("hello from a")
        up.send(signal.SIGHUP)
        os.kill(up.pid_of("a"), signal.SIGKILL)
        up.lines("hello from a", 2)
        up.send()
        assert up.wait() == 0
        up.line("ending: Terminated")
        assert not [x for x in up.err if "Hangup" in x]


def test_the_end_of_its_terminal_ends_the_cluster_otherwise(folder):
    ours, its = pty.openpty()
    with_it = ["sh", "-c", f'exec setsid --ctty "$0" "$@" < {os.ttyname(its)}']
    with folder.up(
        folder.cluster(greeting("a")), before=[*ALONE[:-1], *with_it]
    ) as up:
        up.line("hello from a")
        os.close(its)
        os.close(ours)
        assert up.wait() == 0


def test_without_a_terminal_a_hangup_is_for_the_nodes(folder):
    with folder.up(folder.cluster(greeting("a")), before=ALONE) as up:
        up.line("hello from a")
        up.send(signal.SIGHUP)
        up.line("the nodes read their secret again")
        up.send()
        assert up.wait() == 0
        assert not [x for x in up.out + up.err if "restarted" in x]


def test_signals_that_come_together_are_one(folder):
    code = """
import atexit
def leave():
    print("leaving", flush=True)
    open("let-go").read()  # until the test writes it
    print("left in peace", flush=True)
atexit.register(leave)
print("here", flush=True)
"""
    os.mkfifo(folder.path / "let-go")
    with folder.up(folder.cluster({"a": code})) as up:
        up.line("here")
        up.line("serves at")
        up.send(signal.SIGTERM)
        up.send(signal.SIGINT)
        up.send(signal.SIGTERM)
        up.line("leaving")
        with open(folder.path / "let-go", "w"):
            pass
        assert up.wait() == 0
        up.line("left in peace")
    assert len([x for x in up.err if "ending: " in x]) == 1


def test_a_script_of_a_node_that_is_told_twice_ends_in_peace(folder):
    script = folder.write(
        "script.py",
        """
try:
    print("here", flush=True)
    open("never").read()
finally:
    print("leaving", flush=True)
    open("let-go").read()  # until the test writes it
    print("left in peace", flush=True)
""",
    )
    os.mkfifo(folder.path / "never")
    os.mkfifo(folder.path / "let-go")
    config = folder.write("node.toml", '[node]\nname = "a"\n')
    args = ["node", "--config", config, "--run", script]
    with Launched(*args, env=folder.env, cwd=folder.path) as node:
        node.line("here")
        node.send()
        node.send()
        node.line("leaving")
        node.send()
        with open(folder.path / "let-go", "w"):
            pass
        assert node.wait() == 0
        node.line("left in peace")


def test_a_node_alone_minds_no_closed_pipe_and_no_signals_that_wait(folder):
    folder.write("served.py", "import os; os.write(2, b'here')")
    config = folder.write(
        "node.toml",
        '[node]\nname = "a"\n[python]\npath = ["."]\nmodules = ["served"]\n',
    )
    read, write = os.pipe()
    os.close(read)
    blocked = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
os.execv(sys.argv[1], sys.argv[1:])
"""
    with subprocess.Popen(
        [sys.executable, "-c", blocked, BINARY, "node", "--config", config],
        stdout=write,
        stderr=subprocess.PIPE,
        cwd=folder.path,
        env={**os.environ, **folder.env},
    ) as node:
        os.close(write)
        assert node.stderr.read(4) == b"here"
        node.terminate()
        assert node.wait(PATIENCE) == 0
        assert node.stderr.read() == b""


def test_as_process_1_the_launcher_waits_for_all_that_end(folder):
    apart = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if not shutil.which("unshare") or subprocess.run([*apart, "true"]).returncode:
        pytest.skip("no process namespace can be made here")
    code = """
import os, subprocess
# What a shell leaves behind belongs to process 1 from then on.
orphan = subprocess.run(["sh", "-c", "true & echo $!"], stdout=subprocess.PIPE)
while os.path.exists("/proc/%d" % int(orphan.stdout)):
    pass
print("no zombie, parent", os.getppid(), flush=True)
"""
    with Launched(
        "up",
        folder.cluster({"a": code, **greeting("b")}),
        env=folder.env,
        cwd=folder.path,
        before=apart,
    ) as up:
        up.line("no zombie, parent 1$")
        (launcher,) = children(up.process.pid)
        os.kill(max(children(launcher)), signal.SIGKILL)
        up.line("restarted")
        os.kill(launcher, signal.SIGTERM)
        assert up.wait() == 0
