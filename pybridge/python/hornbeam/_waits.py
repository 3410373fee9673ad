"""What waits for messages, once for threads and for event loops: a generator that
yields what it waits for, and `here` or `on_loop` to drive it."""

from __future__ import annotations

from typing import Any, Callable, Generator, NamedTuple, Union

from hornbeam import _context, _late, _native, _owner, _ports, _spawned
from hornbeam.errors import HornbeamError
from hornbeam.values import Ref


class _Nothing:
    """What stands for no message: None is one."""


NOTHING = _Nothing()


class Look(NamedTuple):
    """Wait for a message."""

    #: Only what answers this.
    ref: Ref | None
    #: Only what this says yes to.
    accepts: Callable[[Any], bool] | None
    timeout_ms: float | None


class Request(NamedTuple):
    """Wait for what a service of another node answers."""

    node: str
    service: str
    name: str
    args: tuple[Any, ...]
    timeout_ms: float | None


Steps = Generator[Union[Look, Request], Any, Any]


def receive(timeout_ms: float | None, default: Any, match: Any) -> Steps:
    if timeout_ms is None:
        timeout_ms = _context.left_ms()
    ref = match if isinstance(match, Ref) else None
    accepts = None if ref is not None or match is ... else predicate(match)
    found = yield Look(ref, accepts, timeout_ms)
    return default if found is NOTHING else found


def here(steps: Steps) -> Any:
    """Drive it in a thread, which waits."""
    return _drive(steps, _wait_here)


async def on_loop(steps: Steps) -> Any:
    """Drive it on an event loop, which goes on."""
    answer: Any = None
    try:
        while True:
            answer = await _wait_on_loop(steps.send(answer))
    except StopIteration as e:
        return e.value
    finally:
        steps.close()


def _drive(steps: Steps, wait: Callable[[Look | Request], Any]) -> Any:
    answer: Any = None
    try:
        while True:
            answer = wait(steps.send(answer))
    except StopIteration as e:
        return e.value
    finally:
        steps.close()


def _wait_here(x: Look | Request) -> Any:
    ms = x.timeout_ms
    if (ms is None or ms != 0) and _late.running_loop() is not None:
        raise HornbeamError(
            "this would block the event loop that is running: use the function of "
            "the same name in `hornbeam.aio`, and await it"
        )
    if isinstance(x, Request):
        return _native.request(*x, _context.depth())
    box = _owner.inbox()
    try:
        if x.accepts is None:
            found = box.receive(ms, NOTHING, x.ref)
            if found is NOTHING:  # in vain, or since it has ended
                _spawned.refuse_ended(box)
            return found
        until = _context.Until(ms)
        seen = _BEGINNING
        while True:
            found, seen = _look(box, seen, x.accepts)
            if found is not NOTHING:
                return found
            if not box.wait_for_more(seen, until.left_ms()):
                _spawned.refuse_ended(box)
                return NOTHING
    except HornbeamError:
        _spawned.refuse_ended(box)
        raise


async def _wait_on_loop(x: Look | Request) -> Any:
    if isinstance(x, Request):
        return await _ask_on_loop(x)
    waiting = _native.waiting_receive(x.timeout_ms, NOTHING, x.ref or x.accepts or ...)
    if waiting is not None:
        return await waiting
    box = _owner.inbox()
    seen = _BEGINNING
    until = _context.Until(x.timeout_ms)
    try:
        while True:
            if x.accepts is None:
                found = box.receive(0, NOTHING, x.ref)
            else:
                found, seen = _look(box, seen, x.accepts)
            if found is not NOTHING:
                return found
            left = until.left_ms()
            if left is not None and left <= 0:
                return NOTHING
            await _ports.notice(box, _notify(box, x, seen), left)
    except HornbeamError:
        _spawned.refuse_ended(box)
        raise


async def _ask_on_loop(x: Request) -> Any:
    depth = _context.depth()

    def start(c: Any, key: int) -> None:
        _native.request_async(c, key, *x, depth)

    what = f"{x.service} on {x.node}"
    return (await _ports.port().wait(start, x.timeout_ms, what))[1]


def _notify(box: _native.Mailbox, x: Look, seen: tuple[int, int]) -> Any:
    if x.accepts is None:
        return lambda c, key: box.notify(c, key, x.ref)
    return lambda c, key: box.notify_of_more(c, key, seen)


_BEGINNING = (0, 0)


def _look(
    box: _native.Mailbox, seen: tuple[int, int], accepts: Callable[[Any], bool]
) -> tuple[Any, tuple[int, int]]:
    """The first message that fits, taken out of the mailbox, and how far one has
    looked. The pattern is Python's: it is tried without any lock."""
    while True:
        waiting, seen = box.look(seen)
        for place, message in waiting:
            if accepts(message):
                if box.take(place, seen[1]):
                    return message, _BEGINNING
                break  # another thread has taken one: the places are others
        else:
            if not waiting:
                return NOTHING, seen
            continue  # those were some of them
        seen = _BEGINNING


def predicate(pattern: Any) -> Callable[[Any], bool]:
    if isinstance(pattern, type):
        return lambda x: isinstance(x, pattern)
    if callable(pattern):
        return lambda x: bool(pattern(x))
    return lambda x: _fits(x, pattern)


def _fits(x: Any, pattern: Any) -> bool:
    if pattern is ...:
        return True
    if isinstance(pattern, type):
        return isinstance(x, pattern)
    if type(pattern) is tuple:
        return (
            type(x) is tuple
            and len(x) == len(pattern)
            and all(_fits(a, b) for a, b in zip(x, pattern))
        )
    return _is_equal(x, pattern)


def _is_equal(x: Any, pattern: Any) -> bool:
    """Whether they are. What can't be compared is not equal, for a message that is
    not meant must not be an error."""
    try:
        if _is_array(x) or _is_array(pattern):
            return (
                _is_array(x)
                and _is_array(pattern)
                and x.shape == pattern.shape
                and bool((x == pattern).all())
            )
        return bool(x == pattern)
    except Exception:
        return False


def _is_array(x: Any) -> bool:
    return hasattr(type(x), "__array__") and getattr(x, "ndim", 0) > 0


def check_timeout(timeout_ms: Any) -> float | None:
    """The time that a call may take here; None: no limit. Raises if the deadline has
    passed; a call that asks for no time at all is made, as in Erlang."""
    return _context.timeout(timeout_ms)
