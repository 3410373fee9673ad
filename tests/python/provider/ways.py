"""Handlers that return, raise and yield all kinds of things; `test_ways.py` calls
them here and on the second node, in every way there is."""

import asyncio
import contextvars

import hornbeam
import hornbeam_erlang as erlang


class Odd(BaseException):
    """What only derives from BaseException."""


RETURNED = {
    "nothing": None,
    "number": 2**70,
    "text": "h\u00e9",
    "list": [1, "a", None],
    "dict": {"a": 1, 2: [3.5]},
    "bytes": b"\x00\xff",
    "tuple": (1, (2,)),
}
RAISED = {
    "value": ValueError("bad value"),
    "key": KeyError("no drawer"),
    "timeout": TimeoutError("db is slow"),
    "cancelled": asyncio.CancelledError("its own"),
    "stop": StopIteration(3),
    "stop async": StopAsyncIteration("over"),
    "exit": SystemExit(3),
    "interrupt": KeyboardInterrupt("by hand"),
    "generator exit": GeneratorExit("left"),
    "odd": Odd("odd"),
    "not found": hornbeam.NotFoundError("no such thing"),
    "overloaded": hornbeam.OverloadedError("too much"),
    "hornbeam timeout": hornbeam.HornbeamTimeout("too late"),
    "hornbeam": hornbeam.HornbeamError("something"),
}


def copy_of(error):
    return type(error)(*error.args)


def function(action, *args, **kwargs):
    return getattr(Methods(), action)(*args, **kwargs)


async def coroutine(action, *args, **kwargs):
    await asyncio.sleep(0)
    return function(action, *args, **kwargs)


async def at_once(action, *args, **kwargs):
    return function(action, *args, **kwargs)


def makes_coroutine(action, *args, **kwargs):
    return coroutine(action, *args, **kwargs)


class Methods:
    def give(self, what):
        return RETURNED[what]

    def fail(self, what):
        raise copy_of(RAISED[what])

    def arguments(self, *args, **kwargs):
        return [list(args), kwargs]

    def _hidden(self):
        return "hidden"


class AsyncMethods:
    async def give(self, what):
        return RETURNED[what]

    async def fail(self, what):
        await asyncio.sleep(0)
        raise copy_of(RAISED[what])

    async def arguments(self, *args, **kwargs):
        return [list(args), kwargs]


class Called:
    def __call__(self, action, *args, **kwargs):
        return function(action, *args, **kwargs)


HANDLERS = {
    "function": function,
    "coroutine": coroutine,
    "at once": at_once,
    "makes coroutine": makes_coroutine,
    "class": Methods,
    "instance": Methods(),
    "async class": AsyncMethods,
    "callable": Called(),
}
COROUTINES = {"coroutine", "at once", "makes coroutine", "async class"}


# -- functions ----------------------------------------------------------------


def plainly(action, *args):
    return function(action, *args)


async def awaited(action, *args):
    await asyncio.sleep(0)
    return function(action, *args)


FUNCTIONS = {"plainly": plainly, "awaited": awaited}


# -- streams ------------------------------------------------------------------


def generator(action, n, what=None):
    yield from range(n)
    if what is not None:
        raise copy_of(RAISED[what])


async def async_generator(action, n, what=None):
    for i in range(n):
        await asyncio.sleep(0)
        yield i
    if what is not None:
        raise copy_of(RAISED[what])


class Iterator:
    def __init__(self, n, what):
        self.left = iter(range(n))
        self.what = what

    def __iter__(self):
        return self

    def __next__(self):
        for i in self.left:
            return i
        if self.what is None:
            raise StopIteration
        raise copy_of(RAISED[self.what])


def iterator(action, n, what=None):
    return Iterator(n, what)


async def later(action, n, what=None):
    return generator(action, n, what)


span = contextvars.ContextVar("span", default=None)


def keeps_context(action, n):
    token = span.set("mine")
    try:
        for i in range(n):
            assert span.get() == "mine"
            yield i
    finally:
        span.reset(token)


async def keeps_task(action, n):
    task = asyncio.current_task()
    token = span.set("mine")
    try:
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for i in range(n):
                group.create_task(asyncio.sleep(0))
                assert span.get() == "mine"
                assert asyncio.current_task() is task
                yield i
    finally:
        span.reset(token)


KEEPING = {"keeps context": keeps_context, "keeps task": keeps_task}
STREAMS = {
    "generator": generator,
    "async generator": async_generator,
    "iterator": iterator,
    "later": later,
}


def register(prefix):
    for kind, handler in {**HANDLERS, **STREAMS, **KEEPING}.items():
        erlang.register_hook(f"{prefix} {kind}", handler)
        erlang.register_hook(f"{prefix} bounded {kind}", handler, concurrency=2)
    for name, function in FUNCTIONS.items():
        erlang.register_function(f"{prefix} {name}", function)
        erlang.register_function(f"{prefix} bounded {name}", function, concurrency=2)
