"""asyncio: `hornbeam.aio`, `stream_async`, and a loop that is never blocked."""

import asyncio
import threading
import time

import pytest

import hornbeam
import hornbeam_erlang as erlang
from hornbeam import HandlerError, HornbeamTimeout, NodeError, NotFoundError, aio


async def ticking(awaitable, ticks=5):
    """Awaits something while a ticker runs; fails if the loop was blocked, that
    is, if it ended before the ticker had run."""
    count = 0
    enough = asyncio.Event()

    async def ticker():
        nonlocal count
        while True:
            await asyncio.sleep(0)
            count += 1
            if count == ticks:
                enough.set()

    task = asyncio.create_task(ticker())
    try:
        return await awaitable, enough.is_set()
    finally:
        task.cancel()


class Slow:
    """Every action waits for the loop's own thread to open the gate: a blocked
    loop would never get to that."""

    def __init__(self):
        self.gate = threading.Event()

    def work(self, x=5):
        assert self.gate.wait(10), "the event loop was blocked"
        return x

    def fail(self):
        raise KeyError("no such drawer")

    def numbers(self, n):
        for i in range(n):
            assert self.gate.wait(10), "the event loop was blocked"
            yield i

    async def async_work(self, x=5):
        while not self.gate.is_set():
            await asyncio.sleep(0)
        return x

    async def async_numbers(self, n):
        for i in range(n):
            while not self.gate.is_set():
                await asyncio.sleep(0)
            yield i


@pytest.fixture
def slow(name):
    handler = Slow()
    erlang.register_hook(name, handler)
    yield handler
    handler.gate.set()
    erlang.unregister_hook(name)


async def opening(gate, awaitable):
    asyncio.get_running_loop().call_later(0.01, gate.set)
    return await awaitable


@pytest.mark.parametrize("action", ["work", "async_work"])
def test_execute_does_not_block_the_loop(slow, name, action):
    assert asyncio.run(opening(slow.gate, aio.execute(name, action, 7))) == 7


@pytest.mark.parametrize("action", ["numbers", "async_numbers"])
def test_stream_async_does_not_block_the_loop(slow, name, action):
    async def collect():
        return [x async for x in erlang.stream_async(name, action, 5)]

    assert asyncio.run(opening(slow.gate, collect())) == list(range(5))


def test_await_result_does_not_block_the_loop(slow, name):
    task = erlang.execute_async(name, "work", 9)
    assert asyncio.run(opening(slow.gate, aio.await_result(task))) == 9


def test_calls_to_another_node_do_not_block_the_loop(worker):
    for call in (
        lambda: aio.execute("there", "slow", 0.05),
        lambda: aio.rpc_call(worker, "services", "slow", [0.05]),
        lambda: aio.await_result(erlang.execute_async("there", "slow", 0.05)),
    ):
        assert asyncio.run(ticking(call())) == (None, True)


def test_a_stream_from_another_node_does_not_block_the_loop(worker):
    async def collect():
        return [x async for x in erlang.stream_async("there", "slow_numbers", 3, 0.02)]

    assert asyncio.run(ticking(collect())) == ([0, 1, 2], True)


def test_everything_returns_what_its_counterpart_does(worker, name):
    erlang.register_function(name, lambda *args: list(args))

    async def main():
        assert await aio.execute("there", "echo", 1, k=2) == [[1], {"k": 2}]
        assert await aio.call("there add", 1, 2) == 3
        assert await aio.call(name, 1, 2) == [1, 2]
        assert await aio.rpc_call(worker, "services", "add", [1, 2]) == 3
        task = erlang.execute_async("there", "echo", 1)
        assert await aio.await_result(task) == [[1], {}]
        assert [x async for x in aio.stream("there", "numbers", 3)] == [0, 1, 2]
        with pytest.raises(NotFoundError):
            await aio.execute("no such hook", "x")
        with pytest.raises(NotFoundError):
            await aio.call("no such function")
        with pytest.raises(NotFoundError):
            await aio.await_result("no such task")
        with pytest.raises(HandlerError, match="KeyError"):
            await aio.execute("there", "fail")
        with pytest.raises(NodeError):
            await aio.rpc_call("nobody@127.0.0.1", "m", "f", [])
        with pytest.raises(HornbeamTimeout):
            await aio.rpc_call(worker, "services", "slow", [], timeout_ms=10)

    asyncio.run(main())


def test_a_local_error_has_its_cause(slow, name):
    async def main():
        with pytest.raises(HandlerError) as e:
            await aio.execute(name, "fail")
        assert isinstance(e.value.__cause__, KeyError)

    asyncio.run(main())


def test_a_local_handler_gets_the_very_objects(name):
    erlang.register_hook(name, lambda action, x: x)
    thing = object()
    assert asyncio.run(aio.execute(name, "x", thing)) is thing


def test_a_task_that_failed_raises_with_its_cause(slow, name):
    task = erlang.execute_async(name, "fail")

    async def main():
        with pytest.raises(HandlerError) as e:
            await aio.await_result(task)
        assert isinstance(e.value.__cause__, KeyError)

    asyncio.run(main())


def test_await_result_times_out_and_can_be_awaited_again(slow, name):
    task = erlang.execute_async(name, "work")

    async def main():
        for timeout in (0, 10, -1):
            with pytest.raises(HornbeamTimeout):
                await aio.await_result(task, timeout)
        slow.gate.set()
        assert await aio.await_result(task) == 5

    asyncio.run(main())


def test_many_calls_wait_together(worker):
    async def main():
        calls = [aio.execute("there", "echo", i) for i in range(200)]
        return await asyncio.gather(*calls)

    assert asyncio.run(main()) == [[[i], {}] for i in range(200)]


def test_cancelling_ends_the_wait(worker):
    async def main():
        waiting = [
            asyncio.create_task(aio.execute("there", "slow", 1)),
            asyncio.create_task(aio.rpc_call(worker, "services", "slow", [1])),
            asyncio.create_task(aio.receive_pubsub()),
        ]
        await asyncio.sleep(0.01)
        for task in waiting:
            task.cancel()
        begun = time.monotonic()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(x, asyncio.CancelledError) for x in found)
        assert time.monotonic() - begun < 0.5
        # And the port of this loop still works.
        assert await aio.call("there add", 1) == 1

    asyncio.run(main())


def test_asyncio_timeouts_work(worker):
    async def main():
        with pytest.raises(asyncio.TimeoutError):
            async with asyncio.timeout(0.02):
                await aio.execute("there", "slow", 1)

    asyncio.run(main())


def test_each_loop_has_its_own_answers(worker):
    for _ in range(5):
        assert asyncio.run(aio.call("there add", 1, 2)) == 3

    found = []

    def run():
        found.append(asyncio.run(aio.call("there add", 1, 2)))

    threads = [threading.Thread(target=run) for _ in range(5)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert found == [3] * 5


# -- stream_async -------------------------------------------------------------


@pytest.fixture(params=["here", "there"])
def hook(request, name):
    if request.param == "there":
        request.getfixturevalue("worker")
        return "there"

    class Here:
        closed = 0

        def numbers(self, n):
            try:
                yield from range(n)
            finally:
                type(self).closed += 1

        def fail_after(self, n):
            yield from range(n)
            raise KeyError("after")

        async def async_numbers(self, n):
            for i in range(n):
                await asyncio.sleep(0)
                yield i

        async def coroutine(self, x):
            return x

    erlang.register_hook(name, Here)
    return name


def test_async_streams_give_the_chunks_in_order(hook):
    async def main():
        for action in ("numbers", "async_numbers"):
            for n in (0, 1, 300):
                chunks = erlang.stream_async(hook, action, n)
                assert [x async for x in chunks] == list(range(n))
        assert [x async for x in erlang.stream_async(hook, "coroutine", 5)] == [5]

    asyncio.run(main())


def test_an_error_comes_after_the_chunks_before_it(hook):
    async def main():
        got = []
        with pytest.raises(HandlerError, match="after"):
            async for x in erlang.stream_async(hook, "fail_after", 3):
                got.append(x)
        assert got == [0, 1, 2]

    asyncio.run(main())


def test_nothing_runs_before_the_first_chunk_is_asked_for(name):
    started = []

    def handler(action):
        started.append(1)
        yield 1

    erlang.register_hook(name, handler)

    async def main():
        chunks = erlang.stream_async(name, "x")
        await asyncio.sleep(0)
        assert not started
        assert await chunks.__anext__() == 1
        assert started
        await chunks.aclose()

    asyncio.run(main())


def test_closing_closes_the_handlers_generator(worker, name):
    closed = []

    def handler(action):
        try:
            yield 1
            yield 2
        finally:
            closed.append(action)

    erlang.register_hook(name, handler)

    async def main():
        chunks = erlang.stream_async(name, "x")
        assert await chunks.__anext__() == 1
        await chunks.aclose()
        assert closed == ["x"]
        chunks = erlang.stream_async("there", "numbers", 10**9)
        assert await chunks.__anext__() == 0
        await chunks.aclose()
        assert await aio.rpc_call(worker, "services", "was_closed", []) is True

    asyncio.run(main())


# -- receive ------------------------------------------------------------------


def test_receive_pubsub_is_awaitable(name):
    async def main():
        erlang.subscribe(name)
        assert await aio.receive_pubsub(0) is None
        assert await aio.receive_pubsub(timeout_ms=5) is None
        loop = asyncio.get_running_loop()
        loop.call_later(0.01, erlang.publish, name, "hello")
        assert await aio.receive_pubsub() == "hello"
        for i in range(50):
            erlang.publish(name, i)
        assert [await aio.receive_pubsub(1000) for _ in range(50)] == list(range(50))

    asyncio.run(main())


def test_receive_pubsub_gets_messages_from_another_node(worker, name, eventually):
    async def main():
        erlang.subscribe(name)
        there = (worker, "services", "publish", [name, "hello"])
        while not await aio.rpc_call(*there):
            pass
        assert await aio.receive_pubsub(10000) == "hello"

    asyncio.run(main())


def test_deadlines_bound_what_is_awaited(worker, slow, name):
    async def main():
        with hornbeam.deadline(20):
            with pytest.raises(HornbeamTimeout):
                await aio.execute("there", "slow", 1)
        with hornbeam.deadline(20):
            assert await aio.receive_pubsub() is None
        with hornbeam.deadline(20):
            with pytest.raises(HornbeamTimeout):
                await aio.execute(name, "async_work")

    asyncio.run(main())
