"""After a fork the child keeps what is data and starts a node of its own."""

import os
import subprocess
import sys
import textwrap
import time

import pytest
from conftest import start_node
from launched import PATIENCE, Watched, free_port

pytestmark = pytest.mark.forks

COMMON = textwrap.dedent(
    """
    import os, re, sys, threading, time
    import hornbeam
    from hornbeam import tables
    from hornbeam_erlang import *
    from hornbeam_erlang import receive_pubsub, subscribe

    def descriptors():
        return {int(x): os.readlink(f"/proc/self/fd/{x}")
                for x in os.listdir("/proc/self/fd")
                if os.path.exists(f"/proc/self/fd/{x}")}

    def child(f):
        '''Runs f in a forked child; its exit code is f's result.'''
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            code = 99
            try:
                code = f() or 0
            except BaseException:
                import traceback
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        return pid

    def wait(pid):
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert code == 0, code

    def raised(f, *args):
        try:
            f(*args)
        except RuntimeError as e:
            return type(e).__name__
    """
)


def run(code, *args, timeout=PATIENCE, **env):
    """Runs a program; nothing on stderr, exit code 0. Returns its lines."""
    done = subprocess.run(
        [sys.executable, "-c", COMMON + textwrap.dedent(code), *args],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **env},
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout.splitlines()


def test_a_child_keeps_hooks_functions_and_tables_and_leaves_the_rest():
    lines = run(
        """
        register_hook("hook", lambda action, x: (action, x))
        register_function("twice", lambda x: 2 * x)
        state_set("k", {"a": [1]})
        tables.table("mine").set(("a", 1), 2.5)
        subscribe("news")
        task = execute_async("hook", "task", 1)
        assert await_result(task) == ("task", 1)
        me = hornbeam.self()

        def in_child():
            assert execute("hook", "a", 1) == ("a", 1)
            assert call("twice", 4) == 8
            assert state_get("k") == {"a": [1]}
            assert tables.table("mine").get(("a", 1)) == 2.5
            assert node() == "hornbeam@localhost", node()
            assert hornbeam.self() != me
            assert hornbeam.pubsub.subscribers("news") == 0
            assert publish("news", 1) == 0
            assert receive_pubsub(0) is None
            assert raised(await_result, task, 100) == "NotFoundError"
            assert await_result(execute_async("hook", "b", 2)) == ("b", 2)
            assert rpc_call(node(), "hornbeam", "echo", [7]) == 7
            state_set("k", "of the child")
            subscribe("news")
            assert publish("news", "child") == 1 and receive_pubsub(0) == "child"

        wait(child(in_child))
        assert state_get("k") == {"a": [1]}
        assert publish("news", "parent") == 1
        assert receive_pubsub(1000) == "parent"
        assert await_result(task) == ("task", 1)
        wait(child(lambda: wait(child(in_child))))  # a grandchild too
        print("ok")
        """
    )
    assert lines == ["ok"]


def test_keys_expire_in_a_child_whose_first_act_is_to_set_one():
    lines = run(
        """
        table = tables.table("plain")
        assert table.get("k") is None

        def in_child():
            table.set("first", 0, ttl_ms=20_000)
            gone, all_gone = [], threading.Event()

            def see(change):
                if change.kind == "expire":
                    gone.append(change.key)
                    if len(gone) == 51:
                        all_gone.set()

            again = tables.table("plain")
            again.watch(see, prefix="")
            again.expire("first", 10)
            for i in range(50):
                again.set(f"k{i}", i, ttl_ms=10)
            assert all_gone.wait(20), gone
            assert set(gone) == {"first", *(f"k{i}" for i in range(50))}
            assert table.keys() == [] and table.info()["expired"] == 51

        wait(child(in_child))
        print("ok")
        """
    )
    assert lines == ["ok"]


def test_the_first_key_of_a_child_expires_though_nothing_else_happens():
    lines = run(
        """
        table = tables.table("plain")
        assert table.get("k") is None

        def in_child():
            table.set("k", 1, ttl_ms=1)
            end = time.monotonic() + 20
            while table.info()["expired"] == 0:  # which removes nothing itself
                assert time.monotonic() < end

        wait(child(in_child))
        print("ok")
        """
    )
    assert lines == ["ok"]


def test_what_a_child_holds_of_its_parent_by_hand_says_so_and_never_hangs():
    assert run(
        """
        import asyncio
        from hornbeam import _owner, aio, process
        class Chunks:
            def many(self):
                try:
                    yield from range(1000)
                finally:
                    print("closed in", "parent" if os.getpid() == first else "child")
                    closed.set()
        first, closed = os.getpid(), threading.Event()
        register_hook("chunks", Chunks())
        box = _owner.mailbox()
        box.subscribe("news")
        from hornbeam import _native
        remote = _native.open_stream("chunks", "many", (), {}, None, 0)
        more, chunks = remote.next(None)
        assert more and chunks[0] == 0
        async def coroutine():
            return 5
        async def main():
            register_hook("home", lambda action: coroutine())
            assert await aio.rpc_call(node(), "hornbeam", "echo", [1]) == 1
            pid = child(in_child)
            assert await aio.rpc_call(node(), "hornbeam", "echo", [2]) == 2
            wait(pid)
        def in_child():
            assert box.closed and raised(box.receive, 0) == "HornbeamError"
            assert raised(remote.next, 0) == "HornbeamError"
            remote.close()
            box.close()
            assert execute("home", "x") == 5  # its loop stayed with the parent
            async def again():
                assert await aio.rpc_call(node(), "hornbeam", "echo", [3]) == 3
            asyncio.run(again())
        asyncio.run(main())
        assert not box.closed and publish("news", 1) == 1
        more, later = remote.next(1000)
        assert more and later[0] == chunks[-1] + 1
        remote.close()
        assert closed.wait(10)
        """
    ) == ["closed in parent"]


def test_a_child_shares_no_descriptor_of_its_parents_node():
    with start_node("fork1@127.0.0.1") as other:
        lines = run(
            """
            import asyncio, json
            before = descriptors()
            hornbeam.configure(**json.loads(sys.argv[1]))
            hornbeam.cluster.connect(sys.argv[2])
            from hornbeam import _engine, _loop
            async def coroutine():
                return 1
            register_hook("coroutine", lambda action: coroutine())
            assert execute("coroutine", "x") == 1  # starts the node's loop
            after = descriptors()
            # Files are open only for the moment in which they are read.
            new = {fd: to for fd, to in after.items()
                   if before.get(fd) != to and to[0] != "/"}
            assert sum("socket" in x for x in new.values()) >= 2, new
            name = node()
            assert re.fullmatch("hornbeam-[0-9a-f]{8}@127.0.0.1", name), name

            def in_child():
                first = descriptors()
                shared = {fd: to for fd, to in first.items()
                          if fd in new and to == new[fd]}
                assert not shared, shared
                assert state_incr("n") == 1
                # What has no name of its own can't be told from the child's.
                kept = {x for x in new.values() if not x.startswith("anon_inode:")}
                second = descriptors()
                assert not kept & set(second.values()), (new, second)
                mine = node()
                assert re.fullmatch("hornbeam-[0-9a-f]{8}@127.0.0.1", mine), mine
                assert mine != name
                assert nodes() == []
                hornbeam.cluster.connect(sys.argv[2])
                assert rpc_call(sys.argv[2], "hornbeam", "node", []) == sys.argv[2]
                _engine.leave()  # says goodbye to the parent, which has met it

            for _ in range(3):
                wait(child(in_child))
                # the parent's connections live
                assert rpc_call(sys.argv[2], "hornbeam", "echo", [5]) == 5
            assert sys.argv[2] in nodes()
            wait(os.posix_spawn(sys.executable, [sys.executable, "-c",
                "import os, sys; "
                "sys.exit(sum('socket' in os.readlink(f'/proc/self/fd/{x}') "
                "for x in os.listdir('/proc/self/fd') "
                "if os.path.exists(f'/proc/self/fd/{x}')))"], os.environ))
            print("ok")
            """,
            joining(),
            "fork1@127.0.0.1",
        )
        assert lines == ["ok"], other


def joining():
    import json

    from conftest import CLUSTER, SECRET

    return json.dumps({"cluster": CLUSTER, "secret": str(SECRET)})


def test_a_child_of_a_named_node_takes_neither_its_name_nor_its_port():
    assert run(
        """
        import json
        hornbeam.configure(name="named@127.0.0.1", listen=True,
                           port=int(sys.argv[2]), **json.loads(sys.argv[1]))
        state_set("x", 1)
        address = hornbeam.cluster.status()["address"]
        assert address == f"127.0.0.1:{sys.argv[2]}", address
        names = {node()}
        for _ in range(2):
            r, w = os.pipe()
            def in_child():
                status = hornbeam.cluster.status()
                assert status["address"] not in ("", address), status
                os.write(w, node().encode())
            wait(child(in_child))
            names.add(os.read(r, 100).decode())
        assert len(names) == 3, names
        assert all(re.fullmatch("hornbeam-[0-9a-f]{8}@127.0.0.1", x)
                   for x in names - {"named@127.0.0.1"}), names
        """,
        joining(),
        str(free_port()),
    ) == []


BUSY = """
    import asyncio, itertools
    from hornbeam import aio, hooks
    class Service:
        def add(self, a, b): return a + b
        def chunks(self): yield from range(20)
        def nested(self, n):
            return execute("service", "nested", n - 1) if n else state_incr("nested")
    async def coroutine(): return 1
    register_hook("service", Service())
    register_hook("coroutine", lambda action: coroutine())
    async def loop_calls():
        while True:
            await aio.execute("service", "add", 1, 2)
            await aio.rpc_call(node(), "hornbeam", "echo", [1])
    def short_subscription():
        subscribe("busy"); receive_pubsub(0); hornbeam.pubsub.unsubscribe("busy")
    kinds = [
        lambda: (state_incr("n"), state_keys("n"), state_set("x", [1, 2])),
        lambda: rpc_call(node(), "hornbeam", "echo", [1]),
        lambda: await_result(execute_async("service", "add", 1, 2)),
        lambda: await_result(execute_async("service", "nested", 5)),
        lambda: execute("coroutine", "x"),
        lambda: list(stream("service", "chunks")),
        lambda: publish("busy", 1),
        short_subscription,
        lambda: (subscribe("busy"), receive_pubsub(1)),
        lambda: asyncio.run(loop_calls()),
    ]
    ready = threading.Semaphore(0)
    def run(call):
        ready.release()
        for _ in iter(int, 1):
            call()
    for call_ in kinds:
        threading.Thread(target=run, args=(call_,), daemon=True).start()
    for _ in kinds:
        ready.acquire()
    """


def test_a_fork_while_other_threads_are_busy_in_our_calls_never_hangs():
    lines = run(
        textwrap.dedent(BUSY)
        + textwrap.dedent(
            """
            def in_child():
                import signal
                signal.alarm(30)
                before = state_incr("n")
                assert state_incr("n") == before + 1
                assert execute("service", "nested", 3) > 0
                assert execute("coroutine", "x") == 1
                assert await_result(execute_async("service", "add", 1, 2), 20000) == 3
                assert rpc_call(node(), "hornbeam", "echo", [7], 20000) == 7
                subscribe("own")
                assert publish("own", 1) == 1 and receive_pubsub(20000) == 1
                assert list(stream("service", "chunks")) == list(range(20))
                async def awaits():
                    return await aio.rpc_call(node(), "hornbeam", "echo", [1], 20000)
                assert asyncio.run(awaits()) == 1
            for _ in range(100):
                wait(child(in_child))
            print("ok")
            """
        ),
        timeout=110,
    )
    assert lines == ["ok"]


def test_a_fork_inside_a_handler_that_returns_in_the_child_ends_it():
    assert run(
        """
        def handler(action):
            pid = os.fork()
            state_incr("n")  # the child starts a node
            return pid
        register_hook("forks", handler)
        pid = await_result(execute_async("forks", "x"))
        wait(pid)
        assert await_result(execute_async("forks", "x"), 5000) > 0
        """
    ) == []


def test_a_fork_inside_a_stream_that_leaves_in_the_child_ends_it():
    assert run(
        """
        from hornbeam import _native
        def handler(action, how):
            pid = os.fork()
            state_incr("n")  # the child starts a node
            if pid == 0 and how == "exit":
                raise SystemExit(3)
            if pid == 0 and how == "return":
                return
            yield pid
        register_hook("forks", handler)
        for how in ("exit", "return", "go on"):
            stream = _native.open_stream("forks", "x", (how,), {}, None, 0)
            more, (pid,) = stream.next(20000)
            wait(pid)
        """
    ) == []


def test_children_of_pools_and_popen_use_the_engine():
    assert run(
        """
        import multiprocessing, subprocess, concurrent.futures
        def work(x):
            return execute("double", "x", x), state_incr("calls") > 10, os.getpid()
        register_hook("double", lambda action, x: 2 * x)
        state_set("calls", 10)
        start = multiprocessing.get_context("fork")
        expected = [(2 * i, True) for i in range(20)]
        with start.Pool(3) as pool:
            assert [x[:2] for x in pool.map(work, range(20))] == expected
        with start.Pool(2) as pool:
            pool.map(work, range(4))
            pool.close()
            pool.join()
        with concurrent.futures.ProcessPoolExecutor(3, start) as pool:
            assert [x[:2] for x in pool.map(work, range(20))] == expected
        one = start.Process(target=work, args=(1,))
        one.start()
        one.join()
        assert one.exitcode == 0
        done = subprocess.run(
            ["/bin/sh", "-c", "echo from the program"], capture_output=True,
            preexec_fn=lambda: (state_incr("calls"), execute("double", "x", 1)))
        assert done.stdout == b"from the program\\n", done
        assert state_get("calls") == 10
        """
    ) == []


def test_peers_see_a_killed_parent_go_down_although_a_child_lives():
    with start_node("fork2@127.0.0.1") as other:
        program = textwrap.dedent(
            """
            import json
            hornbeam.configure(**json.loads(sys.argv[1]))
            hornbeam.cluster.connect("fork2@127.0.0.1")
            def in_child():
                os.write(1, b"child %d\\n" % os.getpid())
                sys.stdin.read()
            child(in_child)
            os.write(1, f"parent {node()}\\n".encode())
            time.sleep(600)
            """
        )
        parent = subprocess.Popen(
            [sys.executable, "-c", COMMON + program, joining()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        lines = dict(parent.stdout.readline().split() for _ in range(2))
        child = Watched(int(lines["child"]))
        try:
            import hornbeam

            hornbeam.cluster.wait_for("fork2@127.0.0.1")

            def peers():
                status = hornbeam.rpc.rpc_call(
                    "fork2@127.0.0.1", "hornbeam", "status", []
                )
                return status["peers"]

            assert lines["parent"] in peers()
            killed = time.monotonic()
            parent.kill()
            while lines["parent"] in peers():
                assert time.monotonic() - killed < 2, other
            assert not child.ends(0)
        finally:
            parent.stdin.close()
            parent.kill()
            parent.wait()
            parent.stdout.close()
            assert child.ends(10)
            child.close()
