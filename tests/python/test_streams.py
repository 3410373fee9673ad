"""Streams: chunks of generators, here and from another node."""

import asyncio
import os
import signal
import threading
import time

import pytest
from conftest import WORKER

import hornbeam
import hornbeam_erlang as erlang
from hornbeam import HandlerError, NodeError, NotFoundError, OverloadedError


class Streams:
    def __init__(self):
        self.started = 0
        self.closed = 0

    def numbers(self, n):
        self.started += 1
        try:
            for i in range(n):
                yield i
        finally:
            self.closed += 1

    def fail_after(self, n):
        yield from range(n)
        raise KeyError("after")

    async def async_numbers(self, n):
        self.started += 1
        try:
            for i in range(n):
                await asyncio.sleep(0)
                yield i
        finally:
            self.closed += 1

    async def async_fail_after(self, n):
        for i in range(n):
            yield i
        raise KeyError("after")

    def value(self, x=5):
        return x

    async def coroutine(self, x=5):
        await asyncio.sleep(0)
        return x

    def iterator(self):
        return iter([1, 2])

    def list(self):
        return [1, 2]

    def thread(self):
        yield threading.get_ident()

    def echo(self, *args, **kwargs):
        yield [list(args), kwargs]

    def _private(self):
        yield "secret"

    def nothing(self):
        yield from ()


@pytest.fixture
def streams(name):
    handler = Streams()
    erlang.register_hook(name, handler)
    yield handler
    erlang.unregister_hook(name)


@pytest.fixture(params=["here", "there"])
def hook(request, name):
    """The name of a hook with `numbers` and the like."""
    if request.param == "there":
        request.getfixturevalue("worker")
        return "there"
    erlang.register_hook(name, Streams)
    return name


def test_the_chunks_come_in_order(hook):
    for n in (0, 1, 2, 1000):
        assert list(erlang.stream(hook, "numbers", n)) == list(range(n))


def test_async_generators_are_handlers_too(hook):
    assert list(erlang.stream(hook, "async_numbers", 50)) == list(range(50))


def test_arguments_arrive(hook):
    found = list(erlang.stream(hook, "echo", 1, two=2))
    # `there`'s echo returns what Streams' yields: one chunk either way.
    assert found == [[[1], {"two": 2}]]


def test_an_error_comes_after_the_chunks_before_it(hook):
    got = []
    with pytest.raises(HandlerError, match="KeyError.*after"):
        for chunk in erlang.stream(hook, "fail_after", 3):
            got.append(chunk)
    assert got == [0, 1, 2]


def test_a_handler_that_returns_no_generator_gives_one_chunk(hook):
    assert list(erlang.stream(hook, "coroutine", 5)) == [5]
    if hook != "there":
        assert list(erlang.stream(hook, "value")) == [5]
        assert list(erlang.stream(hook, "value", None)) == [None]
        assert list(erlang.stream(hook, "list")) == [[1, 2]]
        assert list(erlang.stream(hook, "iterator")) == [1, 2]
        assert list(erlang.stream(hook, "nothing")) == []


def test_function_handlers_stream_too(name):
    def handler(action, n):
        yield from [action] * n

    erlang.register_hook(name, handler)
    assert list(erlang.stream(name, "act", 2)) == ["act", "act"]


@pytest.mark.parametrize("action", ["_private", "no_action", "__init__"])
def test_private_and_unknown_actions_are_refused(hook, action):
    with pytest.raises(NotFoundError):
        next(erlang.stream(hook, action))


def test_nothing_runs_before_the_first_chunk_is_asked_for(streams, name):
    chunks = erlang.stream(name, "numbers", 5)
    assert streams.started == 0
    assert next(chunks) == 0
    assert streams.started == 1
    never_asked = erlang.stream("no such hook", "x")
    never_asked.close()
    with pytest.raises(NotFoundError):
        next(erlang.stream("no such hook", "x"))


def test_a_local_generator_makes_one_step_for_each_chunk_in_this_thread(name):
    steps = []

    def handler(action):
        for i in range(5):
            steps.append(threading.get_ident())
            yield i

    erlang.register_hook(name, handler)
    chunks = erlang.stream(name, "x")
    assert next(chunks) == 0
    assert steps == [threading.get_ident()]


def test_closing_the_generator_closes_the_handlers(streams, name):
    for action in ("numbers", "async_numbers"):
        before = streams.closed
        chunks = erlang.stream(name, action, 5)
        next(chunks)
        assert streams.closed == before
        chunks.close()
        assert streams.closed == before + 1


def test_closing_a_stream_that_never_ran_starts_nothing(streams, name):
    erlang.stream(name, "numbers", 5).close()
    assert streams.started == streams.closed == 0


def test_leaving_a_loop_closes_the_handlers_generator(streams, name):
    for _ in erlang.stream(name, "numbers", 5):
        break
    assert streams.closed == 1


def test_closing_the_generator_closes_one_on_another_node(worker):
    chunks = erlang.stream("there", "numbers", 10**9)
    assert next(chunks) == 0
    chunks.close()
    assert erlang.rpc_call(worker, "services", "was_closed", []) is True


def end_of_a_stream_after(end):
    """Seconds until the generator of another node hears of the end of its stream."""
    chunks = [erlang.stream("there", "numbers", 10**9)]
    assert next(chunks[0]) == 0
    began = time.monotonic()
    end(chunks)
    assert erlang.rpc_call(WORKER, "services", "was_closed", []) is True
    return time.monotonic() - began


@pytest.mark.parametrize("end", [lambda x: x[0].close(), lambda x: x.clear()])
def test_an_early_end_is_known_there_within_100_ms(worker, end):
    # The fastest of a few: the machine may have other things to do.
    assert min(end_of_a_stream_after(end) for _ in range(3)) < 0.1


@pytest.fixture
def ctrl_c():
    """Ctrl-C raises, though whoever runs the tests in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_frees_whoever_waits_for_a_chunk_within_100_ms(worker, ctrl_c):
    def once():
        chunks = erlang.stream("there", "gated")
        assert next(chunks) == "first"
        pressed = []

        def press():
            pressed.append(time.monotonic())
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

        timer = threading.Timer(0.05, press)
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            next(chunks)
        took = time.monotonic() - pressed[0]
        timer.join()
        return took

    assert min(once() for _ in range(3)) < 0.1


def test_ten_thousand_idle_streams_cost_no_thread_each(worker, eventually):
    def there(what):
        return erlang.rpc_call(worker, "hornbeam", "status", [])[what]

    def threads():
        return len(os.listdir("/proc/self/task"))

    before = threads()
    threads_there = erlang.rpc_call(worker, "services", "threads", [])
    streams = [erlang.stream("there", "numbers", 10**9) for _ in range(10_000)]
    assert all(next(x) == 0 for x in streams)
    assert hornbeam.cluster.status()["streams_consumed"] == 10_000
    assert there("streams_provided") == 10_000
    assert threads() <= before + 2
    assert erlang.rpc_call(worker, "services", "threads", []) <= threads_there + 8
    streams.clear()
    assert hornbeam.cluster.status()["streams_consumed"] == 0
    eventually(lambda: there("streams_provided") == 0)


def test_a_generator_there_runs_only_ahead_as_far_as_it_has_credit(worker, name):
    chunks = erlang.stream("there", "counted", name, 100000)
    assert [next(chunks) for _ in range(3)] == [0, 1, 2]
    made = erlang.rpc_call(worker, "services", "state_get", [name])
    assert made < 10000
    chunks.close()


def test_a_chunk_that_cannot_be_sent_is_an_error_after_those_before_it(worker):
    chunks = erlang.stream("there", "bad_chunk")
    assert next(chunks) == 1
    with pytest.raises(RuntimeError, match="object"):
        next(chunks)
    with pytest.raises(StopIteration):
        next(chunks)


def test_a_plain_generator_there_is_run_without_python_code_of_ours(worker, eventually):
    def callers():  # the thread's own loop, unless it is the last that is idle
        return list(erlang.stream("there", "caller"))

    eventually(lambda: callers() == ["_work"])


def test_large_chunks_arrive_whole(worker):
    chunks = list(erlang.stream("there", "blocks", 5, 3_000_000))
    assert [len(x) for x in chunks] == [3_000_000] * 5
    assert all(x == bytes([i]) * 3_000_000 for i, x in enumerate(chunks))


def test_many_streams_at_once(worker):
    streams = [erlang.stream("there", "numbers", 50) for _ in range(20)]
    for i in range(50):
        assert [next(x) for x in streams] == [i] * 20
    assert all(next(x, "end") == "end" for x in streams)


def test_a_stream_ends_with_its_node(other_nodes, name, eventually):
    from hornbeam import hooks

    node = other_nodes("streamer@127.0.0.1")
    erlang.rpc_call("streamer@127.0.0.1", "services", "register_endless", [name])
    eventually(lambda: hooks.providers(name))
    chunks = erlang.stream(name, "x")
    assert next(chunks) == 0
    node.process.kill()
    with pytest.raises(NodeError, match="streamer@127.0.0.1"):
        for _ in chunks:
            pass


def test_an_error_while_a_generator_is_closed_is_raised_here(name):
    def handler(action):
        try:
            yield 1
        finally:
            raise KeyError("in finally")

    erlang.register_hook(name, handler)
    chunks = erlang.stream(name, "x")
    next(chunks)
    with pytest.raises((KeyError, HandlerError), match="in finally"):
        chunks.close()


def test_wrong_names_are_refused_at_once():
    with pytest.raises(TypeError):
        erlang.stream(5, "x")
    with pytest.raises(TypeError):
        erlang.stream("x", 5)


def test_an_error_without_a_text_ends_a_stream_of_another_node(worker):
    chunks = erlang.stream("there", "miss_unprintably")
    assert next(chunks) == 1
    with pytest.raises(NotFoundError, match="no text"), hornbeam.deadline(20000):
        next(chunks)


def test_streams_that_another_node_refuses_leave_nothing_there(worker, eventually):
    def provided():
        return erlang.rpc_call(worker, "hornbeam", "status", [])["streams_provided"]

    before = provided()
    first = erlang.stream("narrow", "x", 100_000)
    next(first)
    for _ in range(20):
        with pytest.raises(OverloadedError):
            list(erlang.stream("narrow", "x", 1))
    assert provided() == before + 1
    first.close()
    eventually(lambda: provided() == before)
