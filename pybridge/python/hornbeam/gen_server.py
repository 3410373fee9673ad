"""Servers as OTP's gen_server: a process with a state, that answers calls and takes
casts one at a time.

    class Counter(GenServer):
        def init(self, first):
            self.count = first

        def handle_call(self, request, caller):
            self.count += request
            return self.count

    counter = Counter.start_link(10)
    gen_server.call(counter, 5)  # 15

The state is the instance's attributes. A callback that is a coroutine function runs
in the process itself; any other in a thread of the pool, or, with `inline = True`, in
the process, where it holds up all other coroutines. At most one of them runs.

What a callback wants next is told by what it returns: `handle_call` the reply, or
`NO_REPLY`, `Reply` or `Stop`; the others None, `Next` or `Stop`. An exception ends the
server, after `terminate`.

Servers of C++ and of other nodes are called in the same way; in coroutines use
`hornbeam.aio.gen_server`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, TypeVar

from hornbeam import (
    _context,
    _late,
    _native,
    _outcome,
    _owner,
    _pool,
    _spawned,
    _waits,
    errors,
    process,
)
from hornbeam.errors import HornbeamError, HornbeamTimeout
from hornbeam.values import Atom, Pid, Ref

if TYPE_CHECKING:
    import inspect

    from hornbeam._waits import Steps
else:
    inspect = _late.stand_in("inspect", globals())

T = TypeVar("T")

_CALL, _CAST, _SYSTEM = Atom("$gen_call"), Atom("$gen_cast"), Atom("system")
_OK, _ERROR, _IGNORE, _ACK = Atom("ok"), Atom("error"), Atom("ignore"), Atom("ack")


# -- what callbacks return ----------------------------------------------------


class _Word:
    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name

    def __reduce__(self) -> str:  # a copy is the same one
        return self._name


#: From `handle_call`: somebody will call `caller.reply`.
NO_REPLY: Final = _Word("NO_REPLY")
#: From `init`: nothing is started, and that is no error.
IGNORE: Final = _Word("IGNORE")
_UNSET: Final = _Word("_UNSET")


class Next:
    """What comes next: `handle_continue(then)` before anything else, and
    `handle_info("timeout")` if nothing comes for `timeout_ms` milliseconds."""

    def __init__(self, *, then: Any = _UNSET, timeout_ms: float | None = None) -> None:
        self.then = then
        self.timeout_ms = timeout_ms


class Reply(Next):
    """A reply, and what comes next."""

    def __init__(
        self, value: Any, *, then: Any = _UNSET, timeout_ms: float | None = None
    ) -> None:
        super().__init__(then=then, timeout_ms=timeout_ms)
        self.value = value


class Stop:
    """The end of the server, for `reason`; a caller gets `reply` first."""

    def __init__(self, reason: Any = "normal", *, reply: Any = _UNSET) -> None:
        self.reason = reason
        self.reply = reply


class Caller(NamedTuple):
    """Who waits for an answer. It can be kept, and sent."""

    pid: Pid
    tag: Any

    def reply(self, answer: Any) -> None:
        """Answer the call; what comes too late is dropped."""
        if isinstance(self.tag, Ref) and self.tag.owner:
            process.send(self.tag, (self.tag, answer))
        else:
            process.send(self.pid, (self.tag, answer))


# -- errors -------------------------------------------------------------------

# Their arguments are what they are made of, since pools of processes make them anew
# from these; some wait for ever for an answer that they can't read.


class CallError(HornbeamError):
    """A call could not be answered. `reason` is what Erlang says: "noproc",
    "calling_self", ("nodedown", node) or the reason of the server's end."""

    def __init__(
        self, reason: Any, server: Any, request: Any, exit_reason: Any = None
    ) -> None:
        super().__init__(reason, server, request, exit_reason)
        self.reason = reason
        self.server = server
        #: With which a process ends that does not catch this.
        self.exit_reason = exit_reason or (
            reason,
            (Atom("gen_server"), Atom("call"), [server, request]),
        )

    def __str__(self) -> str:
        return f"the call of {self.server!r} failed: {_shown(self.reason)}"


class CallTimeout(CallError, HornbeamTimeout):
    """No answer came in time; one that comes later is dropped."""

    def __init__(self, server: Any, request: Any, exit_reason: Any = None) -> None:
        super().__init__(Atom("timeout"), server, request, exit_reason)
        self.args = (server, request, exit_reason)


class AlreadyStarted(HornbeamError):
    """The name is taken: by `pid`."""

    def __init__(self, pid: Pid) -> None:
        super().__init__(pid)
        self.pid = pid

    def __str__(self) -> str:
        return f"it runs already: {self.pid!r}"


class InitFailed(HornbeamError):
    """The server did not start: `reason` is that of its end."""

    def __init__(self, reason: Any) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"it did not start: {_shown(self.reason)}"


def _shown(reason: Any) -> str:
    """A reason in a line: of an exception without its traceback."""
    what = reason[0] if isinstance(reason, tuple) and len(reason) == 2 else None
    if isinstance(what, str) and what == "not_allowed":
        return f"its node allows that only with {reason[1]} = true in [cluster]"
    if isinstance(what, tuple) and len(what) == 2 and isinstance(reason[1], str):
        return f"{what[0]}: {what[1]}"
    return str(reason) if isinstance(reason, str) else repr(reason)


# -- the server ---------------------------------------------------------------


class GenServer:
    """Derive from it; see the module. Instances are made by `start` and
    `start_link` alone, in the server's process."""

    #: Whether callbacks that are no coroutines run in the process itself.
    inline: ClassVar[bool] = False

    def init(self, *args: Any) -> Any:
        """The beginning, with the arguments of `start`."""

    def handle_call(self, request: Any, caller: Caller) -> Any:
        """Answer a request: what is returned is the reply."""
        raise NotImplementedError(f"{type(self).__qualname__} takes no calls")

    def handle_cast(self, request: Any) -> Any:
        raise NotImplementedError(f"{type(self).__qualname__} takes no casts")

    def handle_info(self, message: Any) -> Any:
        """Any other message, and "timeout"."""

    def handle_continue(self, x: Any) -> Any:
        """What a callback has wanted to come next."""

    def terminate(self, reason: Any) -> Any:
        """Before the end, unless the process is ended from outside without trapping
        exits."""

    def format_status(self) -> Any:
        """What `get_state` shows, and crash reports."""
        return {k: v for k, v in vars(self).items() if not k.startswith("_")}

    @classmethod
    def start(
        cls, *args: Any, name: str | None = None, timeout_ms: float | None = None
    ) -> Pid | None:
        """Start a server and wait until its `init` has returned: its pid, or None if
        that returned `IGNORE`. Raises `AlreadyStarted` if another process has the
        name, `InitFailed` if `init` raised or returned `Stop`."""
        return _waits.here(_start(cls, args, name, timeout_ms, False))

    @classmethod
    def start_link(
        cls, *args: Any, name: str | None = None, timeout_ms: float | None = None
    ) -> Pid | None:
        """As `start`; the server is linked to the caller from its first moment, or
        to the supervisor that starts it."""
        return _waits.here(_start(cls, args, name, timeout_ms, True))


def _start(
    cls: type[GenServer],
    args: tuple[Any, ...],
    name: str | None,
    timeout_ms: float | None,
    link: bool,
) -> Steps:
    me = process.self()
    tag = process.make_ref()
    parent = None
    if link:
        parent = _spawned.supervisor.get() or me
    made = _spawned.spawn(
        _serve, (cls, args, name, parent, me, tag), link=link, monitor=True
    )
    made.name = f"{cls.__module__}.{cls.__qualname__}"
    assert made.monitor is not None
    return (
        yield from started(made.pid, tag, made.monitor, timeout_ms, parent == me)
    )


def started(
    pid: Pid, tag: Ref, ref: Ref, timeout_ms: float | None, linked: bool
) -> Steps:
    """Wait for `(ack, tag, result)` or the end of the process, whose exit message is
    taken out of the mailbox if it is `linked` to the caller."""

    def is_answer(x: Any) -> bool:
        return (
            type(x) is tuple
            and len(x) > 1
            and isinstance(x[1], Ref)
            and (x[1] == tag or x[1] == ref)
        )

    got: Any = _waits.NOTHING
    try:
        got = yield _waits.Look(None, is_answer, timeout_ms)
    finally:
        if got is _waits.NOTHING:  # nobody will hear of it
            process.unlink(pid)
            process.exit(pid, "kill")
            process.demonitor(ref, flush=True)
    if got is _waits.NOTHING:
        raise errors.no_answer("the start of a server")
    if got[1] == ref:
        if linked:
            process.unlink(pid)
            yield _waits.Look(None, lambda x: _is_exit_of(pid, x), 0)
        raise InitFailed(got[4])
    process.demonitor(ref, flush=True)
    result = got[2]
    if result == _IGNORE:
        return None
    if result[0] == _OK:
        return result[1]
    reason = result[1]
    if isinstance(reason, tuple) and reason[:1] == ("already_started",):
        raise AlreadyStarted(reason[1])
    raise InitFailed(reason)


async def _serve(
    cls: type[GenServer],
    args: tuple[Any, ...],
    name: str | None,
    parent: Pid | None,
    starter: Pid,
    tag: Ref,
) -> None:
    def refuse(result: Any) -> None:
        if parent is not None:
            process.unlink(parent)  # what is refused leaves no exit signal
        process.send(starter, (_ACK, tag, result))

    if name is not None:
        try:
            process.register(name)
        except ValueError:
            other = process.whereis(name)
            if other is None:
                raise
            refuse((_ERROR, (Atom("already_started"), other)))
            return
    server = _Server(cls, parent)
    try:
        step = await server.run("init", *args)
        if not (step is None or step is IGNORE or isinstance(step, (Next, Stop))):
            raise _wrong("init", step)
    except BaseException as e:
        server.refuse_end(e)
        _spawned.report(process.self(), cls.__qualname__, e)
        step = Stop(_spawned.reason_of(e))
    if step is IGNORE or isinstance(step, Stop):
        if name is not None:
            process.unregister(name)  # free before the starter hears of it
        if isinstance(step, Stop):
            refuse((_ERROR, step.reason))
            process.exit(step.reason)
        refuse(_IGNORE)
        return
    process.send(starter, (_ACK, tag, (_OK, process.self())))
    await server.serve(step)


def _wrong(callback: str, x: Any) -> TypeError:
    return TypeError(
        f"{callback} must return None, Next or Stop, not {type(x).__name__}"
    )


def _head(x: tuple[Any, ...]) -> str | None:
    """The word that a message begins with: the first of others may be anything, such
    as an array, which compares with nothing."""
    return x[0] if x and isinstance(x[0], str) else None


def _is_question(x: tuple[Any, ...], kind: str) -> bool:
    """Whether a message is `(kind, caller, _)`: what another may look like is no
    question, since nobody could be answered."""
    if len(x) != 3 or _head(x) != kind:
        return False
    caller = x[1]
    return type(caller) is tuple and len(caller) == 2 and isinstance(caller[0], Pid)


def _is_exit_of(pid: Pid, x: Any) -> bool:
    return (
        type(x) is tuple
        and len(x) == 3
        and _head(x) == "EXIT"
        and isinstance(x[1], Pid)
        and x[1] == pid
    )


def _sendable(x: Any) -> bool:
    try:
        _native.check_sendable(x)
    except Exception:
        return False
    return True


class _End(Exception):
    def __init__(self, reason: Any, answer: tuple[Caller, Any] | None = None) -> None:
        self.reason = reason
        self.answer = answer


class _Server:
    """The code of a server's process."""

    def __init__(self, cls: type[GenServer], parent: Pid | None) -> None:
        self.impl = cls()
        self.parent = parent
        self.owner = _owner.owner()
        self.suspended = False
        self.timeout_ms: float | None = None
        #: Of callbacks: what they were when called last, and how they run.
        self.known: dict[str, tuple[Any, str]] = {}

    def way(self, callback: str, f: Any, code: Any) -> str:
        if inspect.iscoroutinefunction(f):
            return "awaited"
        # What the class has not defined does nothing that could hold others up.
        if self.impl.inline or code is getattr(GenServer, callback):
            return "inline"
        return "pooled"

    async def run(self, callback: str, *args: Any) -> Any:
        f = getattr(self.impl, callback)
        code = getattr(f, "__func__", f)
        before, how = self.known.get(callback, (None, ""))
        if before is not code:
            how = self.way(callback, f, code)
            self.known[callback] = code, how
        if how == "awaited":
            return await f(*args)
        if how == "inline":
            return f(*args)
        ok, value = await _pool.in_thread(_owner.call_as, self.owner, f, *args)
        return _outcome.value((ok, value))

    async def serve(self, step: Any) -> None:
        try:
            await self.follow("init", step)
            while True:
                message = await self.next_message()
                await self.take(message)
        except _End as end:
            reason, answer = end.reason, end.answer
            error: BaseException | None = None
        except BaseException as e:
            self.refuse_end(e)
            reason, answer, error = _spawned.reason_of(e), None, e
        try:
            await self.run("terminate", reason)
        except BaseException as e:
            self.refuse_end(e)
            reason, error = _spawned.reason_of(e), e
        if error is not None:
            name = f"{type(self.impl).__module__}.{type(self.impl).__qualname__}"
            _spawned.report(process.self(), name, error)
        if answer is not None:
            answer[0].reply(answer[1])
        process.exit(reason)

    def refuse_end(self, e: BaseException) -> None:
        """Go on with `e` if it says that the process has been ended from outside:
        nothing of its code runs then."""
        if isinstance(e, GeneratorExit) or not self.owner.lives():
            raise e

    async def next_message(self) -> Any:
        match: Any = self.even_if_suspended if self.suspended else ...
        wait = None if self.suspended else self.timeout_ms
        got = await _waits.on_loop(_waits.receive(wait, _waits.NOTHING, match))
        return "timeout" if got is _waits.NOTHING else got

    def even_if_suspended(self, x: Any) -> bool:
        return type(x) is tuple and (_is_question(x, _SYSTEM) or self.from_parent(x))

    def from_parent(self, x: Any) -> bool:
        return self.parent is not None and _is_exit_of(self.parent, x)

    async def take(self, message: Any) -> None:
        if type(message) is tuple:
            head = _head(message)
            if head == _CALL and _is_question(message, _CALL):
                caller = Caller(*message[1])
                answer = await self.run("handle_call", message[2], caller)
                await self.answer(caller, answer)
                return
            if len(message) == 2 and head == _CAST:
                step = await self.run("handle_cast", message[1])
                await self.follow("handle_cast", step)
                return
            if head == _SYSTEM and _is_question(message, _SYSTEM):
                self.system(Caller(*message[1]), message[2])
                return
            if self.from_parent(message):
                raise _End(message[2])
        step = await self.run("handle_info", message)
        await self.follow("handle_info", step)

    async def answer(self, caller: Caller, x: Any) -> None:
        if isinstance(x, Stop):
            late = None if x.reply is _UNSET else (caller, x.reply)
            raise _End(x.reason, late)  # `terminate` comes first, as in OTP
        if isinstance(x, Next):
            if isinstance(x, Reply):
                caller.reply(x.value)
            await self.follow("handle_call", x)
            return
        self.timeout_ms = None
        if x is not NO_REPLY:
            caller.reply(x)

    async def follow(self, callback: str, step: Any) -> None:
        while True:
            if isinstance(step, Stop):
                raise _End(step.reason)
            if step is None:
                self.timeout_ms = None
                return
            if not isinstance(step, Next) or isinstance(step, Reply):
                if callback != "handle_call":
                    raise _wrong(callback, step)
            self.timeout_ms = step.timeout_ms
            if step.then is _UNSET:
                return
            callback = "handle_continue"
            step = await self.run(callback, step.then)

    def status(self) -> Any:
        """What `format_status` says, as far as it can be sent: who looks at a server
        does not end it."""
        try:
            found = self.impl.format_status()
        except Exception as e:
            return f"<format_status raised {type(e).__name__}: {e}>"
        if _sendable(found):
            return found
        if type(found) is not dict:
            return _spawned.text_of(found)
        return {
            k if _sendable(k) else _spawned.text_of(k): (
                v if _sendable(v) else _spawned.text_of(v)
            )
            for k, v in found.items()
        }

    def system(self, caller: Caller, request: Any) -> None:
        match request:  # of which each part may be anything, as an array
            case str("get_state"):
                caller.reply(self.status())
            case str("suspend" | "resume"):
                self.suspended = request == "suspend"
                caller.reply(_OK)
            case tuple((str("replace_state"), state)):
                caller.reply(self.replace_state(state))
            case tuple((str("terminate"), reason)):
                caller.reply(_OK)
                raise _End(reason)
            case _:
                caller.reply((_ERROR, (Atom("unknown"), request)))

    def replace_state(self, state: Any) -> Any:
        if type(state) is dict and all(isinstance(x, str) for x in state):
            vars(self.impl).update({str(k): v for k, v in state.items()})
            return _OK
        what = "a dict of attributes, with their names, replaces those of a server"
        return (_ERROR, (Atom("bad_state"), what))


# -- for those who use one ----------------------------------------------------


def call(server: Any, request: Any, timeout_ms: float | None = 5000) -> Any:
    """Ask a server and wait for its answer. It is a pid, a name of this node or
    `(name, node)`; a timeout of None waits as long as it takes. Raises `CallError`,
    and `CallTimeout` if the answer does not come in time."""
    return _waits.here(_call(server, request, timeout_ms))


def _call(server: Any, request: Any, timeout_ms: float | None) -> Steps:
    return (yield from ask(_CALL, server, request, timeout_ms))


def ask(kind: Atom, server: Any, request: Any, timeout_ms: float | None) -> Steps:
    """Put a question as `gen` does."""

    def failed(reason: Any) -> CallError:
        if kind is not _SYSTEM:
            return CallError(reason, server, request)
        why = (reason, (Atom("sys"), request, [server]))
        return CallError(reason, server, request, why)

    time = _waits.check_timeout(timeout_ms)
    me = process.self()
    found = _found(server)
    if found is None:
        raise failed(Atom("noproc"))
    if found == me:
        raise failed(Atom("calling_self"))
    ref = process.monitor(found, alias="reply_demonitor")
    answered = False
    try:
        process.send(found, (kind, (me, ref), request))
        got = yield _waits.Look(ref, None, time)
        answered = got is not _waits.NOTHING
    finally:
        if not answered:
            process.demonitor(ref, flush=True)
    if not answered:
        raise CallTimeout(server, request, failed(Atom("timeout")).exit_reason)
    if got[0] == ref:
        return got[1]
    raise failed(_end_of(found, got[4]))


def _found(server: Any) -> Any:
    """Who has the name, if it is one of this node."""
    if type(server) is tuple and len(server) == 2 and server[1] == _native.name():
        server = server[0]
    return process.whereis(server) if isinstance(server, str) else server


def _end_of(server: Any, reason: Any) -> Any:
    """The reason of a down message, as callers of the server hear it."""
    if reason != "noconnection":
        return reason
    return (Atom("nodedown"), Atom(getattr(server, "node", None) or server[1]))


def cast(server: Any, request: Any) -> None:
    """Tell a server something. Always succeeds, whether anybody is there or not."""
    try:
        process.send(server, (_CAST, request))
    except errors.NotFoundError:
        pass


def stop(
    server: Any, reason: Any = "normal", timeout_ms: float | None = None
) -> None:
    """Have a server end with `reason`, and wait until it has. Raises `CallError`
    with the reason if it ends with another one."""
    _waits.here(_stop(server, reason, timeout_ms))


def _stop(server: Any, reason: Any, timeout_ms: float | None) -> Steps:
    request = (Atom("terminate"), reason)
    found = _found(server)

    def failed(why: Any) -> CallError:
        time = Atom("infinity") if timeout_ms is None else timeout_ms
        call = (Atom("sys"), Atom("terminate"), [found, reason, time])
        return CallError(why, server, request, (why, call))

    time = _waits.check_timeout(timeout_ms)
    if found is None:
        raise CallError(Atom("noproc"), server, request, Atom("noproc"))
    if found == process.self():
        raise failed(Atom("calling_self"))
    until = _context.Until(time)
    ref = process.monitor(found, alias="explicit_unalias")
    taken = gone = False
    try:
        process.send(found, (_SYSTEM, (process.self(), ref), request))
        while not gone:  # the server's "ok" comes first, if it comes at all
            got = yield _waits.Look(ref, None, until.left_ms())
            if got is _waits.NOTHING:
                raise CallTimeout(server, request, Atom("timeout"))
            gone = got[0] == "DOWN"
            taken = taken or not gone
    finally:
        process.unalias(ref)
        process.demonitor(ref, flush=True)
    why = got[4]
    if taken and why == reason:
        return
    if taken or why == "noproc":
        raise CallError(why, server, request, why)
    raise failed(_end_of(found, why))


def get_state(server: Any, timeout_ms: float | None = 5000) -> Any:
    """What `format_status` of a server says; C++ servers show their state. Raises as
    `call`, also if it is one of another node that has no `remote_debug`."""
    return _waits.here(ask_system(server, Atom("get_state"), timeout_ms))


def ask_system(server: Any, request: Any, timeout_ms: float | None) -> Steps:
    """Put a question as `sys` does."""
    found = yield from ask(_SYSTEM, server, request, timeout_ms)
    if _is_error(found) and _is_error(found[1], "not_allowed"):
        raise CallError(found[1], server, request)
    return found


def _is_error(x: Any, word: str = "error") -> bool:
    return type(x) is tuple and len(x) == 2 and _head(x) == word
