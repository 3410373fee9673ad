"""Supervisors: processes that start others, and start them again when they end.

    tree = Supervisor(
        [ChildSpec("shop", Shop), ChildSpec("clock", start_clock)],
        strategy="one_for_one", intensity=3, period_ms=5000)
    hornbeam.run(tree)

The rules are those of OTP's supervisor, which is what runs them. Children are
processes of Python or C++: what starts one is called in the name of the supervisor,
so that `spawn_link` and `start_link` link to it.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import itertools
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Iterator,
    Literal,
    NamedTuple,
    Sequence,
    Union,
)

from hornbeam import (
    _context,
    _engine,
    _late,
    _native,
    _outcome,
    _pool,
    _real,
    _spawned,
    _waits,
    gen_server,
    process,
)
from hornbeam.gen_server import AlreadyStarted, GenServer, InitFailed
from hornbeam.values import Atom, Pid, Ref

if TYPE_CHECKING:
    import inspect
    import signal
else:
    inspect = _late.stand_in("inspect", globals())
    signal = _late.stand_in("signal", globals())

Shutdown = Union[int, Literal["infinity", "brutal_kill"], None]

#: As in runtime/otp/supervisor.hpp.
_SHUTDOWNS = {"infinity": -1, "brutal_kill": -2}
_RESTARTS = ("permanent", "transient", "temporary")
_CALL = Atom("$gen_call")


def _refuse(unknown: dict[str, Any], whose: str, word: str) -> None:
    for name in unknown:
        hint = f": it is {word}_ms, in milliseconds" if name == word else ""
        raise TypeError(f"{whose} has no {name}{hint}")


class Child(NamedTuple):
    """A child as `which_children` shows it."""

    id: Any
    #: Or "restarting", or None if it does not run.
    pid: Pid | str | None
    type: str


class ChildSpec:
    """How a child is started, and when again.

    `start` is a `GenServer`, a `Supervisor`, or a function, plain or `async`, which
    starts a process (as by `spawn_link`: linked) and returns its pid, or None if there
    is nothing to start; `args` are its arguments. `restart` says when it is started
    again: "permanent" always, "transient" unless it ended with "normal", "shutdown" or
    ("shutdown", x), "temporary" never. To be stopped it may take `shutdown_ms`
    milliseconds (5000; for supervisors "infinity"), then it is killed;
    "brutal_kill" kills it at once.
    """

    def __init__(
        self,
        id: Any,
        start: Any,
        args: Sequence[Any] = (),
        *,
        restart: Literal["permanent", "transient", "temporary"] = "permanent",
        shutdown_ms: Shutdown = None,
        type: Literal["worker", "supervisor"] | None = None,
        significant: bool = False,
        **unknown: Any,
    ) -> None:
        _refuse(unknown, "a child", "shutdown")
        self.id = id
        self.start = start
        self.args = tuple(args)
        self.restart: str = restart
        self.shutdown_ms: Shutdown = shutdown_ms
        self.type: str | None = type
        self.significant = significant
        self._check()

    def _check(self) -> None:
        if not callable(self.start) and not isinstance(self.start, Supervisor):
            raise TypeError(
                f"start of the child {self.id!r} must be a GenServer, a Supervisor or "
                f"a function, not {type(self.start).__name__}"
            )
        if self.restart not in _RESTARTS:
            raise ValueError(
                f"restart of the child {self.id!r} must be one of "
                f"{', '.join(map(repr, _RESTARTS))}, not {self.restart!r}"
            )
        if self.type not in (None, "worker", "supervisor"):
            raise ValueError(
                f"type of the child {self.id!r} must be 'worker' or 'supervisor', "
                f"not {self.type!r}"
            )
        ms = self.shutdown_ms
        if ms is None or (isinstance(ms, str) and ms in _SHUTDOWNS):
            return
        if isinstance(ms, bool) or not isinstance(ms, int) or ms < 0:
            raise ValueError(
                f"shutdown_ms of the child {self.id!r} must be milliseconds, "
                f"'infinity' or 'brutal_kill', not {ms!r}"
            )

    def _is_supervisor(self) -> bool:
        if self.type is not None:
            return self.type == "supervisor"
        return isinstance(self.start, Supervisor)

    def _starter(self) -> Callable[..., Any]:
        start: Any = self.start
        if isinstance(start, Supervisor):
            tree = start
            if type(tree).start_link is not Supervisor.start_link:
                return tree.start_link
            return _awaited(lambda: tree._start_steps(True))
        if isinstance(start, type) and issubclass(start, GenServer):
            if _function_of(start.start_link) is not _function_of(GenServer.start_link):
                return functools.partial(start.start_link, *self.args)
            return _awaited(
                lambda *more: gen_server._start(
                    start, (*self.args, *more), None, None, True
                )
            )
        return functools.partial(start, *self.args)


def _function_of(method: Any) -> Any:
    return method.__func__


def _awaited(steps: Callable[..., Any]) -> Callable[..., Any]:
    """What waits, as a coroutine function."""

    async def start(*more: Any) -> Any:
        return await _waits.on_loop(steps(*more))

    return start


class Supervisor:
    """What is to be started: a supervisor with these children, from the first to the
    last; they are stopped in reverse.

    When a child ends and its `restart` says so, it is started again, with
    "one_for_one" alone, with "one_for_all" together with all others, with
    "rest_for_one" with those behind it. More than `intensity` restarts within
    `period_ms` milliseconds: the supervisor gives up, stops all and ends with
    "shutdown". With `auto_shutdown`, it also ends when a significant child
    ("any_significant") or all of them ("all_significant") have ended by themselves.
    """

    def __init__(
        self,
        children: Sequence[ChildSpec] = (),
        *,
        strategy: Literal["one_for_one", "one_for_all", "rest_for_one"] = "one_for_one",
        intensity: int = 1,
        period_ms: int = 5000,
        auto_shutdown: Literal[
            "never", "any_significant", "all_significant"
        ] = "never",
        name: str | None = None,
        **unknown: Any,
    ) -> None:
        _refuse(unknown, "a supervisor", "period")
        for x in children:
            if not isinstance(x, ChildSpec):
                raise TypeError(
                    f"a supervisor's children are ChildSpecs, not {type(x).__name__}"
                )
        self.children = list(children)
        self.strategy: str = strategy
        self.intensity = intensity
        self.period_ms = period_ms
        self.auto_shutdown = auto_shutdown
        self.name = name

    def start(self) -> Pid:
        """Start it and its children, and return its pid when all have started.
        Raises `InitFailed` if one does not: those before it have been stopped
        again."""
        return _waits.here(self._start_steps(False))

    def start_link(self) -> Pid:
        """As `start`; linked to the caller, or to the supervisor that starts it."""
        return _waits.here(self._start_steps(True))

    def _start_steps(self, link: bool) -> Any:
        pid, tag, linked = self._spawn(link)
        ref = process.monitor(pid)
        return (yield from gen_server.started(pid, tag, ref, None, linked))

    def _start_watched(self) -> Any:
        """Start it, and monitor it from its first moment: `(pid, ref)`."""
        pid, tag, linked = self._spawn(False)
        watch, ref = process.monitor(pid), process.monitor(pid)
        try:
            yield from gen_server.started(pid, tag, ref, None, linked)
        except BaseException:
            if process.is_alive(process.self()):
                process.demonitor(watch, flush=True)
            raise
        return pid, watch

    def _spawn(self, link: bool) -> tuple[Pid, Ref, bool]:
        me = process.self()
        parent = (_spawned.supervisor.get() or me) if link else None
        tag = process.make_ref()
        python = _starter()
        specs = [_noted(x) for x in self.children]
        pid = _native.spawn_supervisor(
            self.strategy,
            self.intensity,
            self.period_ms,
            self.auto_shutdown,
            specs,
            python,
            self.name or "",
            parent,
            me,
            tag,
        )
        _trees.add(pid)
        process.send(python, ("watch", pid, [x[1] for x in specs]))
        return pid, tag, parent == me


class DynamicSupervisor(Supervisor):
    """A supervisor of any number of children that are all started in one way, with
    other arguments: `start_child(supervisor, *args)`. They are stopped all at once."""

    def __init__(
        self,
        start: Any,
        args: Sequence[Any] = (),
        *,
        restart: Literal["permanent", "transient", "temporary"] = "permanent",
        shutdown_ms: Shutdown = None,
        intensity: int = 1,
        period_ms: int = 5000,
        name: str | None = None,
    ) -> None:
        spec = ChildSpec(
            "child", start, args, restart=restart, shutdown_ms=shutdown_ms
        )
        super().__init__(
            [spec], intensity=intensity, period_ms=period_ms, name=name
        )
        self.strategy = "simple_one_for_one"


# -- who calls the functions that start children --------------------------------

_starts: dict[int, Callable[..., Any]] = {}
_keys = itertools.count(1)
_lock = _real.threading().Lock()
_starter_pid: Pid | None = None
#: The supervisors that run.
_trees: set[Pid] = set()


def _noted(x: ChildSpec) -> tuple[Any, ...]:
    """A child as the native module takes it."""
    key = next(_keys)
    _starts[key] = x._starter()
    ms = _SHUTDOWNS[x.shutdown_ms] if isinstance(x.shutdown_ms, str) else x.shutdown_ms
    return (x.id, key, x.restart, ms, x._is_supervisor(), x.significant)


def _starter() -> Pid:
    """The process that starts children: one in each node."""
    global _starter_pid
    with _lock:
        if _starter_pid is None or not process.is_alive(_starter_pid):
            _starter_pid = process.spawn(_serve_starts)
        return _starter_pid


async def _serve_starts() -> None:
    kept: dict[Ref, tuple[Any, list[int]]] = {}
    #: What runs, by its monitor: for which supervisor, under which reference.
    running: dict[Ref, tuple[Pid, Ref]] = {}
    ref: Ref
    while True:
        match await _waits.on_loop(_waits.receive(None, None, tuple)):
            case ("start", Ref() as ref, Pid() as supervisor, int() as key, extra):
                _, mine = process.spawn_monitor(_start_one, ref, supervisor, key, extra)
                running[mine] = supervisor, ref
            case ("watch", whose, keys):
                kept[process.monitor(whose)] = (whose, keys)
            case ("DOWN", Ref() as ref, _, _, reason) if ref in running:
                supervisor, ref = running.pop(ref)
                if reason != "normal":  # it has been ended by others
                    process.send(supervisor, (ref, (Atom("error"), reason)))
            case ("DOWN", Ref() as ref, _, _, _) if ref in kept:
                whose, keys = kept.pop(ref)
                _trees.discard(whose)
                for key in keys:
                    _starts.pop(key, None)


async def _start_one(ref: Ref, supervisor: Pid, key: int, extra: list[Any]) -> None:
    _spawned.supervisor.set(supervisor)
    ok, found = await _outcome.of_awaitable(_started_by(key, extra))
    if not ok:
        result: Any = (Atom("error"), _reason_of_failure(supervisor, found))
    elif found is None:
        result = Atom("ignore")
    elif isinstance(found, Pid):
        result = (Atom("ok"), found)
    else:
        what = f"start must return a Pid or None, not {type(found).__name__}"
        result = (Atom("error"), (Atom("bad_return"), what))
    try:
        process.send(supervisor, (ref, result))
    except (TypeError, ValueError):  # a reason that is no term
        process.send(supervisor, (ref, (Atom("error"), _spawned.text_of(result[1]))))


async def _started_by(key: int, extra: list[Any]) -> Any:
    start = _starts[key]
    if _spawned.is_coroutine_function(start):
        return await start(*extra)
    context = contextvars.copy_context()
    found = _outcome.value(await _pool.in_thread(start, *extra, context=context))
    return await found if inspect.iscoroutine(found) else found


def _reason_of_failure(supervisor: Pid, e: BaseException) -> Any:
    if isinstance(e, AlreadyStarted):
        return (Atom("already_started"), e.pid)
    if isinstance(e, InitFailed):
        return e.reason
    _spawned.report(supervisor, "start of a child", e)
    return _spawned.reason_of(e)


# -- for those who use one ----------------------------------------------------


def _ask(supervisor: Any, *request: Any) -> Any:
    operation = (Atom(request[0]), *request[1:])
    return (yield from gen_server.ask(_CALL, supervisor, operation, None))


def _result(x: Any) -> Any:
    """Of `{ok, Pid}`, `ok` or `{error, Reason}`."""
    if type(x) is tuple and x[0] == "error":
        reason = x[1]
        if type(reason) is tuple and reason[0] == "already_started":
            raise AlreadyStarted(reason[1])
        raise InitFailed(reason)
    if type(x) is tuple:
        return None if x[1] == "undefined" else x[1]
    return None


def start_child(supervisor: Any, *child: Any) -> Pid | None:
    """Add a child and start it: a `ChildSpec`, to a supervisor of this node; for a
    `DynamicSupervisor` the arguments of one. Returns its pid. Raises `AlreadyStarted`
    or `InitFailed`."""
    return _waits.here(_start_child(supervisor, child))


def _start_child(supervisor: Any, child: tuple[Any, ...]) -> Any:
    if len(child) != 1 or not isinstance(child[0], ChildSpec):
        return _result((yield from _ask(supervisor, "start_child", list(child))))
    found = _of_this_node(supervisor)
    python = _starter()
    spec = _noted(child[0])
    what = _native.hand_over_child(spec, python)
    # With whom the function goes that starts it. As long as nobody has answered, that
    # is the supervisor: it may do what was asked though nobody waits any more.
    goes_with: Pid | None = found
    try:
        made = _result((yield from _ask(found, "start_child", what)))
        if child[0].restart == "temporary":  # nobody starts that again
            goes_with = made
    except Exception as e:
        if not isinstance(e, gen_server.CallTimeout):
            goes_with = None
        raise
    finally:
        if goes_with is None:
            _starts.pop(spec[1], None)
        else:  # also if whoever asks has been ended, and can't send any more
            _native.send_by_nobody(python, ("watch", goes_with, [spec[1]]))
    return made


def _of_this_node(supervisor: Any) -> Pid:
    """Who is to call a function of this process, if that lives."""
    found = supervisor
    if type(found) is tuple and len(found) == 2 and found[1] == _native.name():
        found = found[0]
    if isinstance(found, str):
        found = process.whereis(found)
    try:
        alive = found is not None and process.is_alive(found)
    except (TypeError, ValueError):
        raise ValueError(
            "a ChildSpec is for a supervisor of this node, since its function can't be "
            f"sent, not for {supervisor!r}"
        ) from None
    if not alive:
        raise gen_server.CallError(Atom("noproc"), supervisor, Atom("start_child"))
    return found


def terminate_child(supervisor: Any, child: Any) -> None:
    """Stop a child: by its id, under a `DynamicSupervisor` by its pid. Raises
    `LookupError` if there is none."""
    _waits.here(_change(supervisor, "terminate_child", child))


def restart_child(supervisor: Any, child: Any) -> Pid | None:
    """Start a child again that was stopped."""
    return _waits.here(_change(supervisor, "restart_child", child))


def delete_child(supervisor: Any, child: Any) -> None:
    """Forget a child that was stopped."""
    _waits.here(_change(supervisor, "delete_child", child))


def _change(supervisor: Any, what: str, child: Any) -> Any:
    found = yield from _ask(supervisor, what, child)
    if found == (Atom("error"), Atom("not_found")):
        raise LookupError(f"the supervisor has no child {child!r}")
    return _result(found)


def which_children(supervisor: Any) -> list[Child]:
    """The children, the last one first."""
    return _waits.here(_which_children(supervisor))


def _which_children(supervisor: Any) -> Any:
    return children_of((yield from _ask(supervisor, "which_children")))


def children_of(answer: Any) -> list[Child]:
    return [Child(x[0], None if x[1] == "undefined" else x[1], x[2]) for x in answer]


def count_children(supervisor: Any) -> dict[str, int]:
    """How many: specs, active, supervisors, workers."""
    return _waits.here(_count_children(supervisor))


def _count_children(supervisor: Any) -> Any:
    found = yield from _ask(supervisor, "count_children")
    return {str(name): number for name, number in found}


# -- a tree and its program -----------------------------------------------------


def run(
    tree: Supervisor, *, on_give_up: Callable[[Any], int | None] | None = None
) -> None:
    """Start a supervisor, and wait until it ends. Ctrl-C stops it, from the last child
    to the first, and returns; SIGTERM does the same and leaves Python with the exit
    code 0 (`SystemExit`). Half a second later a second Ctrl-C is a `KeyboardInterrupt`.
    Of both signals, one for which the program has a handler of its own is left to that;
    `SystemExit` stops the tree as well.

    If the tree gives up, Python is left with the exit code 1. `on_give_up`, called with
    the reason, decides that otherwise: it returns the code, or None, and then `run`
    returns, as it does when somebody stops the tree with the reason "normal".
    """
    tag = process.make_ref()
    with _signals_as(tag):
        pid, ref = _waits.here(tree._start_watched())

        def is_news(x: Any) -> bool:
            if type(x) is not tuple or len(x) < 2:
                return False
            return any(isinstance(y, Ref) and y in (tag, ref) for y in x[:2])

        left: SystemExit | None = None
        try:
            got = process.receive(match=is_news)
        except KeyboardInterrupt:
            got = (tag, "interrupted")
        except SystemExit as e:  # of a handler that the program has for a signal
            got, left = (tag, "left"), e
        if got[0] == tag:
            process.demonitor(ref, flush=True)
            _stop(pid)
            if left is not None:
                raise left
            if got[1] == "terminated":
                raise SystemExit(0)
            return
    reason = got[4]
    if reason == "normal":
        return
    code = 1 if on_give_up is None else on_give_up(reason)
    if code is not None:
        raise SystemExit(code)


def stop_tree(pid: Pid) -> None:
    """Stop a supervisor that may have ended already."""
    _waits.here(_stop_tree(pid))


def _stop_tree(pid: Pid) -> Any:
    with contextlib.suppress(gen_server.CallError):
        yield from gen_server._stop(pid, "shutdown", None)


@contextlib.contextmanager
def _signals_as(tag: Ref) -> Iterator[None]:
    """Have the first SIGINT or SIGTERM be a message `(tag, what)` to whoever calls: so
    one that comes while a tree starts does not leave half of it behind."""
    threading = _real.threading()
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    me = process.self()
    told = False

    def tell(number: int, _: Any) -> None:
        nonlocal told
        if not told:
            told = True
            what = "terminated" if number == signal.SIGTERM else "interrupted"
            process.send(me, (tag, what))
        elif number == signal.SIGINT:
            raise KeyboardInterrupt

    defaults: dict[int, Any] = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
    }
    ours = {x: f for x, f in defaults.items() if signal.getsignal(x) is f}
    for number in ours:
        signal.signal(number, tell)
    try:
        yield
    finally:
        for number, before in ours.items():
            signal.signal(number, before)


#: Milliseconds in which a second Ctrl-C belongs to the first.
_ONE_SIGNAL_MS = 500


def _stop(pid: Pid) -> None:
    again = _context.Until(_ONE_SIGNAL_MS)
    while True:
        try:
            stop_tree(pid)
        except KeyboardInterrupt:
            if not again.left_ms():
                raise
            continue
        return


def _leave() -> None:
    # Else they would start again, in vain, what ends with Python. Those above come
    # first: they are older.
    trees = sorted(_trees, key=lambda pid: pid.serial)
    if not trees:
        return
    box = _native.Mailbox()
    for pid in trees:
        _native.exit(box, pid, "kill")
    box.close()


def _forked() -> None:
    global _starter_pid, _lock
    _starter_pid = None
    _lock = _real.threading().Lock()
    _starts.clear()
    _trees.clear()


_engine.on_leave.append(_leave)
_engine.on_fork.append(_forked)
