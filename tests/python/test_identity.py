"""Who receives: pids and mailboxes of threads, asyncio tasks and handler calls."""

import asyncio
import gc
import threading

import pytest

import hornbeam
import hornbeam_erlang as erlang
from hornbeam import Pid, aio, pubsub


def in_thread(f):
    out = []
    thread = threading.Thread(target=lambda: out.append(f()))
    thread.start()
    thread.join(10)
    return out[0]


def test_a_thread_has_one_pid_of_its_own():
    mine = hornbeam.self()
    assert isinstance(mine, Pid)
    assert hornbeam.self() == mine
    assert mine.node == erlang.node()
    pids = {mine, *(in_thread(hornbeam.self) for _ in range(5))}
    assert len(pids) == 6


def test_pids_can_be_sent_and_compared(worker):
    mine = hornbeam.self()
    assert erlang.rpc_call(worker, "services", "echo", [mine]) == mine
    erlang.state_set(mine, "by pid")
    assert erlang.state_get(mine) == "by pid"
    assert mine != hornbeam.make_ref()


def test_references_are_unique():
    refs = {hornbeam.make_ref() for _ in range(1000)}
    assert len(refs) == 1000


def test_the_mailbox_of_a_thread_ends_with_it(name, eventually):
    def subscribe():
        erlang.subscribe(name)
        return pubsub.subscribers(name)

    assert in_thread(subscribe) == 1
    gc.collect()
    eventually(lambda: pubsub.subscribers(name) == 0)
    assert erlang.publish(name, 1) == 0


def test_another_thread_does_not_get_my_messages(name):
    erlang.subscribe(name)
    erlang.publish(name, "mine")
    assert in_thread(lambda: erlang.receive_pubsub(0)) is None
    assert erlang.receive_pubsub(0) == "mine"
    erlang.unsubscribe(name)


def test_each_asyncio_task_has_a_pid_and_a_mailbox(name, eventually):
    async def listen(ready):
        erlang.subscribe(name)
        ready.set()
        return hornbeam.self(), await aio.receive_pubsub(10000)

    async def main():
        readies = [asyncio.Event() for _ in range(3)]
        tasks = [asyncio.create_task(listen(x)) for x in readies]
        for ready in readies:
            await ready.wait()
        assert erlang.publish(name, "all") == 3
        found = await asyncio.gather(*tasks)
        assert len({pid for pid, _ in found}) == 3
        assert [message for _, message in found] == ["all"] * 3
        await asyncio.sleep(0)
        assert pubsub.subscribers(name) == 0

    asyncio.run(main())


def test_a_task_is_somebody_else_than_its_thread():
    mine = hornbeam.self()

    async def main():
        return hornbeam.self(), hornbeam.self()

    a, b = asyncio.run(main())
    assert a == b != mine
    assert hornbeam.self() == mine


def test_a_task_that_asks_who_it_is_is_not_the_one_that_started_it(name):
    async def child():
        return hornbeam.self(), hornbeam.self()

    async def main():
        mine = hornbeam.self()
        return mine, await asyncio.create_task(child())

    parent, (first, second) = asyncio.run(main())
    assert parent != first == second


def test_a_task_that_outlives_its_parent_gets_a_mailbox_again(name):
    async def child(go):
        await go.wait()
        erlang.subscribe(name)
        erlang.publish(name, "still here")
        return await aio.receive_pubsub(5000)

    async def parent(go):
        hornbeam.self()
        return asyncio.create_task(child(go))

    async def main():
        go = asyncio.Event()
        orphan = await asyncio.create_task(parent(go))
        await asyncio.sleep(0)
        go.set()
        return await orphan

    assert asyncio.run(main()) == "still here"
    assert pubsub.subscribers(name) == 0


def test_a_local_handler_is_its_caller(name):
    erlang.register_hook(name, lambda action: hornbeam.self())
    assert erlang.execute(name, "x") == hornbeam.self()


def test_each_call_from_another_node_is_somebody_of_its_own(worker):
    pids = [erlang.execute("there", "pid") for _ in range(5)]
    assert len(set(pids)) == 5
    assert all(pid.node == worker for pid in pids)


def test_each_task_is_somebody_of_its_own(name):
    erlang.register_hook(name, lambda action: hornbeam.self())
    tasks = [erlang.execute_async(name, "x") for _ in range(5)]
    pids = {hornbeam.self(), *(erlang.await_result(x) for x in tasks)}
    assert len(pids) == 6


def test_the_mailbox_of_a_handler_call_ends_with_it(worker, name, eventually):
    def handler(action):
        erlang.subscribe(name)
        return pubsub.subscribers(name)

    erlang.register_hook(name, handler)
    assert erlang.await_result(erlang.execute_async(name, "x")) == 1
    eventually(lambda: pubsub.subscribers(name) == 0)

    erlang.rpc_call(worker, "services", "subscribe_only", [name])
    eventually(lambda: pubsub.subscribers(name) == 0)


def test_a_coroutine_handler_has_a_mailbox_of_its_own(worker, name, eventually):
    async def handler(action):
        erlang.subscribe(name)
        return [hornbeam.self(), hornbeam.self()]

    erlang.register_hook(name, handler)
    seen = set()
    for _ in range(3):
        a, b = erlang.await_result(erlang.execute_async(name, "x"))
        assert a == b
        seen.add(a)
    eventually(lambda: erlang.rpc_call(worker, "services", "knows_hook", [name]))
    for _ in range(3):
        a, b = erlang.rpc_call(worker, "services", "execute", [name, "x"])
        assert a == b
        seen.add(a)
    assert len(seen) == 6
    eventually(lambda: pubsub.subscribers(name) == 0)


def test_a_stream_keeps_its_mailbox_over_all_its_chunks(worker):
    """However often its thread pauses for want of credit."""
    pids = list(erlang.stream("there", "pids", 2000))
    assert len(pids) == 2000
    assert len(set(pids)) == 1


def test_the_mailbox_of_a_stream_ends_with_it(worker, name, eventually):
    chunks = erlang.stream("there", "subscribed", name)
    next(chunks)
    eventually(lambda: pubsub.subscribers(name) == 1)
    chunks.close()
    eventually(lambda: pubsub.subscribers(name) == 0)
    assert list(erlang.stream("there", "subscribed", name, 3)) == [0, 1, 2]
    eventually(lambda: pubsub.subscribers(name) == 0)


def test_a_receive_that_waits_in_a_handler_is_woken(worker, name, eventually):
    task = erlang.execute_async("there", "listen", name)
    eventually(lambda: pubsub.subscribers(name) == 1)
    erlang.publish(name, "wake up")
    assert erlang.await_result(task) == "wake up"
    eventually(lambda: pubsub.subscribers(name) == 0)


@pytest.mark.parametrize("count", [200])
def test_no_mailbox_is_left_behind_by_many_threads(name, eventually, count):
    threads = [
        threading.Thread(target=erlang.subscribe, args=(name,)) for _ in range(count)
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    gc.collect()
    eventually(lambda: pubsub.subscribers(name) == 0)
