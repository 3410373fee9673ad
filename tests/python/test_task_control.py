"""Tasks: status, cancel, progress, watch and list."""

import asyncio
import sys
import threading
import time
from pathlib import Path

import pytest

import hornbeam
import hornbeam_erlang as erlang
from hornbeam import (
    HornbeamError,
    HornbeamTimeout,
    NodeError,
    NotFoundError,
    TaskCancelled,
    aio,
    tasks,
)

sys.path.append(str(Path(__file__).parent / "provider"))

from long_work import LongWork  # noqa: E402


class Place:
    """Where the tasks of a test run: in this process or on another node."""

    def __init__(self, node, hook, eventually):
        self.node = node
        self.hook = hook
        self._state = hornbeam.tables.table("state", node)
        self._eventually = eventually

    def start(self, action, *args):
        return erlang.execute_async(self.hook, action, *args)

    def wait_for(self, key, value):
        """Until a task has written that into the state of its node."""
        self._eventually(lambda: self._state.get(key) == value, (key, value))


@pytest.fixture(params=["here", "there"])
def place(request, worker, name, eventually):
    if request.param == "there":
        yield Place(worker, "there tasks", eventually)
        return
    erlang.register_hook(name, LongWork)
    yield Place(hornbeam.cluster.node(), name, eventually)
    erlang.unregister_hook(name)


@pytest.fixture
def relay(place, name, eventually):
    """A task that reports what is published, and a function that publishes."""
    topic = f"{name} topic"
    task = place.start("relay", topic)
    place.wait_for(topic, "running")
    # Its subscription may still be on its way here.
    eventually(lambda: hornbeam.pubsub.subscribers(topic) == 1)
    yield task, lambda message: erlang.publish(topic, message)
    tasks.cancel(task)
    erlang.publish(topic, "last")


# -- status -------------------------------------------------------------------


def test_the_status_of_a_task_tells_how_far_it_is(place, name):
    before = time.time()
    task = place.start("until_cancelled", name)
    place.wait_for(name, "running")
    found = tasks.status(task)
    assert before <= found["submitted"] <= found["started"] <= time.time()
    assert found == {
        "id": task,
        "state": "running",
        "hook": place.hook,
        "action": "until_cancelled",
        "node": place.node,
        "submitted": found["submitted"],
        "started": found["started"],
        "ended": None,
        "progress": None,
    }
    tasks.cancel(task)
    found = tasks.status(task)
    assert found["state"] == "cancelled"
    assert found["started"] <= found["ended"] <= time.time()


def test_a_task_ends_as_done_or_failed(place):
    done = place.start("echo", 5)
    assert erlang.await_result(done) == 5
    assert tasks.status(done)["state"] == "done"
    failed = place.start("fail")
    with pytest.raises(RuntimeError, match="no such drawer"):
        erlang.await_result(failed)
    assert tasks.status(failed)["state"] == "failed"


def test_a_coroutine_is_a_task_like_others(place):
    task = place.start("steps", 3)
    assert erlang.await_result(task) == 3
    found = tasks.status(task)
    assert (found["state"], found["progress"]) == ("done", 3)


def test_a_task_that_waits_for_a_thread_is_waiting(name):
    go = threading.Event()
    erlang.register_hook(name, lambda action: go.wait(20))
    many = [erlang.execute_async(name, "x") for _ in range(100)]
    last = tasks.status(many[-1])
    assert (last["state"], last["started"]) == ("waiting", None)
    go.set()
    for task in many:
        assert erlang.await_result(task)
    erlang.unregister_hook(name)


def test_a_node_lists_its_tasks(place):
    running = place.start("coroutine", "list")
    done = place.start("echo", 1)
    erlang.await_result(done)
    for found in (
        tasks.list() if place.node == erlang.node() else tasks.list(place.node),
        erlang.rpc_call(place.node, "services", "about_task", ["list"])
        if place.node != erlang.node()
        else tasks.list(erlang.node()),
    ):
        states = {x["id"]: x["state"] for x in found}
        assert states[done] == "done"
        assert states[running] in ("waiting", "running")
    tasks.cancel(running)
    status = hornbeam.cluster.status
    if place.node == erlang.node():
        kept = [x for x in tasks.list() if x["ended"] is not None]
        assert status()["tasks_kept"] == len(kept)


# -- cancel -------------------------------------------------------------------


def test_a_running_handler_sees_that_its_task_is_cancelled(place, name):
    task = place.start("until_cancelled", name)
    place.wait_for(name, "running")
    assert tasks.cancel(task) is True
    place.wait_for(name, "checked")
    assert tasks.cancel(task) is False


def test_those_who_wait_for_a_cancelled_task_are_told_at_once(place, name):
    task = place.start("until_cancelled", name)
    place.wait_for(name, "running")
    errors = []

    def wait():
        try:
            erlang.await_result(task)
        except HornbeamError as e:
            errors.append(e)

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for t in threads:
        t.start()
    tasks.cancel(task)
    for t in threads:
        t.join(10)
    assert [type(e) for e in errors] == [TaskCancelled] * 3
    assert all(task in str(e) for e in errors)
    with pytest.raises(TaskCancelled):
        erlang.await_result(task)


def test_a_coroutine_is_cancelled_with_its_task(place, name):
    task = place.start("coroutine", name)
    place.wait_for(name, "running")
    assert tasks.cancel(task)
    place.wait_for(name, "cancelled")
    with pytest.raises(TaskCancelled):
        erlang.await_result(task)


def test_a_task_that_has_not_begun_never_begins(name, eventually):
    go, calls = threading.Event(), []

    def handler(action, n=None):
        if action == "wait":
            go.wait(20)
        else:
            calls.append(n)

    erlang.register_hook(name, handler)
    full = [erlang.execute_async(name, "wait") for _ in range(100)]
    late = [erlang.execute_async(name, "note", n) for n in range(4)]
    assert [tasks.cancel(task) for task in late[:3]] == [True] * 3
    go.set()
    for task in [*full, late[3]]:
        erlang.await_result(task)
    assert calls == [3]
    assert [tasks.status(x)["started"] for x in late[:3]] == [None] * 3
    # Nothing of them is kept here, such as their arguments.
    eventually(lambda: not set(late) & set(tasks._calls))
    erlang.unregister_hook(name)


def test_a_task_that_has_ended_keeps_its_result(place):
    task = place.start("echo", 5)
    assert erlang.await_result(task) == 5
    assert tasks.cancel(task) is False
    assert erlang.await_result(task) == 5


def test_any_node_can_cancel(place, worker, name):
    task = place.start("until_cancelled", name)
    place.wait_for(name, "running")
    args = ["cancel", task]
    assert erlang.rpc_call(worker, "services", "about_task", args) is True
    place.wait_for(name, "checked")
    assert erlang.rpc_call(worker, "services", "about_task", args) is False
    with pytest.raises(TaskCancelled):
        erlang.await_result(task)


def test_nobody_is_cancelled_outside_of_a_task(name):
    assert tasks.cancelled() is False
    tasks.check()
    erlang.register_hook(name, lambda action: tasks.cancelled())
    assert erlang.execute(name, "x") is False
    erlang.unregister_hook(name)


def test_a_task_does_not_begin_after_its_deadline(name):
    go, calls = threading.Event(), []

    def handler(action):
        if action == "wait":
            go.wait(20)
        else:
            calls.append(action)

    erlang.register_hook(name, handler)
    full = [erlang.execute_async(name, "wait") for _ in range(100)]
    with hornbeam.deadline(20):
        late = erlang.execute_async(name, "late")
        with pytest.raises(HornbeamTimeout):
            erlang.await_result(late)
    go.set()
    with pytest.raises(HornbeamTimeout, match="before the task began"):
        erlang.await_result(late)
    found = tasks.status(late)
    assert (found["state"], found["started"]) == ("failed", None)
    for task in full:
        erlang.await_result(task)
    assert calls == []
    erlang.unregister_hook(name)


def test_a_coroutine_that_is_a_task_ends_with_its_deadline(place, name):
    with hornbeam.deadline(200):
        task = place.start("coroutine", name)
    with pytest.raises(HornbeamTimeout):
        erlang.await_result(task)
    assert tasks.status(task)["state"] == "failed"


def test_many_coroutines_are_tasks_at_once(place):
    """They take no thread of the pool each."""
    many = [place.start("coroutine", "many") for _ in range(100)]
    assert erlang.await_result(place.start("echo", 1)) == 1
    for task in many:
        assert tasks.cancel(task)
        with pytest.raises(TaskCancelled):
            erlang.await_result(task)


# -- progress -----------------------------------------------------------------


def test_whoever_watches_gets_reports_as_they_come(relay):
    task, publish = relay
    publish({"done": 1})
    watched = tasks.watch(task)
    assert next(watched) == {"done": 1}
    publish([2, b"x"])
    assert next(watched) == [2, b"x"]
    publish("last")
    assert list(watched) == ["last"]
    assert erlang.await_result(task) == 3


def test_several_watch_on_several_nodes(relay, worker):
    task, publish = relay
    there = []
    thread = threading.Thread(
        target=lambda: there.append(
            erlang.rpc_call(worker, "services", "watched", [task], 20000)
        )
    )
    thread.start()
    mine = [tasks.watch(task) for _ in range(3)]
    publish(1)
    assert [next(x) for x in mine] == [1] * 3
    publish("last")
    assert [list(x) for x in mine] == [["last"]] * 3
    thread.join(10)
    assert there[0][-1] == "last"


def test_a_slow_watcher_gets_the_latest_report_and_the_last(relay, place, name):
    task, publish = relay
    watched = tasks.watch(task)
    for i in range(100):
        publish(i)
    place.wait_for(f"{name} topic", 100)
    assert next(watched) == 99
    publish(100)
    publish("last")
    erlang.await_result(task)
    assert list(watched) == ["last"]
    assert list(tasks.watch(task)) == ["last"]
    assert tasks.status(task)["progress"] == "last"


def test_a_watch_ends_when_the_task_is_cancelled(relay):
    task, publish = relay
    publish(1)
    watched = tasks.watch(task)
    assert next(watched) == 1
    threading.Timer(0, tasks.cancel, [task]).start()
    assert list(watched) == []


def test_a_task_without_reports_is_watched_to_its_end(place):
    assert list(tasks.watch(place.start("echo", 1))) == []
    assert list(tasks.watch(place.start("fail"))) == []


def test_a_watch_has_a_timeout_and_is_inside_deadlines(relay):
    task, publish = relay
    publish(1)
    assert next(tasks.watch(task)) == 1
    watched = tasks.watch(task, timeout_ms=1000)
    assert next(watched) == 1
    with pytest.raises(HornbeamTimeout):
        next(watched)
    with hornbeam.deadline(50), pytest.raises(HornbeamTimeout):
        list(tasks.watch(task))


def test_progress_is_nothing_outside_of_a_task(name):
    tasks.progress(1)

    def handler(action):
        tasks.progress(5)
        return "done"

    erlang.register_hook(name, handler)
    assert erlang.execute(name, "x") == "done"
    erlang.unregister_hook(name)


def test_a_report_must_be_a_value_that_can_be_sent(name):
    erlang.register_hook(name, lambda action: tasks.progress(threading.Lock()))
    with pytest.raises(RuntimeError, match="TypeError.*lock"):
        erlang.await_result(erlang.execute_async(name, "x"))
    erlang.unregister_hook(name)


def test_a_task_inside_a_task_reports_for_itself(name):
    def handler(action):
        tasks.progress(action)
        if action == "outer":
            inner = erlang.execute_async(name, "inner")
            erlang.await_result(inner)
            return inner

    erlang.register_hook(name, handler)
    outer = erlang.execute_async(name, "outer")
    inner = erlang.await_result(outer)
    assert tasks.status(outer)["progress"] == "outer"
    assert tasks.status(inner)["progress"] == "inner"
    erlang.unregister_hook(name)


# -- what goes wrong ----------------------------------------------------------


@pytest.mark.parametrize("ask", [tasks.status, tasks.cancel, tasks.watch])
def test_a_wrong_id_is_an_error(ask):
    with pytest.raises(NotFoundError, match="nonsense"):
        ask("nonsense")
    with pytest.raises(TypeError, match="a task id must be a str, not int"):
        ask(5)


def test_a_task_that_is_not_known_is_an_error_that_names_it(place):
    known = place.start("echo", 1)
    unknown = known + "0"
    for ask in (tasks.status, tasks.cancel, lambda x: list(tasks.watch(x))):
        with pytest.raises(NotFoundError, match=unknown):
            ask(unknown)


@pytest.mark.parametrize("timeout", ["x", True, b""])
def test_the_timeout_of_a_watch_is_a_number(place, timeout):
    with pytest.raises(TypeError, match="a timeout is a number of milliseconds"):
        tasks.watch(place.start("echo", 1), timeout)


def test_a_node_that_is_not_there_is_named():
    task = "nobody@127.0.0.1/1-1"
    for ask in (tasks.status, tasks.cancel, lambda x: list(tasks.watch(x))):
        with pytest.raises(NodeError, match="nobody@127.0.0.1"):
            ask(task)
    with pytest.raises(NodeError, match="nobody@127.0.0.1"):
        tasks.list("nobody@127.0.0.1")


def test_a_watch_ends_with_an_error_when_the_node_dies(other_nodes, eventually, name):
    node = other_nodes("watched@127.0.0.1")
    register = ["watched", "services", "register_slow", [name]]
    erlang.rpc_call("watched@127.0.0.1", *register[1:])
    eventually(lambda: hornbeam.hooks.providers(name))
    task = erlang.execute_async(name, "x")
    running = hornbeam.tables.table("state", "watched@127.0.0.1")
    eventually(lambda: running.get(name) == "running")
    threading.Timer(0, node.process.kill).start()
    begun = time.monotonic()
    with pytest.raises(NodeError, match="watched@127.0.0.1"):
        list(tasks.watch(task))
    assert time.monotonic() - begun < 10
    with pytest.raises(NodeError, match="watched@127.0.0.1"):
        tasks.status(task)


def test_a_task_survives_its_submitter(worker, fresh_python, relay_from_elsewhere):
    task, publish = relay_from_elsewhere
    watched = tasks.watch(task)
    publish(1)
    assert next(watched) == 1
    publish("last")
    assert erlang.await_result(task) == 2


@pytest.fixture
def relay_from_elsewhere(worker, fresh_python, name, eventually):
    """A task on the second node whose submitter has ended."""
    settings = {
        key: hornbeam._engine.settings[key] for key in ("cluster", "secret")
    }
    topic = f"{name} topic"
    task = fresh_python(
        f"""
        import hornbeam, hornbeam_erlang as erlang
        hornbeam.configure(**{settings!r})
        hornbeam.cluster.wait_for({worker!r})
        while not hornbeam.hooks.providers("there tasks"):
            hornbeam.cluster.ping({worker!r})  # news of it is on its way
        print(erlang.execute_async("there tasks", "relay", {topic!r}))
        """
    ).strip()
    state = hornbeam.tables.table("state", worker)
    eventually(lambda: state.get(topic) == "running")
    eventually(lambda: hornbeam.pubsub.subscribers(topic) == 1)
    return task, lambda message: erlang.publish(topic, message)


# -- asyncio ------------------------------------------------------------------


def test_all_of_it_can_be_awaited(relay):
    task, publish = relay

    async def main():
        assert (await aio.status(task))["state"] == "running"
        found = []
        publish(1)
        async for report in aio.watch(task):
            found.append(report)
            publish(2 if len(found) == 1 else "last")
            if len(found) == 1:
                await asyncio.sleep(0)
        return found

    found = asyncio.run(main())
    assert found[0] == 1 and found[-1] == "last"
    assert erlang.await_result(task) >= 2


def test_a_task_can_be_cancelled_from_a_loop(place, name):
    task = place.start("until_cancelled", name)
    place.wait_for(name, "running")

    async def main():
        waiter = asyncio.create_task(aio.await_result(task))
        await asyncio.sleep(0)
        assert await aio.cancel(task) is True
        with pytest.raises(TaskCancelled, match="was cancelled"):
            await waiter
        assert await aio.cancel(task) is False
        assert [x async for x in aio.watch(task)] == []

    asyncio.run(main())
    place.wait_for(name, "checked")


def test_watching_from_a_loop_has_a_timeout(relay):
    task, _ = relay

    async def main():
        with pytest.raises(HornbeamTimeout):
            async for _ in aio.watch(task, timeout_ms=20):
                pass
        with pytest.raises(NotFoundError):
            await aio.status("nonsense")
        with pytest.raises(TypeError, match="task id"):
            await aio.cancel(5)

    asyncio.run(main())
