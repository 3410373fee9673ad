"""What the code of a coroutine process sees of asyncio: it is a task like any other,
but for what the last tests say."""

import asyncio
import gc
import os
import subprocess
import sys
import textwrap
import threading
import time
import weakref

import pytest
from launched import SLOWER

from hornbeam import process
from hornbeam.aio import process as aio

SOON = 20_000


def value_of(body, *args):
    """What `body` returns, or raises, as the code of a coroutine process."""
    found = []
    done = threading.Event()

    async def run():
        try:
            found.append(await body(*args))
        except BaseException as e:
            found.append(e)
        finally:
            done.set()

    process.spawn(run)
    assert done.wait(SOON / 1000)
    if isinstance(found[0], BaseException):
        raise found[0]
    return found[0]


async def later(x, seconds=0.001):
    await asyncio.sleep(seconds)
    return x


async def with_timeout():
    try:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(3600)
    except TimeoutError:
        return asyncio.current_task().cancelling()


async def with_timeout_around_a_receive():
    try:
        async with asyncio.timeout(0.01):
            await aio.receive()
    except TimeoutError:
        process.send(process.self(), "still there")
        return await aio.receive()


async def with_wait_for():
    try:
        await asyncio.wait_for(aio.receive(), 0.01)
    except TimeoutError:
        return await asyncio.wait_for(later(1), 5)


async def with_task_group():
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(later(i)) for i in range(3)]
    return [x.result() for x in tasks]


async def with_failing_task_group():
    async def fail():
        raise LookupError("told so")

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            await asyncio.sleep(3600)
    except ExceptionGroup as e:
        return str(e.exceptions[0])


async def with_gather():
    return await asyncio.gather(later(1), later(2))


async def with_lock():
    lock, order = asyncio.Lock(), []

    async def hold(x):
        async with lock:
            await asyncio.sleep(0)
            order.append(x)

    async with lock:
        others = [asyncio.create_task(hold(i)) for i in range(3)]
        await asyncio.sleep(0.001)
        order.append("first")
    await asyncio.gather(*others)
    return order


async def with_event_and_condition():
    event, condition = asyncio.Event(), asyncio.Condition()
    asyncio.get_running_loop().call_later(0.001, event.set)
    await event.wait()

    async def notify():
        async with condition:
            condition.notify()

    async with condition:
        other = asyncio.create_task(notify())
        await condition.wait()
    await other
    return True


async def with_queue():
    queue = asyncio.Queue(1)

    async def produce():
        for i in range(5):
            await queue.put(i)

    other = asyncio.create_task(produce())
    found = [await queue.get() for _ in range(5)]
    await other
    return found


async def with_thread():
    return await asyncio.to_thread(lambda: threading.current_thread().name) != "x"


async def with_streams():
    async def echo(reader, writer):
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"hello\n")
    line = await reader.readline()
    writer.close()
    server.close()
    return line


async def with_subprocess():
    made = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "print(1)", stdout=subprocess.PIPE
    )
    return (await made.communicate())[0]


async def with_generator():
    async def numbers():
        for i in range(3):
            await asyncio.sleep(0)
            yield i

    return [x async for x in numbers()]


async def with_shield():
    inner = asyncio.create_task(later(7, 0.01))
    try:
        await asyncio.wait_for(asyncio.shield(inner), 0.001)
    except TimeoutError:
        return await inner


@pytest.mark.parametrize(
    "body, expected",
    [
        (with_timeout, 0),
        (with_timeout_around_a_receive, "still there"),
        (with_wait_for, 1),
        (with_task_group, [0, 1, 2]),
        (with_failing_task_group, "told so"),
        (with_gather, [1, 2]),
        (with_lock, ["first", 0, 1, 2]),
        (with_event_and_condition, True),
        (with_queue, [0, 1, 2, 3, 4]),
        (with_thread, True),
        (with_streams, b"hello\n"),
        (with_subprocess, b"1\n"),
        (with_generator, [0, 1, 2]),
        (with_shield, 7),
    ],
)
def test_what_asyncio_has_works_inside(body, expected):
    assert value_of(body) == expected


def test_it_is_the_current_task_and_only_while_it_runs():
    async def body():
        mine = asyncio.current_task()
        assert mine.get_loop() is asyncio.get_running_loop()
        assert asyncio.iscoroutine(mine.get_coro())
        assert not mine.done() and not mine.cancelled()
        assert str(process.self().serial) in mine.get_name()
        assert mine.get_stack()
        seen = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(
            lambda: seen.set_result(asyncio.current_task())
        )
        assert await seen is None
        assert asyncio.current_task() is mine
        return True

    assert value_of(body)


def test_what_waits_for_its_end_is_called_back():
    over = threading.Event()
    context = []

    async def body():
        mine = asyncio.current_task()
        mine.add_done_callback(context.append)
        assert mine.remove_done_callback(context.append) == 1
        mine.add_done_callback(lambda x: (context.append(x.done()), over.set()))

    value_of(later, 1)
    process.spawn(body)
    assert over.wait(SOON / 1000)
    assert context == [True]


def test_cancel_of_itself_is_thrown_where_it_waits_next():
    async def body():
        asyncio.current_task().cancel("enough")
        try:
            await aio.receive()
        except asyncio.CancelledError as e:
            assert asyncio.current_task().uncancel() == 0
            return e.args

    assert value_of(body) == ("enough",)


@pytest.mark.parametrize("wait", [aio.receive, lambda: asyncio.sleep(3600)])
def test_cancel_by_another_task_reaches_what_it_waits_for(wait):
    async def body():
        mine = asyncio.current_task()
        asyncio.get_running_loop().call_soon(mine.cancel, "by another")
        try:
            await wait()
        except asyncio.CancelledError as e:
            mine.uncancel()
            process.send(process.self(), "goes on")
            return e.args, await aio.receive()

    assert value_of(body) == (("by another",), "goes on")


def test_a_bare_yield_lets_everything_else_on_the_loop_run():
    async def body():
        order = []
        asyncio.get_running_loop().call_soon(order.append, "callback")
        task = asyncio.create_task(later("x"))
        task.add_done_callback(lambda _: order.append("task"))
        while "task" not in order:
            await asyncio.sleep(0)
        return order

    assert value_of(body) == ["callback", "task"]


def test_processes_that_are_always_ready_leave_the_loop_its_turns():
    async def echo():
        while True:
            process.send(await aio.receive(), 1)

    async def busy(stop):
        other = process.spawn_link(echo)
        while not stop.is_set():
            process.send(other, process.self())
            await aio.receive()

    async def body():
        stop = threading.Event()
        for _ in range(3):
            process.spawn_link(busy, stop)
        for _ in range(20):
            await asyncio.sleep(0.001)
        stop.set()
        return True

    assert value_of(body)


def test_receives_end_at_their_time_whatever_the_order():
    async def wait(to, ms):
        process.send(to, (await aio.receive(ms, "nothing"), ms))

    async def body():
        times = [40, 5, 25, 0, 15, 1]
        for ms in times:
            process.spawn_link(wait, process.self(), ms)
        found = [await aio.receive(SOON) for _ in times]
        return [x for x, _ in found], sorted(ms for _, ms in found) == sorted(times)

    assert value_of(body) == (["nothing"] * 6, True)


def test_a_receive_ends_at_its_time_whatever_has_come_before_it():
    async def body():
        found = []
        for before in (
            lambda: asyncio.sleep(0),
            lambda: asyncio.sleep(0.001),
            lambda: asyncio.to_thread(int),
            lambda: aio.receive(1),
            lambda: asyncio.create_task(later(1)),
        ):
            await before()
            found.append(await aio.receive(5, "nothing"))
        return found

    assert value_of(body) == ["nothing"] * 5


def test_a_time_that_nobody_waits_for_any_more_takes_none_from_others():
    """The loop is called for it all the same."""

    async def body():
        me, found = process.self(), []
        for _ in range(5):
            process.send_after(1, me, "in time")
            found.append(await aio.receive(20))
            await asyncio.sleep(0.03)  # the loop is called in vain
            found.append(await aio.receive(2, "nothing"))
        return found

    assert value_of(body) == ["in time", "nothing"] * 5


def test_a_receive_in_time_needs_no_timer_any_more():
    async def body():
        me = process.self()
        for i in range(1000):
            process.send(me, i)
            assert await aio.receive(50) == i
        process.send_after(20, me, "late")
        for i in range(3):
            got = await aio.receive(1, "none")
            if got == "late":
                break
            assert got == "none"
        else:
            assert await aio.receive(SOON) == "late"
        return True

    assert value_of(body)


def test_a_pattern_that_raises_leaves_the_messages_where_they_are():
    def wrong(message):
        raise LookupError(message)

    async def body():
        process.send(process.self(), "kept")
        with pytest.raises(LookupError, match="kept"):
            await aio.receive(match=wrong)
        return await aio.receive()

    assert value_of(body) == "kept"


def test_a_selective_receive_takes_messages_that_come_while_it_waits():
    async def body():
        me = process.self()
        for i in range(100):
            process.send(me, i)

        async def feed():
            for i in range(100, 200):
                process.send(me, i)
                await asyncio.sleep(0)
            process.send(me, "this")

        other = asyncio.create_task(feed())
        assert await aio.receive(match=str) == "this"
        await other
        return [await aio.receive() for _ in range(200)]

    assert value_of(body) == list(range(200))


def test_what_is_for_one_process_is_not_awaited_by_another():
    from hornbeam import _native

    async def body():
        waiting = _native.waiting_receive(None, None, ...)

        async def other():
            await waiting

        with pytest.raises(RuntimeError, match="awaited there"):
            await asyncio.create_task(other())
        return True

    assert value_of(body)


def test_what_belongs_to_another_loop_is_refused():
    there = asyncio.new_event_loop()
    try:
        future = there.create_future()

        async def body():
            await future

        with pytest.raises(RuntimeError, match="different loop"):
            value_of(body)
    finally:
        there.close()


def test_what_is_no_awaitable_of_asyncio_is_refused():
    class Odd:
        def __await__(self):
            yield 17

    async def body():
        await Odd()

    with pytest.raises(RuntimeError, match="17"):
        value_of(body)


def test_what_an_awaitable_raises_is_raised_where_it_is_awaited():
    class Broken:
        _asyncio_future_blocking = True

        def get_loop(self):
            return asyncio.get_running_loop()

        def add_done_callback(self, f, *, context):
            raise LookupError("no callbacks here")

        def __await__(self):
            yield self

    async def body():
        await Broken()

    with pytest.raises(LookupError, match="no callbacks here"):
        value_of(body)


@pytest.mark.parametrize("match", [..., tuple, ("x", ...), lambda x: True])
def test_who_is_ended_while_it_computes_is_told_at_its_next_receive(match):
    told, begun, goes_on = [], threading.Event(), threading.Event()

    async def body():
        begun.set()
        goes_on.wait()
        try:
            await aio.receive(match=match)
        except BaseException as e:
            told.append((type(e), e.args))
            raise

    pid, ref = process.spawn_monitor(body)
    assert begun.wait(SOON / 1000)
    process.send(pid, ("x", 1))
    process.exit(pid, "enough")
    goes_on.set()
    assert process.receive(SOON, match=ref)[4] == "enough"
    value_of(later, 1)
    assert told == [(asyncio.CancelledError, ("enough",))]


def longest_pause(body, *args):
    """Of the loop while that runs, in seconds."""

    async def tick():
        pauses, last = [0.0], time.monotonic()
        while True:
            try:
                await asyncio.sleep(0.001)
            except asyncio.CancelledError:
                return max(pauses)
            now = time.monotonic()
            pauses.append(now - last)
            last = now

    async def both():
        ticking = asyncio.create_task(tick())
        await asyncio.sleep(0.01)
        await body(*args)
        ticking.cancel()
        return await ticking

    return value_of(both)


def compute(seconds):
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


def test_who_always_finds_a_message_leaves_others_their_turns():
    async def body():
        me = process.self()
        for i in range(3000):
            process.send(me, i)
        for _ in range(3000):
            await aio.receive()
            compute(0.0002)

    assert longest_pause(body) < 0.3 * SLOWER  # of 0.6 s


def test_times_that_end_together_leave_others_their_turns():
    async def wait(to):
        await aio.receive(100)
        compute(0.0005)
        process.send(to, "done")

    async def body():
        for _ in range(1000):
            process.spawn_link(wait, process.self())
        for _ in range(1000):
            await aio.receive()

    assert longest_pause(body) < 0.25 * SLOWER  # of 0.5 s


def test_a_mailbox_is_emptied_by_a_pattern_in_time_that_grows_with_it():
    async def body(n):
        me = process.self()
        for i in range(n):
            process.send(me, (i,))
        began = time.perf_counter()
        for i in range(n):
            assert await aio.receive(match=tuple) == (i,)
        return time.perf_counter() - began

    value_of(body, 1000)
    # With a look at all of them each time it was 3 s.
    assert value_of(body, 40_000) < 3 * SLOWER


@pytest.mark.parametrize("of_thread", [False, True])
def test_a_pattern_finds_what_lies_behind_many_messages(of_thread):
    def here():
        with process.scope() as me:
            for i in range(1000):
                process.send(me, i)
            process.send(me, "this")
            return process.receive(0, match=str)

    async def body():
        me = process.self()
        for i in range(1000):
            process.send(me, i)
        process.send(me, "this")
        return await aio.receive(0, match=str)

    assert (here() if of_thread else value_of(body)) == "this"


def test_a_future_that_stands_for_another_is_awaited():
    class Proxy:
        def __init__(self, inner):
            self.inner = inner

        def __getattr__(self, name):
            return getattr(self.inner, name)

        _asyncio_future_blocking = property(
            lambda self: self.inner._asyncio_future_blocking,
            lambda self, x: setattr(self.inner, "_asyncio_future_blocking", x),
        )

        def __await__(self):
            self.inner._asyncio_future_blocking = True
            yield self
            return self.inner.result()

    async def body():
        loop = asyncio.get_running_loop()
        inner = loop.create_future()
        loop.call_soon(inner.set_result, 3)
        return await Proxy(inner)

    assert value_of(body) == 3


def test_an_exception_with_a_broken_reason_is_a_crash_all_the_same():
    class Broken(Exception):
        @property
        def exit_reason(self):
            raise ValueError

    async def body():
        raise Broken("text")

    _, ref = process.spawn_monitor(body)
    (kind, text), _ = process.receive(SOON, match=ref)[4]
    assert kind.endswith("Broken") and text == "text"


def test_what_libraries_read_of_tasks_is_there():
    async def body():
        mine = asyncio.current_task()
        assert mine._loop is asyncio.get_running_loop()
        assert mine._coro is mine.get_coro()
        assert mine._must_cancel is False and mine._fut_waiter is None
        seen = []
        asyncio.get_running_loop().call_soon(lambda: seen.append(mine._fut_waiter))
        await asyncio.sleep(0.001)
        return asyncio.isfuture(seen[0])

    assert value_of(body)


def test_a_scope_inside_reads_its_own_mailbox():
    async def body():
        outer = process.self()
        process.send(outer, "outer")
        with process.scope() as inner:
            assert inner != outer
            process.send(inner, "inner")
            first = await aio.receive(SOON)
        return first, await aio.receive(SOON)

    assert value_of(body) == ("inner", "outer")


def test_context_variables_are_those_of_its_spawn_and_stay_its_own():
    import contextvars

    x = contextvars.ContextVar("x", default=0)

    async def body():
        before = x.get()
        x.set(2)
        await asyncio.sleep(0)
        return before, x.get()

    token = x.set(1)
    try:
        assert value_of(body) == (1, 2)
        assert x.get() == 1
    finally:
        x.reset(token)


def test_what_a_process_held_goes_with_it():
    class Held:
        pass

    held = Held()
    gone = weakref.ref(held)

    async def body(x):
        await aio.receive(0)

    pid, ref = process.spawn_monitor(body, held)
    del held
    assert process.receive(SOON, match=ref)[4] == "normal"
    until = time.monotonic() + SOON / 1000
    while gone() is not None and time.monotonic() < until:
        value_of(later, 1)
        gc.collect()
    assert gone() is None


# -- what is different -----------------------------------------------------------


def test_it_is_no_asyncio_task_and_not_among_all_of_them():
    async def body():
        mine = asyncio.current_task()
        return isinstance(mine, asyncio.Task), mine in asyncio.all_tasks()

    assert value_of(body) == (False, False)


def test_it_can_not_be_awaited_as_a_task_can():
    async def body():
        mine = asyncio.current_task()

        async def other():
            await mine

        with pytest.raises(TypeError, match="await"):
            await asyncio.create_task(other())
        return True

    assert value_of(body)


PROGRAM = """
    import time
    from hornbeam import process
    from hornbeam.aio import process as aio

    async def wait():
        try:
            await aio.receive()
        finally:
            print("unwound")

    pids = [process.spawn(wait) for _ in range({n})]
    while process.process_info(pids[-1], "status") != "waiting":
        time.sleep(0.01)
    time.sleep(0.2)
    print(len(process.processes()) > {n}, flush=True)
    began = time.monotonic()
    import atexit
    atexit.register(lambda: print(time.monotonic() - began < 5, flush=True))
"""


@pytest.mark.parametrize("n", [10, pytest.param(100_000, marks=pytest.mark.long)])
def test_leaving_python_with_many_that_wait(n):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM.format(n=n))],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["True", "True"]
