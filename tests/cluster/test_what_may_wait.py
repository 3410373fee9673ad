"""What a node may have waiting at another one is bounded, by `link_buffer_bytes`; and
what is large keeps nobody else waiting."""

import contextlib
import signal

import pytest
from launched import SLOWER, Asked

PATIENCE = 60 * SLOWER

# Says its address, then does what each line says and prints what came of it.
NODE = """
import json, resource, sys, threading, time
import hornbeam
from hornbeam import cluster
from hornbeam_erlang import *
name, secret, options = sys.argv[1:]
hornbeam.configure(listen=True, name=name, cluster="waiting", secret=secret,
                   **json.loads(options))
cluster.node()
print(cluster.status()["address"], flush=True)

may_end = threading.Event()
ran = [0]

def slow(x):
    may_end.wait()
    ran[0] += 1
    return len(x)

def slow_hook(action, x):
    return slow(x)

def outcomes(send, times, size):
    "What comes of so many calls at once."
    found = {}
    def one():
        try:
            what = send(b"x" * size)
        except hornbeam.HornbeamError as e:
            what = type(e).__name__ + ": " + str(e)
        found[what] = found.get(what, 0) + 1
    threads = [threading.Thread(target=one) for _ in range(times)]
    for t in threads:
        t.start()
    return threads, found

def overloaded(found):
    return sum(n for what, n in found.items() if what.startswith("OverloadedError: "
               "as many calls of a@127.0.0.1 wait on b@127.0.0.1 as"))

def eventually(f):
    until = time.monotonic() + 60
    while not f() and time.monotonic() < until:
        time.sleep(0.002)
    return f()

errors = []

def outcome(f, *args):
    try:
        return f(*args)
    except hornbeam.HornbeamError as e:
        errors.append(repr(e))

def refused():
    return (outcome(execute_async, 'length', 'go', b'x' * 10_000), errors[-1:])

def timed(f):
    began = time.perf_counter()
    f()
    return (time.perf_counter() - began) * 1000

for line in sys.stdin:
    try:
        exec(line)
        out = None
    except Exception as e:
        out = repr(e)
    print(json.dumps(out if out else globals().get("it")), flush=True)
"""


@pytest.fixture
def node(tmp_path):
    tmp_path.chmod(0o700)
    with contextlib.ExitStack() as stack:

        def start(name, options="{}"):
            return stack.enter_context(
                Asked(
                    NODE, f"{name}@127.0.0.1", tmp_path / "secret.pem", options,
                    env={"RUNTIME_DIRECTORY": str(tmp_path)},
                )
            )

        yield start


SENDS = {
    "call": "lambda x: call('slow', x)",
    "execute": "lambda x: execute('slow', 'go', x)",
    "rpc_call": "lambda x: rpc_call('b', 'waits', 'slow', [x], timeout_ms=60_000)",
    "stream": "lambda x: next(stream('slow', 'go', x))",
    "a task": "lambda x: await_result(execute_async('slow', 'go', x), 60_000)",
}


@pytest.mark.parametrize("how", list(SENDS))
def test_calls_that_would_wait_beyond_the_bound_are_refused_and_the_others_run(
    node, tmp_path, how
):
    (tmp_path / "waits.py").write_text(
        "import __main__\ndef slow(x):\n    return __main__.slow(x)\n"
    )
    a = node("a")
    b = node("b", '{"pool": 1, "link_buffer_bytes": 1048576}')
    b(f"sys.path.insert(0, '{tmp_path}'); hornbeam.rpc.export('waits')")
    b("register_function('slow', slow); register_hook('slow', slow_hook)")
    a(f"cluster.connect('b@{b.ready}')")
    a(f"threads, found = outcomes({SENDS[how]}, 30, 100_000)")
    # The first runs, ten or eleven wait.
    refused = a("it = eventually(lambda: overloaded(found)) and overloaded(found)")
    assert refused > 0, a("it = found")
    refused = a(
        "eventually(lambda: overloaded(found) >= 18); it = overloaded(found)"
    )
    assert 18 <= refused <= 20, a("it = found")
    # What need not wait comes all the same.
    assert a("it = rpc_call('b', 'hornbeam', 'node', [])") == "b@127.0.0.1"
    b("may_end.set()")
    a("[t.join() for t in threads]")
    assert a("it = found.get(100000)") == 30 - refused, a("it = found")
    assert a("it = call('slow', b'again')") == 5


def test_casts_that_would_wait_beyond_the_bound_are_counted_as_lost(node):
    a = node("a")
    b = node("b", '{"pool": 1, "link_buffer_bytes": 1048576}')
    b("register_function('slow', slow)")
    a(f"cluster.connect('b@{b.ready}')")
    a("[cast('slow', b'x' * 100_000) for _ in range(30)]")
    b("eventually(lambda: cluster.status()['lost_casts'] >= 18)")
    lost = b("it = cluster.status()['lost_casts']")
    assert 18 <= lost <= 20
    # What a connection needs is not lost with them.
    a("register_function('of a', lambda: 7)")
    assert b("it = call('of a')") == 7
    b("may_end.set()")
    b(f"eventually(lambda: ran[0] == 30 - {lost})")
    assert b("it = ran[0]") == 30 - lost


def test_a_large_value_keeps_nobody_else_waiting(node):
    b = node("b")
    # To take it apart takes long, in any thread.
    b("register_function('length', len); register_function('quick', lambda x: x)")
    a, c = node("a"), node("c")
    for x in (a, c):
        x(f"cluster.connect('b@{b.ready}')")
    a("large = [b'12345678'] * 5_000_000")
    a("threads, found = outcomes(lambda _: call('length', large), 1, 0)")
    c("times = []")
    c(
        "until = time.monotonic() + 60\n".replace("\n", "; ")
        + "times.extend(timed(lambda: call('hornbeam.term_size', 1))"
        " for _ in iter(lambda: len(times) < 20_000, False))"
    )
    a("[t.join() for t in threads]")
    assert a("it = found") == {"5000000": 1}
    assert c("times.sort(); it = times[int(len(times) * 0.99)]") < 20 * SLOWER


def test_casts_stay_behind_a_large_one_and_their_end_behind_them(node):
    a, b = node("a"), node("b")
    b("got = []; register_function('note', lambda x: got.append(len(x)))")
    a(f"cluster.connect('b@{b.ready}')")
    for _ in range(5):
        b("got.clear()")
        a("cast('note', [1] * 1_000_000); [cast('note', []) for _ in range(100)]")
        b("eventually(lambda: len(got) == 101)")
        assert b("it = sorted(got)") == [0] * 100 + [1_000_000]
    a("cast('note', [1] * 1_000_000); cast('note', [])")
    a("cluster.disconnect('b@127.0.0.1')")
    b("eventually(lambda: len(got) == 103)")
    assert b("it = len(got)") == 103
    b("eventually(lambda: not cluster.nodes())")
    assert b("it = cluster.nodes()") == []


def test_a_task_is_found_at_once_however_large_what_was_sent_for_it(node):
    a, b = node("a"), node("b")
    b("register_hook('length', lambda action, x: len(x))")
    b("register_function('length', len)")
    a(f"cluster.connect('b@{b.ready}')")
    for size in (10, 300_000, 30_000_000):
        a(f"task = execute_async('length', 'go', b'x' * {size})")
        assert a("it = await_result(task)") == size
        a(f"cast('length', b'x' * {size}); task = execute_async('length', 'go', b'')")
        assert a("it = hornbeam.tasks.status(task)['state']") in (
            "waiting", "running", "done",
        )
        assert a("it = await_result(task)") == 0
        a(f"cast('length', b'x' * {size}); task = execute_async('length', 'go', b'')")
        assert a("it = hornbeam.tasks.cancel(task)") in (True, False)
    said = a("await_result('b@127.0.0.1/0000000000000001-1')")
    assert "NotFoundError" in said and "was never submitted" in said
    # Of the own node's incarnation: its submitter says that there was none.
    said = a("await_result(task[:-1] + 'ffff')")
    assert "NotFoundError" in said and "was never submitted" in said


def test_a_task_whose_submitter_stands_still_is_waited_for_until_that_is_lost(node):
    a, c = node("a"), node("c")
    b = node("b", f'{{"heartbeat_ms": 100, "detection_ms": {3000 * SLOWER}}}')
    for x in (a, c):
        x(f"cluster.connect('b@{b.ready}')")
    # It may be on its way as long as its submitter can't say that it is not.
    task = a("it = hornbeam._native.make_task_id('b@127.0.0.1')")
    a.process.send_signal(signal.SIGSTOP)
    try:
        for ask in ("hornbeam.tasks.status", "hornbeam.tasks.cancel", "await_result"):
            for x in (b, c):
                x("errors.clear()")
                took = x(f"it = timed(lambda: outcome({ask}, '{task}', 200))")
                assert 190 < took < 200 + 200 * SLOWER, ask
                assert "HornbeamTimeout" in x("it = errors")[0], ask
        c("errors.clear()")
        c(f"outcome(await_result, '{task}', 60_000)")
        assert "was never submitted" in c("it = errors")[0], c("it = errors")
        assert b("it = cluster.nodes()") == ["c@127.0.0.1"]
    finally:
        a.process.send_signal(signal.SIGCONT)


def test_what_a_full_link_does_not_take_is_an_error_where_it_is_asked(node):
    a = node("a", '{"link_buffer_bytes": 65536}')
    b = node("b")
    b("register_hook('length', lambda action, x: len(x))")
    a(f"cluster.connect('b@{b.ready}')")
    b.process.send_signal(signal.SIGSTOP)
    try:
        # Until the system's buffers are full, too.
        a("eventually(lambda: 'waiting to be sent' in str(refused()))")
        for how in ("execute('length', 'go', b'x')",
                    "execute_async('length', 'go', b'x')",
                    "next(stream('length', 'go', b'x'))"):
            said = a(how)
            assert "OverloadedError" in said, said
            assert "too much is waiting to be sent to b@127.0.0.1" in said, said
    finally:
        b.process.send_signal(signal.SIGCONT)
    a("task = eventually(lambda: outcome(execute_async, 'length', 'go', b'xyz'))")
    assert a("it = await_result(task)") == 3


@pytest.mark.parametrize("retry", [True, False])
@pytest.mark.parametrize("ask", ["execute('pid', 'go')", "list(stream('pid', 'go'))"])
def test_a_node_that_ends_leaves_calls_to_others(node, retry, ask):
    a, b, c = node("a"), node("b"), node("c")
    for x in (b, c):
        x(
            "register_hook('pid', lambda action: __import__('os').getpid(),"
            f" retry={retry})"
        )
        a(f"cluster.connect('{'b' if x is b else 'c'}@{x.ready}')")
    a("outcomes = []")
    a("going = threading.Event()")
    a(
        "threads = [threading.Thread(target=lambda: [outcomes.append(outcome("
        f"lambda: {ask})) for _ in iter(going.is_set, True)])"
        " for _ in range(4)]"
    )
    a("[t.start() for t in threads]")
    a("eventually(lambda: len(outcomes) > 200)")
    b.process.stdin.write("raise SystemExit\n")  # it ends as a program does
    b.process.stdin.flush()
    assert b.process.wait(PATIENCE) == 0
    a("eventually(lambda: len(outcomes) > 5000)")
    a("going.set(); [t.join() for t in threads]")
    # Each thread may have had one that had begun, and can't run twice.
    failed = a("it = errors")
    assert len(failed) <= (0 if retry else 4), failed
    assert all(x.startswith("NodeError('the node b@127.0.0.1 ") for x in failed), failed
