"""gen_server, sys, supervisor and pg: those of hornbeam with callbacks and children of
the scenario. Only the spelling is translated: Erlang's tuples are objects and
exceptions in Python."""

from __future__ import annotations

import functools
from typing import Any

from interpreter import machine, terms
from interpreter.machine import Context, Step, Steps, plain, waiting
from interpreter.syntax import ScriptError
from interpreter.terms import ERROR, OK, UNDEFINED, Raised, error

from hornbeam import Atom, HornbeamTimeout, _waits, aio, gen_server, groups, process
from hornbeam import supervisor as sup
from hornbeam.gen_server import AlreadyStarted, CallError, GenServer, InitFailed

IGNORE, TIMEOUT = Atom("ignore"), Atom("timeout")


def _is(x: Any, tag: str, *sizes: int) -> bool:
    return isinstance(x, tuple) and len(x) in sizes and x[0] == tag


# -- a server whose callbacks are the scenario's ----------------------------------


class _Script(GenServer):
    """Its callbacks are generators, which the classes below run."""

    context: Context
    state: Any

    def format_status(self) -> Any:
        return self.state

    def _init(self, context: Context, argument: Any) -> Steps:
        self.context = context
        x = yield from self._result("init", argument)
        if x == IGNORE:
            return gen_server.IGNORE
        if _is(x, "ok", 2, 3):
            return self._next(x, 1)
        if _is(x, "stop", 2):
            return gen_server.Stop(x[1])
        return _bad_return(x)

    def _handle_call(self, request: Any, caller: gen_server.Caller) -> Steps:
        x = yield from self._result("handle_call", request, tuple(caller), self.state)
        if _is(x, "reply", 3, 4):
            return self._next(x, 2, reply=x[1])
        if _is(x, "stop", 4):
            self.state = x[3]
            return gen_server.Stop(x[1], reply=x[2])
        if _is(x, "noreply", 2):
            self.state = x[1]
            return gen_server.NO_REPLY
        return self._other(x)

    def _handle_cast(self, request: Any) -> Steps:
        x = yield from self._result("handle_cast", request, self.state)
        return self._other(x)

    def _handle_info(self, message: Any) -> Steps:
        if ("handle_info", 2) not in self.context.module.functions:
            return None
        if type(message) is str:
            message = Atom(message)  # "timeout"
        x = yield from self._result("handle_info", message, self.state)
        return self._other(x)

    def _handle_continue(self, what: Any) -> Steps:
        x = yield from self._result("handle_continue", what, self.state)
        return self._other(x)

    def _terminate(self, reason: Any) -> Steps:
        if ("terminate", 2) in self.context.module.functions:
            yield from self._result("terminate", reason, self.state)

    def _result(self, name: str, *args: Any) -> Steps:
        """What a callback returns; that may be thrown as well."""
        c = self.context
        try:
            return (
                yield from machine.apply_named(c, "", c.module.name, name, list(args))
            )
        except Raised as e:
            if e.error_class == "throw":
                return e.reason
            return process.exit(e.exit_reason_of_process())
        except ScriptError as e:
            machine.failures.append(str(e))
            raise

    def _other(self, x: Any) -> Any:
        if _is(x, "noreply", 2, 3):
            return self._next(x, 1)
        if not _is(x, "stop", 3):
            return _bad_return(x)
        self.state = x[2]
        return gen_server.Stop(x[1])

    def _next(self, x: Any, i: int, **reply: Any) -> Any:
        """Takes the state at place `i`, and the timeout or `continue` behind it."""
        self.state = x[i]
        more: dict[str, Any] = {}
        if len(x) > i + 1:
            if _is(x[i + 1], "continue", 2):
                more["then"] = x[i + 1][1]
            elif type(x[i + 1]) is int:
                more["timeout_ms"] = x[i + 1]
            elif x[i + 1] not in ("hibernate", "infinity"):
                return _bad_return(x)
        if reply:
            return gen_server.Reply(reply["reply"], **more)
        return gen_server.Next(**more)


def _bad_return(x: Any) -> Any:
    return process.exit((Atom("bad_return_value"), x))


CALLBACKS = "init handle_call handle_cast handle_info handle_continue terminate".split()


def _server_of(way: str) -> type[GenServer]:
    """Callbacks that are coroutines run in the process, others in the pool."""

    def made(steps: Any) -> Any:
        if way == "threads":
            return lambda self, *args: machine.in_thread(steps(self, *args))

        async def run(self: Any, *args: Any) -> Any:
            return await machine.on_loop(steps(self, *args))

        return run

    methods = {name: made(getattr(_Script, f"_{name}")) for name in CALLBACKS}
    return type(f"Script in {way}", (_Script,), methods)


SERVERS = {way: _server_of(way) for way in ("coroutines", "threads")}


# -- gen_server ---------------------------------------------------------------------


def _start(c: Context, link: bool, args: tuple[Any, ...]) -> Steps:
    *name, module, argument, options = args
    given: dict[str, Any] = {}
    if name:
        given["name"] = name[0][1]
    for option in options:
        if option[0] != "timeout":
            raise ScriptError("gen_server:start knows {timeout, Ms} only")
        given["timeout_ms"] = option[1]
    cls = SERVERS[c.way]
    if link:
        f, g = cls.start_link, aio.gen_server.start_link
    else:
        f, g = cls.start, aio.gen_server.start
    inner = Context(module, c.way)
    step = Step(f, functools.partial(g, cls), (inner, argument), given)
    return (yield from _started(step))


def _started(step: Step) -> Steps:
    try:
        pid = yield step
    except AlreadyStarted as e:
        return (ERROR, (Atom("already_started"), e.pid))
    except InitFailed as e:
        return (ERROR, e.reason)
    except HornbeamTimeout:
        return (ERROR, TIMEOUT)
    return IGNORE if pid is None else (OK, pid)


@waiting("gen_server:start/3 gen_server:start/4")
def start(c: Context, *args: Any) -> Steps:
    return (yield from _start(c, False, args))


@waiting("gen_server:start_link/3 gen_server:start_link/4")
def start_link(c: Context, *args: Any) -> Steps:
    return (yield from _start(c, True, args))


@waiting("gen_server:start_monitor/3 gen_server:start_monitor/4")
def start_monitor(c: Context, *args: Any) -> Steps:
    x = yield from _start(c, False, args)
    return (OK, (x[1], process.monitor(x[1]))) if _is(x, "ok", 2) else x


def _asked(step: Step) -> Steps:
    try:
        return (yield step)
    except CallError as e:
        raise Raised("exit", e.exit_reason) from None


def _ms(x: Any) -> int | None:
    return None if x == "infinity" else x


@waiting("gen_server:call/2")
def call(c: Context, *args: Any) -> Steps:
    return (yield from _asked(Step(gen_server.call, aio.gen_server.call, args)))


@waiting("gen_server:call/3")
def call_in_time(c: Context, server: Any, request: Any, ms: Any) -> Steps:
    """Here Erlang's reason has the time as well."""
    try:
        return (yield from call(c, server, request, _ms(ms)))
    except Raised as e:
        reason, (module, name, args) = e.reason
        raise Raised("exit", (reason, (module, name, [*args, ms]))) from None


@waiting("gen_server:stop/1 gen_server:stop/3")
def stop(c: Context, *args: Any) -> Steps:
    given = (*args[:2], *map(_ms, args[2:]))
    yield from _asked(Step(gen_server.stop, aio.gen_server.stop, given))
    return OK


@plain("gen_server:cast/2")
def cast(c: Context, server: Any, request: Any) -> Any:
    gen_server.cast(server, request)
    return OK


@plain("gen_server:reply/2")
def reply(c: Context, caller: Any, answer: Any) -> Any:
    gen_server.Caller(*caller).reply(answer)
    return OK


@waiting("sys:get_state/1")
def get_state(c: Context, server: Any) -> Steps:
    step = Step(gen_server.get_state, aio.gen_server.get_state, (server,))
    return (yield from _asked(step))


@waiting("sys:suspend/1")
def suspend(c: Context, server: Any) -> Steps:
    return (yield from _system(server, Atom("suspend")))


@waiting("sys:resume/1")
def resume(c: Context, server: Any) -> Steps:
    return (yield from _system(server, Atom("resume")))


@waiting("sys:replace_state/2")
def replace_state(c: Context, server: Any, f: Any) -> Steps:
    """The function is called here: hornbeam's servers take new attributes."""
    state = yield from get_state(c, server)
    state = yield from machine.apply_fun(c, f, [state])
    yield from _system(server, (Atom("replace_state"), {"state": state}))
    return state


def _system(server: Any, request: Any) -> Steps:
    """What Erlang's servers understand, too, and Python has no function for."""
    steps = gen_server.ask(gen_server._SYSTEM, server, request, 5000)
    return (yield from _asked(Step(_waits.here, _waits.on_loop, (steps,))))


# -- supervisor ---------------------------------------------------------------------

FLAGS = {"strategy", "intensity", "period", "auto_shutdown"}
CHILD = {"id", "start", "restart", "shutdown", "type", "significant", "modules"}


def _start_of(module: str, way: str, mfa: Any) -> Any:
    """What starts a child: (Module, Function, Args), called by the supervisor."""
    of, f, args = mfa

    def steps(more: tuple[Any, ...]) -> Steps:
        c = Context(module, way)
        try:
            x = yield from machine.apply_named(c, "", of, f, [*args, *more])
        except Raised as e:
            x = e.reason
            if e.error_class != "throw":
                x = (Atom("EXIT"), e.exit_reason_of_process())
        except ScriptError as e:
            machine.failures.append(str(e))
            raise
        if x == IGNORE:
            return None
        if _is(x, "ok", 2, 3) and x[1] == UNDEFINED:
            return None
        if _is(x, "ok", 2, 3):
            return x[1]
        raise InitFailed(x[1] if _is(x, "error", 2) else x)

    def here(*more: Any) -> Any:
        return machine.in_thread(steps(more))

    async def on_loop(*more: Any) -> Any:
        return await machine.on_loop(steps(more))

    return here if way == "threads" else on_loop


def _spec(c: Context, x: Any) -> sup.ChildSpec:
    if not isinstance(x, dict) or not x.keys() <= CHILD:
        raise ScriptError(f"hornbeam's supervisor has no such child: {x}")
    given: dict[str, Any] = {}
    for name in ("restart", "type"):
        if name in x:
            given[name] = str(x[name])
    if "shutdown" in x:
        ms = x["shutdown"]
        given["shutdown_ms"] = str(ms) if isinstance(ms, str) else ms
    if "significant" in x:
        given["significant"] = terms.is_true(x["significant"])
    start = _start_of(c.module.name, c.way, x["start"])
    return sup.ChildSpec(x["id"], start, **given)


@waiting("supervisor:start_link/2 supervisor:start_link/3")
def start_supervisor(c: Context, *args: Any) -> Steps:
    """init/1 is called here: hornbeam's supervisor takes flags and children."""
    *name, module, argument = args
    x = yield from machine.apply_named(c, "", module, "init", [argument])
    flags, children = x[1]
    if not flags.keys() <= FLAGS:
        raise ScriptError(f"hornbeam's supervisor has no such flags: {flags}")
    given: dict[str, Any] = {}
    if "intensity" in flags:
        given["intensity"] = flags["intensity"]
    if "period" in flags:
        given["period_ms"] = flags["period"] * 1000
    if name:
        given["name"] = name[0][1]
    specs = [_spec(c, child) for child in children]
    tree = sup.Supervisor(specs, **given)
    tree.strategy = str(flags.get("strategy", "one_for_one"))
    tree.auto_shutdown = str(flags.get("auto_shutdown", "never"))
    step = Step(tree.start_link, functools.partial(aio.supervisor.start_link, tree))
    return (yield from _started(step))


@waiting("supervisor:start_child/2")
def start_child(c: Context, of: Any, child: Any) -> Steps:
    args = child if isinstance(child, list) else [_spec(c, child)]
    step = Step(sup.start_child, aio.supervisor.start_child, (of, *args))
    x = yield from _started(step)
    return (OK, UNDEFINED) if x == IGNORE else x


def _changed(step: Step) -> Steps:
    try:
        return (yield step)
    except LookupError:
        raise InitFailed(Atom("not_found")) from None


@waiting("supervisor:terminate_child/2")
def terminate_child(c: Context, of: Any, child: Any) -> Steps:
    return (yield from _done(sup.terminate_child, "terminate_child", of, child))


@waiting("supervisor:delete_child/2")
def delete_child(c: Context, of: Any, child: Any) -> Steps:
    return (yield from _done(sup.delete_child, "delete_child", of, child))


def _done(f: Any, name: str, of: Any, child: Any) -> Steps:
    try:
        yield from _changed(Step(f, getattr(aio.supervisor, name), (of, child)))
    except InitFailed as e:
        return (ERROR, e.reason)
    return OK


@waiting("supervisor:restart_child/2")
def restart_child(c: Context, of: Any, child: Any) -> Steps:
    step = Step(sup.restart_child, aio.supervisor.restart_child, (of, child))
    try:
        pid = yield from _changed(step)
    except AlreadyStarted as e:
        return (ERROR, (Atom("already_started"), e.pid))
    except InitFailed as e:
        return (ERROR, e.reason)
    return (OK, terms.or_undefined(pid))


@waiting("supervisor:get_childspec/2")
def get_childspec(c: Context, of: Any, child: Any) -> Steps:
    """For which Python has no function."""
    return (yield from call(c, of, (Atom("get_childspec"), child)))


@waiting("supervisor:which_children/1")
def which_children(c: Context, of: Any) -> Steps:
    step = Step(sup.which_children, aio.supervisor.which_children, (of,))
    found = yield step
    return [
        (x.id, terms.or_undefined(x.pid), x.type, [Atom(c.module.name)])
        for x in found
    ]


@waiting("supervisor:count_children/1")
def count_children(c: Context, of: Any) -> Steps:
    found = yield Step(sup.count_children, aio.supervisor.count_children, (of,))
    return [(Atom(name), number) for name, number in found.items()]


# -- pg -----------------------------------------------------------------------------


@plain("pg:start/1 pg:start_link/1")
def start_scope(c: Context, scope: Any) -> Any:
    """Scopes need no process and are always there."""
    return (OK, process.self())


@plain("pg:join/3")
def join(c: Context, scope: Any, group: Any, who: Any) -> Any:
    try:
        groups.join(group, who, scope=scope)
    except ValueError:
        raise error("nolocal", who) from None
    return OK


@plain("pg:leave/3")
def leave(c: Context, scope: Any, group: Any, who: Any) -> Any:
    found = groups.leave(group, who, scope=scope)
    return OK if found else Atom("not_joined")


@plain("pg:get_members/2")
def get_members(c: Context, scope: Any, group: Any) -> Any:
    return groups.get_members(group, scope=scope)


@plain("pg:get_local_members/2")
def get_local_members(c: Context, scope: Any, group: Any) -> Any:
    return groups.get_local_members(group, scope=scope)


@plain("pg:which_groups/1")
def which_groups(c: Context, scope: Any) -> Any:
    return groups.which_groups(scope=scope)


@plain("pg:monitor/2")
def monitor_group(c: Context, scope: Any, group: Any) -> Any:
    return groups.monitor(group, scope=scope)


@plain("pg:monitor_scope/1")
def monitor_scope(c: Context, scope: Any) -> Any:
    return groups.monitor_scope(scope=scope)


@plain("pg:demonitor/2")
def demonitor_group(c: Context, scope: Any, ref: Any) -> Any:
    return OK if groups.demonitor(ref, scope=scope) else terms.FALSE
