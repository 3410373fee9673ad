"""`tasks.map`: many calls at once, which end with whoever waits for them."""

import asyncio
import gc
import threading
import weakref

import pytest

import hornbeam
from hornbeam import aio, process, supervisor, tasks
from hornbeam.supervisor import ChildSpec, Supervisor

SOON = 20_000  # ms


@pytest.fixture(autouse=True)
def apart():
    with process.scope() as pid:
        yield pid


@pytest.fixture(params=["here", "on a loop"])
def run(request):
    if request.param == "here":
        return tasks.map
    return lambda *args, **options: asyncio.run(aio.map(*args, **options))


@pytest.fixture(params=["plain", "coroutine"])
def kind(request):
    """Makes a function of that kind of a plain one."""

    def of(f):
        async def coroutine(x):
            await asyncio.sleep(0)
            return f(x)

        return f if request.param == "plain" else coroutine

    return of


def test_results_are_in_the_order_of_the_values(run, kind):
    assert run(kind(lambda x: x * x), range(50), max_concurrency=7) == [
        x * x for x in range(50)
    ]
    assert run(kind(str), []) == []
    assert run(kind(str), (x for x in "ab"), max_concurrency=1) == ["a", "b"]


def test_values_and_results_need_not_be_what_can_be_sent(run, kind):
    given = [object(), threading.Lock()]
    assert run(kind(lambda x: x), given) == given


def test_each_call_is_a_process_of_its_own(run, kind, apart):
    pids = run(kind(lambda x: process.self()), range(3))
    assert len({*pids, apart}) == 4
    assert not any(map(process.is_alive, pids))


def test_no_more_run_at_once_than_that(run):
    all_here = threading.Barrier(3)
    inside, most = set(), []

    def f(x):
        inside.add(x)
        most.append(len(inside))
        all_here.wait(SOON / 1000)
        inside.discard(x)
        all_here.wait(SOON / 1000)

    run(f, range(9), max_concurrency=3)
    assert max(most) == 3


def test_values_are_taken_as_they_are_needed(run, kind):
    taken = []

    def values():
        for x in range(10):
            taken.append(x)
            yield x

    def f(x):
        if x == 2:
            raise LookupError("as told")

    with pytest.raises(LookupError):
        run(kind(f), values(), max_concurrency=1)
    assert taken == [0, 1, 2]


def wait(to):
    process.send(to, ("runs", process.self()))
    process.receive(match="never")


async def wait_on_loop(to):
    process.send(to, ("runs", process.self()))
    await asyncio.sleep(3600)


def fail_when_told(to):
    process.send(to, ("may be told", process.self()))
    process.receive(match="fail")
    raise LookupError("as told")


@pytest.mark.parametrize("waits", [wait, wait_on_loop])
def test_the_first_failure_ends_the_others_and_is_raised(run, waits, apart):
    reasons = []

    async def one_of_three(x):
        if x:
            return await waits(watcher)
        process.send(watcher, ("may be told", process.self()))
        await aio.process.receive(match="fail")
        raise LookupError("as told")

    def plain_one_of_three(x):
        return wait(watcher) if x else fail_when_told(watcher)

    def watch():
        pids = [process.receive(match=("runs", ...))[1] for _ in range(2)]
        refs = [process.monitor(x) for x in pids]
        process.send(process.receive(match=("may be told", ...))[1], "fail")
        reasons.extend(process.receive(SOON, match=x)[4] for x in refs)

    watcher, ref = process.spawn_monitor(watch)
    function = plain_one_of_three if waits is wait else one_of_three
    with pytest.raises(LookupError, match="as told"):
        run(function, range(3), max_concurrency=3)
    assert process.receive(SOON, match=ref)[4] == "normal"
    assert reasons == ["killed", "killed"]
    assert process.is_alive(apart)
    assert process.receive(0) is None


def test_a_failure_leaves_nothing_in_a_mailbox_that_traps_exits(run, kind):
    def f(x):
        if x == 3:
            raise LookupError("as told")

    def whole():
        process.trap_exit()
        try:
            run(kind(f), range(20), max_concurrency=4)
        except LookupError:
            pass
        run(kind(str), range(20), max_concurrency=4)
        return process.receive(0), process.process_info(process.self(), "links")

    assert tasks.map(lambda _: whole(), [1])[0][0] is None


def test_calls_end_with_their_caller(apart):
    def maps():
        tasks.map(wait, [apart, apart])

    caller = process.spawn(maps)
    refs = [
        process.monitor(process.receive(SOON, match=("runs", ...))[1])
        for _ in range(2)
    ]
    process.exit(caller, "as told")
    assert [process.receive(SOON, match=x)[4] for x in refs] == ["as told"] * 2


def test_calls_end_with_a_task_that_is_cancelled(apart):
    async def main():
        task = asyncio.create_task(aio.map(wait_on_loop, [apart] * 2))
        pids = [(await aio.process.receive(SOON, match=("runs", ...)))[1]]
        ref = process.monitor(pids[0])
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return (await aio.process.receive(SOON, match=ref))[4]

    with process.scope() as apart:
        assert asyncio.run(main()) == "killed"


def test_a_deadline_ends_them(run, apart):
    with hornbeam.deadline(30), pytest.raises(hornbeam.HornbeamTimeout):
        run(wait, [apart])
    pid = process.receive(SOON, match=("runs", ...))[1]
    assert not process.is_alive(pid)


def test_one_that_is_killed_is_an_error_to_who_traps_exits(kind):
    process.trap_exit()

    def ends(x):
        process.exit(process.self(), "kill")
        process.receive(0)

    with pytest.raises(hornbeam.HornbeamError, match="was ended: killed"):
        tasks.map(kind(ends), [1])
    assert process.receive(0) is None


@pytest.mark.parametrize(
    "error, raised",
    [
        (SystemExit(3), SystemExit),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (process.ProcessExit("gone"), process.ProcessExit),
        (asyncio.CancelledError(), hornbeam.TaskCancelled),
        (StopAsyncIteration(), StopAsyncIteration),
    ],
    ids=repr,
)
def test_whatever_a_call_raises_is_raised(error, raised, caplog):
    def f(x):
        raise error

    async def g(x):
        raise error

    for function in (f, g):
        with pytest.raises(raised):
            tasks.map(function, [1])
    assert not caplog.records


def test_what_can_not_be_mapped_is_told():
    with pytest.raises(TypeError, match="takes a function, not int"):
        tasks.map(1, [1])
    with pytest.raises(TypeError, match="max_concurrency must be an int, not str"):
        tasks.map(str, [1], max_concurrency="2")
    with pytest.raises(ValueError, match="at least 1, not 0"):
        tasks.map(str, [1], max_concurrency=0)
    with pytest.raises(TypeError, match="a function that is itself `async def`"):
        tasks.map(lambda x: aio.process.receive(), [1])
    with pytest.raises(TypeError, match="not iterable"):
        tasks.map(str, 5)


def test_in_the_start_of_a_child_they_belong_to_that_call(apart):
    def start():
        assert tasks.map(str, range(5)) == list("01234")
        return process.spawn_link(process.receive)

    tree = Supervisor([ChildSpec("x", start)]).start()
    assert supervisor.count_children(tree)["active"] == 1
    process.exit(tree, "kill")


def test_nothing_is_kept(run, kind):
    class Thing:
        pass

    made = []

    def f(x):
        found = Thing()
        made.append(weakref.ref(found))
        return found

    run(kind(f), range(3))
    for _ in range(1000):
        gc.collect()
        if not any(x() for x in made):
            return
        process.receive(1)
    raise AssertionError("the results are kept")
