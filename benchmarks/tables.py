"""What state tables cost from Python, beside a `dict` under a lock, `pickle`,
`multiprocessing.Manager().dict()`, Redis, `sqlite3` and `shelve`, and what they
cost from C++, beside ETS.

    ./dev bench tables [--only PART]
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from _bench import main
from _measure import Action, cost, cost_of_threads, costs, value_of
from _peers import (
    PEERS,
    Missing,
    erlang,
    own_node,
    redis_if_installed,
    remote_erlang,
    second_node,
)
from _rows import Rows

HERE = Path(__file__).resolve().parent

TEXT = "a short string"
SMALL = {"name": "Alice", "age": 42, "admin": False}


# -- one thread, memory -------------------------------------------------------


def memory(out: Rows) -> None:
    """The functions of `hornbeam_erlang` and a dict under a lock."""
    from hornbeam_erlang import (
        state_decr,
        state_delete,
        state_get,
        state_get_multi,
        state_incr,
        state_set,
    )

    lock, table = threading.Lock(), {}

    def fill(key: str, value: object) -> None:
        state_set(key, value)
        table[key] = value

    def get() -> object:
        with lock:
            return table.get("n")

    def get_text() -> object:
        with lock:
            return table.get("text")

    def get_missing() -> object:
        with lock:
            return table.get("missing")

    def put() -> None:
        with lock:
            table["n"] = 1

    def put_text() -> None:
        with lock:
            table["text"] = TEXT

    def incr() -> int:
        with lock:
            table["n"] = n = table.get("n", 0) + 1
            return n

    def decr() -> int:
        with lock:
            table["n"] = n = table.get("n", 0) - 1
            return n

    def delete() -> None:
        with lock:
            table.pop("missing", None)

    def put_and_delete() -> None:
        with lock:
            table["new"] = 1
        with lock:
            table.pop("new", None)

    def ours_put_and_delete() -> None:
        state_set("new", 1)
        state_delete("new")

    fill("n", 1)
    fill("text", TEXT)
    pairs: list[tuple[str, Action, Action]] = [
        ("state_get, integer", lambda: state_get("n"), get),
        ("state_get, short string", lambda: state_get("text"), get_text),
        ("state_get, missing", lambda: state_get("missing"), get_missing),
        ("state_set, integer", lambda: state_set("n", 1), put),
        ("state_set, short string", lambda: state_set("text", TEXT), put_text),
        ("state_incr", lambda: state_incr("n"), incr),
        ("state_decr", lambda: state_decr("n"), decr),
        ("state_delete, missing", lambda: state_delete("missing"), delete),
        ("state_set + state_delete, new key", ours_put_and_delete, put_and_delete),
    ]
    out.table("one thread, memory table", "µs")
    for what, ours, theirs in pairs:
        beside(out, what, [ours, theirs], "dict under a lock", at_most=1.0)

    def put_small() -> None:
        x = pickle.dumps(SMALL)
        with lock:
            table["small"] = x

    def get_small() -> object:
        with lock:
            x = table["small"]
        return pickle.loads(x)

    def ours_small() -> object:
        state_set("small", SMALL)
        return state_get("small")

    def theirs_small() -> object:
        put_small()
        return get_small()

    peer = "pickle + dict under a lock"
    both = [ours_small, theirs_small]
    beside(out, "a dict of three set and got", both, peer, at_most=1.0)
    both = [lambda: state_set("small", SMALL), put_small]
    beside(out, "a dict of three set", both, peer)
    both = [lambda: state_get("small"), get_small]
    beside(out, "a dict of three got", both, peer)
    keys = [f"k{i}" for i in range(100)]
    for i, key in enumerate(keys):
        fill(key, i)

    def many() -> dict[str, int]:
        with lock:
            return {k: table[k] for k in keys}

    both = [lambda: state_get_multi(keys), many]
    beside(out, "state_get_multi of 100", both, "dict comprehension", at_most=1.5)


def beside(
    out: Rows, what: str, two: list[Action], peer: str, at_most: float | None = None
) -> None:
    """Ours and the peer's action, which take turns."""
    ours, theirs = costs(two)
    out.row(what, ours, peer, theirs, at_most=at_most)


# -- arrays -------------------------------------------------------------------


def arrays(out: Rows) -> None:
    """1 MiB, results kept: nobody gets memory that the cache still knows."""
    try:
        import numpy
    except ImportError:
        out.note("NumPy is not installed (python3-numpy): no arrays.")
        return
    from hornbeam import tables

    x = numpy.random.default_rng(1).random(2**17)
    table = tables.table("bench arrays")
    keys = list(range(64))

    def copies() -> object:
        return [x.copy() for _ in keys]

    def set_all() -> None:
        for k in keys:
            table.set(k, x)

    def set_new() -> None:
        table.clear()
        set_all()

    def get_all() -> object:
        return [table.get(k) for k in keys]

    out.table("a NumPy array of 1 MiB, results kept", "µs")
    for what, action in (
        ("set, new key", set_new),
        ("set, replaced", set_all),
        ("get", get_all),
    ):
        ours, theirs = costs([action, copies], 2.0)
        out.row(what, ours / 64, "ndarray.copy()", theirs / 64, at_most=1.5)
    table.clear()


# -- what else keeps keys and values ------------------------------------------


def others(out: Rows) -> None:
    """One thread: what a program would take that shares state or keeps it."""
    from hornbeam_erlang import state_get, state_incr, state_set

    ours = costs(
        [
            lambda: state_get("n"),
            lambda: state_set("n", 1),
            lambda: state_incr("n"),
        ]
    )
    out.table("one thread", "µs")
    with tempfile.TemporaryDirectory() as name:
        for peer, start in PEERS.items():
            try:
                with start(Path(name)) as actions:
                    theirs = costs(actions)
            except Missing as e:
                out.note(f"{peer}: {e}")
                continue
            for what, a, b in zip(("get", "set", "incr"), ours, theirs):
                out.row(f"state_{what}", a, peer, b)


# -- a million keys -----------------------------------------------------------

MILLION = """
import time
from hornbeam_erlang import state_keys, state_set
from _measure import cost

def resident():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * 4096

state_set("first", 1)
before = resident()
for i in range(1_000_000):
    state_set(f"key:{i}", i)
print((resident() - before) / 1e6)
for i in range(10):
    state_set(f"user:{i}", i)
begin = time.perf_counter()
state_keys("user:")
print((time.perf_counter() - begin) * 1e3)
print(cost(lambda: state_keys("user:")))
"""


def million(out: Rows) -> None:
    words = subprocess.run(
        [sys.executable, "-c", MILLION],
        check=True,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{os.environ['PYTHONPATH']}:{HERE}"},
    ).stdout.split()
    out.table("a million keys", "µs")
    name = "memory per entry, string: integer"
    out.row(name, float(words[0]), unit="bytes", ours_at_most=150)
    out.row("state_keys(prefix), the first call", float(words[1]), unit="ms")
    name = "state_keys(prefix), 10 of 1,000,000"
    out.row(name, float(words[2]), ours_at_most=100)


# -- processes of one host ----------------------------------------------------

COUNTING = """
import sys, time
kind, path, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
if kind == "redis":
    import redis
    incr = redis.Redis(unix_socket_path=path).incr
else:
    from hornbeam import tables
    incr = tables.table("shared", engine="lmdb", path=path).incr
incr("warm")
print("ready", flush=True)
sys.stdin.readline()
begin = time.perf_counter()
for _ in range(count):
    incr("n")
print((time.perf_counter() - begin) / count * 1e6)
"""


def two_processes(kind: str, path: str, count: int) -> float:
    """Microseconds an increment, of two processes that count at once."""
    command = [sys.executable, "-c", COUNTING, kind, path, str(count)]
    pair = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for p in pair:
        assert p.stdout and p.stdout.readline() == "ready\n"
    for p in pair:
        assert p.stdin
        p.stdin.write("\n")
        p.stdin.flush()
    return max(float(p.communicate()[0]) for p in pair)


def shared(out: Rows) -> None:
    """A file in memory that processes share, and Redis."""
    from hornbeam import HornbeamError, tables

    out.table("shared by processes, lmdb", "µs")
    folder = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=folder) as name:
        path = str(Path(name) / "shared.lmdb")
        try:
            table = tables.table("shared", engine="lmdb", path=path)
        except HornbeamError as e:
            out.note(str(e))
            return
        table.set("n", 1)
        get, put, incr = costs(
            [
                lambda: table.get("n"),
                lambda: table.set("n", 1),
                lambda: table.incr("n"),
            ]
        )
        both = two_processes("lmdb", path, 200_000)
        out.row("get", get, ours_at_most=1.0)
        out.row("set", put)
        out.row("incr", incr)
        what = "incr from each of two processes, one key"
        out.row(what, both, ours_at_most=2.5)
        with redis_if_installed(out) as at:
            theirs = at and two_processes("redis", at.socket, 10_000)
        out.row(what, both, "Redis, UNIX socket", theirs, at_most=1 / 30)


# -- another node -------------------------------------------------------------

def remote(out: Rows) -> None:
    """A table of another node, over TLS."""
    from hornbeam import tables

    with second_node() as name:
        table = tables.table("bench", name)
        table.set("n", 1)
        keys = [f"k{i}" for i in range(100)]
        table.set_many({k: 1 for k in keys})
        out.table("a table of another node, TLS", "µs")
        one = cost(lambda: table.get("n"), 1.0)
        erpc = remote_erlang("remote", "lookup")
        out.row("get", one, "erpc:call(ets, lookup), no TLS", erpc, at_most=1.6)
        each = cost_of_threads(lambda: table.get("n"))
        what = "get, 16 threads, each"
        theirs = redis_threads(out)
        out.row(what, each, "redis-py GET, 16 threads, each", theirs, at_most=1.0)
        out.row(what, each, "one thread", one, at_most=1 / 5)
        out.row("get_many of 100", cost(lambda: table.get_many(keys), 1.0))


def redis_threads(out: Rows) -> float | None:
    """Sixteen threads that get from one client, as users do: each takes a
    connection of its pool."""
    with redis_if_installed(out) as at:
        if at is None:
            return None
        import redis

        with redis.Redis("127.0.0.1", at.port) as client:
            client.set("n", 1)
            return cost_of_threads(lambda: client.get("n"))


# -- C++ and Erlang -----------------------------------------------------------

BINARY = HERE.parent / "build/release/benchmarks/hornbeam_bench_tables"
#: What is promised of each: at most so many times what ETS takes.
NATIVE = [
    f"{operation}_{keys}_{threads}"
    for operation in ("get", "set", "incr")
    for keys in ("same", "spread")
    for threads in (1, 2)
]


def native(out: Rows) -> None:
    """Threads of C++, and ETS with write_concurrency."""
    if not BINARY.exists():
        out.note(f"{BINARY} is not there: ./dev build makes it")
        return
    out.table("threads of C++", "µs")
    for name in NATIVE:
        ours = value_of([str(BINARY), name])
        out.row(name, ours, "ETS", erlang("tables", name), at_most=1.0)


# -- the program --------------------------------------------------------------

PARTS = {
    "memory": memory,
    "arrays": arrays,
    "others": others,
    "million": million,
    "shared": shared,
    "remote": remote,
    "native": native,
}
around = own_node


if __name__ == "__main__":
    raise SystemExit(main(__file__))
