"""What is measured beside ours: stores of keys and values, each a context
manager that gives three actions, which get, set and increment a number under the
key "n"; Erlang; and a second node."""

from __future__ import annotations

import contextlib
import importlib.util
import multiprocessing
import os
import shelve
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from _measure import Action, value_of
from _rows import Rows

HERE = Path(__file__).resolve().parent


class Missing(Exception):
    """A peer is not installed."""


@contextlib.contextmanager
def manager(_: Path) -> Iterator[list[Action]]:
    with multiprocessing.Manager() as m:
        table, lock = m.dict(n=1), m.Lock()

        def incr() -> None:
            with lock:
                table["n"] += 1

        yield [lambda: table.get("n"), lambda: table.update(n=1), incr]


class Redis(NamedTuple):
    """Where a server listens."""

    socket: str
    port: int  # of 127.0.0.1


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[Redis]:
    """A server of its own, which ends with the block."""
    program = shutil.which("redis-server")
    if program is None or importlib.util.find_spec("redis") is None:
        raise Missing("not installed (redis-server, python3-redis)")
    with socket.create_server(("127.0.0.1", 0)) as free:
        at = Redis(str(folder / "redis.sock"), free.getsockname()[1])
    options = ["--bind", "127.0.0.1", "--port", str(at.port), "--save", ""]
    options += ["--unixsocket", at.socket, "--dir", str(folder)]
    server = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
    try:
        import redis

        # By the socket, which is nobody else's: a server that finds its port taken
        # ends, and never makes it.
        client = redis.Redis(unix_socket_path=at.socket)
        until = time.monotonic() + 10
        while True:
            try:
                client.ping()
                break
            except redis.ConnectionError:
                if time.monotonic() > until or server.poll() is not None:
                    raise
                time.sleep(0.01)
        yield at
    finally:
        server.terminate()
        server.wait(10)


@contextlib.contextmanager
def redis_if_installed(out: Rows) -> Iterator[Redis | None]:
    """The same, or None where it is not installed, which is said."""
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            at: Redis | None = stack.enter_context(redis_server(Path(folder)))
        except Missing as e:
            out.note(f"Redis: {e}")
            at = None
        yield at


#: Answers each request with a chunk and an end, at a list of its own.
REDIS_WORKER = """
import sys
import redis
r = redis.Redis("127.0.0.1", int(sys.argv[1]))
while True:
    _, reply = r.blpop("requests")
    r.rpush(reply, 0)
    r.rpush(reply, "end")
"""


@contextlib.contextmanager
def redis_worker(at: Redis) -> Iterator[None]:
    """Another process of Python, which takes its requests from Redis."""
    worker = subprocess.Popen([sys.executable, "-c", REDIS_WORKER, str(at.port)])
    try:
        yield
    finally:
        worker.kill()
        worker.wait(10)


@contextlib.contextmanager
def redis_client(folder: Path) -> Iterator[list[Action]]:
    with redis_server(folder) as at:
        import redis

        client = redis.Redis(unix_socket_path=at.socket)
        client.set("n", 1)
        yield [
            lambda: client.get("n"),
            lambda: client.set("n", 1),
            lambda: client.incr("n"),
        ]


@contextlib.contextmanager
def sqlite(folder: Path) -> Iterator[list[Action]]:
    with contextlib.closing(
        sqlite3.connect(folder / "x.sqlite", isolation_level=None)
    ) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=OFF")  # survives processes, as lmdb does
        db.execute("CREATE TABLE t (k TEXT PRIMARY KEY, v INTEGER)")
        db.execute("INSERT INTO t VALUES ('n', 1)")
        yield [
            lambda: db.execute("SELECT v FROM t WHERE k = 'n'").fetchone(),
            lambda: db.execute("INSERT OR REPLACE INTO t VALUES ('n', 1)"),
            lambda: db.execute(
                "UPDATE t SET v = v + 1 WHERE k = 'n' RETURNING v"
            ).fetchone(),
        ]


@contextlib.contextmanager
def shelf(folder: Path) -> Iterator[list[Action]]:
    with shelve.open(str(folder / "shelf")) as table:
        table["n"] = 1

        def put() -> None:
            table["n"] = 1

        def incr() -> None:
            table["n"] += 1

        yield [lambda: table["n"], put, incr]


PEERS = {
    "Manager().dict()": manager,
    "Redis, UNIX socket": redis_client,
    "sqlite3": sqlite,
    "shelve": shelf,
}


def erlang(module: str, name: str, *options: str) -> float | None:
    """What MODULE.erl measures; None where there is no Erlang."""
    source = HERE / f"{module}.erl"
    if not (shutil.which("erl") and shutil.which("erlc")):
        return None
    folder = Path(os.environ["BENCH_FOLDER"])  # of the whole run
    if not (folder / f"{module}.beam").exists():
        subprocess.run(["erlc", "-o", str(folder), str(source)], check=True)
    command = ["erl", "-noshell", "-pa", str(folder), *options]
    return value_of([*command, "-run", module, "main", name])


def remote_erlang(module: str, name: str) -> float | None:
    """The same of what takes two nodes of Erlang, which need its port mapper."""
    if shutil.which("epmd") is None:
        return None
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    ran = subprocess.run(["epmd", "-names"], **quiet).returncode == 0
    try:
        return erlang(module, name, "-name", f"bench{os.getpid()}@127.0.0.1")
    finally:
        if not ran:  # the node has started it, and it would stay
            subprocess.run(["epmd", "-kill"], **quiet)


CONFIG = """
[cluster]
name = "bench"
secret = "bench.pem"
[node]
name = "worker@127.0.0.1"
[python]
path = ["."]
modules = [{modules}]
"""


@contextlib.contextmanager
def second_node(module: str = "") -> Iterator[str]:
    """The name of a node to which this process is connected. It runs the code
    `module`, which registers the hook `remote`; the folder `RUNTIME_DIRECTORY`
    has the cluster's secret."""
    import hornbeam

    folder = Path(os.environ["RUNTIME_DIRECTORY"])
    (folder / "bench_worker.py").write_text(module)
    file = folder / "node.toml"
    file.write_text(CONFIG.format(modules='"bench_worker"' if module else ""))
    binary = os.environ.get("HORNBEAM_BIN") or str(
        HERE.parent / "build/release/launcher/hornbeam"
    )
    command = [binary, "node", "--config", str(file)]
    node = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        name = "worker@127.0.0.1"
        hornbeam.cluster.wait_for(name, timeout_ms=20_000)
        until = time.monotonic() + 20
        while module and name not in hornbeam.hooks.providers("remote"):
            assert time.monotonic() < until, "the worker's hook is not there"
            time.sleep(0.01)
        yield name
    finally:
        node.terminate()
        node.wait(10)


@contextlib.contextmanager
def own_node() -> Iterator[None]:
    """The node of this process is one of the cluster of `second_node`."""
    import hornbeam

    secret = os.environ["RUNTIME_DIRECTORY"] + "/bench.pem"
    hornbeam.configure(cluster="bench", secret=secret)
    yield
