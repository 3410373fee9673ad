"""`with hornbeam.deadline(ms)`: everything inside, nested and remote."""

import asyncio
import contextvars
import threading
import time

import pytest

import hornbeam
import hornbeam_erlang as erlang
from hornbeam import HornbeamTimeout


def test_without_a_deadline_nothing_is_left_to_tell():
    assert hornbeam.left_ms() is None


def test_what_is_left_goes_down_and_is_never_negative():
    with hornbeam.deadline(10000):
        first = hornbeam.left_ms()
        assert 9000 < first <= 10000
        assert hornbeam.left_ms() <= first
    assert hornbeam.left_ms() is None
    with hornbeam.deadline(-5):
        assert hornbeam.left_ms() == 0.0


def test_an_inner_deadline_can_only_be_sooner():
    with hornbeam.deadline(50):
        with hornbeam.deadline(10000):
            assert hornbeam.left_ms() <= 50
        with hornbeam.deadline(10):
            assert hornbeam.left_ms() <= 10
        assert hornbeam.left_ms() <= 50


def test_a_deadline_ends_with_its_block_when_that_raises():
    with pytest.raises(KeyError):
        with hornbeam.deadline(5):
            raise KeyError
    assert hornbeam.left_ms() is None


def bounded(ms):
    with hornbeam.deadline(ms):
        yield hornbeam.left_ms()
        yield hornbeam.left_ms()


async def bounded_on_loop(ms):
    with hornbeam.deadline(ms):
        yield hornbeam.left_ms()
        yield hornbeam.left_ms()


def test_generators_whose_blocks_overlap_leave_no_deadline_behind():
    first, second = bounded(1000), bounded(50_000)
    next(first), next(second)
    assert hornbeam.left_ms() <= 1000
    first.close()
    assert 1000 < hornbeam.left_ms() <= 50_000
    assert next(second) > 1000
    second.close()
    assert hornbeam.left_ms() is None


def test_asynchronous_generators_whose_blocks_overlap_leave_no_deadline_behind():
    async def main():
        first, second = bounded_on_loop(1000), bounded_on_loop(50_000)
        await anext(first), await anext(second)
        await first.aclose()
        assert 1000 < hornbeam.left_ms() <= 50_000
        await second.aclose()
        return hornbeam.left_ms()

    assert asyncio.run(main()) is None


def test_a_block_that_is_left_in_another_context_leaves_no_deadline_behind():
    generator = bounded(1000)
    next(generator)
    thread = threading.Thread(target=generator.close)
    thread.start()
    thread.join()
    assert hornbeam.left_ms() is None
    generator = bounded(1000)
    next(generator)
    contextvars.copy_context().run(generator.close)
    assert hornbeam.left_ms() is None

    async def main():
        generator = bounded_on_loop(1000)
        await anext(generator)
        await asyncio.create_task(generator.aclose())
        return hornbeam.left_ms()

    assert asyncio.run(main()) is None


def test_what_a_block_has_started_keeps_its_deadline():
    async def child():
        return hornbeam.left_ms()

    async def main():
        with hornbeam.deadline(1000):
            task = asyncio.create_task(child())
        assert hornbeam.left_ms() is None
        return await task

    assert 0 < asyncio.run(main()) <= 1000


def calls(worker):
    return {
        "execute": lambda: erlang.execute("there", "slow"),
        "rpc_call": lambda: erlang.rpc_call(worker, "services", "slow", []),
        "rpc_call without limit": lambda: erlang.rpc_call(
            worker, "services", "slow", [], None
        ),
        "stream": lambda: list(erlang.stream("there", "gated")),
        "task": lambda: erlang.await_result(erlang.execute_async("there", "slow")),
    }


@pytest.mark.parametrize("call", list(calls("")))
def test_a_deadline_bounds_every_call(worker, call):
    begun = time.monotonic()
    with hornbeam.deadline(50):
        with pytest.raises(HornbeamTimeout) as e:
            calls(worker)[call]()
    assert 0.04 < time.monotonic() - begun < 2
    assert isinstance(e.value, TimeoutError)


def test_after_the_deadline_no_work_is_started(worker, name):
    started = []
    erlang.register_hook(name, lambda action: started.append(1))
    erlang.register_function(name, lambda: started.append(1))
    with hornbeam.deadline(0):
        for call in (
            lambda: erlang.execute(name, "x"),
            lambda: erlang.call(name),
            lambda: erlang.execute_async(name, "x"),
            lambda: list(erlang.stream(name, "x")),
            lambda: erlang.execute("there", "count"),
            lambda: erlang.rpc_call(worker, "services", "add", []),
            lambda: erlang.await_result("x"),
        ):
            with pytest.raises((HornbeamTimeout, hornbeam.NotFoundError)):
                call()
    assert not started


def test_state_is_not_bounded():
    with hornbeam.deadline(0):
        erlang.state_set("in no time", 1)
        assert erlang.state_get("in no time") == 1


def test_a_handler_on_another_node_sees_the_deadline(worker):
    assert erlang.execute("there", "left_ms") is None
    with hornbeam.deadline(5000):
        assert 0 < erlang.execute("there", "left_ms") <= 5001
        assert 0 < erlang.rpc_call(worker, "services", "left_ms", []) <= 5001


def test_a_timeout_of_a_call_is_the_deadline_of_its_handler(worker):
    left = erlang.rpc_call(worker, "services", "left_ms", [], timeout_ms=3000)
    assert 0 < left <= 3001


def test_a_deadline_is_handed_on_from_node_to_node(worker, other_nodes):
    second = "further@127.0.0.1"
    other_nodes(second)
    with hornbeam.deadline(4000):
        there = erlang.rpc_call(
            worker, "services", "left_ms_back", [second, "services"]
        )
    assert 0 < there <= 4001


def test_a_local_handler_sees_the_deadline(name):
    erlang.register_hook(name, lambda action: hornbeam.left_ms())
    with hornbeam.deadline(1000):
        assert 0 < erlang.execute(name, "x") <= 1000
        assert 0 < erlang.await_result(erlang.execute_async(name, "x")) <= 1000
    assert erlang.execute(name, "x") is None


def test_the_deadline_of_a_task_counts_from_its_start(name):
    """Not from when a thread of the pool takes it up."""
    go = threading.Event()

    def handler(action):
        if action == "wait":
            go.wait(10)
        return hornbeam.left_ms()

    erlang.register_hook(name, handler)
    with hornbeam.deadline(60000):
        many = [erlang.execute_async(name, "wait") for _ in range(50)]
        before = hornbeam.left_ms()
        last = erlang.execute_async(name, "x")
        threading.Timer(0.1, go.set).start()
        assert erlang.await_result(last) <= before - 50
        for task in many:
            erlang.await_result(task)


def test_coroutines_are_bounded_too(name):
    async def handler(action):
        await asyncio.sleep(30)

    erlang.register_hook(name, handler)
    begun = time.monotonic()
    with hornbeam.deadline(30):
        with pytest.raises(TimeoutError) as e:
            erlang.execute(name, "x")
    assert isinstance(e.value, RuntimeError)
    assert time.monotonic() - begun < 5


def test_a_deadline_belongs_to_its_thread():
    seen = []
    with hornbeam.deadline(1000):
        thread = threading.Thread(target=lambda: seen.append(hornbeam.left_ms()))
        thread.start()
        thread.join()
    assert seen == [None]


def test_a_default_can_be_configured(fresh_python):
    out = fresh_python(
        """
        import asyncio, hornbeam, hornbeam_erlang as erlang
        from hornbeam import _context, aio
        _context.default_timeout_ms = 30
        async def slow(action):
            await asyncio.sleep(30)
        erlang.register_hook("slow", slow)
        task = erlang.execute_async("slow", "x")
        try:
            asyncio.run(aio.execute("slow", "x"))
        except RuntimeError as e:
            print(type(e).__name__)
        try:
            erlang.await_result(task)
        except RuntimeError as e:
            print(type(e).__name__)
        """
    )
    assert out.split() == ["HornbeamTimeout", "HornbeamTimeout"]


@pytest.mark.parametrize("ms", ["5", None, b"5", [5], True], ids=repr)
def test_a_deadline_is_a_number(ms):
    with pytest.raises(TypeError, match="number of ms"):
        with hornbeam.deadline(ms):
            pass


def test_a_deadline_may_be_huge_but_not_nan():
    for ms in (1e300, float("inf"), 10**30):
        with hornbeam.deadline(ms):
            assert hornbeam.left_ms() > 1e12
            assert erlang.state_get("x") is None
    with pytest.raises(ValueError, match="NaN"):
        with hornbeam.deadline(float("nan")):
            pass
