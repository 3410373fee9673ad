"""Whose mailbox: what subscribes is a process of its own, what only receives reads
the nearest whom its context comes from."""

import asyncio
import concurrent.futures
import contextvars
import gc
import threading
import unittest
import warnings

import pytest

import hornbeam
import hornbeam_erlang as erlang
from hornbeam import _owner, aio, process, pubsub

#: Milliseconds that nobody waits for in vain.
LONG = 20_000


async def take():
    return await aio.receive_pubsub(0)


async def me():
    return hornbeam.self()


# -- tasks --------------------------------------------------------------------


def test_tasks_that_subscribe_do_not_share_what_their_parent_has(name):
    async def client(room, joined):
        erlang.subscribe(room)
        joined.set()
        return await aio.receive_pubsub(LONG)

    async def main():
        erlang.subscribe(name)
        rooms = [f"{name} {i}" for i in range(3)]
        joined = [asyncio.Event() for _ in rooms]
        tasks = [asyncio.create_task(client(*x)) for x in zip(rooms, joined)]
        for event in joined:
            await event.wait()
        for room in rooms:
            assert erlang.publish(room, room) == 1
        assert await asyncio.gather(*tasks) == rooms
        assert erlang.publish(name, "main") == 1
        assert await take() == "main"
        assert [pubsub.subscribers(room) for room in rooms] == [0, 0, 0]

    asyncio.run(main())


async def by_await(f):
    return await f()


async def by_task(f):
    return await asyncio.create_task(f())


async def by_wait_for(f):
    return await asyncio.wait_for(f(), 20)


async def by_gather(f):
    (found,) = await asyncio.gather(f())
    return found


async def by_group(f):
    async with asyncio.TaskGroup() as group:
        task = group.create_task(f())
    return task.result()


async def by_shield(f):
    return await asyncio.shield(f())


async def by_grandchild(f):
    return await asyncio.create_task(by_task(f))


WAYS = [by_await, by_task, by_wait_for, by_gather, by_group, by_shield, by_grandchild]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("where", ["main", "task"])
def test_who_only_receives_reads_what_its_parent_has_subscribed_to(name, way, where):
    async def parent():
        erlang.subscribe(name)
        erlang.publish(name, 1)
        assert await way(take) == 1
        process.send(hornbeam.self(), 2)
        return await way(lambda: aio.receive(0))

    async def main():
        return await (parent() if where == "main" else asyncio.create_task(parent()))

    assert asyncio.run(main()) == 2


@pytest.mark.parametrize("way", WAYS[1:])
def test_who_asks_for_its_pid_in_a_task_of_its_own_is_another(way):
    async def main():
        mine = hornbeam.self()
        assert await way(me) != mine
        assert hornbeam.self() == mine

    asyncio.run(main())


def test_a_task_that_was_started_before_its_parent_subscribed_reads_the_loop(name):
    async def child(go):
        await go.wait()
        return await take()

    async def main():
        go = asyncio.Event()
        task = asyncio.create_task(child(go))
        erlang.subscribe(name)
        erlang.publish(name, "of the loop")
        go.set()
        return await task

    assert asyncio.run(main()) == "of the loop"


def test_who_outlives_its_parent_reads_the_next_one_that_lives(name):
    async def child(go):
        await go.wait()
        return await take()

    async def parent(go):
        hornbeam.self()
        return asyncio.create_task(child(go))

    async def grandparent(go):
        erlang.subscribe(name)
        orphan = await asyncio.create_task(parent(go))
        erlang.publish(name, "by name")
        await asyncio.sleep(0)
        go.set()
        return await orphan

    async def main():
        return await asyncio.create_task(grandparent(asyncio.Event()))

    assert asyncio.run(main()) == "by name"


def test_who_reads_a_parent_that_another_process_has_ended_reads_the_next(name):
    async def child():
        return await take()

    async def parent():
        mine = hornbeam.self()
        kill = hornbeam.Atom("kill")
        hornbeam._native.cast(erlang.node(), "processes", "exit", (mine, mine, kill))
        found = await asyncio.create_task(child())
        with pytest.raises(hornbeam.HornbeamError, match="has been ended"):
            hornbeam.self()
        return found

    async def main():
        erlang.subscribe(name)
        erlang.publish(name, "of main")
        return await asyncio.create_task(parent())

    assert asyncio.run(main()) == "of main"


def test_a_task_is_itself_in_whatever_context_its_code_runs(name):
    async def task():
        contextvars.copy_context().run(erlang.subscribe, name)
        mine = contextvars.Context().run(hornbeam.self)
        erlang.publish(name, 1)
        return mine == hornbeam.self(), await take()

    async def main():
        return await task(), await asyncio.create_task(task())

    assert asyncio.run(main()) == ((True, 1), (True, 1))


def test_a_callback_of_the_loop_is_whom_its_context_comes_from(name):
    async def main():
        loop = asyncio.get_running_loop()
        pids = [loop.create_future() for _ in range(2)]
        mine = hornbeam.self()
        loop.call_soon(lambda: pids[0].set_result(hornbeam.self()))
        await asyncio.create_task(other(pids[1]))
        return [await x for x in pids], mine

    async def other(pid):
        mine = hornbeam.self()
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: pid.set_result(hornbeam.self()))
        assert await asyncio.shield(pid) == mine

    (first, second), mine = asyncio.run(main())
    assert first == mine != second


def test_chains_of_tasks_that_start_each_other_keep_none_of_those_that_ended():
    async def link(left, done):
        hornbeam.self()
        if left:
            tasks.append(asyncio.create_task(link(left - 1, done)))
        else:
            chain, owner = 0, _owner._owner.get()
            while owner is not None:
                chain, owner = chain + 1, owner.outer
            done.set_result(chain)

    async def main():
        done = asyncio.get_running_loop().create_future()
        tasks.append(asyncio.create_task(link(200, done)))
        return await done

    tasks = []
    assert asyncio.run(main()) < 5


def test_a_task_that_is_thrown_away_leaves_its_topics(name, eventually):
    async def main():
        erlang.subscribe(name)
        await asyncio.get_running_loop().create_future()

    loop = asyncio.new_event_loop()
    task = loop.create_task(main())
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert pubsub.subscribers(name) == 1
    loop.set_exception_handler(lambda *_: None)
    loop.close()
    del task
    gc.collect()
    eventually(lambda: pubsub.subscribers(name) == 0)


# -- loops --------------------------------------------------------------------


@pytest.fixture
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    if not loop.is_closed():
        loop.close()


async def subscribed(name):
    erlang.subscribe(name)


def test_all_that_a_loop_is_run_for_is_one_process_until_it_is_closed(name, loop):
    """As a plug-in of pytest runs fixtures and tests."""
    pids = {loop.run_until_complete(me()) for _ in range(3)}
    assert len(pids) == 1
    loop.run_until_complete(subscribed(name))
    assert erlang.publish(name, "to the test") == 1
    assert loop.run_until_complete(take()) == "to the test"
    loop.run_until_complete(me())
    assert pubsub.subscribers(name) == 1
    loop.close()
    assert pubsub.subscribers(name) == 0


def test_the_process_of_a_loop_is_none_of_another_loop(name, loop):
    loop.run_until_complete(subscribed(name))
    mine = loop.run_until_complete(me())
    assert asyncio.run(me()) != mine != hornbeam.self()
    erlang.publish(name, 1)
    assert loop.run_until_complete(take()) == 1


class OtherLoop(asyncio.SelectorEventLoop):
    """As that of uvloop: what ends it is a callback of its own."""

    def run_until_complete(self, future):
        def done_cb(_):
            self.stop()

        future = asyncio.ensure_future(future, loop=self)
        future.add_done_callback(done_cb)
        self.run_forever()
        return future.result()


def test_loops_of_others_are_one_process_too(name):
    with asyncio.Runner(loop_factory=OtherLoop) as runner:
        runner.run(subscribed(name))
        erlang.publish(name, 1)
        assert runner.run(take()) == 1
        assert runner.run(by_task(me)) != runner.run(me())
    assert pubsub.subscribers(name) == 0


def test_a_loop_that_is_run_inside_of_a_handler_call_reads_the_call(name):
    def handler(action):
        mine = hornbeam.self()
        erlang.subscribe(name)
        erlang.publish(name, "to the call")
        return asyncio.run(take()), asyncio.run(me()) != mine

    erlang.register_hook(name, handler)
    found = erlang.await_result(erlang.execute_async(name, "x"))
    assert found == ("to the call", True)


def test_a_runner_ends_its_subscriptions_and_not_one_of_its_runs(name):
    with asyncio.Runner() as runner:
        runner.run(subscribed(name))
        erlang.publish(name, 1)
        assert runner.run(take()) == 1
        assert runner.run(by_wait_for(me)) != runner.run(me())
    assert pubsub.subscribers(name) == 0


def test_asyncio_run_ends_what_main_has_subscribed_to(name):
    asyncio.run(subscribed(name))
    assert pubsub.subscribers(name) == 0


def test_tasks_that_a_loop_is_run_for_at_once_through_gather_are_each_their_own(loop):
    async def both():
        return [me(), me()]

    coroutines = loop.run_until_complete(both())

    async def gathered():
        return await asyncio.gather(*coroutines)

    first, second = loop.run_until_complete(gathered())
    assert first != second != loop.run_until_complete(me())


def test_code_in_finally_blocks_still_is_the_process_of_its_loop(name):
    told = []

    async def main():
        try:
            erlang.subscribe(name)
            yield
        finally:
            told.append(pubsub.subscribers(name))

    async def begin():
        generator = main()
        kept.append(generator)
        await anext(generator)

    kept = []
    with asyncio.Runner() as runner:
        runner.run(begin())
    assert told == [1]
    assert pubsub.subscribers(name) == 0


def test_what_a_test_case_subscribes_to_in_its_set_up_is_there_in_the_test(name):
    got = []

    class Case(unittest.IsolatedAsyncioTestCase):
        async def asyncSetUp(self):
            erlang.subscribe(name)

        async def test_one(self):
            got.append((erlang.publish(name, 1), await take()))

        async def test_two(self):
            got.append((erlang.publish(name, 2), await by_wait_for(take)))

        def tearDown(self):
            erlang.publish(name, "late")
            got.append(erlang.receive_pubsub(0))

    suite = unittest.defaultTestLoader.loadTestsFromTestCase(Case)
    assert suite.run(unittest.TestResult()).wasSuccessful()
    assert got == [(1, 1), "late", (1, 2), "late"]
    assert pubsub.subscribers(name) == 0


# -- threads ------------------------------------------------------------------


def test_a_thread_that_a_task_hands_work_to_is_that_task(name):
    async def task():
        mine = hornbeam.self()
        await asyncio.to_thread(erlang.subscribe, name)
        erlang.publish(name, 1)
        assert await asyncio.to_thread(hornbeam.self) == mine
        return await take()

    async def main():
        return await task(), await asyncio.create_task(task())

    assert asyncio.run(main()) == (1, 1)


def test_a_thread_without_the_context_of_a_task_is_itself():
    async def main():
        mine, loop = hornbeam.self(), asyncio.get_running_loop()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            first = await loop.run_in_executor(pool, hornbeam.self)
            second = await loop.run_in_executor(pool, hornbeam.self)
            copied = contextvars.copy_context().run
            third = await loop.run_in_executor(pool, copied, hornbeam.self)
        return mine, first, second, third

    mine, first, second, third = asyncio.run(main())
    assert first == second != mine
    assert third == mine


def test_a_thread_of_a_pool_reads_nothing_of_the_task_that_had_it_before(name):
    async def request(room):
        hornbeam.self()
        await asyncio.to_thread(erlang.subscribe, room)

    async def main():
        asyncio.get_running_loop().set_default_executor(pool)
        await asyncio.create_task(request(name))
        await asyncio.sleep(0)  # the callbacks of the task
        assert erlang.publish(name, "left") == 0
        return await asyncio.to_thread(len, _owner.mailbox())

    pool = concurrent.futures.ThreadPoolExecutor(1)
    assert asyncio.run(main()) == 0


# -- handlers -----------------------------------------------------------------


def test_a_coroutine_handler_and_its_thread_are_one_call_but_its_tasks_are_not(name):
    async def handler(action):
        mine = hornbeam.self()
        return (
            hornbeam.self() == mine,
            await asyncio.to_thread(hornbeam.self) == mine,
            await asyncio.create_task(me()) == mine,
        )

    erlang.register_hook(name, handler)
    found = erlang.await_result(erlang.execute_async(name, "x"))
    assert found == (True, True, False)


def test_what_a_call_did_before_its_coroutine_began_is_its_own(name, eventually):
    def handler(action):
        erlang.subscribe(name)
        mine = hornbeam.self()

        async def rest():
            erlang.publish(name, "mine")
            return hornbeam.self() == mine, await by_task(take)

        return rest()

    erlang.register_hook(name, handler)
    found = erlang.await_result(erlang.execute_async(name, "x"))
    assert found == (True, "mine")
    eventually(lambda: pubsub.subscribers(name) == 0)


def test_a_call_in_the_pool_for_a_coroutine_is_somebody_of_its_own(name, eventually):
    def handler(action):
        erlang.subscribe(name)
        return hornbeam.self()

    async def main():
        pids = [await aio.execute(name, "x") for _ in range(3)]
        return hornbeam.self(), *pids

    erlang.register_hook(name, handler)
    assert len(set(asyncio.run(main()))) == 4
    eventually(lambda: pubsub.subscribers(name) == 0)


async def agen(action, topic):
    for _ in range(3):
        erlang.subscribe(topic)
        yield hornbeam.self()


def gen(action, topic):
    for _ in range(3):
        erlang.subscribe(topic)
        yield hornbeam.self()


@pytest.mark.parametrize("handler", [gen, agen])
def test_a_generator_for_stream_async_is_one_process_over_its_steps(
    name, handler, eventually
):
    async def main():
        pids = [x async for x in erlang.stream_async(name, "x", name)]
        assert len(pids) == 3
        return {hornbeam.self(), *pids}

    erlang.register_hook(name, handler)
    assert len(asyncio.run(main())) == 2
    eventually(lambda: pubsub.subscribers(name) == 0)


def test_a_local_generator_is_its_reader_and_an_async_one_a_task(name):
    erlang.register_hook(name, gen)
    assert set(erlang.stream(name, "x", name)) == {hornbeam.self()}
    erlang.unsubscribe(name)
    erlang.register_hook(name, agen)
    pids = set(erlang.stream(name, "x", name))
    assert len(pids) == 1 and hornbeam.self() not in pids


# -- who is warned ------------------------------------------------------------


def warned(f):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        f()
    return [x for x in caught if issubclass(x.category, RuntimeWarning)]


def test_who_receives_from_one_that_has_never_subscribed_is_warned_once():
    async def main():
        await take()
        await take()
        await asyncio.create_task(take())

    (warning,) = warned(lambda: asyncio.run(main()))
    assert "never subscribed" in str(warning.message)
    assert warning.filename == __file__


def test_who_receives_from_a_task_around_it_is_warned_where_it_does():
    async def child():
        erlang.receive_pubsub(0)
        pubsub.receive(0)

    async def main():
        hornbeam.self()
        await asyncio.create_task(child())

    (warning,) = warned(lambda: asyncio.run(main()))
    assert warning.filename == __file__


def test_nobody_is_warned_who_waits_for_processes_or_has_subscribed(name):
    async def main():
        await aio.receive(0)
        erlang.subscribe(name)
        await by_wait_for(take)
        erlang.unsubscribe(name)
        await take()

    async def watching():
        watch = hornbeam.tables.table(name).watch(key="key")
        await take()
        watch.close()

    def run():
        erlang.receive_pubsub(0)

    def thread():
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()

    assert warned(thread) == []
    assert warned(lambda: asyncio.run(main())) == []
    assert warned(lambda: asyncio.run(watching())) == []


# -- tables -------------------------------------------------------------------


def test_a_task_acts_on_tables_as_its_parent_until_it_is_somebody(name):
    async def write(key):
        hornbeam.tables.table(name).set(key, 1)

    async def write_as_another():
        hornbeam.self()
        await write("b")

    async def main():
        hornbeam.tables.new(name, access="protected")
        await by_wait_for(lambda: write("a"))
        with pytest.raises(hornbeam.HornbeamError):
            await asyncio.create_task(write_as_another())
        return hornbeam.tables.table(name).get("a")

    assert asyncio.run(main()) == 1
