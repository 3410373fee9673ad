"""No thread, loop or listener of ours ends of what a program's code raises."""

import asyncio
import textwrap
import threading

import pytest

import hornbeam
import hornbeam_erlang as erlang
from hornbeam import HandlerError, aio


class Odd(BaseException):
    pass


KINDS = [
    SystemExit(3),
    KeyboardInterrupt("by hand"),
    GeneratorExit("left"),
    StopIteration(1),
    StopAsyncIteration(1),
    asyncio.CancelledError("its own"),
    Odd("odd"),
]
each_kind = pytest.mark.parametrize("error", KINDS, ids=lambda x: type(x).__name__)


def fresh(error):
    return type(error)(*error.args)


class Unreadable:
    """Can't be sent: its type says so in its own way."""

    def __init__(self, error):
        self.error = error


class Unprintable(Exception):
    def __init__(self, error):
        self.error = error

    def __str__(self):
        raise self.error


def raise_error(x):
    raise fresh(x.error)


hornbeam.register_type(Unreadable, "unreadable", raise_error, raise_error)


def still_answers(name):
    """The loop, the pool and their ways are as before."""

    async def coroutine(action):
        return action

    erlang.register_hook(f"{name} after", coroutine)
    erlang.register_hook(f"{name} plainly after", lambda action: action)
    with hornbeam.deadline(20_000):
        for hook in (f"{name} after", f"{name} plainly after"):
            assert erlang.execute(hook, "a") == "a"
            assert asyncio.run(aio.execute(hook, "b")) == "b"
            assert erlang.await_result(erlang.execute_async(hook, "c"), 20_000) == "c"
            assert list(erlang.stream(hook, "d")) == ["d"]


@each_kind
def test_a_task_that_a_coroutine_leaves_behind_may_raise_anything(name, error):
    async def bad():
        raise fresh(error)

    async def handler(action):
        left.append(asyncio.get_running_loop().create_task(bad()))
        await asyncio.sleep(0)
        return "done"

    left = []
    erlang.register_hook(name, handler)
    with hornbeam.deadline(20_000):
        assert erlang.execute(name, "go") == "done"
    still_answers(name)


def test_a_coroutine_may_stop_the_loop_it_runs_on(name):
    async def handler(action):
        asyncio.get_running_loop().stop()
        return "done"

    erlang.register_hook(name, handler)
    with hornbeam.deadline(20_000):
        assert erlang.execute(name, "go") == "done"
    still_answers(name)


@each_kind
def test_a_callback_of_the_loop_may_raise_anything(name, error):
    def bad():
        called.set()
        raise fresh(error)

    async def handler(action):
        asyncio.get_running_loop().call_soon(bad)
        return "done"

    called = threading.Event()
    erlang.register_hook(name, handler)
    with hornbeam.deadline(20_000):
        assert erlang.execute(name, "go") == "done"
    assert called.wait(20)
    still_answers(name)


@each_kind
@pytest.mark.parametrize("is_async", [False, True])
def test_a_generator_that_is_closed_may_raise_anything(name, error, is_async):
    def plain(action):
        try:
            yield 1
            yield 2
        finally:
            raise fresh(error)

    async def coroutine(action):
        try:
            yield 1
            yield 2
        finally:
            raise fresh(error)

    async def read_one():
        async for _ in erlang.stream_async(name, "go"):
            break

    erlang.register_hook(name, coroutine if is_async else plain)
    chunks = erlang.stream(name, "go")
    assert next(chunks) == 1
    try:
        chunks.close()
    except BaseException as e:
        assert type(e) in (type(error), RuntimeError, HandlerError)
    asyncio.run(read_one())
    still_answers(name)


@each_kind
def test_a_result_whose_type_raises_anything_is_an_error(
    worker, name, error, eventually
):
    """A task's result is asked for as a term."""
    erlang.register_hook(name, lambda action: Unreadable(error))
    eventually(lambda: erlang.rpc_call(worker, "services", "knows_hook", [name]))
    with hornbeam.deadline(20_000):
        with pytest.raises(HandlerError) as e:
            erlang.rpc_call(worker, "services", "execute", [name, "go"])
    assert type(error).__name__ in str(e.value)
    assert erlang.ping(worker)
    still_answers(name)


@each_kind
def test_an_error_whose_text_raises_anything_is_an_error(
    worker, name, error, eventually
):
    def handler(action):
        raise Unprintable(fresh(error))

    erlang.register_hook(name, handler)
    eventually(lambda: erlang.rpc_call(worker, "services", "knows_hook", [name]))
    with pytest.raises(HandlerError) as e:
        erlang.rpc_call(worker, "services", "execute", [name, "go"])
    assert "Unprintable" in str(e.value)
    with pytest.raises(HandlerError, match="Unprintable"):
        erlang.execute(name, "go")
    still_answers(name)


@each_kind
def test_a_callback_of_a_table_may_raise_anything(name, error):
    def callback(change):
        seen.append(change.key)
        come.release()
        raise fresh(error)

    seen, come = [], threading.Semaphore(0)
    table = hornbeam.tables.table(name)
    watch = table.watch(callback)
    table.set("a", 1)
    assert come.acquire(timeout=20)
    table.set("b", 1)
    assert come.acquire(timeout=20)
    table.unwatch(watch)
    assert seen == ["a", "b"]


def test_a_change_that_can_t_be_read_ends_no_callback(name):
    class Once:
        pass

    def from_term(x):
        raise SystemExit(3)

    hornbeam.register_type(Once, f"once {name}", lambda x: None, from_term)
    seen, come = [], threading.Semaphore(0)

    def callback(change):
        seen.append(change.key)
        come.release()

    table = hornbeam.tables.table(name)
    watch = table.watch(callback)
    table.set("odd", Once())
    table.set("b", 1)
    assert come.acquire(timeout=20)
    while seen[-1] != "b":
        assert come.acquire(timeout=20)
    table.unwatch(watch)


NO_THREADS = """
import textwrap
import threading
from hornbeam_erlang import await_result, execute, execute_async, register_hook

real = threading.Thread.start

def no(self):
    if self.name.startswith("hornbeam"):
        raise RuntimeError("can't start new thread")
    return real(self)

def handler(action):
    return action

async def coroutine(action):
    return action
"""


def test_the_pool_goes_on_with_the_threads_it_has(fresh_python):
    code = """
    register_hook("plain", handler)
    register_hook("bounded", handler, concurrency=1)
    assert await_result(execute_async("plain", "warm"), 20_000) == "warm"
    threading.Thread.start = no
    for i in range(20):
        for hook in ("plain", "bounded"):
            assert await_result(execute_async(hook, "a"), 20_000) == "a"
    threading.Thread.start = real
    assert await_result(execute_async("bounded", "b"), 20_000) == "b"
    print("ok")
    """
    assert fresh_python(NO_THREADS + textwrap.dedent(code)) == "ok\n"


def test_a_pool_that_could_not_begin_begins_with_the_next_task(fresh_python):
    code = """
    threading.Thread.start = no
    register_hook("plain", handler)
    waiting = execute_async("plain", "early")
    assert execute("plain", "here") == "here"
    threading.Thread.start = real
    assert await_result(execute_async("plain", "a"), 20_000) == "a"
    assert await_result(waiting, 20_000) == "early"
    print("ok")
    """
    assert fresh_python(NO_THREADS + textwrap.dedent(code)) == "ok\n"


def test_a_loop_that_could_not_begin_begins_with_the_next_coroutine(fresh_python):
    code = """
    register_hook("later", coroutine)
    assert await_result(execute_async("later", "warm"), 20_000) == "warm"
    register_hook("once", handler)
    from hornbeam import _loop
    _loop._loop = None
    threading.Thread.start = no
    for call in (
        lambda: execute("later", "a"),
        lambda: await_result(execute_async("later", "a"), 20_000),
    ):
        try:
            call()
            raise AssertionError("no error")
        except RuntimeError as e:
            assert "can't start new thread" in str(e), e
    threading.Thread.start = real
    assert execute("later", "b") == "b"
    assert await_result(execute_async("later", "c"), 20_000) == "c"
    print("ok")
    """
    assert fresh_python(NO_THREADS + textwrap.dedent(code)) == "ok\n"
