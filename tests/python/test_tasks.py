"""Tasks: execute_async and await_result."""

import asyncio
import contextvars
import threading
import weakref

import pytest

import hornbeam
import hornbeam_erlang as erlang
from hornbeam import HandlerError, HornbeamTimeout, NodeError, NotFoundError


class Gate:
    """A handler that waits until a test opens it."""

    def __init__(self):
        self.open = threading.Event()
        self.entered = threading.Event()

    def work(self, result=5):
        self.entered.set()
        self.open.wait(10)
        return result

    def thread(self):
        return threading.get_ident()

    def same(self, x):
        return x

    def fail(self):
        raise KeyError("no such drawer")

    def leave(self):
        raise SystemExit(3)

    async def coroutine(self, x):
        await asyncio.sleep(0)
        return x


@pytest.fixture
def gate(name):
    handler = Gate()
    erlang.register_hook(name, handler)
    yield handler
    handler.open.set()
    erlang.unregister_hook(name)


def test_to_start_a_task_never_blocks(gate, name):
    ids = [erlang.execute_async(name, "work", i) for i in range(200)]
    assert len(set(ids)) == 200
    assert all(isinstance(x, str) for x in ids)
    gate.open.set()
    assert [erlang.await_result(x) for x in ids] == list(range(200))


def test_a_task_runs_in_another_thread_with_the_very_objects(gate, name):
    thing = object()
    assert erlang.await_result(erlang.execute_async(name, "same", thing)) is thing
    thread = erlang.await_result(erlang.execute_async(name, "thread"))
    assert thread != threading.get_ident()


@pytest.mark.parametrize("bounds", [{}, {"concurrency": 1}])
def test_what_a_handler_sets_in_its_context_is_gone_after_the_call(name, bounds):
    mark = contextvars.ContextVar("mark", default=None)

    def handler(action):
        before = mark.get()
        mark.set("set")
        return before

    erlang.register_hook(name, handler, **bounds)
    tasks = [erlang.execute_async(name, "x") for _ in range(20)]
    assert [erlang.await_result(x) for x in tasks] == [None] * 20
    erlang.unregister_hook(name)


def test_a_result_may_be_awaited_more_than_once(gate, name):
    gate.open.set()
    task = erlang.execute_async(name, "work")
    assert [erlang.await_result(task) for _ in range(3)] == [5, 5, 5]


def test_several_waiters_get_the_result(gate, name):
    task = erlang.execute_async(name, "work")
    got, started = [], threading.Barrier(6)

    def wait():
        started.wait()
        got.append(erlang.await_result(task))

    threads = [threading.Thread(target=wait) for _ in range(5)]
    for t in threads:
        t.start()
    started.wait()
    gate.open.set()
    for t in threads:
        t.join(10)
    assert got == [5] * 5


def test_a_timed_out_task_goes_on_and_can_be_awaited_again(gate, name):
    task = erlang.execute_async(name, "work")
    for timeout in (0, 1, 20, -5):
        with pytest.raises(HornbeamTimeout) as e:
            erlang.await_result(task, timeout_ms=timeout)
        assert isinstance(e.value, TimeoutError)
    gate.open.set()
    assert erlang.await_result(task, None) == 5
    assert erlang.await_result(task, 0) == 5


def test_a_failed_task_raises_each_time_with_its_cause(gate, name):
    task = erlang.execute_async(name, "fail")
    for _ in range(2):
        with pytest.raises(HandlerError, match="KeyError.*no such drawer") as e:
            erlang.await_result(task)
        assert isinstance(e.value.__cause__, KeyError)


def test_an_error_of_ours_in_a_task_is_not_its_own_cause(name):
    erlang.register_hook(name, lambda action: erlang.execute("no such hook", "x"))
    with pytest.raises(NotFoundError) as e:
        erlang.await_result(erlang.execute_async(name, "x"))
    assert e.value.__cause__ is not e.value


def test_a_handler_that_exits_fails_its_task_only(gate, name):
    with pytest.raises(HandlerError, match="SystemExit"):
        erlang.await_result(erlang.execute_async(name, "leave"))


def test_an_unknown_action_is_raised_by_await_result(gate, name):
    task = erlang.execute_async(name, "nothing")
    with pytest.raises(NotFoundError, match="nothing"):
        erlang.await_result(task)


def test_coroutine_handlers_are_tasks_too(gate, name):
    assert erlang.await_result(erlang.execute_async(name, "coroutine", 5)) == 5


def test_an_unknown_hook_is_raised_at_once():
    with pytest.raises(NotFoundError, match="no such hook"):
        erlang.execute_async("no such hook", "x")


@pytest.mark.parametrize("task", ["", "x", "1", "a@b", "\ud800", "<0.1.2>", "#"])
def test_what_is_no_task_id_is_unknown(task):
    with pytest.raises(NotFoundError):
        erlang.await_result(task)


def test_a_task_id_that_was_not_given_out_is_unknown(gate, name):
    gate.open.set()
    task = erlang.execute_async(name, "work")
    for other in (task + "0", task[:-1] + "x", task.upper()):
        with pytest.raises((NotFoundError, NodeError)):
            erlang.await_result(other)


@pytest.mark.parametrize("task", [None, 5, b"x"])
def test_a_task_id_is_a_str(task):
    with pytest.raises(TypeError, match="task id"):
        erlang.await_result(task)


def test_a_task_of_another_node(worker):
    task = erlang.execute_async("there", "echo", 1, key=2)
    assert worker in task
    for _ in range(2):
        assert erlang.await_result(task) == [[1], {"key": 2}]
    task = erlang.execute_async("there", "fail")
    for _ in range(2):
        with pytest.raises(HandlerError, match="KeyError"):
            erlang.await_result(task)


def test_any_member_can_await_a_task(worker, gate, name):
    here = erlang.execute_async(name, "work", [1])
    with pytest.raises(HornbeamTimeout):
        erlang.rpc_call(worker, "services", "await_task", [here, 20])
    gate.open.set()
    assert erlang.rpc_call(worker, "services", "await_task", [here]) == [1]
    assert erlang.await_result(here) == [1]
    there = erlang.execute_async("there", "echo", 1)
    assert erlang.rpc_call(worker, "services", "await_task", [there]) == [[1], {}]


def test_a_local_result_that_cannot_be_sent_is_still_there_for_this_node(
    worker, gate, name
):
    thing = threading.Lock()
    task = erlang.execute_async(name, "same", thing)
    assert erlang.await_result(task) is thing
    with pytest.raises(RuntimeError, match="lock"):
        erlang.rpc_call(worker, "services", "await_task", [task])
    assert erlang.await_result(task) is thing


def test_a_task_ends_with_its_node(other_nodes, eventually, name):
    node = other_nodes("tasker@127.0.0.1")
    erlang.rpc_call("tasker@127.0.0.1", "services", "register_slow", [name])
    eventually(lambda: hornbeam.hooks.providers(name))
    task = erlang.execute_async(name, "x")
    running = hornbeam.tables.table("state", "tasker@127.0.0.1")
    eventually(lambda: running.get(name) == "running")
    threading.Timer(0, node.process.kill).start()
    with pytest.raises(NodeError, match="tasker@127.0.0.1"):
        erlang.await_result(task, 20000)


def test_results_are_kept_for_a_configured_number(fresh_python):
    out = fresh_python(
        """
        import hornbeam, hornbeam_erlang as erlang
        from hornbeam import _engine
        _engine.task_keep_count = 5
        erlang.register_hook("h", lambda action, x: x)
        tasks = []
        for i in range(20):
            tasks.append(erlang.execute_async("h", "x", i))
            assert erlang.await_result(tasks[-1]) == i
        known = []
        for i, task in enumerate(tasks):
            try:
                known.append(erlang.await_result(task))
            except hornbeam.NotFoundError:
                pass
        print(known)
        """
    )
    assert out == "[15, 16, 17, 18, 19]\n"


def test_results_that_take_too_much_go_and_say_so(fresh_python):
    out = fresh_python(
        """
        import logging, sys
        import hornbeam, hornbeam_erlang as erlang

        logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(message)s")
        hornbeam.configure(task_keep_bytes=1_000_000, pool=1)

        class Thing:
            def __init__(self):
                self.data = bytearray(300_000)

        made = {
            "bytes": lambda: bytes(300_000),
            "list": lambda: [float(i) for i in range(10_000)],
            "object": Thing,
            "dict": lambda: {"a": [bytes(300_000)]},
        }
        erlang.register_hook("h", lambda action: made[action]())
        tasks = [erlang.execute_async("h", kind) for kind in made for _ in "123"]
        # One after the other, by one thread.
        erlang.await_result(tasks[-1])
        hornbeam.tasks.list()
        print(len(hornbeam.tasks.list()) < 5)
        for task in tasks[0], tasks[3]:
            for ask in erlang.await_result, hornbeam.tasks.status:
                try:
                    ask(task)
                except hornbeam.NotFoundError as e:
                    print("raise task_keep_bytes" in str(e), "= 1000000" in str(e))
        """
    )
    # The log has a thread of its own.
    (said,) = [x for x in out.splitlines() if x.startswith("WARNING")]
    rest = [x for x in out.splitlines() if x != said]
    assert "results of tasks that nobody fetched are dropped" in said
    assert "raise task_keep_bytes" in said
    assert rest == ["True"] + ["True True"] * 4


def test_arrays_count_with_what_they_hold(fresh_python):
    out = fresh_python(
        """
        import numpy, hornbeam, hornbeam_erlang as erlang

        hornbeam.configure(task_keep_bytes=1_000_000)
        made = {
            "array": lambda: numpy.zeros(50_000),
            "dates": lambda: numpy.zeros(50_000, "M8[s]"),
            "part": lambda: numpy.zeros((100_000, 2))[:, 0],
        }
        erlang.register_hook("h", lambda action: made[action]())
        for kind in made:
            for _ in range(5):
                erlang.await_result(erlang.execute_async("h", kind))
            kept = hornbeam.tasks.list()
            print([x["action"] for x in kept])
        """
    )
    assert out == "['array', 'array']\n['dates', 'dates']\n['part']\n"


def test_a_result_that_takes_more_than_all_may_is_there_for_who_comes(fresh_python):
    out = fresh_python(
        """
        import asyncio
        import hornbeam, hornbeam_erlang as erlang
        from hornbeam import aio

        # One job at a time: the last one that was submitted ends last.
        hornbeam.configure(task_keep_bytes=1000, pool=1)
        erlang.register_hook("h", lambda action, n: bytes(n))
        for i in range(200):
            sizes = [5000 + i] * 3
            tasks = [erlang.execute_async("h", "x", n) for n in sizes]
            assert len(erlang.await_result(tasks[-1])) == sizes[-1]

        async def main():
            for i in range(200):
                task = erlang.execute_async("h", "x", 5000 + i)
                assert len(await aio.await_result(task)) == 5000 + i

        asyncio.run(main())
        print("ok")
        """
    )
    assert out == "ok\n"


def test_to_submit_is_never_refused_for_results_that_nobody_fetched(fresh_python):
    out = fresh_python(
        """
        import hornbeam, hornbeam_erlang as erlang

        hornbeam.configure(task_keep_bytes=100, task_keep_count=3)
        erlang.register_hook("h", lambda action, n: n)
        for i in range(5000):
            task = erlang.execute_async("h", "x", i)
        print(erlang.await_result(task), hornbeam.cluster.status()["tasks_kept"])
        """,
        env={"HORNBEAM_LOG": "error"},
    )
    last, kept = out.split()
    assert last == "4999" and int(kept) <= 3


def test_a_result_can_be_forgotten(gate, name):
    waits = erlang.execute_async(name, "work", 1)
    gate.entered.wait(10)
    got = []
    thread = threading.Thread(target=lambda: got.append(erlang.await_result(waits)))
    thread.start()
    ended = erlang.execute_async(name, "same", 2)
    assert erlang.await_result(ended) == 2
    assert hornbeam.tasks.forget(ended) and not hornbeam.tasks.forget(ended)
    with pytest.raises(NotFoundError, match="forget"):
        erlang.await_result(ended)
    gate.open.set()
    thread.join(10)
    assert got == [1]
    assert asyncio.run(hornbeam.aio.forget(waits))
    with pytest.raises(NotFoundError, match="forget"):
        hornbeam.tasks.status(waits)
    with pytest.raises(NotFoundError, match="not a task id"):
        hornbeam.tasks.forget("x")
    with pytest.raises(TypeError, match="task id"):
        hornbeam.tasks.forget(5)


def test_a_result_that_is_forgotten_is_freed(gate, name, eventually):
    class Thing:
        pass

    thing = Thing()
    gone = weakref.ref(thing)
    gate.open.set()
    task = erlang.execute_async(name, "same", thing)
    assert erlang.await_result(task) is thing
    del thing
    assert hornbeam.tasks.forget(task)
    eventually(lambda: gone() is None)


def test_a_result_of_another_node_can_be_forgotten(worker):
    task = erlang.execute_async("there", "echo", 1)
    assert erlang.await_result(task) == [[1], {}]
    assert hornbeam.tasks.forget(task) and not hornbeam.tasks.forget(task)
    with pytest.raises(NotFoundError, match=f"{worker}.*forget"):
        erlang.await_result(task)


def test_a_task_may_start_and_await_tasks(gate, name):
    gate.open.set()

    def outer(action, n):
        if n == 0:
            return 0
        inner = erlang.execute_async(name + " outer", "x", n - 1)
        return 1 + erlang.await_result(inner)

    erlang.register_hook(name + " outer", outer)
    task = erlang.execute_async(name + " outer", "x", 50)
    assert erlang.await_result(task) == 50


span = contextvars.ContextVar("span", default=None)


@pytest.mark.parametrize("bounds", [{}, {"concurrency": 1}], ids=repr)
@pytest.mark.parametrize("ms", [None, 60_000])
def test_a_task_begins_with_the_context_of_who_submitted_it(name, bounds, ms):
    def handler(action):
        found = span.get()
        span.set("of the task")
        return found

    async def coroutine(action):
        return handler(action)

    def submit():
        if ms is None:
            return erlang.execute_async(name, "x")
        with hornbeam.deadline(ms):
            return erlang.execute_async(name, "x")

    for kind in (handler, coroutine):
        erlang.register_hook(name, kind, **bounds)
        token = span.set("of the submitter")
        task = submit()
        span.reset(token)
        assert erlang.await_result(task) == "of the submitter"
        assert span.get() is None


@pytest.mark.parametrize("bounds", [{}, {"concurrency": 1}], ids=repr)
def test_a_task_has_nothing_of_ours_of_who_submitted_it(name, bounds):
    """Neither its process, nor its task or permits, nor the deadline of its block
    but as its own."""
    from hornbeam import _context, process

    def handler(action, then=None):
        if then is not None:
            return erlang.await_result(erlang.execute_async(*then))
        hornbeam.tasks.progress("inner")
        return (
            hornbeam.self(),
            hornbeam.left_ms(),
            _context.permits.get(),
            _context._depth.get(),
        )

    other = name + " other"
    erlang.register_hook(name, handler, **bounds)
    erlang.register_hook(other, handler, **bounds)
    with process.scope() as pid:
        mine, left, permits, depth = erlang.await_result(
            erlang.execute_async(name, "x", (other, "x"))
        )
    assert mine != pid and left is None and permits == () and depth == 2
    outer = erlang.execute_async(name, "x", (other, "x"))
    erlang.await_result(outer)
    assert hornbeam.tasks.status(outer)["progress"] is None
    with hornbeam.deadline(60_000):
        task = erlang.execute_async(name, "x")
    assert 0 < erlang.await_result(task)[1] <= 60_000


def test_a_task_that_is_submitted_by_a_coroutine_has_none_of_its_permits(name):
    from hornbeam import _context, aio

    async def outer(action):
        assert len(_context.permits.get()) == 1
        return await aio.await_result(erlang.execute_async(name, "x"))

    erlang.register_hook(name, lambda action: _context.permits.get())
    erlang.register_hook(name + " outer", outer, concurrency=1)
    task = erlang.execute_async(name + " outer", "x")
    assert erlang.await_result(task) == ()
