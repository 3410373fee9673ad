"""A plug-in of pytest for programs made of processes. Take it in the outermost
`conftest.py`, or with `-p hornbeam.pytest_plugin`:

    pytest_plugins = ["hornbeam.pytest_plugin"]

Each test then has a mailbox of its own, and gets an error at its end if it leaves a
process behind that it has spawned, or a process has crashed that nobody expected to.
What it may use are the fixtures `node`, `cluster` and `start_supervised`, and the
functions `assert_receive`, `refute_receive` and `capture_crashes` of this module.

The node of the tests is in a cluster of its own, unless `hornbeam.configure` has said
otherwise.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, Callable, Iterator, NamedTuple, Sequence

import pytest

from hornbeam import _context, _engine, _native, _owner, _settings, _spawned
from hornbeam import cluster as _cluster
from hornbeam import functions, hooks, process, registry, supervisor, tables
from hornbeam.supervisor import ChildSpec, Supervisor
from hornbeam.values import Pid

__all__ = [
    "ClusterNode",
    "Crash",
    "Node",
    "assert_receive",
    "capture_crashes",
    "refute_receive",
]

#: How long processes that are about to end at the end of a test may take (ms).
GRACE_MS = 500
#: How long a node of `cluster` may take to start (s).
STARTING = 30.0

# -- messages -------------------------------------------------------------------


def assert_receive(match: Any = ..., timeout_ms: float = 1000) -> Any:
    """Take the first message that fits, as `hornbeam.process.receive` does, and return
    it; the test fails, and shows what has come instead, if none comes in time."""
    __tracebackhide__ = True
    got = process.receive(timeout_ms, _NOTHING, match=match)
    if got is _NOTHING:
        what = "message" if match is ... else f"message that fits {match!r}"
        pytest.fail(f"no {what} within {timeout_ms} ms; {_mailbox()}")
    return got


def refute_receive(match: Any = ..., timeout_ms: float = 100) -> None:
    """The test fails if a message that fits comes within that time."""
    __tracebackhide__ = True
    got = process.receive(timeout_ms, _NOTHING, match=match)
    if got is not _NOTHING:
        pytest.fail(f"there is a message: {got!r}")


_NOTHING = object()


def _mailbox() -> str:
    seen: list[str] = []

    def look(x: Any) -> bool:
        seen.append(_spawned.text_of(x))
        return False

    process.receive(0, match=look)
    if not seen:
        return "the mailbox is empty"
    more = f"\nand {len(seen) - 10} more" if len(seen) > 10 else ""
    return "in the mailbox are:\n" + "\n".join(seen[:10]) + more


# -- crashes --------------------------------------------------------------------


class Crash(NamedTuple):
    """A process that has crashed: what its report says, and the exception."""

    text: str
    error: BaseException | None


class _Reports(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        #: Of the test, but for those that it has expected.
        self.unexpected: list[Crash] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self.unexpected.append(Crash(record.getMessage(), error))


_reports = _Reports()


@contextlib.contextmanager
def capture_crashes() -> Iterator[list[Crash]]:
    """`with capture_crashes() as crashes:` expects processes to crash in the block:
    the list has them behind it. Of more than 20 in a second the rest is not
    reported."""
    before, _reports.unexpected = _reports.unexpected, []
    crashes: list[Crash] = []
    try:
        yield crashes
    finally:
        crashes += _reports.unexpected
        _reports.unexpected = before


# -- what a test leaves behind ----------------------------------------------------

_made: list[_spawned.Spawned] = []
_spawn = _spawned.spawn
#: Processes of the package: one of each in a node, which stay.
_OURS = (supervisor._serve_starts, registry._keep)


def _recording(f: Any, args: Any, **options: Any) -> _spawned.Spawned:
    made = _spawn(f, args, **options)
    if f not in _OURS:
        _made.append(made)
    return made


def pytest_configure(config: pytest.Config) -> None:
    _spawned.spawn = _recording
    if not _native.running():
        folder = tempfile.mkdtemp(prefix="hornbeam-pytest-")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        own = {"cluster": f"pytest-{os.getpid()}", "secret": f"{folder}/secret.pem"}
        if not any(x in _engine.settings for x in own):
            _settings.configure(**own)


def pytest_unconfigure(config: pytest.Config) -> None:
    _spawned.spawn = _spawn


@pytest.fixture(autouse=True)
def _hornbeam_test() -> Iterator[None]:
    _made.clear()
    _spawned._reported.clear()  # of each test the first ones are reported
    trees = set(supervisor._trees)
    _reports.unexpected = []
    logger = logging.getLogger("hornbeam.crash")
    logger.addHandler(_reports)
    try:
        with _owner.block():
            yield
        left = _left_behind(trees)
    finally:
        logger.removeHandler(_reports)
    if left:
        pytest.fail("the test has left behind:\n" + "\n".join(left), pytrace=False)
    if _reports.unexpected:
        _fail_of_crashes()


def _left_behind(trees: set[Pid]) -> list[str]:
    """Ends what runs still, and says what that was."""
    found = {x: "a supervisor" for x in supervisor._trees - trees}
    found.update((x.box.pid, x.name) for x in _made if x.box.alive)
    _made.clear()
    if not found:
        return []
    with process.scope():
        refs = {process.monitor(x): x for x in found}
        until = _context.Until(GRACE_MS)
        while found and (got := _next_end(until)) is not None:
            found.pop(refs[got[1]], None)
        left = [f"{pid} ({name})" for pid, name in found.items()]
        for pid in sorted(found, key=lambda x: x.serial):  # those above come first
            process.exit(pid, "kill")
        while found and (got := _next_end(_context.Until(GRACE_MS))) is not None:
            found.pop(refs[got[1]], None)
    _made.clear()
    return left


def _next_end(until: _context.Until) -> Any:
    return process.receive(until.left_ms(), match=("DOWN", ..., ..., ..., ...))


def _fail_of_crashes() -> None:
    text = "\n".join(f"{x.text}: {x.error!r}" for x in _reports.unexpected)
    text += "\nwhat is to crash is expected by capture_crashes()"
    pytest.fail(text, pytrace=False)


# -- fixtures ---------------------------------------------------------------------


class Node(NamedTuple):
    """The node of the test."""

    name: str
    #: That of the test.
    pid: Pid


@pytest.fixture
def node() -> Iterator[Node]:
    """The node of this process, as new: the hooks, functions and keys of `state` that
    a test adds go with it, as its processes and subscriptions do."""
    _engine.ensure()
    state = tables.table("state")
    before = [set(hooks.names()), set(functions.names()), set(state.keys())]
    yield Node(_native.name(), process.self())
    for name in set(hooks.names()) - before[0]:
        hooks.unregister_hook(name)
    for name in set(functions.names()) - before[1]:
        functions.unregister_function(name)
    for key in state.keys():
        if key not in before[2]:
            state.delete(key)


@pytest.fixture
def start_supervised() -> Iterator[Callable[..., Pid | None]]:
    """`start_supervised(child, *args)` starts a child of a supervisor that belongs to
    the test, and returns its pid: a `GenServer`, a `Supervisor`, a function that starts
    a linked process, each with its arguments, or a `ChildSpec`. They are stopped at the
    end of the test, the last one first; one that dies is started again, as its spec
    says. Raises `InitFailed` if it does not start."""
    ids = itertools.count(1)
    trees: list[Pid] = []

    def start(child: Any, *args: Any) -> Pid | None:
        if not trees:
            trees.append(Supervisor(intensity=1_000_000, period_ms=1).start())
        if not isinstance(child, ChildSpec):
            child = ChildSpec(next(ids), child, args)
        elif args:
            raise TypeError("a ChildSpec has its arguments itself")
        return supervisor.start_child(trees[0], child)

    yield start
    for pid in trees:
        supervisor.stop_tree(pid)


class ClusterNode:
    """A node of `cluster`: a process of its own."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        #: `name@127.0.0.1`
        self.name = name
        #: What it has printed.
        self.output: list[str] = []
        self._serves = threading.Event()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        #: The number of its process.
        self.os_pid = self._process.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __repr__(self) -> str:
        return f"<{self.name}>"

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.output.append(line.rstrip("\n"))
            if " serves at " in line:
                self._serves.set()
        self._serves.set()

    def _join(self) -> None:
        self._serves.wait(STARTING)
        said = [x for x in self.output if " serves at " in x]
        if not said:
            text = "\n".join(self.output)
            raise RuntimeError(f"the node {self.name} does not start:\n{text}")
        port = said[0].rpartition(":")[2]
        _cluster.connect(f"{self.name}:{port}", STARTING * 1000)

    def kill(self) -> None:
        """End its process as a crash does, and wait until that has ended."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it in order; killed if it takes longer than 5 seconds."""
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self.kill()
        self._reader.join(5)


_numbers = itertools.count(1)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Callable[..., list[ClusterNode]]]:
    """`cluster(n, path=[], modules=[], exports=[], start=[])` starts `n` nodes, each a
    process with a free port of 127.0.0.1, to which the node of the test is connected.
    They have those settings of `[python]` in common, and end with the test; what they
    have printed is shown if it fails."""
    nodes: list[ClusterNode] = []

    def start(n: int, **python: Any) -> list[ClusterNode]:
        made = [_start_node(tmp_path, python) for _ in range(n)]
        nodes.extend(made)
        for x in made:
            x._join()
        _cluster.wait_for(*(x.name for x in made), timeout_ms=STARTING * 1000)
        return made

    try:
        yield start
    finally:
        for x in reversed(nodes):
            x.stop()
        for x in nodes:
            for line in x.output:
                print(f"{x.name} | {line}")


def _start_node(folder: Path, python: dict[str, Any]) -> ClusterNode:
    unknown = python.keys() - {"path", "modules", "exports", "start"}
    if unknown:
        raise TypeError(f"cluster takes no {', '.join(sorted(unknown))}")
    name = f"test{next(_numbers)}@127.0.0.1"
    of_cluster = {"name": _engine.settings.get("cluster", "hornbeam")}
    if "secret" in _engine.settings:
        of_cluster["secret"] = os.path.abspath(_engine.settings["secret"])
    sections: dict[str, dict[str, Any]] = {
        "node": {"name": name, "host": "127.0.0.1", "port": 0},
        "cluster": of_cluster,
        "python": {k: [str(x) for x in v] for k, v in python.items()},
    }
    lines = []
    for section, entries in sections.items():
        lines.append(f"[{section}]")
        lines += [f"{k} = {json.dumps(v)}" for k, v in entries.items()]
    config = folder / f"{name}.toml"
    config.write_text("\n".join(lines) + "\n")
    command = [sys.executable, "-m", "hornbeam", "node", "--config", str(config)]
    return ClusterNode(name, command)
