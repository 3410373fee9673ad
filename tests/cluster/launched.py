"""Starts the hornbeam binary and waits for what it prints."""

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("HORNBEAM_BIN") or str(
    ROOT / "build/release/launcher/hornbeam"
)
# How many times as long things may take, as under a sanitizer.
SLOWER = int(os.environ.get("HORNBEAM_TEST_SLOWER", 1))
PATIENCE = 30 * SLOWER  # seconds; a deadline for what should take far less
# Starts a program without a terminal, and without the SIGHUP that nohup ignores.
ALONE = ["env", "--default-signal=HUP", "setsid"]
_started = weakref.WeakSet()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def programs():
    """(what, its output so far) of each program that somebody still holds: a
    test that fails holds those that it has started, also if they have ended."""
    return [(f"hornbeam {' '.join(x.args)}", str(x)) for x in _started]


class Launched:
    """One running `hornbeam`. A context manager that leaves nothing behind.
    `before` is a command that starts it."""

    def __init__(self, *args, env=None, cwd=None, before=()):
        self.args = [str(x) for x in args]
        self.process = subprocess.Popen(
            [*before, BINARY, *self.args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})},
            cwd=cwd,
        )
        self.out = []
        self.err = []
        self._changed = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read, args=pair, daemon=True)
            for pair in (
                (self.process.stdout, self.out),
                (self.process.stderr, self.err),
            )
        ]
        for reader in self._readers:
            reader.start()
        _started.add(self)

    def _read(self, stream, lines):
        for line in stream:
            with self._changed:
                lines.append(line.decode(errors="replace").rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()  # its nodes end with it
                self.process.wait()
        for reader in self._readers:
            reader.join(5)

    def line(self, pattern, timeout=PATIENCE):
        """The match of the first line on either stream with `pattern`."""
        return self.lines(pattern, 1, timeout)[0]

    def lines(self, pattern, count, timeout=PATIENCE):
        """The matches of at least `count` lines with `pattern`."""
        until = time.monotonic() + timeout
        with self._changed:
            while True:
                found = [re.search(pattern, x) for x in self.out + self.err]
                found = [x for x in found if x]
                if len(found) >= count:
                    return found
                left = until - time.monotonic()
                ended = not any(x.is_alive() for x in self._readers)
                if left <= 0 or ended:
                    raise AssertionError(
                        f"{len(found)} of {count} lines with {pattern!r} "
                        f"({'ended' if ended else 'in time'}):\n{self}"
                    )
                self._changed.wait(min(left, 0.5))

    def wait(self, timeout=PATIENCE):
        """The exit code; all output has been read then."""
        code = self.process.wait(timeout)
        for reader in self._readers:
            reader.join(timeout)
        return code

    def pid_of(self, node):
        """Process id of the latest start of `node`."""
        return int(self.lines(rf"{node} (?:re)?started \(pid (\d+)\)", 1)[-1][1])

    def send(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def __str__(self):
        return "\n".join(["--- stdout", *self.out, "--- stderr", *self.err])


class Asked:
    """A Python program that prints a line when it is ready (`ready`), and then a line
    of JSON for each line that it is given. A context manager that leaves nothing
    behind. `before` is a command that starts it."""

    def __init__(self, code, *args, env=None, before=()):
        self.process = subprocess.Popen(
            [*before, sys.executable, "-c", code, *map(str, args)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(env or {})},
        )
        self.ready = self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate(timeout=PATIENCE)

    def __call__(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def run(*args, env=None, cwd=None):
    """Runs `hornbeam` to its end."""
    return subprocess.run(
        [BINARY, *map(str, args)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, **(env or {})},
        cwd=cwd,
    )


def up(folder, script):
    """The cluster of `folder`, which has a cluster.toml, with `script` running on
    its node web; that prints "all well" at its end."""
    path = folder / "script.py"
    path.write_text(script + "\nprint('all well')\n")
    return Launched(
        "up",
        folder / "cluster.toml",
        "--run",
        f"web:{path}",
        env={"RUNTIME_DIRECTORY": str(folder / "run")},
    )


class Watched:
    """A process that is not ours, held so that its id is not used again."""

    def __init__(self, pid):
        self.pid = pid
        self._fd = os.pidfd_open(pid)

    def ends(self, timeout):
        """Whether it ends in so many seconds."""
        poller = select.poll()
        poller.register(self._fd, select.POLLIN)
        return bool(poller.poll(timeout * 1000))

    def close(self):
        os.close(self._fd)


class Folder:
    """Configurations and modules of one test, apart from all others."""

    def __init__(self, path):
        self.path = path
        (path / "run").mkdir()
        self.env = {"RUNTIME_DIRECTORY": str(path / "run")}

    def write(self, name, text):
        (self.path / name).write_text(text)
        return self.path / name

    def cluster(self, modules, name="test", extra=""):
        """A cluster's file; `modules` maps each node to code to import."""
        lines = [
            "[cluster]",
            f'name = "{name}"',
            f'secret = "{name}.pem"',
            extra,
            "[defaults]",
            'path = ["."]',
        ]
        for node, code in modules.items():
            module = f"{name}_{node}"
            self.write(f"{module}.py", code)
            lines += [
                f"[nodes.{node}]",
                f'modules = ["{module}"]',
                f'exports = ["{module}"]',
            ]
        return self.write(f"{name}.toml", "\n".join(lines) + "\n")

    def up(self, *args, before=()):
        return Launched("up", *args, env=self.env, cwd=self.path, before=before)

    def run(self, *args):
        return run(*args, env=self.env, cwd=self.path)

    def until_answered(self, up, *args):
        """Repeats a call until the node has come up far enough for it."""
        until = time.monotonic() + PATIENCE
        while True:
            result = self.run(*args)
            if result.returncode == 0:
                return
            if time.monotonic() > until or up.process.poll() is not None:
                raise AssertionError(f"{result.stderr}{up}")


def greeting(*nodes):
    """Code for each node to import, which prints that it was."""
    return {node: f"print('hello from', {node!r}, flush=True)\n" for node in nodes}
