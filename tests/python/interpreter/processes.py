"""Processes, messages, links, monitors, names, timers; and what needs no process."""

from __future__ import annotations

import time
from typing import Any

from interpreter import machine, terms
from interpreter.machine import Context, Steps, plain, same, waiting
from interpreter.syntax import ScriptError
from interpreter.terms import FALSE, OK, TRUE, Fun, Raised, boolean, error, or_undefined

from hornbeam import Atom, NotFoundError, Pid, Ref, cluster, process


def needs(good: object) -> None:
    if not good:
        raise error("badarg")


#: Of the process of each node that spawns for other nodes.
SPAWNER = "spawner"

# -- starting -----------------------------------------------------------------


def _what(args: tuple[Any, ...]) -> Any:
    """Of the arguments (Fun) or (Module, Function, Args)."""
    if len(args) == 1:
        needs(isinstance(args[0], Fun))
        return args[0]
    return args


def _spawned_here(f: Any, c: Context, args: tuple[Any, ...]) -> Any:
    return f(machine.body_of(c.way), machine.start(c, _what(args)))


@plain("spawn/1 spawn/3")
def spawn(c: Context, *args: Any) -> Any:
    return _spawned_here(process.spawn, c, args)


@plain("spawn_link/1 spawn_link/3")
def spawn_link(c: Context, *args: Any) -> Any:
    return _spawned_here(process.spawn_link, c, args)


@plain("spawn_monitor/1 spawn_monitor/3")
def spawn_monitor(c: Context, *args: Any) -> Any:
    return _spawned_here(process.spawn_monitor, c, args)


def _spawned_at(node: str, how: Any) -> Steps:
    ref = process.make_ref()
    process.send((SPAWNER, node), (process.self(), ref, how))
    _, pid = yield from machine.receive(None, None, ref)
    return pid


@waiting("spawn/2 spawn/4")
def spawn_there(c: Context, node: str, *args: Any) -> Steps:
    return (yield from _spawned_at(node, machine.start(c, _what(args))))


@waiting("spawn_link/2 spawn_link/4")
def spawn_link_there(c: Context, node: str, *args: Any) -> Steps:
    """The child waits until the link is under way to it."""
    go = process.make_ref()
    pid = yield from _spawned_at(node, machine.start(c, _what(args), go))
    process.link(pid)
    process.send(pid, go)
    return pid


# -- messages and signals -------------------------------------------------------


@plain("self/0")
def self(c: Context) -> Any:
    return process.self()


@plain("send/2")
def send(c: Context, to: Any, message: Any) -> Any:
    process.send(to, message)
    return message


@plain("exit/1")
def exit(c: Context, reason: Any) -> Any:
    raise Raised("exit", reason)


@plain("error/1")
def raise_error(c: Context, reason: Any) -> Any:
    raise Raised("error", reason)


@plain("throw/1")
def throw(c: Context, value: Any) -> Any:
    raise Raised("throw", value)


@plain("exit/2")
def exit_other(c: Context, pid: Any, reason: Any) -> Any:
    process.exit(pid, reason)
    return TRUE


@plain("link/1")
def link(c: Context, pid: Any) -> Any:
    try:
        process.link(pid)
    except NotFoundError:
        raise error("noproc") from None
    return TRUE


@plain("unlink/1")
def unlink(c: Context, pid: Any) -> Any:
    process.unlink(pid)
    return TRUE


@plain("monitor/2 monitor/3")
def monitor(c: Context, kind: Any, what: Any, options: Any = ()) -> Any:
    needs(kind == "process")
    return process.monitor(what, **{str(name): str(mode) for name, mode in options})


@plain("demonitor/1 demonitor/2")
def demonitor(c: Context, ref: Any, options: Any = ()) -> Any:
    found = process.demonitor(ref, flush="flush" in options)
    return boolean(found or "info" not in options)


@plain("alias/0 alias/1")
def alias(c: Context, options: Any = ()) -> Any:
    return process.alias(once="reply" in options)


@plain("unalias/1")
def unalias(c: Context, ref: Any) -> Any:
    return boolean(process.unalias(ref))


@plain("process_flag/2")
def process_flag(c: Context, flag: Any, on: Any) -> Any:
    if flag != "trap_exit":
        raise ScriptError("process_flag knows trap_exit only")
    return boolean(process.trap_exit(terms.is_true(on)))


@plain("make_ref/0")
def make_ref(c: Context) -> Any:
    return process.make_ref()


# -- what is known ----------------------------------------------------------------


@plain("process_info/1")
def process_info(c: Context, pid: Any) -> Any:
    if process.process_info(pid) is not None:
        raise ScriptError("process_info/1 of a living process")
    return terms.UNDEFINED


@plain("process_info/2")
def process_info_of(c: Context, pid: Any, items: Any) -> Any:
    if isinstance(items, list):
        found = [_info(pid, item) for item in items]
        return terms.UNDEFINED if terms.UNDEFINED in found else found
    found = _info(pid, items)
    return [] if found == ("registered_name", []) else found


def _info(pid: Any, item: Any) -> Any:
    found = process.process_info(pid, item)
    if found is None:
        return terms.UNDEFINED
    return (item, boolean(found) if isinstance(found, bool) else found)


@plain("processes/0")
def processes(c: Context) -> Any:
    return process.processes()


@plain("is_process_alive/1")
def is_process_alive(c: Context, pid: Any) -> Any:
    return boolean(process.is_alive(pid))


@plain("node/0")
def node(c: Context) -> Any:
    return Atom(cluster.node())


@plain("node/1")
def node_of(c: Context, x: Any) -> Any:
    return Atom(x.node)


@plain("nodes/0")
def nodes(c: Context) -> Any:
    return [Atom(x) for x in cluster.nodes()]


@plain("net_kernel:monitor_nodes/1")
def monitor_nodes(c: Context, on: Any) -> Any:
    process.monitor_nodes(terms.is_true(on))
    return OK


# -- names ------------------------------------------------------------------------


@plain("register/2")
def register(c: Context, name: Any, pid: Any) -> Any:
    process.register(name, pid)
    return TRUE


@plain("unregister/1")
def unregister(c: Context, name: Any) -> Any:
    process.unregister(name)
    return TRUE


@plain("whereis/1")
def whereis(c: Context, name: Any) -> Any:
    return or_undefined(process.whereis(name))


@plain("registered/0")
def registered(c: Context) -> Any:
    return [Atom(x) for x in process.registered()]


# -- the process dictionary ----------------------------------------------------------


@plain("put/2")
def put(c: Context, key: Any, value: Any) -> Any:
    return or_undefined(process.put(key, value))


@plain("get/1")
def get(c: Context, key: Any) -> Any:
    return process.get(key, terms.UNDEFINED)


@plain("erase/1")
def erase(c: Context, key: Any) -> Any:
    return or_undefined(process.erase(key))


@plain("get/0")
def get_all(c: Context) -> Any:
    return process.process_info(process.self(), "dictionary")


@plain("get_keys/0")
def get_keys(c: Context) -> Any:
    return [key for key, _ in get_all(c)]


@plain("get_keys/1")
def get_keys_of(c: Context, value: Any) -> Any:
    return [key for key, x in get_all(c) if same(x, value)]


@plain("erase/0")
def erase_all(c: Context) -> Any:
    found = get_all(c)
    for key, _ in found:
        process.erase(key)
    return found


# -- timers ------------------------------------------------------------------------


def _or_false(ms: int | None) -> Any:
    return FALSE if ms is None else ms


@plain("send_after/3")
def send_after(c: Context, ms: Any, to: Any, message: Any) -> Any:
    return process.send_after(ms, to, message)


@plain("start_timer/3")
def start_timer(c: Context, ms: Any, to: Any, message: Any) -> Any:
    return process.start_timer(ms, to, message)


@plain("cancel_timer/1")
def cancel_timer(c: Context, timer: Any) -> Any:
    return _or_false(process.cancel_timer(timer))


@plain("read_timer/1")
def read_timer(c: Context, timer: Any) -> Any:
    return _or_false(process.read_timer(timer))


@plain("monotonic_time/1")
def monotonic_time(c: Context, unit: Any) -> Any:
    needs(unit == "millisecond")
    return int(time.monotonic() * 1000)


# -- what needs no process ------------------------------------------------------------

KINDS: dict[str, Any] = {
    "is_atom": str,
    "is_pid": Pid,
    "is_reference": Ref,
    "is_tuple": tuple,
    "is_list": list,
    "is_map": dict,
    "is_integer": int,
    "is_float": float,
    "is_number": (int, float),
}
for _name, _kind in KINDS.items():
    plain(f"{_name}/1")(lambda c, x, kind=_kind: boolean(isinstance(x, kind)))


@plain("is_boolean/1")
def is_boolean(c: Context, x: Any) -> Any:
    return boolean(isinstance(x, str) and x in (TRUE, FALSE))


@plain("is_function/1 is_function/2")
def is_function(c: Context, x: Any, arity: Any = None) -> Any:
    return boolean(isinstance(x, Fun) and arity in (None, x.arity))


@plain("element/2")
def element(c: Context, n: Any, x: Any) -> Any:
    needs(isinstance(x, tuple) and 1 <= n <= len(x))
    return x[n - 1]


def _length(kind: type) -> Any:
    def run(c: Context, x: Any) -> Any:
        needs(isinstance(x, kind))
        return len(x)

    return run


plain("length/1")(_length(list))
plain("tuple_size/1")(_length(tuple))
plain("map_size/1")(_length(dict))


@plain("hd/1")
def head(c: Context, x: Any) -> Any:
    needs(isinstance(x, list))
    return x[0]


@plain("tl/1")
def rest(c: Context, x: Any) -> Any:
    needs(isinstance(x, list) and x)
    return x[1:]


@plain("abs/1")
def absolute(c: Context, x: Any) -> Any:
    return abs(x)


@plain("lists:member/2")
def member(c: Context, x: Any, xs: Any) -> Any:
    return boolean(any(same(x, y) for y in xs))


@plain("lists:seq/2")
def seq(c: Context, first: Any, last: Any) -> Any:
    return list(range(first, last + 1))


@plain("lists:sort/1")
def sort(c: Context, xs: Any) -> Any:
    return sorted(xs, key=terms.in_order)


@plain("lists:reverse/1")
def reverse(c: Context, xs: Any) -> Any:
    return xs[::-1]


@waiting("lists:map/2")
def map_list(c: Context, f: Any, xs: Any) -> Steps:
    out = []
    for x in xs:
        out.append((yield from machine.apply_fun(c, f, [x])))
    return out


@waiting("lists:foreach/2")
def for_each(c: Context, f: Any, xs: Any) -> Steps:
    yield from map_list(c, f, xs)
    return OK


@plain("maps:merge/2")
def merge(c: Context, a: Any, b: Any) -> Any:
    return {**a, **b}


@plain("maps:remove/2")
def remove(c: Context, key: Any, x: Any) -> Any:
    return {k: v for k, v in x.items() if not same(k, key)}


@plain("maps:get/2 maps:get/3")
def get_of_map(c: Context, key: Any, x: Any, *default: Any) -> Any:
    for k, v in x.items():
        if same(k, key):
            return v
    if not default:
        raise error("badkey", key)
    return default[0]
