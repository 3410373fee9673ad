"""Nobody holds a lock of ours while waiting for another process or for Python's
lock: files that are opened, forks and waits hold nobody up."""

import fcntl
import os
import struct
import threading
import time

import pytest
from launched import PATIENCE
from test_fork import run

import hornbeam

pytestmark = pytest.mark.forks

# Each thread of these programs notes that it gets on; the main thread looks.
WATCHDOG = """
    beats = {}

    def beat(who):
        beats[who] = time.monotonic()

    def watched(threads, seconds):
        '''Ends the program if a thread stands still for ten seconds.'''
        until = time.monotonic() + seconds
        for t in threads:
            beat(t.name)
            t.start()
        while time.monotonic() < until and any(t.is_alive() for t in threads):
            late = [w for w, at in beats.items() if time.monotonic() - at > 10]
            if late:
                import faulthandler
                faulthandler.dump_traceback()
                print("stand still:", late, flush=True)
                os._exit(1)
            time.sleep(0.05)
"""

TABLES = """
    def opens(prefix, n):
        for i in range(n):
            beat(threading.current_thread().name)
            name = f"{prefix}-{os.getpid()}-{i}"
            tables.table(name, engine="lmdb", map_bytes=1 << 22)
"""


def test_opening_table_files_holds_up_nobody_who_looks_for_tables():
    lines = run(
        WATCHDOG
        + TABLES
        + """
    stop = threading.Event()

    def look():
        while not stop.is_set():
            beat(threading.current_thread().name)
            tables.table("plain")
            hornbeam.cluster.status()

    tables.table("plain")
    lookers = [threading.Thread(target=look, daemon=True) for _ in range(2)]
    opener = threading.Thread(target=opens, args=("look", 40), daemon=True)
    for t in lookers:
        t.start()
    watched([opener], 60)
    stop.set()
    print(opener.is_alive())
    os._exit(0)
        """
    )
    assert lines == ["False"]


def test_threads_of_a_forked_worker_may_all_begin_with_a_read():
    lines = run(
        """
    state_set("k", 1)

    def worker():
        hornbeam.cluster.node()
        go = threading.Barrier(4)

        def read():
            go.wait()
            for _ in range(100):
                assert state_get("k") == 1

        threads = [threading.Thread(target=read, daemon=True) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(10)
        return any(t.is_alive() for t in threads)

    for _ in range(5):
        wait(child(worker))
    print("done", flush=True)
    os._exit(0)
        """,
        HORNBEAM_CLUSTER=f"begin-with-a-read-{os.getpid()}",
        HORNBEAM_LOG="error",  # children end without a goodbye
    )
    assert lines == ["done"]


def test_a_process_may_fork_while_another_thread_opens_table_files():
    lines = run(
        WATCHDOG
        + TABLES
        + """
    tables.table("plain").set("k", 1)

    def forks():
        for _ in range(60):
            beat("forks")
            wait(child(lambda: 0))

    def opens_for_ever():
        while True:
            opens("fork", 30)

    threading.Thread(target=opens_for_ever, name="opens", daemon=True).start()
    watched([threading.Thread(target=forks, name="forks", daemon=True)], 60)
    print("done", flush=True)
    os._exit(0)
        """
    )
    assert lines == ["done"]


def test_a_child_forked_while_a_file_was_opened_can_open_it_and_lets_go_of_it(
    tmp_path,
):
    # The lock of whoever opens ends when all copies of its descriptor are
    # closed: a child that kept one would keep the file locked.
    lines = run(
        WATCHDOG
        + """
    path = sys.argv[1]

    def open_one(i):
        return tables.table(f"t{i}", engine="lmdb", path=f"{path}/{i}.lmdb",
                            map_bytes=1 << 22)

    def opens():
        for i in range(40):
            beat("opens")
            open_one(i).set("k", i)

    opener = threading.Thread(target=opens, name="opens", daemon=True)
    opener.start()
    children = []
    while opener.is_alive():
        if len(children) < 10:
            children.append(child(lambda: time.sleep(20)))
        opener.join(0.002)
    # Another process opens what is open here and in no child.
    import signal, subprocess
    program = (
        "import sys\\n"
        "from hornbeam import tables\\n"
        "for i in range(40):\\n"
        "    path = f'{sys.argv[1]}/{i}.lmdb'\\n"
        "    t = tables.table(f't{i}', engine='lmdb', path=path, map_bytes=1 << 22)\\n"
        "    assert t.get('k') == i\\n"
    )
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", program, path], check=True, timeout=30)
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    print("done", time.monotonic() - began < 9, flush=True)
    os._exit(0)
        """,
        str(tmp_path),
    )
    assert lines == ["done True"]


@pytest.fixture
def locked_file(tmp_path):
    """A table file that looks as if another process were opening it, and had
    been stopped, until the end of the test."""
    path = tmp_path / "slow.lmdb"
    fd = os.open(f"{path}-gate", os.O_RDWR | os.O_CREAT, 0o600)
    set_lock = 37  # F_OFD_SETLK
    fcntl.fcntl(fd, set_lock, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 1, 0))
    yield str(path)
    os.close(fd)


def test_a_file_that_somebody_else_opens_for_ever_holds_up_that_table_only(
    locked_file, name
):
    errors = []

    def open_it():
        try:
            hornbeam.tables.table(name, engine="lmdb", path=locked_file)
        except RuntimeError as e:
            errors.append(e)

    threads = [threading.Thread(target=open_it) for _ in range(3)]
    for t in threads:
        t.start()
    began = time.monotonic()
    for i in range(20):
        assert hornbeam.tables.table(f"{name} {i}").get("k") is None
        hornbeam.cluster.status()
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    assert time.monotonic() - began < 8
    for t in threads:
        t.join(PATIENCE * 3)
    assert not any(t.is_alive() for t in threads)
    assert len(errors) == 3
    assert locked_file in str(errors[0]) and "is it stopped" in str(errors[0])


def test_a_node_that_opens_such_a_file_stays_in_its_cluster(
    locked_file, other_nodes, name
):
    there = "opener@127.0.0.1"
    other_nodes(there)
    table = hornbeam.tables.table("state", there)
    table.set("a", 1)
    options = {"engine": "lmdb", "path": locked_file}
    hornbeam.rpc.rpc_cast(there, "services", "make_table", [name, options])
    until = time.monotonic() + 5
    while time.monotonic() < until:
        assert table.get("a") == 1
        assert there in hornbeam.cluster.nodes()


def used():
    t = os.times()
    return t.user + t.system


@pytest.mark.parametrize("waits_for", ["message", "topic", "answer"])
def test_threads_that_wait_sleep(waits_for, name):
    """And each of them ends with what it waits for."""
    n = 100
    go = threading.Event()
    waiting = threading.Semaphore(0)
    ended = []

    def answer(action):
        go.wait(PATIENCE)
        return action

    hornbeam.hooks.register_hook(name, answer)
    pids = []

    def wait():
        pids.append(hornbeam.self())
        hornbeam.pubsub.subscribe(name)
        if waits_for == "answer":
            task = hornbeam.tasks.execute_async(name, "x")
            waiting.release()
            ended.append(hornbeam.tasks.await_result(task, PATIENCE * 1000))
        elif waits_for == "topic":
            waiting.release()
            ended.append(hornbeam.pubsub.receive(timeout_ms=PATIENCE * 1000))
        else:
            waiting.release()
            ended.append(hornbeam.process.receive(timeout_ms=PATIENCE * 1000))

    threads = [threading.Thread(target=wait, daemon=True) for _ in range(n)]
    for t in threads:
        t.start()
    for _ in threads:
        waiting.acquire(timeout=PATIENCE)
    quiet = 0
    for _ in range(20):  # the starts of threads take their time
        before = used()
        threading.Event().wait(1)
        quiet = used() - before
        if quiet < 0.02:
            break
    assert quiet < 0.02, f"{quiet:.0%} of a core"
    go.set()
    hornbeam.pubsub.publish(name, "m")
    for pid in pids:
        hornbeam.process.send(pid, "m")
    for t in threads:
        t.join(PATIENCE)
    assert len(ended) == n
    hornbeam.hooks.unregister_hook(name)


def test_a_program_with_threads_that_wait_ends_at_once():
    began = time.monotonic()
    lines = run(
        """
    def w():
        subscribe("t")
        receive_pubsub(None)

    for _ in range(100):
        threading.Thread(target=w, daemon=True).start()
    print("ends")
        """
    )
    assert lines == ["ends"]
    assert time.monotonic() - began < PATIENCE / 2


STORM = """
    import random
    seed = int(sys.argv[1])
    seconds = float(sys.argv[2])
    print("seed", seed, flush=True)
    ends = time.monotonic() + seconds
    failures = []

    def runs(f):
        dice = random.Random(f"{seed} {f.__name__}")
        me = threading.current_thread().name
        try:
            while time.monotonic() < ends:
                beat(me)
                f(dice)
        except BaseException as e:
            import traceback
            failures.append(traceback.format_exc())

    def open_shared(dice):
        name = f"storm-{os.getpid()}-{dice.randrange(40)}"
        t = tables.table(name, engine="lmdb", map_bytes=1 << 22)
        t.set("k", t.name)
        assert t.get("k") == t.name

    def open_memory(dice):
        t = tables.table(f"memory-{dice.randrange(40)}")
        t.incr("n")

    def read(dice):
        assert state_get("k") == 1
        assert isinstance(state_incr(f"c{dice.randrange(5)}"), int)

    def register(dice):
        name = f"f{dice.randrange(10)}"
        register_function(name, lambda x: x + 1)
        assert call(name, 1) == 2

    def ask(dice):
        status = hornbeam.cluster.status()
        assert status["tables"]

    def fork(dice):
        what = dice.randrange(4)

        def forked():
            if what == 0:
                return 0
            if what == 1:
                assert state_get("k") == 1
                return 0
            if what == 2:
                register_function("mine", lambda: 7)
                assert call("mine") == 7
                return 0
            t = tables.table(f"memory-{dice.randrange(40)}")
            assert t.get("n", 0) >= 0
            hornbeam.cluster.status()
            return 0

        wait(child(forked))

    state_set("k", 1)
    work = 3 * [open_shared] + 3 * [open_memory] + 4 * [read] + 2 * [register]
    work += 2 * [ask] + 2 * [fork]
    threads = [
        threading.Thread(target=runs, args=(f,), name=f"{f.__name__} {i}", daemon=True)
        for i, f in enumerate(work)
    ]
    watched(threads, seconds + 30)
    print("".join(failures) or "found nothing", flush=True)
    os._exit(bool(failures))
"""


def storm(seconds):
    seed = os.environ.get("HORNBEAM_SEED") or str(time.time_ns() % 10**6)
    lines = run(
        WATCHDOG + STORM,
        seed,
        str(seconds),
        timeout=seconds + 90,
        HORNBEAM_CLUSTER=f"storm-{os.getpid()}-{seed}",
        HORNBEAM_LOG="error",  # children end without a goodbye
    )
    assert lines == [f"seed {seed}", "found nothing"]


def test_sixteen_threads_that_open_fork_read_register_and_ask():
    storm(4)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_sixteen_threads_that_open_fork_read_register_and_ask_for_a_minute():
    storm(60)


def test_keys_expire_in_a_child_whose_first_act_is_to_set_one():
    lines = run(
        """
    t = tables.table("plain")

    def expires():
        t.set("a", 1, ttl_ms=100)
        hornbeam.cluster.node()
        mine, got = tables.table("plain"), threading.Semaphore(0)
        mine.watch(lambda c: c.kind == "expire" and got.release(), prefix="")
        for i in range(50):
            mine.set(f"k{i}", i, ttl_ms=150)
        for i in range(50):
            assert got.acquire(timeout=20), i
        return 0

    wait(child(expires))
    print("done", flush=True)
    os._exit(0)
        """
    )
    assert lines == ["done"]
