"""Processes as Python has them so far: send and receive."""

import asyncio
import queue
import signal
import threading

import pytest

import hornbeam
import hornbeam_erlang as erlang
from hornbeam import Atom, _owner, aio, process, pubsub


@pytest.fixture
def ended_pid():
    """The pid of a thread that has ended."""
    pids = []
    thread = threading.Thread(target=lambda: pids.append(hornbeam.self()))
    thread.start()
    thread.join()
    return pids[0]


def test_a_message_reaches_the_thread_whose_pid_it_was_sent_to():
    pids, got = queue.Queue(), queue.Queue()

    def listen():
        pids.put(hornbeam.self())
        sender, text = process.receive(20_000)
        process.send(sender, text.upper())
        got.put(process.receive(20_000))

    thread = threading.Thread(target=listen)
    thread.start()
    pid = pids.get()
    process.send(pid, (hornbeam.self(), "hello"))
    assert process.receive(20_000) == "HELLO"
    process.send(pid, {"n": [1, 2.5, None]})
    thread.join()
    assert got.get() == {"n": [1, 2.5, None]}


def test_a_process_can_send_to_itself_and_messages_keep_their_order():
    for i in range(500):
        process.send(hornbeam.self(), i)
    assert [process.receive(0) for _ in range(500)] == list(range(500))


def test_messages_of_topics_and_of_processes_do_not_mix(name):
    erlang.subscribe(name)
    erlang.publish(name, "by topic")
    process.send(hornbeam.self(), "by pid")
    erlang.publish(name, "by topic again")
    assert len(_owner.mailbox()) == 3
    assert process.receive(0) == "by pid"
    assert process.receive(0) is None
    assert erlang.receive_pubsub(0) == "by topic"
    process.send(hornbeam.self(), "by pid again")
    assert erlang.receive_pubsub(0) == "by topic again"
    assert erlang.receive_pubsub(0) is None
    assert process.receive(0) == "by pid again"
    erlang.unsubscribe(name)


@pytest.mark.parametrize("timeout_ms", [0, -1, 0.5, 5])
def test_receive_returns_its_default_after_its_timeout(timeout_ms):
    assert process.receive(timeout_ms) is None
    assert process.receive(timeout_ms, "nothing") == "nothing"


def test_a_default_tells_no_message_from_none():
    process.send(hornbeam.self(), None)
    assert process.receive(0, "nothing") is None
    assert process.receive(0, "nothing") == "nothing"


def test_receive_without_a_timeout_ends_with_the_deadline():
    with hornbeam.deadline(10):
        assert process.receive() is None


def test_ctrl_c_ends_a_receive():
    def interrupt(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(KeyboardInterrupt):
            process.receive()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_messages_to_another_node_and_back(worker):
    there = erlang.rpc_call(worker, "services", "start_echo", [])
    assert there.node == worker
    for i in range(100):
        process.send(there, (hornbeam.self(), i))
    assert [process.receive(20_000) for _ in range(100)] == list(range(100))
    process.send(there, "stop")


def test_what_is_sent_to_a_process_that_has_ended_is_gone(ended_pid):
    assert process.send(ended_pid, 1) is None


def test_a_name_that_nobody_has_is_an_error_here_and_silence_elsewhere(worker):
    with pytest.raises(hornbeam.NotFoundError, match="'nobody'"):
        process.send("nobody", 1)
    with pytest.raises(hornbeam.NotFoundError, match="'nobody'"):
        process.send(Atom("nobody"), 1)
    process.send(("nobody", erlang.node()), 1)
    process.send(("nobody", worker), 1)


@pytest.mark.parametrize("to", [1, None, b"x", ("x",), ("x", 1), ["x", "y"]])
def test_messages_go_to_processes_only(to):
    with pytest.raises(TypeError, match="messages go to a pid"):
        process.send(to, 1)


def test_messages_do_not_go_to_a_reference_that_is_no_alias():
    with pytest.raises(TypeError, match="messages go to a pid"):
        process.send(hornbeam.make_ref(), 1)


def test_a_message_is_a_term():
    with pytest.raises(TypeError, match=r"message\['f'\]"):
        process.send(hornbeam.self(), {"f": object()})
    with pytest.raises(TypeError):
        process.send(object(), 1)


def test_a_task_receives_without_blocking_its_loop(name):
    async def echo():
        sender, text = await aio.receive(20_000)
        process.send(sender, text.upper())
        return hornbeam.self()

    async def ask():
        process.send(await pid_of(listener), (hornbeam.self(), "hello"))
        return await aio.receive(20_000)

    async def pid_of(task):
        return await known

    async def announced():
        known.set_result(hornbeam.self())
        return await echo()

    async def main():
        nonlocal known, listener
        known = asyncio.get_running_loop().create_future()
        listener = asyncio.create_task(announced())
        answer = await asyncio.create_task(ask())
        assert await listener == await known
        return answer

    known = listener = None
    assert asyncio.run(main()) == "HELLO"


def test_receive_in_a_task_returns_its_default_in_time():
    async def main():
        assert await aio.receive(0) is None
        assert await aio.receive(5, "nothing") == "nothing"
        process.send(hornbeam.self(), None)
        assert await aio.receive(0, "nothing") is None
        with hornbeam.deadline(5):
            assert await aio.receive() is None

    asyncio.run(main())


def test_tasks_that_share_a_mailbox_wait_for_different_messages(name):
    async def main():
        erlang.subscribe(name)
        me = hornbeam.self()
        by_topic = asyncio.create_task(aio.receive_pubsub(20_000))
        by_pid = asyncio.create_task(aio.receive(20_000))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        process.send(me, "by pid")
        assert await by_pid == "by pid"
        erlang.publish(name, "by topic")
        assert await by_topic == "by topic"

    asyncio.run(main())


def test_a_thread_of_a_task_shares_its_mailbox(name):
    async def main():
        erlang.subscribe(name)
        me = hornbeam.self()
        blocked = asyncio.create_task(asyncio.to_thread(process.receive, 20_000))
        waiting = asyncio.create_task(aio.receive_pubsub(20_000))
        await asyncio.sleep(0)
        erlang.publish(name, "by topic")
        assert await waiting == "by topic"
        process.send(me, "by pid")
        assert await blocked == "by pid"

    asyncio.run(main())


def test_who_waits_in_a_thread_hears_that_its_task_has_ended():
    got, started = [], threading.Event()

    async def main():
        box = _owner.mailbox()

        def wait():
            started.set()
            got.append(box.receive(None, "nothing"))

        thread = threading.Thread(target=wait)
        thread.start()
        started.wait()
        return thread

    asyncio.run(main()).join(20)
    assert got == ["nothing"]


def kill(pid):
    hornbeam._native.cast(erlang.node(), "processes", "exit", (pid, pid, Atom("kill")))


CALLS = {
    "receive": lambda name: process.receive(0),
    "receive of a topic": lambda name: pubsub.receive(0),
    "subscribe": erlang.subscribe,
    "self": lambda name: hornbeam.self(),
}


@pytest.mark.parametrize("call", list(CALLS))
def test_a_process_that_another_one_ends_says_so_once(name, call):
    before = hornbeam.self()
    erlang.subscribe(name)
    kill(before)
    assert pubsub.subscribers(name) == 0
    with pytest.raises(hornbeam.HornbeamError, match="has been ended"):
        CALLS[call](name)
    CALLS[call](name)
    assert hornbeam.self() == hornbeam.self() != before
    erlang.unsubscribe(name)


def test_who_waits_when_another_process_ends_it_hears_of_it_once(eventually):
    pids, got = queue.Queue(), queue.Queue()

    def run():
        pids.put(hornbeam.self())
        with pytest.raises(hornbeam.HornbeamError, match="has been ended"):
            process.receive()
        got.put(hornbeam.self())

    thread = threading.Thread(target=run)
    thread.start()
    pid = pids.get()
    kill(pid)
    thread.join(20)
    assert got.get(timeout=20) != pid


def test_a_task_and_a_handler_call_that_another_process_ends_hear_of_it_once(name):
    def code():
        before = hornbeam.self()
        kill(before)
        with pytest.raises(hornbeam.HornbeamError, match="has been ended"):
            process.receive(0)
        return before != hornbeam.self()

    async def child():
        return code()

    async def main():
        return code(), await asyncio.create_task(child())

    assert asyncio.run(main()) == (True, True)
    erlang.register_hook(name, lambda action: code())
    assert erlang.await_result(erlang.execute_async(name, "x")) is True


def test_a_program_ends_while_its_threads_wait_for_messages(fresh_python):
    out = fresh_python(
        """
        import threading, time
        import hornbeam
        from hornbeam import process, pubsub

        ready = threading.Barrier(3)

        def wait(receive):
            hornbeam.self()
            ready.wait()
            receive()

        for receive in process.receive, pubsub.receive:
            threading.Thread(target=wait, args=(receive,), daemon=True).start()
        hornbeam.self()
        ready.wait()
        print("over")
        """
    )
    assert out == "over\n"
