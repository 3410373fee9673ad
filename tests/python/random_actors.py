"""Processes that do what they are told by the programs of test_random_processes.py,
as coroutines and as threads. They look at nothing but orders, unless told to."""

import operator

from interpreter.machine import Step, in_thread, on_loop, receive
from random_storm import BODIES as STORM_BODIES

from hornbeam import NotFoundError, aio, process, supervisor

#: Of the process of each node that spawns and looks for the test.
SERVER = "server of random programs"
ORDERS = ("do", "sync")


def is_order(x):
    return x[0] in ORDERS


def is_odd(x):
    return x[0] == "m" and x[1] % 2 == 1


async def coroutine_actor(controller):
    await on_loop(obey(controller))


def thread_actor(controller):
    in_thread(obey(controller))


BODIES = {"coroutine": coroutine_actor, "thread": thread_actor}


def obey(controller):
    while True:
        order = yield from receive(None, None, is_order)
        if order[0] == "sync":
            process.send(controller, ("synced", order[1]))
            continue
        _, step, name, args, barrier = order
        if name == "end":
            process.send(controller, ("done", step, None))
            process.exit(args[0])
        try:
            answer = yield from ACTIONS[name](controller, *args)
        except NotFoundError:
            answer = "noproc" if name == "link" else "badarg"
        except (TypeError, ValueError):
            answer = "badarg"
        yield from pass_barrier(step, barrier)
        process.send(controller, ("done", step, answer))


def pass_barrier(step, barrier):
    """What has been sent to a process before is known there afterwards."""
    if barrier is None:
        return
    kind, whom = barrier
    if kind == "supervisor":
        yield Step(supervisor.count_children, aio.supervisor.count_children, (whom,))
    else:
        process.send(whom, ("sync", step))


# -- what they can be told ----------------------------------------------------------


def at_once(f):
    """An action that does not wait."""

    def run(controller, *args):
        return f(*args)
        yield

    return run


def spawn(how):
    def run(controller, kind):
        made = how(BODIES[kind], controller)
        return made if isinstance(made, tuple) else (made,)
        yield

    return run


def burst(to, numbers):
    for n in numbers:
        process.send(to, ("m", n))


def take(controller, pattern):
    pattern = {"odd": is_odd, "m": ("m", int)}.get(pattern, pattern)
    if pattern in ("EXIT", "DOWN"):
        head, pattern = pattern, lambda x: x[0] == head
    return (yield from receive(0, None, pattern))


def drain(controller):
    found = []
    while (x := (yield from receive(0, None, lambda x: not is_order(x)))) is not None:
        found.append(x)
    return found


ACTIONS = {
    "spawn": spawn(process.spawn),
    "spawn_link": spawn(process.spawn_link),
    "spawn_monitor": spawn(process.spawn_monitor),
    "link": at_once(process.link),
    "unlink": at_once(process.unlink),
    "monitor": at_once(process.monitor),
    "monitor_alias": at_once(lambda pid, mode: process.monitor(pid, alias=mode)),
    "demonitor": at_once(process.demonitor),
    "flush": at_once(lambda ref: process.demonitor(ref, flush=True)),
    "alias": at_once(process.alias),
    "unalias": at_once(process.unalias),
    "exit": at_once(process.exit),
    "trap": at_once(process.trap_exit),
    "burst": at_once(burst),
    "register": at_once(process.register),
    "unregister": at_once(process.unregister),
    "take": take,
    "drain": drain,
}


# -- what each node has ---------------------------------------------------------------

#: In the order in which `state_of` has them.
ITEMS = (
    "links",
    "monitors",
    "monitored_by",
    "message_queue_len",
    "trap_exit",
    "registered_name",
)
_items = operator.itemgetter(*ITEMS)


def state_of(pids):
    """Of each process what process_info says, or None if it is dead."""
    found = [process.process_info(pid) for pid in pids]
    return [None if x is None else list(_items(x)) for x in found]


async def serve(controller):
    process.register(SERVER)
    process.send(controller, ("ready",))
    while True:
        match await aio.process.receive():
            case ("sync", step):
                process.send(controller, ("synced", step))
            case ("state", pids):
                process.send(controller, ("state", state_of(pids)))
            case ("spawn", "supervisor"):
                made = await aio.supervisor.start(supervisor.Supervisor([]))
                process.send(controller, ("spawned", made))
            case ("storm", kind, *args):
                made = process.spawn(STORM_BODIES[kind], controller, *args)
                process.send(controller, ("spawned", made))
            case ("spawn", kind):
                made = process.spawn(BODIES[kind], controller)
                process.send(controller, ("spawned", made))


def begin(controller):
    process.spawn(serve, controller)
