"""A state that processes share, as Elixir's Agent: a server that holds it, and calls
the functions that others give it, one at a time.

    counts = StateHolder.start(dict, name="counts")
    state_holder.update(counts, lambda x: x | {"a": 1})
    state_holder.get("counts", len)  # 1

A function runs in the holder's process: a coroutine function on the node's event loop,
any other in a thread of the pool, or in the process as well if the class has `inline =
True`. It gets the state itself; what it returns to the caller is copied, as each
message. What it raises ends the holder, as with every server, and the caller gets
`CallError`.

Functions stay in this Python: at a holder of another node there are `get` without one,
and `put`. In coroutines use `hornbeam.aio.state_holder`.
"""

from __future__ import annotations

import itertools
import weakref
from typing import Any, Callable

from hornbeam import (
    _native,
    _outcome,
    _owner,
    _pool,
    _spawned,
    _waits,
    gen_server,
    process,
)
from hornbeam._waits import Steps
from hornbeam.gen_server import Caller, CallError, GenServer
from hornbeam.values import Atom, Pid

__all__ = ["StateHolder", "cast", "get", "get_and_update", "put", "update"]

_keys = itertools.count(1)
#: Those of this Python, in which functions wait for their turn.
_holders: weakref.WeakValueDictionary[Pid, StateHolder]
_holders = weakref.WeakValueDictionary()


class StateHolder(GenServer):
    """`StateHolder.start(f, *args, name=None)` and `start_link` start one whose first
    state is `f(*args)`, as with each `GenServer`; a supervisor's child is
    `ChildSpec(id, StateHolder, (f, *args))`."""

    async def init(self, *args: Any) -> None:
        if not args or not callable(args[0]):
            raise TypeError("a StateHolder takes a function that makes its first state")
        self._functions: dict[int, Callable[[Any], Any]] = {}
        self._owner = _owner.owner()
        self.state = await self._apply(*args)
        _holders[process.self()] = self

    async def handle_call(self, request: Any, caller: Caller) -> Any:
        key: int
        match request:
            case (str("put"), value):
                self.state = value
                return _done(None)
            case (str("get"), None):
                return _done(self.state)
            case (str() as what, int() as key) if key in self._functions:
                f = self._functions.pop(key)
                return self._answer(what, await self._apply(f, self.state))
        return (Atom("error"), "a holder of a state takes no such request")

    def _answer(self, what: str, found: Any) -> Any:
        if what == "get":
            return _done(found)
        if what == "update":
            self.state = found
            return _done(None)
        if type(found) is not tuple or len(found) != 2:
            kind = type(found).__name__
            text = f"it must return (what to answer, the new state), not {kind}"
            return (Atom("error"), text)
        answer = _done(found[0])
        if answer[0] == "ok":
            self.state = found[1]
        return answer

    async def handle_cast(self, request: Any) -> None:
        key: int
        match request:
            case (str("update"), int() as key) if key in self._functions:
                f = self._functions.pop(key)
                self.state = await self._apply(f, self.state)

    async def _apply(self, f: Callable[..., Any], *args: Any) -> Any:
        if _spawned.is_coroutine_function(f):
            return await f(*args)
        if self.inline:
            return f(*args)
        outcome = await _pool.in_thread(_owner.call_as, self._owner, f, *args)
        return _outcome.value(outcome)


def _done(x: Any) -> tuple[Any, Any]:
    """`x` as an answer, or why it is none: who asks ends nobody."""
    try:
        _native.check_sendable(x)
    except Exception as e:
        return (Atom("error"), str(e))
    return (Atom("ok"), x)


def get(
    holder: Any,
    f: Callable[[Any], Any] | None = None,
    timeout_ms: float | None = 5000,
) -> Any:
    """`f(state)`, by default all of the state. Raises `TypeError` if that is nothing
    that can be sent, `CallError` if the holder is not there or `f` raises,
    `CallTimeout` if no answer comes within `timeout_ms` milliseconds; None waits as
    long as it takes."""
    return _waits.here(_ask(holder, "get", f, timeout_ms))


def update(
    holder: Any, f: Callable[[Any], Any], timeout_ms: float | None = 5000
) -> None:
    """Have `f(state)` be the state from now on: what `f` returns, whatever it has done
    to the one before. Raises as `get`."""
    _waits.here(_ask(holder, "update", f, timeout_ms))


def get_and_update(
    holder: Any,
    f: Callable[[Any], tuple[Any, Any]],
    timeout_ms: float | None = 5000,
) -> Any:
    """Return `a` and have `b` be the state, of `a, b = f(state)`. Raises as `get`, and
    `TypeError` if `f` returns anything else: then the state is what it was."""
    return _waits.here(_ask(holder, "get_and_update", f, timeout_ms))


def put(holder: Any, state: Any, timeout_ms: float | None = 5000) -> None:
    """Have another state, at any node. Raises as `get`."""
    _waits.here(_put(holder, state, timeout_ms))


def cast(holder: Any, f: Callable[[Any], Any]) -> None:
    """As `update`, but without waiting. Succeeds whether the holder is there or not."""
    found = process.whereis(holder) if isinstance(holder, str) else holder
    of = _of(found, holder, f)
    if of is not None:
        key = next(_keys)
        of._functions[key] = f
        gen_server.cast(found, ("update", key))


def _ask(holder: Any, what: str, f: Any, timeout_ms: float | None) -> Steps:
    found = process.whereis(holder) if isinstance(holder, str) else holder
    if found is None:
        raise CallError(Atom("noproc"), holder, Atom(what))
    if f is None and what == "get":
        return _result((yield from gen_server._call(found, (what, None), timeout_ms)))
    of = _of(found, holder, f)
    if of is None:
        raise CallError(Atom("noproc"), holder, Atom(what))
    key = next(_keys)
    of._functions[key] = f
    try:
        return _result((yield from gen_server._call(found, (what, key), timeout_ms)))
    finally:
        of._functions.pop(key, None)


def _put(holder: Any, state: Any, timeout_ms: float | None) -> Steps:
    return _result((yield from gen_server._call(holder, ("put", state), timeout_ms)))


def _of(found: Any, holder: Any, f: Any) -> StateHolder | None:
    """The holder in this Python; None if it has ended."""
    if not callable(f):
        raise TypeError(f"a holder of a state takes functions, not {type(f).__name__}")
    if not isinstance(found, Pid):
        if found is None:
            return None
        raise _elsewhere(holder)
    of = _holders.get(found)
    try:
        lives = process.is_alive(found)
    except ValueError:
        raise _elsewhere(holder) from None
    if of is None and lives:
        raise TypeError(f"{holder!r} is no StateHolder of this Python")
    return of if lives else None


def _elsewhere(holder: Any) -> TypeError:
    return TypeError(
        f"functions can't be sent to the node of {holder!r}: there are `get` without "
        "one, and `put`"
    )


def _result(x: Any) -> Any:
    if x[0] != "ok":
        raise TypeError(x[1])
    return x[1]
