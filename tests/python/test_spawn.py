"""Processes that Python spawns: Erlang's rules, for plain functions (each with a
thread) and for coroutine functions (on the node's loop)."""

import asyncio
import contextvars
import functools
import gc
import logging
import re
import subprocess
import sys
import threading
import time

import pytest

import hornbeam
import hornbeam_erlang as erlang
from hornbeam import aio, process
from hornbeam_dist import rpc_call

SOON = 20_000  # ms


class Blocking:
    """What `aio.process` is to coroutines, for a body in a thread."""

    @staticmethod
    async def receive(*args, **kwargs):
        return process.receive(*args, **kwargs)


@pytest.fixture(params=["thread", "coroutine"])
def of_kind(request):
    """Makes of `async def body(p, ...)`, which awaits `p.receive`, what is spawned."""

    def make(body):
        if request.param == "coroutine":
            return functools.partial(body, aio.process)

        def in_thread(*args):
            try:
                body(Blocking, *args).send(None)
            except StopIteration:
                return
            raise AssertionError("it has awaited something")

        return in_thread

    return make


@pytest.fixture(autouse=True)
def apart():
    """Each test is a process of its own."""
    with process.scope() as pid:
        yield pid


async def idle(p):
    await p.receive()


def down_of(ref):
    got = process.receive(SOON, match=ref)
    assert got[:3] == ("DOWN", ref, "process")
    return got[4]


# -- starting, and how it ends ------------------------------------------------


def test_what_is_spawned_has_a_pid_and_gets_its_arguments(of_kind, apart):
    async def body(p, to, *args):
        process.send(to, (hornbeam.self(), process.current(), args))

    pid = process.spawn(of_kind(body), apart, 1, "two")
    assert process.receive(SOON) == (pid, pid, (1, "two"))


def test_one_that_returns_ends_normally(of_kind):
    async def body(p):
        pass

    _, ref = process.spawn_monitor(of_kind(body))
    assert down_of(ref) == "normal"


@pytest.mark.parametrize(
    "reason", ["bored", ("shutdown", 5), 42, {"why": [1]}, "normal"], ids=str
)
def test_exit_ends_it_with_a_reason(of_kind, reason):
    async def body(p):
        process.exit(reason)

    _, ref = process.spawn_monitor(of_kind(body))
    assert down_of(ref) == reason


def test_an_exception_is_a_reason_with_class_text_and_traceback(of_kind):
    async def body(p):
        raise KeyError("culprit")

    _, ref = process.spawn_monitor(of_kind(body))
    (name, text), traceback = down_of(ref)
    assert (name, text) == ("KeyError", "'culprit'")
    assert 'raise KeyError("culprit")' in traceback


class Odd(BaseException):
    def __str__(self):
        raise ValueError("no text")


@pytest.mark.parametrize(
    "error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), Odd()], ids=repr
)
def test_whatever_leaves_a_body_ends_that_process_alone(of_kind, error):
    async def body(p):
        raise error

    _, ref = process.spawn_monitor(of_kind(body))
    assert down_of(ref)[0][0] == type(error).__name__

    async def after(p):
        pass

    _, ref = process.spawn_monitor(of_kind(after))
    assert down_of(ref) == "normal"


def test_a_cancelled_body_that_nobody_has_ended_is_a_crash():
    async def body():
        asyncio.current_task().cancel()
        await asyncio.sleep(0)

    _, ref = process.spawn_monitor(body)
    assert down_of(ref)[0][0] == "CancelledError"


def test_a_reason_that_is_no_term_is_told_as_text(of_kind):
    async def body(p):
        process.exit(threading.Lock())

    _, ref = process.spawn_monitor(of_kind(body))
    name, text = down_of(ref)
    assert name == "lock" and text.startswith("<unlocked")


def test_what_can_not_be_called_is_refused():
    async def body():
        pass

    coroutine = body()
    with pytest.raises(TypeError, match="must be a function, not coroutine: call none"):
        process.spawn(coroutine)
    coroutine.close()
    with pytest.raises(TypeError, match="must be a function, not int"):
        process.spawn(5)
    before = len(process.processes())
    with pytest.raises(TypeError):
        process.spawn_link(None)
    assert len(process.processes()) == before


def test_partials_and_objects_with_an_async_call_are_coroutine_functions(apart):
    class Callable:
        async def __call__(self, to):
            process.send(to, asyncio.current_task() is not None)

    process.spawn(functools.partial(Callable(), apart))
    assert process.receive(SOON) is True


def test_context_variables_come_along_and_deadlines_do_not(of_kind, apart):
    request = contextvars.ContextVar("request")
    request.set("r1")

    async def body(p, to):
        process.send(to, (request.get(), hornbeam.left_ms()))

    with hornbeam.deadline(SOON):
        process.spawn(of_kind(body), apart)
    assert process.receive(SOON) == ("r1", None)


# -- messages -----------------------------------------------------------------


def test_a_ball_goes_to_and_fro(of_kind, apart):
    async def body(p):
        while True:
            match await p.receive():
                case ("ping", sender, n):
                    process.send(sender, ("pong", n))
                case "stop":
                    return

    pid, ref = process.spawn_monitor(of_kind(body))
    for n in range(50):
        process.send(pid, ("ping", apart, n))
        assert process.receive(SOON) == ("pong", n)
    process.send(pid, "stop")
    assert down_of(ref) == "normal"


def test_receive_takes_the_first_that_fits_and_leaves_the_others(of_kind, apart):
    async def body(p, to):
        await p.receive(match="go")
        first = await p.receive(match=int)
        second = await p.receive(match=("b", ...))
        third = await p.receive(match=lambda x: x == ("a", 2))
        rest = [await p.receive(0) for _ in range(4)]
        process.send(to, [first, second, third, rest])

    pid = process.spawn(of_kind(body), apart)
    for x in (("a", 1), ("a", 2), "x", 5, ("b", 1), 6, "go"):
        process.send(pid, x)
    got = process.receive(SOON)
    assert got == [5, ("b", 1), ("a", 2), [("a", 1), "x", 6, None]]


def test_a_receive_for_a_pattern_waits_until_it_comes(of_kind, apart):
    async def body(p, to):
        process.send(to, "ready")
        process.send(to, await p.receive(match=("late", ...)))

    pid = process.spawn(of_kind(body), apart)
    assert process.receive(SOON) == "ready"
    for i in range(100):
        process.send(pid, i)
    process.send(pid, ("late", 1))
    assert process.receive(SOON) == ("late", 1)
    assert process.process_info(pid, "message_queue_len") in (100, None)


def test_a_receive_for_a_pattern_ends_with_its_time(of_kind, apart):
    async def body(p, to):
        process.send(to, await p.receive(30, "nothing", match=str))
        process.send(to, await p.receive(0, "nothing", match=str))
        process.send(to, await p.receive(0, match=int))

    pid = process.spawn(of_kind(body), apart)
    process.send(pid, 1)
    assert [process.receive(SOON) for _ in range(3)] == ["nothing", "nothing", 1]


def test_a_pattern_that_raises_loses_no_message(of_kind, apart):
    def broken(x):
        raise ZeroDivisionError

    async def body(p, to):
        with pytest.raises(ZeroDivisionError):
            await p.receive(match=broken)
        process.send(to, await p.receive())

    pid = process.spawn(of_kind(body), apart)
    process.send(pid, "kept")
    assert process.receive(SOON) == "kept"


def test_threads_of_one_process_share_its_mailbox_whatever_they_wait_for():
    got = []

    def want(pattern):
        got.append(process.receive(SOON, match=pattern))

    context = contextvars.copy_context()
    threads = [
        threading.Thread(target=context.copy().run, args=(want, x))
        for x in (int, str, float, ("a", ...))
    ]
    for x in threads:
        x.start()
    me = hornbeam.self()
    for x in (("a", 1), "text", 5, 2.5):
        process.send(me, x)
    for x in threads:
        x.join()
    assert sorted(map(repr, got)) == sorted(map(repr, [("a", 1), "text", 5, 2.5]))


def test_what_topics_send_comes_to_the_mailbox_of_who_was_spawned(of_kind, apart, name):
    async def body(p, to):
        erlang.subscribe(name)
        process.send(to, "ready")
        process.send(to, await p.receive())

    process.spawn(of_kind(body), apart)
    assert process.receive(SOON) == "ready"
    erlang.publish(name, {"n": 1})
    assert process.receive(SOON) == ("topic", name, {"n": 1})


def test_to_wait_on_a_running_loop_names_what_to_await(of_kind):
    async def main():
        with pytest.raises(hornbeam.HornbeamError, match="in `hornbeam.aio`"):
            process.receive()
        assert process.receive(0) is None

    asyncio.run(main())


def test_sending_what_is_no_term_ends_nothing(of_kind, apart):
    async def body(p, to):
        with pytest.raises(TypeError, match="message"):
            process.send(to, object())
        process.send(to, "still here")

    process.spawn(of_kind(body), apart)
    assert process.receive(SOON) == "still here"


def test_an_alias_leads_to_its_process_until_it_ends():
    both, once = process.alias(), process.alias(once=True)
    for ref in (both, once, once, both):
        process.send(ref, "by alias")
    assert [process.receive(0) for _ in range(4)] == ["by alias"] * 3 + [None]
    assert process.unalias(both) is True
    assert process.unalias(both) is False
    process.send(both, "dropped")
    assert process.receive(0) is None


# -- links and exits ----------------------------------------------------------


def test_a_link_ends_the_other_one(of_kind, apart):
    async def parent(p, to):
        child = process.spawn_link(of_kind(idle))
        process.send(to, child)
        await p.receive()
        process.exit("gone")

    pid, ref = process.spawn_monitor(of_kind(parent), apart)
    child_ref = process.monitor(process.receive(SOON))
    process.send(pid, "go on")
    assert down_of(ref) == "gone"
    assert down_of(child_ref) == "gone"


def test_a_normal_end_does_not_end_those_linked(of_kind, apart):
    async def short(p):
        pass

    async def parent(p, to):
        child = process.spawn_link(of_kind(short))
        ref = process.monitor(child)
        await p.receive(match=ref)
        process.send(to, "alive")

    process.spawn(of_kind(parent), apart)
    assert process.receive(SOON) == "alive"


def test_who_traps_exits_gets_them_as_messages(of_kind):
    assert process.trap_exit() is False
    assert process.trap_exit() is True

    async def body(p):
        process.exit("bored")

    pid = process.spawn_link(of_kind(body))
    assert process.receive(SOON) == ("EXIT", pid, "bored")


def test_kill_can_not_be_trapped_and_is_killed_to_those_linked(of_kind, apart):
    async def body(p, to):
        process.trap_exit()
        process.send(to, "ready")
        await idle(p)

    process.trap_exit()
    pid = process.spawn_link(of_kind(body), apart)
    assert process.receive(SOON) == "ready"
    process.exit(pid, "kill")
    assert process.receive(SOON) == ("EXIT", pid, "killed")


def test_nothing_that_it_has_sent_comes_after_the_news_of_its_end(of_kind, worker):
    async def body(p, to, gone):
        process.link(gone)  # of which the other node tells a moment later
        while True:
            process.send(to, "on its way")

    gone = rpc_call(worker, "services", "start_echo", [])
    ref = process.monitor(gone)
    process.send(gone, "stop")
    assert down_of(ref) == "normal"
    for _ in range(60):  # one in eight meets the moment
        with process.scope() as me:
            _, ref = process.spawn_monitor(of_kind(body), me, gone)
            while (x := process.receive(SOON)) == "on its way":
                pass
            assert x[:2] == ("DOWN", ref) and x[4] == "noproc"
            assert process.receive(1) is None


def test_an_exit_signal_that_says_normal_is_dropped(of_kind, apart):
    async def body(p, to):
        process.send(to, await p.receive())

    pid = process.spawn(of_kind(body), apart)
    process.exit(pid, "normal")
    process.send(pid, "still here")
    assert process.receive(SOON) == "still here"


def test_unlink_parts_them(of_kind):
    async def body(p):
        await p.receive()
        process.exit("alone")

    pid = process.spawn_link(of_kind(body))
    ref = process.monitor(pid)
    process.unlink(pid)
    process.send(pid, "go on")
    assert down_of(ref) == "alone"
    assert process.is_alive(hornbeam.self())


def test_linking_to_who_is_dead_raises_or_is_told_to_who_traps(of_kind):
    async def body(p):
        pass

    pid, ref = process.spawn_monitor(of_kind(body))
    assert down_of(ref) == "normal"
    with pytest.raises(hornbeam.NotFoundError):
        process.link(pid)
    process.trap_exit()
    process.link(pid)
    assert process.receive(SOON) == ("EXIT", pid, "noproc")


def test_an_exit_reaches_code_that_waits(of_kind, apart):
    async def body(p, to):
        process.send(to, "ready")
        try:
            await p.receive()
        except (process.ProcessExit, asyncio.CancelledError) as e:
            process_exit.append(e.args)
            raise

    process_exit = []
    pid, ref = process.spawn_monitor(of_kind(body), apart)
    assert process.receive(SOON) == "ready"
    process.exit(pid, ("shutdown", 1))
    assert down_of(ref) == ("shutdown", 1)
    wait_until(lambda: process_exit == [(("shutdown", 1),)])


def wait_until(true):
    waited = threading.Event()
    for _ in range(2000):
        if true():
            return
        waited.wait(0.01)
    raise AssertionError("it does not become true")


def test_an_exit_reaches_a_coroutine_that_awaits_something_else(apart):
    ended = threading.Event()

    async def body(to):
        process.send(to, "ready")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(3600))
        except asyncio.CancelledError as e:
            if e.args == ("enough",):
                ended.set()
            raise

    pid = process.spawn(body, apart)
    assert process.receive(SOON) == "ready"
    process.exit(pid, "enough")
    assert ended.wait(SOON / 1000)


def test_code_that_never_calls_is_left_behind_and_listed(apart):
    goes_on = threading.Event()

    def body():
        process.send(apart, "ready")
        goes_on.wait()

    pid = process.spawn(body)
    assert process.receive(SOON) == "ready"
    ref = process.monitor(pid)
    process.exit(pid, "kill")
    assert process.receive(SOON, match=ref)[4] == "killed"
    assert pid in process.abandoned()
    goes_on.set()
    until = time.monotonic() + SOON / 1000
    while pid in process.abandoned():
        assert time.monotonic() < until
        threading.Event().wait(0.001)


def test_tasks_that_a_process_has_started_end_with_it(apart):
    ended = threading.Event()

    async def child():
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    async def body(to):
        task = asyncio.create_task(child())
        await asyncio.sleep(0)
        process.send(to, not task.done())

    process.spawn(body, apart)
    assert process.receive(SOON) is True
    assert ended.wait(SOON / 1000)


def test_who_swallows_its_end_is_told_again_at_each_call(of_kind, apart):
    told = []

    async def body(p, to):
        process.send(to, "ready")
        for f in (p.receive, hornbeam.self, process.processes, process.alias):
            try:
                found = f()
                if asyncio.iscoroutine(found):
                    await found
            except BaseException as e:
                told.append(type(e).__name__)
        done.set()

    done = threading.Event()
    pid = process.spawn(of_kind(body), apart)
    assert process.receive(SOON) == "ready"
    process.exit(pid, "kill")
    assert done.wait(SOON / 1000)
    assert len(told) == 3 and len(set(told)) == 1  # `processes` is for anybody
    assert told[0] in ("ProcessExit", "CancelledError")


def test_what_has_ended_sends_no_more(of_kind, apart):
    async def body(p, to):
        process.send(to, "ready")
        try:
            await p.receive()
        except BaseException:
            pass
        process.exit(to, "from the dead")

    pid, ref = process.spawn_monitor(of_kind(body), apart)
    assert process.receive(SOON) == "ready"
    process.exit(pid, "kill")
    assert down_of(ref) == "killed"
    assert process.is_alive(apart)


# -- monitors -----------------------------------------------------------------


def test_a_monitor_of_who_is_dead_answers_at_once(of_kind):
    async def body(p):
        pass

    pid, ref = process.spawn_monitor(of_kind(body))
    assert down_of(ref) == "normal"
    assert down_of(process.monitor(pid)) == "noproc"


def test_demonitor_leaves_no_message(of_kind):
    async def body(p):
        await p.receive()

    pid = process.spawn(of_kind(body))
    first, second = process.monitor(pid), process.monitor(pid)
    assert process.demonitor(first) is True
    assert process.demonitor(first) is False
    process.send(pid, "end")
    wait_until(lambda: not process.is_alive(pid))
    assert process.demonitor(second, flush=True) is False
    assert process.receive(0) is None


def test_a_monitor_by_name_shows_the_name(of_kind, name):
    async def body(p):
        await p.receive()

    pid = process.spawn(of_kind(body))
    process.register(name, pid)
    ref = process.monitor(name)
    process.send(name, "end")
    got = process.receive(SOON, match=ref)
    assert got[3] == (name, erlang.node()) and got[4] == "normal"


# -- names, timers, what is noted -----------------------------------------------


def test_a_name_is_of_one_process_until_it_ends(of_kind, name):
    pid = process.spawn(of_kind(idle))
    assert process.whereis(name) is None
    process.register(name, pid)
    assert process.whereis(name) == pid
    assert name in process.registered()
    with pytest.raises(ValueError, match=re.escape(f"'{name}' is taken")):
        process.register(name)
    with pytest.raises(ValueError, match="has the name"):
        process.register(name + "2", pid)
    ref = process.monitor(pid)
    process.exit(pid, "kill")
    assert down_of(ref) == "killed"
    assert process.whereis(name) is None
    with pytest.raises(ValueError, match="no process has the name"):
        process.unregister(name)
    with pytest.raises(ValueError, match="dead|no living"):
        process.register(name, pid)


def test_timers_send_and_can_be_stopped(apart):
    process.send_after(1, apart, "plain")
    assert process.receive(SOON) == "plain"
    timer = process.start_timer(1, apart, "tagged")
    assert process.receive(SOON) == ("timeout", timer, "tagged")
    assert process.read_timer(timer) is None
    long = process.send_after(100_000, apart, "never")
    assert 90_000 < process.read_timer(long) <= 100_000
    assert 90_000 < process.cancel_timer(long) <= 100_000
    assert process.cancel_timer(long) is None


@pytest.mark.parametrize("ms", [-1, float("nan"), None, "5", float("inf")])
def test_a_timer_has_a_time(ms, apart):
    with pytest.raises((TypeError, ValueError), match="time"):
        process.send_after(ms, apart, "x")


def test_a_timer_to_another_kind_of_address_is_refused():
    with pytest.raises(TypeError, match="a pid or a name of this node"):
        process.send_after(1, ("name", "other@h"), "x")


def test_what_a_process_notes_is_its_own(of_kind, apart):
    process.put("k", 1)

    async def body(p, to):
        before = process.get("k")
        process.put("k", {"mine": True})
        process.send(to, (before, process.get("k"), process.get("no", "default")))

    process.spawn(of_kind(body), apart)
    assert process.receive(SOON) == (None, {"mine": True}, "default")
    assert process.put("k", 2) == 1
    assert process.erase("k") == 2
    assert process.get("k") is None


def test_process_info_shows_relations_and_queue(of_kind, apart):
    pid = process.spawn_link(of_kind(idle))
    ref = process.monitor(pid)
    found = process.process_info(pid)
    assert found["links"] == [apart]
    assert found["monitored_by"] == [apart]
    assert found["message_queue_len"] == 0
    assert process.process_info(pid, "trap_exit") is False
    assert pid in process.processes()
    with pytest.raises(ValueError, match="no item 'colour'"):
        process.process_info(pid, "colour")
    process.unlink(pid)
    process.exit(pid, "kill")
    assert down_of(ref) == "killed"
    assert process.process_info(pid) is None
    assert not process.is_alive(pid)


@pytest.mark.parametrize(
    "f", [process.link, process.unlink, process.is_alive, process.process_info]
)
def test_what_is_no_pid_is_refused(f):
    with pytest.raises(TypeError, match="must be a Pid, not str"):
        f("not a pid")


def test_what_is_no_ref_is_refused():
    for f in (process.demonitor, process.unalias, process.cancel_timer):
        with pytest.raises(TypeError, match="must be a Ref, not int"):
            f(5)


# -- crashes, leaks, other nodes ------------------------------------------------


def test_a_crash_is_a_log_record_with_the_exception(of_kind, caplog):
    async def body(p):
        raise LookupError("what was it")

    hornbeam._spawned._reported.clear()  # so many are shown in a second
    with caplog.at_level(logging.ERROR, "hornbeam.crash"):
        pid, ref = process.spawn_monitor(of_kind(body))
        down_of(ref)
    (record,) = [x for x in caplog.records if x.name == "hornbeam.crash"]
    assert f"the process {pid!r}" in record.getMessage()
    assert isinstance(record.exc_info[1], LookupError)


def test_processes_that_have_ended_leave_nothing(of_kind):
    async def body(p):
        pass

    def spawn_some(n):
        for _ in range(n):
            _, ref = process.spawn_monitor(of_kind(body))
            down_of(ref)

    def there_are():
        gc.collect()
        return sum(isinstance(x, hornbeam._spawned.Spawned) for x in gc.get_objects())

    before = there_are()
    spawn_some(200)
    wait_until(lambda: there_are() <= before + 1)


def test_links_and_monitors_work_with_processes_of_another_node(worker, of_kind):
    there = rpc_call(worker, "services", "start_echo", [])
    process.trap_exit()
    process.link(there)
    ref = process.monitor(there)
    process.exit(there, "over there")
    assert process.receive(SOON, match=("EXIT", there, ...)) == (
        "EXIT",
        there,
        "over there",
    )
    assert down_of(ref) == "over there"
    there = rpc_call(worker, "services", "start_echo", [])

    async def body(p):
        process.link(there)
        process.exit("over here")

    ref = process.monitor(there)
    process.spawn(of_kind(body))
    assert down_of(ref) == "over here"


# -- what goes wrong around them ----------------------------------------------


def test_code_of_a_dead_process_in_another_thread_is_told_and_is_nobody_else(apart):
    told, go = [], threading.Event()

    def beside():
        process.send(apart, "ready")
        go.wait(SOON / 1000)
        for f in (hornbeam.self, process.receive, lambda: process.send(apart, "late")):
            try:
                told.append(f())
            except process.ProcessExit as e:
                told.append(e.reason)
        done.set()

    async def body():
        await asyncio.to_thread(beside)

    done = threading.Event()
    pid, ref = process.spawn_monitor(body)
    assert process.receive(SOON) == "ready"
    process.exit(pid, "as told")
    assert down_of(ref) == "as told"
    go.set()
    assert done.wait(SOON / 1000)
    assert told == ["as told"] * 3
    assert process.receive(0) is None


def test_a_thread_of_a_dead_process_that_waits_is_told(apart):
    told = []

    def beside():
        process.send(apart, "ready")
        try:
            process.receive(match=str)
        except process.ProcessExit as e:
            told.append(e.reason)
        done.set()

    async def body():
        await asyncio.to_thread(beside)

    done = threading.Event()
    pid = process.spawn(body)
    assert process.receive(SOON) == "ready"
    process.exit(pid, "as told")
    assert done.wait(SOON / 1000)
    assert told == ["as told"]


@pytest.mark.parametrize("match", [..., int])
def test_what_a_coroutine_does_before_its_end_is_not_cancelled(apart, match):
    ended = []

    async def body():
        process.send(apart, "ready")
        try:
            await aio.process.receive(match=match)
        finally:
            for _ in range(10):
                await asyncio.sleep(0)
            ended.append(True)

    for _ in range(20):
        pid = process.spawn(body)
        assert process.receive(SOON) == "ready"
        process.exit(pid, "as told")
    wait_until(lambda: len(ended) == 20)


@pytest.mark.parametrize("apart_from_main", [False, True])
def test_a_loop_in_the_thread_of_a_process_ends_with_it(
    apart, caplog, eventually, apart_from_main
):
    told = []

    async def wait():
        process.send(apart, "ready")
        try:
            await aio.process.receive()
        except asyncio.CancelledError as e:
            told.append(e.args)
            raise

    async def main():
        await (asyncio.create_task(wait()) if apart_from_main else wait())

    pid = process.spawn(lambda: asyncio.run(main()))
    assert process.receive(SOON) == "ready"
    process.exit(pid, "as told")
    eventually(lambda: told)
    assert told == [("as told",)]
    threads = [f"hornbeam.process {pid.serial}"]
    eventually(lambda: not [x for x in threading.enumerate() if x.name in threads])
    assert not caplog.records


def test_who_is_dead_spawns_nobody(of_kind, apart):
    told = []

    async def body(p):
        process.send(apart, "ready")
        try:
            await p.receive()
        finally:
            try:
                process.spawn(told.append, "a child")
            except BaseException as e:
                told.append(e.args)

    pid = process.spawn(of_kind(body))
    assert process.receive(SOON) == "ready"
    process.exit(pid, "as told")
    wait_until(lambda: told)
    assert told == [("as told",)]


def test_tasks_of_tasks_that_are_processes_themselves_end_with_it(apart):
    ended = threading.Event()

    async def grandchild():
        process.send(apart, "ready")
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    async def child():
        hornbeam.self()
        asyncio.create_task(grandchild())
        await asyncio.sleep(3600)

    async def body():
        await asyncio.gather(child())

    pid = process.spawn(body)
    assert process.receive(SOON) == "ready"
    process.exit(pid, "kill")
    assert ended.wait(SOON / 1000)


def test_an_exit_in_a_group_of_tasks_ends_it_with_that_reason(caplog):
    async def child():
        process.exit("as told")

    async def body():
        async with asyncio.TaskGroup() as group:
            group.create_task(child())
            group.create_task(asyncio.sleep(3600))

    _, ref = process.spawn_monitor(body)
    assert down_of(ref) == "as told"
    assert not caplog.records


@pytest.mark.parametrize("wrong", ["coroutine", "generator", "async_generator"])
def test_a_function_that_returns_what_was_to_be_run_says_so(wrong):
    async def coroutine():
        pass

    def generator():
        yield

    async def async_generator():
        yield

    f = locals()[wrong]
    _, ref = process.spawn_monitor(lambda: f())
    (name, text), _ = down_of(ref)
    assert name == "TypeError" and f"a {wrong}, which nobody runs" in text


@pytest.mark.parametrize("link, monitor", [(1, 0), (0, 1), (0, 0)])
@pytest.mark.parametrize("traps", [False, True])
def test_a_process_that_can_not_be_started_ends_nobody(
    monkeypatch, apart, link, monitor, traps
):
    def start_no_thread(*args, **kwargs):
        raise RuntimeError("can't start new thread")

    process.trap_exit(traps)
    monkeypatch.setattr(threading.Thread, "start", start_no_thread)
    with pytest.raises(hornbeam.HornbeamError, match="no thread can be started"):
        hornbeam._spawned.spawn(print, (), link=link, monitor=monitor)
    monkeypatch.undo()
    assert process.receive(0) is None
    assert hornbeam.self() == apart
    assert process.process_info(apart, "links") == []
    assert process.process_info(apart, "monitors") == []


class Awkward:
    """What raises when it is compared."""

    def __eq__(self, other):
        raise LookupError("as told")


def test_messages_that_can_not_be_compared_do_not_fit(apart):
    numpy = pytest.importorskip("numpy")
    process.send(apart, (numpy.arange(3), 1))
    process.send(apart, ("numbers", numpy.arange(3)))
    process.send(apart, [numpy.arange(3)])
    process.send(apart, ("name", 1))
    assert process.receive(0, match=("name", ...)) == ("name", 1)
    assert process.receive(0, match=(..., [1])) is None
    assert process.receive(0, match=[1]) is None
    assert process.receive(0, match=Awkward()) is None
    assert process.receive(0, match=("numbers", numpy.arange(4))) is None
    found = process.receive(0, match=("numbers", numpy.arange(3)))
    assert found[1].tolist() == [0, 1, 2]


@pytest.mark.parametrize("args", [(), (1, 2, 3)])
def test_exit_says_what_it_takes(args):
    with pytest.raises(TypeError, match=r"exit takes \(reason\) or \(pid, reason\)"):
        process.exit(*args)


FORKS = """
import asyncio, os, time
from hornbeam import aio, process

def in_child():
    process.send(process.self(), "its own")
    assert process.receive(5000) == "its own"
    _, ref = process.spawn_monitor(lambda: None)
    assert process.receive(5000, match=ref)[4] == "normal"
    os.write(1, b"child ")

def body(ends):
    pid = os.fork()
    if pid == 0:
        in_child()
        if ends == "raises":
            raise LookupError("as told")
        return
    process.send(main, pid)

async def on_loop(ends):
    body(ends)
    await asyncio.sleep(0)
    os.write(1, b"goes on " if process.self() in process.processes() else b"")

async def neighbour():
    while True:
        await asyncio.sleep(0)
        if os.getpid() != parent:
            os.write(1, b"neighbour ")

main, parent = process.self(), os.getpid()
process.spawn(neighbour)
process.spawn({body}, {ends!r})
child = process.receive(10_000, match=int)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.forks
@pytest.mark.parametrize("ends", ["returns", "raises"])
def test_a_child_that_a_process_has_forked_ends_with_its_code(fresh_python, ends):
    out = fresh_python(FORKS.format(body="body", ends=ends))
    assert out == "child 0\n"


@pytest.mark.forks
@pytest.mark.parametrize("ends", ["returns", "raises"])
def test_a_child_that_a_coroutine_has_forked_runs_no_other(fresh_python, ends):
    out = fresh_python(FORKS.format(body="on_loop", ends=ends))
    assert out.replace("goes on ", "") == "child 0\n"
    assert out.count("goes on ") <= 1


@pytest.mark.parametrize("kind", ["thread", "coroutine"])
def test_python_ends_with_many_processes_that_wait(kind):
    code = """
import sys
from hornbeam import aio, process

async def wait():
    await aio.process.receive()

for _ in range(2000):
    process.spawn(wait if sys.argv[1] == "coroutine" else process.receive)
sys.exit(5)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, kind],
        capture_output=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (5, b"", b"")


def test_pids_from_before_the_node_got_its_name_go_on(fresh_python):
    code = """
import os
import hornbeam
from hornbeam import gen_server, process
from hornbeam.supervisor import ChildSpec, Supervisor

class Echo(gen_server.GenServer):
    def handle_call(self, request, caller):
        return request

folder = os.environ["RUNTIME_DIRECTORY"]
hornbeam.configure(cluster="renamed", secret=os.path.join(folder, "renamed.pem"))
me, server = process.self(), Echo.start()
tree = Supervisor([ChildSpec("echo", Echo)]).start()
ref = process.monitor(server)
before = hornbeam.cluster.node()
try:
    hornbeam.cluster.connect("nobody@127.0.0.1", 1000)
except hornbeam.HornbeamError:
    pass
assert hornbeam.cluster.node() != before
assert process.self() == me and {me: 1}[process.self()] == 1
assert gen_server.call(server, "hello", 10_000) == "hello"
gen_server.stop(server)
assert process.receive(10_000, match=ref)[3] == server
gen_server.stop(tree, "shutdown")
print("well")
"""
    assert fresh_python(code) == "well\n"
