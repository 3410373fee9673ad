"""What the second node of the tests serves."""

import asyncio
import dataclasses
import os
import queue
import sys
import threading
import time

import ways
from long_work import LongWork

import hornbeam
import hornbeam_erlang as erlang


class Unprintable(Exception):
    def __str__(self):
        raise ValueError("no text")


class UnprintablyMissing(hornbeam.NotFoundError):
    def __str__(self):
        raise ValueError("no text")


# -- called by rpc ------------------------------------------------------------


def echo(value):
    return value


def length(value):
    return len(value)


def describe(value):
    """What arrived, as this side sees it."""
    return f"{type(value).__module__}.{type(value).__qualname__} {value!r}"


def add(*numbers):
    return sum(numbers)


def fail(text="no such drawer"):
    raise KeyError(text)


def fail_unprintably():
    raise Unprintable


def tell(to, *args):
    """As the code of a process: says where it runs and what it was given."""
    hornbeam.process.send(to, (erlang.node(), hornbeam.process.self(), *args))


async def tell_and_wait(to, *args):
    tell(to, *args)
    await hornbeam.aio.process.receive()


async def fail_at_once():
    raise LookupError("at once")


def leave():
    raise SystemExit(3)


def give_function():
    return lambda: None


def slow(seconds=0.5):
    """Longer than any deadline that a test sets around it."""
    time.sleep(seconds)


async def soon(value):
    await asyncio.sleep(0)
    return value


def left_ms():
    return hornbeam.left_ms()


def left_ms_back(node, module):
    """What is left of the deadline after one more step to another node."""
    return erlang.rpc_call(node, module, "left_ms", [])


def dies():
    os._exit(9)


def _private():
    return "secret"


not_a_function = 5


# -- states and topics of this node ------------------------------------------

_subscribers = {}


def subscribe(topic):
    """A thread of this node subscribes until `unsubscribe`; what it gets goes
    to the table `heard` under the topic."""
    ready, end = threading.Event(), threading.Event()

    def run():
        erlang.subscribe(topic)
        ready.set()
        heard = []
        while not end.is_set():
            found = erlang.receive_pubsub(timeout_ms=20)
            if found is not None:
                heard.append(found)
                hornbeam.tables.table("heard").set(topic, heard)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    _subscribers[topic] = (thread, end)
    ready.wait(10)


def unsubscribe(topic):
    thread, end = _subscribers.pop(topic)
    end.set()
    thread.join(10)


def heard(topic):
    return hornbeam.tables.table("heard").get(topic, [])


def subscribe_only(topic):
    """Leaves it to the end of this call to take the subscription back."""
    erlang.subscribe(topic)


def publish(topic, message):
    return erlang.publish(topic, message)


def make_table(name, options=None):
    hornbeam.tables.table(name, **(options or {}))


def use_table(name, node, member, *args):
    """Calls a method of a table of another node, or reads a property."""
    found = getattr(hornbeam.tables.table(name, node), member)
    return found(*args) if callable(found) else found


def start_echo():
    """A thread that answers (pid, message) with the message, until "stop"."""
    pids = queue.Queue()

    def run():
        pids.put(hornbeam.self())
        while (message := hornbeam.process.receive()) != "stop":
            hornbeam.process.send(*message)

    threading.Thread(target=run, daemon=True).start()
    return pids.get()


@hornbeam.message(tag="tests.Known there")
@dataclasses.dataclass
class Known:
    amount: int
    note: str = "default there"


class Counter(hornbeam.gen_server.GenServer):
    def init(self):
        self.list = []

    def handle_call(self, request, caller):
        return self.list

    def handle_info(self, message):
        self.list.append(message)


def start_counter():
    return Counter.start()


def start_holder(state):
    return hornbeam.state_holder.StateHolder.start(lambda: state)


def start_owner(name):
    """A process that owns a table."""
    made = queue.Queue()

    def own():
        hornbeam.tables.new(name)
        made.put(hornbeam.self())
        hornbeam.process.receive()

    hornbeam.process.spawn(own)
    return made.get(timeout=10)


def join_group(group, pid):
    hornbeam.groups.join(group, pid)


def state_get(key):
    return erlang.state_get(key)


def await_task(task_id, timeout_ms=30000):
    return erlang.await_result(task_id, timeout_ms)


def about_task(what, *args):
    """A function of `hornbeam.tasks`, called here."""
    return getattr(hornbeam.tasks, what)(*args)


def watched(task_id):
    return list(hornbeam.tasks.watch(task_id))


def rpc_call(node, module, function, args):
    return erlang.rpc_call(node, module, function, args)


def execute(hook, action, *args):
    return erlang.execute(hook, action, *args)


def register(hook):
    """Registers a hook that says which node it is on."""
    erlang.register_hook(hook, lambda action, *args: [erlang.node(), action, *args])


def register_slow(hook):
    def handler(action):
        erlang.state_set(hook, "running")
        time.sleep(30)

    erlang.register_hook(hook, handler)


def register_meeting(hook, number):
    """Registers a hook whose calls end when so many of them run."""
    meeting = threading.Barrier(number)
    erlang.register_hook(hook, lambda action: meeting.wait(30))


def register_endless(hook):
    def handler(action):
        n = 0
        while True:
            yield n
            n += 1

    erlang.register_hook(hook, handler)


def knows_hook(hook):
    return bool(hornbeam.hooks.providers(hook))


def churn(hook, times):
    """Registers and unregisters a hook so many times; it is there in the end."""
    for _ in range(times):
        erlang.unregister_hook(hook)
        register(hook)


def threads():
    return len(os.listdir("/proc/self/task"))


def unregister(hook):
    erlang.unregister_hook(hook)


# -- hooks and functions ------------------------------------------------------

closed = threading.Event()


def was_closed():
    """Whether the generator of `there`'s `numbers` was closed."""
    return closed.wait(10)


class There:
    """All kinds of actions, registered as the hook `there`."""

    def __init__(self):
        self.calls = 0

    def echo(self, *args, **kwargs):
        return [list(args), kwargs]

    def node(self):
        return erlang.node()

    def count(self):
        self.calls += 1
        return self.calls

    def fail(self):
        raise KeyError("no such drawer")

    def slow(self, seconds=0.5):
        time.sleep(seconds)

    def left_ms(self):
        return hornbeam.left_ms()

    def pid(self):
        return hornbeam.self()

    def change(self, items):
        items.append("changed")
        return items

    def self_call(self):
        return erlang.execute("there", "self_call")

    def deeper(self, back):
        return erlang.execute(back, "deeper", "there")

    def miss_unprintably(self):
        yield 1
        raise UnprintablyMissing("it")

    async def coroutine(self, value):
        await asyncio.sleep(0)
        return value

    def numbers(self, n):
        closed.clear()
        try:
            for i in range(n):
                yield i
        finally:
            closed.set()

    def slow_numbers(self, n, seconds):
        for i in range(n):
            time.sleep(seconds)
            yield i

    def pids(self, n):
        for _ in range(n):
            yield hornbeam.self()

    def subscribed(self, topic, n=10**9):
        erlang.subscribe(topic)
        yield from range(n)

    def listen(self, topic):
        erlang.subscribe(topic)
        return erlang.receive_pubsub()

    def counted(self, key, n):
        for i in range(n):
            erlang.state_set(key, i)
            yield i

    def blocks(self, n, size):
        for i in range(n):
            yield bytes([i]) * size

    def fail_after(self, n):
        yield from range(n)
        raise KeyError("after")

    async def async_numbers(self, n):
        for i in range(n):
            await asyncio.sleep(0)
            yield i

    def caller(self):
        yield sys._getframe(1).f_code.co_name

    def bad_chunk(self):
        yield 1
        yield object()

    def bad_result(self):
        return object()

    def gated(self):
        """One chunk, then nothing for longer than any deadline of a test."""
        yield "first"
        time.sleep(0.5)

    def _private(self):
        return "secret"

    attribute = 5


erlang.register_hook("there", There)
erlang.register_hook("there tasks", LongWork)
erlang.register_hook("there function", lambda action, *a, **k: [action, list(a), k])


async def _coroutine_handler(action, *args):
    await asyncio.sleep(0)
    return [action, *args]


erlang.register_hook("there coroutine", _coroutine_handler)
erlang.register_function("there add", lambda *xs: sum(xs))
erlang.register_function("there fail", fail)
erlang.register_function("there note", lambda k, v: erlang.state_set(k, v))


# -- what the reference's examples call ---------------------------------------


class Embeddings:
    def encode(self, text):
        return [float(len(text)), float(text.count("a"))]

    def similarity(self, a, b):
        return 1.0 if a == b else 0.5


class Learner:
    def train(self, dataset):
        return {"trained_on": len(dataset)}


class Writer:
    def generate(self, prompt):
        yield from (prompt + " and so on").split()


def _validate_token(token):
    if token != "good token":
        raise PermissionError("bad token")
    return 123


erlang.register_hook("embeddings", Embeddings)
erlang.register_hook("ml", Learner)
erlang.register_hook("llm", Writer)
erlang.register_function("add", lambda a, b: a + b)
erlang.register_function("validate_token", _validate_token)
erlang.register_function(
    "log_event", lambda event, data: erlang.publish("logged events", [event, data])
)


# -- a bounded hook -----------------------------------------------------------


class Bounded:
    def __init__(self):
        self.gone = threading.Event()

    def wait(self):
        self.gone.wait(30)
        return "done"


class BoundedState:
    """How it stands with the bounded hook, whatever its bounds."""

    def waiting(self):
        (found,) = (
            x
            for x in hornbeam.hooks.info()
            if x["name"] == "bounded" and x["node"] == erlang.node()
        )
        return found["waiting"]

    def let_go(self):
        bounded.gone.set()


bounded = Bounded()
erlang.register_hook("bounded", bounded, concurrency=1, queue=1)
erlang.register_hook("bounded state", BoundedState)


def narrow(action, n):
    yield from range(n)


erlang.register_hook("narrow", narrow, concurrency=1, queue=0)
ways.register("ways there")
