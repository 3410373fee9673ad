"""A handler does the same in whatever way it is called: by C++ or by Python, here,
on an event loop, as a task or from another node."""

import asyncio
import contextlib
import sys
from pathlib import Path

import pytest

import hornbeam
import hornbeam_erlang as erlang
from hornbeam import HandlerError, HornbeamError, NotFoundError, aio

sys.path.insert(0, str(Path(__file__).resolve().parent / "provider"))

import ways  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def handlers():
    ways.register("ways here")


def plain(name, *args, **kwargs):
    return erlang.execute(name, *args, **kwargs)


def with_deadline(name, *args, **kwargs):
    with hornbeam.deadline(30_000):
        return erlang.execute(name, *args, **kwargs)


def on_loop(name, *args, **kwargs):
    return asyncio.run(aio.execute(name, *args, **kwargs))


def on_loop_with_deadline(name, *args, **kwargs):
    with hornbeam.deadline(30_000):
        return on_loop(name, *args, **kwargs)


def as_task(name, *args, **kwargs):
    return erlang.await_result(erlang.execute_async(name, *args, **kwargs))


def as_task_with_deadline(name, *args, **kwargs):
    with hornbeam.deadline(30_000):
        return as_task(name, *args, **kwargs)


def as_task_on_loop(name, *args, **kwargs):
    return asyncio.run(aio.await_result(erlang.execute_async(name, *args, **kwargs)))


PLACES = ["ways here", "ways here bounded", "ways there", "ways there bounded"]
IN_THREAD = [plain, with_deadline]
OTHER_TASKS = [
    on_loop,
    on_loop_with_deadline,
    as_task,
    as_task_with_deadline,
    as_task_on_loop,
]
WAYS = [
    pytest.param(where, way, id=f"{where[5:]} {way.__name__}")
    for where in PLACES
    for way in IN_THREAD + OTHER_TASKS
]


def passes_through(where, way):
    """Whether a caller gets what is no Exception as it is."""
    return where.startswith("ways here") and way in IN_THREAD


@pytest.fixture
def place(where, request, eventually):
    """Where the handlers are, known here."""
    if where.startswith("ways there"):
        request.getfixturevalue("worker")
        eventually(lambda: hornbeam.hooks.providers(f"{where} keeps task"))
    return where


def counts(name):
    rows = [x for x in hornbeam.hooks.info() if x["name"] == name]
    return [sum(x[what] for x in rows) for what in ("calls", "errors", "open")]


@contextlib.contextmanager
def counted(name, errors):
    """The call inside is counted as one that did or did not end well, unless it
    was a task for another node, whose calls are counted there."""
    calls_before, errors_before, _ = counts(name)
    yield
    calls, failed, still_open = counts(name)
    assert (calls - calls_before, failed - errors_before, still_open) == (1, errors, 0)


def count_of(name, way, errors):
    elsewhere = name.startswith("ways there") and way in OTHER_TASKS[2:]
    return contextlib.nullcontext() if elsewhere else counted(name, errors)


def expected_error(error, is_coroutine, passes):
    """The class, and the class name and message that it carries."""
    if is_coroutine and isinstance(error, StopIteration):
        return HandlerError, "RuntimeError", "coroutine raised StopIteration"
    if isinstance(error, HornbeamError):
        return type(error), None, str(error)
    if passes and not isinstance(error, (Exception, asyncio.CancelledError)):
        return type(error), None, str(error)
    return HandlerError, type(error).__name__, str(error)


def check_error(found, error, is_coroutine, passes):
    cls, class_name, message = expected_error(error, is_coroutine, passes)
    assert type(found) is cls
    if class_name is None:
        assert str(found) == message
    else:
        assert (found.class_name, found.message) == (class_name, message)


@pytest.mark.parametrize("where, way", WAYS)
@pytest.mark.parametrize("kind", ways.HANDLERS)
def test_what_is_returned_is_the_same(place, way, kind):
    name = f"{place} {kind}"
    for what, value in ways.RETURNED.items():
        with count_of(name, way, 0):
            found = way(name, "give", what)
        assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize("where, way", WAYS)
@pytest.mark.parametrize("kind", ways.HANDLERS)
def test_what_is_raised_is_the_same(place, way, kind):
    name = f"{place} {kind}"
    for what, error in ways.RAISED.items():
        with count_of(name, way, 1), pytest.raises(BaseException) as e:
            way(name, "fail", what)
        passes = passes_through(place, way)
        check_error(e.value, error, kind in ways.COROUTINES, passes)
    assert way(name, "give", "text") == ways.RETURNED["text"]


@pytest.mark.parametrize("where, way", WAYS)
@pytest.mark.parametrize("kind", ways.HANDLERS)
def test_arguments_arrive_the_same(place, way, kind):
    found = way(f"{place} {kind}", "arguments", 1, [2], a="x", b={"c": 3})
    assert found == [[1, [2]], {"a": "x", "b": {"c": 3}}]


@pytest.mark.parametrize("where, way", WAYS)
def test_actions_that_are_not_there_are_the_same_error(place, way):
    for action in ("none", "_hidden", ""):
        with pytest.raises(NotFoundError):
            way(f"{place} class", action)


@pytest.mark.parametrize("where, way", WAYS)
def test_wrong_arguments_are_an_error_of_the_handler(place, way):
    with pytest.raises(HandlerError) as e:
        way(f"{place} class", "give", 1, 2, 3)
    assert e.value.class_name == "TypeError"


# -- functions ----------------------------------------------------------------


def call(name, *args):
    return erlang.call(name, *args)


def call_with_deadline(name, *args):
    with hornbeam.deadline(30_000):
        return erlang.call(name, *args)


def call_on_loop(name, *args):
    return asyncio.run(aio.call(name, *args))


CALLS = [
    pytest.param(where, way, id=f"{where[5:]} {way.__name__}")
    for where in PLACES
    for way in (call, call_with_deadline, call_on_loop)
]


@pytest.mark.parametrize("where, way", CALLS)
@pytest.mark.parametrize("kind", ways.FUNCTIONS)
def test_functions_return_and_raise_the_same(place, way, kind):
    name = f"{place} {kind}"
    for what, value in ways.RETURNED.items():
        assert way(name, "give", what) == value
    for what, error in ways.RAISED.items():
        with pytest.raises(BaseException) as e:
            way(name, "fail", what)
        passes = place.startswith("ways here") and way is not call_on_loop
        check_error(e.value, error, kind == "awaited", passes)


# -- streams ------------------------------------------------------------------


def in_thread(into, name, *args):
    for chunk in erlang.stream(name, "go", *args):
        into.append(chunk)


def in_thread_with_deadline(into, name, *args):
    with hornbeam.deadline(30_000):
        in_thread(into, name, *args)


def async_for(into, name, *args):
    async def read():
        async for chunk in erlang.stream_async(name, "go", *args):
            into.append(chunk)

    asyncio.run(read())


STREAM_WAYS = [
    pytest.param(where, way, id=f"{where[5:]} {way.__name__}")
    for where in PLACES
    for way in (in_thread, in_thread_with_deadline, async_for)
]


@pytest.mark.parametrize("where, way", STREAM_WAYS)
@pytest.mark.parametrize("kind", ways.STREAMS)
@pytest.mark.parametrize("n", [0, 1, 100])
def test_streams_have_the_same_chunks(place, way, kind, n):
    found = []
    way(found, f"{place} {kind}", n)
    assert found == list(range(n))


@pytest.mark.parametrize("where, way", STREAM_WAYS)
@pytest.mark.parametrize("kind", ways.KEEPING)
@pytest.mark.parametrize("n", [0, 1, 200])
def test_a_generator_is_driven_in_one_context_and_task(place, way, kind, n):
    found = []
    way(found, f"{place} {kind}", n)
    assert found == list(range(n))


@pytest.mark.parametrize("where, way", STREAM_WAYS)
@pytest.mark.parametrize("kind", ["function", "coroutine", "at once"])
def test_what_is_no_stream_is_one_chunk(place, way, kind):
    name = f"{place} {kind}"

    async def give():
        return [x async for x in erlang.stream_async(name, "give", "dict")]

    found = (
        asyncio.run(give())
        if way is async_for
        else list(erlang.stream(name, "give", "dict"))
    )
    assert found == [ways.RETURNED["dict"]]


@pytest.mark.parametrize("where, way", STREAM_WAYS)
@pytest.mark.parametrize("kind", ways.STREAMS)
def test_what_a_stream_raises_comes_after_its_chunks(place, way, kind):
    name = f"{place} {kind}"
    for what, error in ways.RAISED.items():
        if kind == "iterator" and what == "stop":
            continue  # it is how an iterator ends
        found = []
        with pytest.raises(BaseException) as e:
            way(found, name, 2, what)
        assert found == [0, 1]
        check_stream_error(e.value, error, kind, place.startswith("ways here"), way)
    found = []
    way(found, name, 2)
    assert found == [0, 1]


def check_stream_error(found, error, kind, here, way):
    passes = here and way is not async_for
    if kind != "iterator" and isinstance(error, StopIteration):
        assert (type(found), found.class_name) == (HandlerError, "RuntimeError")
    elif kind == "async generator" and isinstance(error, StopAsyncIteration):
        assert (type(found), found.class_name) == (HandlerError, "RuntimeError")
    else:
        check_error(found, error, False, passes)
