"""Bounded handlers: how many calls run and wait at once."""

import asyncio
import concurrent.futures
import threading

import pytest

import hornbeam
import hornbeam_erlang as erlang
from hornbeam import HornbeamTimeout, OverloadedError


class Busy:
    """A handler whose calls stay until they are let go, and how many of them
    there were at once."""

    def __init__(self):
        self.lock = threading.Lock()
        self.inside = 0
        self.most = 0
        self.entered = threading.Semaphore(0)
        self.let_go = threading.Event()

    def __enter__(self):
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.entered.release()

    def __exit__(self, *_):
        with self.lock:
            self.inside -= 1

    def wait(self):
        with self:
            self.let_go.wait(30)
            return "done"

    def stream(self, n):
        with self:
            yield from range(n)

    def nested(self, name, depth):
        with self:
            if depth == 0:
                return 0
            return 1 + erlang.execute(name, "nested", name, depth - 1)

    async def soon(self):
        with self:
            await asyncio.sleep(0)
            return "soon"

    async def nested_soon(self, name, depth):
        if depth == 0:
            return 0
        return 1 + await hornbeam.aio.execute(name, "nested_soon", name, depth - 1)


def start(f, *args):
    """Runs `f` in a thread; `result()` of what is returned waits for it."""
    future = concurrent.futures.Future()

    def run():
        try:
            future.set_result(f(*args))
        except BaseException as e:
            future.set_exception(e)

    threading.Thread(target=run, daemon=True).start()
    return future


def info_of(name):
    (found,) = (
        x
        for x in hornbeam.hooks.info()
        if x["name"] == name and x["node"] == erlang.node()
    )
    return found


def test_so_many_calls_run_at_once_and_the_others_wait_for_their_turn(name, eventually):
    busy = Busy()
    erlang.register_hook(name, busy, concurrency=2)
    calls = [start(erlang.execute, name, "wait") for _ in range(6)]
    eventually(lambda: info_of(name)["waiting"] == 4)
    assert busy.inside == 2
    busy.let_go.set()
    assert [x.result(30) for x in calls] == ["done"] * 6
    assert busy.most == 2


def test_a_full_queue_refuses_at_once_and_names_the_hook(name, eventually):
    busy = Busy()
    erlang.register_hook(name, busy, concurrency=1, queue=1)
    calls = [start(erlang.execute, name, "wait") for _ in range(2)]
    eventually(lambda: info_of(name)["waiting"] == 1)
    with pytest.raises(OverloadedError, match=r"runs 1 calls, and its queue of 1 is"):
        erlang.execute(name, "wait")
    busy.let_go.set()
    assert [x.result(30) for x in calls] == ["done"] * 2
    assert erlang.execute(name, "wait") == "done"


def test_without_a_queue_only_what_runs_is_taken(name):
    busy = Busy()
    erlang.register_hook(name, busy, concurrency=1, queue=0)
    call = start(erlang.execute, name, "wait")
    assert busy.entered.acquire(timeout=30)
    with pytest.raises(OverloadedError):
        erlang.execute(name, "wait")
    busy.let_go.set()
    assert call.result(30) == "done"


def test_whoever_waits_for_a_turn_gives_up_at_its_deadline(name, eventually):
    busy = Busy()
    erlang.register_hook(name, busy, concurrency=1)
    call = start(erlang.execute, name, "wait")
    assert busy.entered.acquire(timeout=30)
    with hornbeam.deadline(20), pytest.raises(HornbeamTimeout):
        erlang.execute(name, "wait")
    assert info_of(name)["waiting"] == 0
    busy.let_go.set()
    assert call.result(30) == "done"
    assert erlang.execute(name, "wait") == "done"


def test_a_call_that_waits_for_one_inside_it_lends_its_turn(name):
    erlang.register_hook(name, Busy(), concurrency=1, queue=1)
    assert erlang.execute(name, "nested", name, 20) == 20


def test_coroutines_lend_their_turn_too(name):
    erlang.register_hook(name, Busy(), concurrency=1, queue=1)
    assert asyncio.run(hornbeam.aio.execute(name, "nested_soon", name, 20)) == 20


def test_a_stream_has_its_turn_until_it_ends(name, eventually):
    busy = Busy()
    erlang.register_hook(name, busy, concurrency=1, queue=0)
    chunks = erlang.stream(name, "stream", 3)
    assert next(chunks) == 0
    with pytest.raises(OverloadedError):
        next(erlang.stream(name, "stream", 3))
    assert list(chunks) == [1, 2]
    other = erlang.stream(name, "stream", 3)
    assert next(other) == 0
    other.close()
    assert list(erlang.stream(name, "stream", 2)) == [0, 1]


def test_asyncio_waits_for_a_turn_without_blocking_its_loop(name):
    busy = Busy()
    erlang.register_hook(name, busy, concurrency=2)

    async def main():
        calls = [hornbeam.aio.execute(name, "soon") for _ in range(50)]
        return await asyncio.gather(*calls)

    assert asyncio.run(main()) == ["soon"] * 50
    assert busy.most <= 2


def test_tasks_are_bounded_too(name, eventually):
    busy = Busy()
    erlang.register_hook(name, busy, concurrency=1, queue=1)
    ids = [erlang.execute_async(name, "wait") for _ in range(2)]
    eventually(lambda: info_of(name)["waiting"] == 1)
    refused = erlang.execute_async(name, "wait")
    with pytest.raises(OverloadedError):
        erlang.await_result(refused)
    busy.let_go.set()
    assert [erlang.await_result(x) for x in ids] == ["done"] * 2
    assert busy.most == 1


def test_a_handler_that_raises_gives_its_turn_back(name):
    def fail(action):
        raise KeyError(action)

    erlang.register_hook(name, fail, concurrency=1, queue=0)
    for _ in range(3):
        with pytest.raises(hornbeam.HandlerError, match="KeyError"):
            erlang.execute(name, "x")


def test_calls_of_another_node_are_bounded_there(worker, eventually):
    bounded = "bounded"
    eventually(lambda: worker in hornbeam.hooks.providers(bounded))
    calls = [start(erlang.execute, bounded, "wait") for _ in range(2)]
    eventually(lambda: erlang.execute("bounded state", "waiting") == 1)
    with pytest.raises(OverloadedError, match="'bounded' on worker@gpu-server"):
        erlang.execute(bounded, "wait")
    erlang.execute("bounded state", "let_go")
    assert [x.result(30) for x in calls] == ["done"] * 2


def test_functions_have_bounds_too(name):
    busy = Busy()
    erlang.register_function(name, busy.wait, concurrency=1, queue=0)
    call = start(erlang.call, name)
    assert busy.entered.acquire(timeout=30)
    with pytest.raises(OverloadedError, match="the function"):
        erlang.call(name)
    busy.let_go.set()
    assert call.result(30) == "done"


@pytest.mark.parametrize(
    ("bounds", "error"),
    [
        ({"concurrency": 0}, "concurrency must be at least 1"),
        ({"concurrency": -1}, "concurrency must be at least 1"),
        ({"concurrency": 1.5}, "concurrency must be an int, not float"),
        ({"concurrency": True}, "concurrency must be an int, not bool"),
        ({"concurrency": 2**40}, "concurrency must be .* below"),
        ({"queue": -1}, "queue must be at least 0"),
        ({"queue": "many"}, "queue must be an int, not str"),
        ({"retry": 1}, "retry must be a bool, not int"),
    ],
)
def test_bounds_that_make_no_sense_are_errors_that_name_them(name, bounds, error):
    for register in (erlang.register_hook, erlang.register_function):
        with pytest.raises((TypeError, ValueError), match=error):
            register(name, lambda *args: None, **bounds)


def test_info_counts_calls_and_errors_and_how_long_they_took(name):
    def handler(action):
        if action == "fail":
            raise KeyError(action)

    erlang.register_hook(name, handler)
    for _ in range(40):
        erlang.execute(name, "x")
    for _ in range(3):
        with pytest.raises(hornbeam.HandlerError):
            erlang.execute(name, "fail")
    found = info_of(name)
    assert (found["calls"], found["errors"], found["open"]) == (43, 3, 0)
    assert 0 < found["p50_ms"] <= found["p95_ms"] <= found["p99_ms"] < 1000
    assert found["concurrency"] is None and found["retry"] is False


def test_info_counts_calls_of_asyncio_too(name):
    async def handler(action):
        return action

    erlang.register_hook(name, handler)
    for _ in range(3):
        assert asyncio.run(hornbeam.aio.execute(name, "x")) == "x"
    assert info_of(name)["calls"] == 3


def test_a_handler_may_be_replaced_while_its_method_is_looked_for(name):
    class Fickle:
        def __getattr__(self, action):
            erlang.register_hook(name, lambda action: "new")
            return lambda: "old"

    erlang.register_hook(name, Fickle())
    assert erlang.execute(name, "x") == "old"
    assert erlang.execute(name, "x") == "new"


def test_info_tells_of_calls_to_other_nodes(worker):
    for _ in range(5):
        erlang.execute("bounded state", "waiting")
    (found,) = (
        x
        for x in hornbeam.hooks.info()
        if (x["name"], x["node"]) == ("bounded state", worker)
    )
    assert found["calls"] >= 5 and found["p50_ms"] > 0
