"""Inference with a cache that all threads of the node share, and all processes of a
local cluster (HORNBEAM_CLUSTER).

A cached result is found again by what was computed and from what: the function
(or the prefix that names the model) and the content of the input. It lives in the
table `ml_cache`. The native module makes keys and finds what is there; here is what
is left: to compute, by one thread or task at a time, and to know objects again.
"""

from __future__ import annotations

import collections
import contextvars
import functools
import hashlib
import itertools
import os
import sys
import threading
import types
import weakref
from typing import TYPE_CHECKING, Any, Callable, Coroutine

from hornbeam import _context, _engine, _late, _log, _native, errors, tables

if TYPE_CHECKING:
    import asyncio

__all__ = ["cache_stats", "cached_inference"]

_MISSING = tables.MISSING
# A signal handler may ask while its thread is in here.
_lock = threading.RLock()

#: `fn(input_data)`, computed once.
cached_inference = _native.cached_inference


def cache_stats(*, cluster: bool = False) -> dict[str, Any]:
    """`hits` and `misses` of this process, and `hit_rate` (0.0 if there was no
    call); with `cluster`, of all connected nodes and workers together.

    Raises `HornbeamTimeout` if one of them does not answer within 5 seconds.
    """
    counts = [_native.inference_counts()]
    if cluster:
        counts += _counts_of_others()
    hits, misses = (sum(column) for column in zip(*counts))
    total = hits + misses
    rate = hits / total if total else 0.0
    return {"hits": hits, "misses": misses, "hit_rate": rate}


def _counts_of_others() -> list[tuple[int, int]]:
    _engine.ensure()
    out = []
    ask: tuple[Any, ...] = ("hornbeam", "inference_counts", [])
    with _context.deadline(5000):
        for name, *_ in _native.members():
            if name == _native.name():
                continue
            try:
                timeout, depth = _context.timeout(), _context.depth()
                out.append(_native.request(name, "rpc", "call", ask, timeout, depth))
            except errors.NodeError:
                pass  # it has gone meanwhile, and its counts with it
    return out


@functools.cache
def _cache() -> tables.Table:
    return tables.table("ml_cache")


def _find(key: Any) -> Any:
    found = _cache().get(key, _MISSING)
    if found is not _MISSING:
        _native.count_inference(True)
    return found


def _compute(
    fn: Callable[[Any], Any], input_data: Any, key: Any, tokens: tuple[str, ...]
) -> Any:
    """What `cached_inference` does for a key that is not there."""
    _drop_results()
    computation = _enter(key)
    try:
        found = _find(key)
        if found is not _MISSING:
            return found
        _native.count_inference(False)
        value = fn(input_data)
        _store(fn, key, value, tokens)
    finally:
        if computation is not None:
            _leave(key, computation)
    # A hit must be of the same type as this miss: both read it back.
    return _cache().get(key, value)


def _store(fn: Any, key: Any, value: Any, tokens: tuple[str, ...]) -> None:
    if isinstance(value, types.CoroutineType):
        value.close()
        raise TypeError(
            f"the result of {fn!r} can't be cached: it is a coroutine; pass the "
            "coroutine function itself"
        )
    try:
        _cache().set(key, value)
    except (TypeError, ValueError) as e:
        raise type(e)(f"the result of {fn!r} can't be cached: {e}") from None
    except errors.HornbeamError as e:  # full, say: it was computed all the same
        _log.say(_log.WARNING, "ml", "a result is not cached", "not cached", e)
    else:
        for token in tokens:
            _note(token, key)


# -- one computation of a key at a time ---------------------------------------


class _Computation:
    """Of one key, by one thread after the other until one has a result."""

    __slots__ = ("lock", "thread")

    def __init__(self) -> None:
        # A signal handler that asks for the key which its thread is about to compute
        # must not wait for that.
        self.lock = threading.RLock()
        #: Who computes now, or 0.
        self.thread = 0


_running: dict[Any, _Computation] = {}
#: What each thread waits for.
_waiting: dict[int, _Computation] = {}


def _enter(key: Any) -> _Computation | None:
    """Wait until no other thread computes `key`. None if that thread waits for this
    one, perhaps by way of others, or is this one. Raises `HornbeamTimeout` when the
    deadline passes."""
    me = threading.get_ident()
    with _lock:
        computation = _running.setdefault(key, _Computation())
        by = computation.thread
        while by:
            if by == me:
                return None
            next_one = _waiting.get(by)
            by = next_one.thread if next_one is not None else 0
        # Of the code that a signal handler has interrupted.
        before = _waiting.get(me)
        _waiting[me] = computation
    timeout = _context.left_ms()
    seconds = -1 if timeout is None else min(timeout / 1000, threading.TIMEOUT_MAX)
    try:
        if not computation.lock.acquire(timeout=seconds):
            raise errors.no_answer("the computation of a cached result")
    finally:
        with _lock:
            if before is None:
                _waiting.pop(me, None)
            else:
                _waiting[me] = before
    computation.thread = me
    return computation


def _leave(key: Any, computation: _Computation) -> None:
    with _lock:
        if _running.get(key) is computation:
            del _running[key]
        computation.thread = 0
    computation.lock.release()


# -- the same for tasks of event loops -----------------------------------------


class _TaskComputation:
    """Of one key, by one task after the other until one has a result."""

    __slots__ = ("key", "waiters", "waits_for")

    def __init__(self, key: Any) -> None:
        self.key = key
        #: Those of whom the first is next; true: it is its turn, false: look again.
        self.waiters: collections.deque[asyncio.Future[bool]] = collections.deque()
        #: What its code waits for, in whatever task.
        self.waits_for: list[_TaskComputation] = []


_running_tasks: dict[Any, _TaskComputation] = {}
#: The computations whose code this is, the outermost first.
_inside: contextvars.ContextVar[tuple[_TaskComputation, ...]]
_inside = contextvars.ContextVar("hornbeam_ml_inside", default=())


async def _compute_later(
    fn: Callable[[Any], Coroutine[Any, Any, Any]],
    input_data: Any,
    key: Any,
    tokens: tuple[str, ...],
) -> Any:
    """What `cached_inference` returns for a coroutine function."""
    _drop_results()
    inside = _inside.get()
    mine = None
    while mine is None:
        found = _find(key)
        if found is not _MISSING:
            return found
        with _lock:
            other = _running_tasks.get(key)
            if other is None:
                mine = _running_tasks[key] = _TaskComputation(key)
            elif _would_wait_for(other, inside):
                mine = _TaskComputation(key)  # beside the other, which waits for us
        if mine is None and other is not None and await _wait_for(other, inside):
            mine = other
    done = False
    before = _inside.set((*inside, mine))
    try:
        _native.count_inference(False)
        value = await fn(input_data)
        _store(fn, key, value, tokens)
        done = True
    finally:
        _inside.reset(before)
        if done:
            _end(mine)
        else:
            _hand_on(mine)
    return _cache().get(key, value)


def _would_wait_for(
    other: _TaskComputation, inside: tuple[_TaskComputation, ...]
) -> bool:
    """Whether `other` waits for one of these, perhaps by way of others, or is one."""
    seen: set[_TaskComputation] = set()
    left = [other]
    while left:
        x = left.pop()
        if x in inside:
            return True
        if x not in seen:
            seen.add(x)
            left.extend(x.waits_for)
    return False


async def _wait_for(
    other: _TaskComputation, inside: tuple[_TaskComputation, ...]
) -> bool:
    """Whether it is this task's turn to compute; else it is to look again."""
    asyncio = _late.module("asyncio")
    future = asyncio.get_running_loop().create_future()
    with _lock:
        if _running_tasks.get(other.key) is not other:
            return False
        other.waiters.append(future)
        for x in inside:
            x.waits_for.append(other)
    ms = _context.left_ms()
    try:
        await asyncio.wait((future,), timeout=None if ms is None else ms / 1000)
        if not future.done():
            raise errors.no_answer("the computation of a cached result")
        return future.result()
    except BaseException:
        if not future.cancel() and future.result():
            _hand_on(other)
        raise
    finally:
        with _lock:
            for x in inside:
                x.waits_for.remove(other)


def _end(mine: _TaskComputation) -> None:
    """There is a result: all who wait look again."""
    with _lock:
        if _running_tasks.get(mine.key) is mine:
            del _running_tasks[mine.key]
        waiters = [*mine.waiters]
        mine.waiters.clear()
    for future in waiters:
        _tell(future, False, mine)


def _hand_on(mine: _TaskComputation) -> None:
    """There is none: the next one who waits computes."""
    told = False
    while not told:
        with _lock:
            if not mine.waiters:
                if _running_tasks.get(mine.key) is mine:
                    del _running_tasks[mine.key]
                return
            future = mine.waiters.popleft()
        told = not future.done() and _tell(future, True, mine)


def _tell(future: asyncio.Future[bool], turn: bool, mine: _TaskComputation) -> bool:
    """Tell one who waits, on its loop; false if that has been closed."""

    def tell() -> None:
        if not future.done():
            future.set_result(turn)
        elif turn:
            _hand_on(mine)

    try:
        future.get_loop().call_soon_threadsafe(tell)
    except RuntimeError:
        return False
    return True


# -- who computes -------------------------------------------------------------


def _describe(code: types.CodeType) -> tuple[str, tuple[str, ...]]:
    """For the native module, once for each code: a hash of it, and the names of
    variables of the module, among others, that it uses."""
    return _code_hash(code).hex(), tuple(sorted(_names_of(code)))


def _names_of(code: types.CodeType) -> set[str]:
    names = set(code.co_names)
    for x in code.co_consts:
        if isinstance(x, types.CodeType):
            names |= _names_of(x)
    return names


def _code_hash(code: types.CodeType) -> bytes:
    h = hashlib.blake2b(digest_size=10)
    h.update(code.co_code)
    counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount)
    h.update(repr((code.co_flags, counts, code.co_exceptiontable)).encode())
    h.update(repr(code.co_names).encode("utf-8", "surrogatepass"))
    # Another program has other functions of this name, and what they use.
    main = sys.modules.get("__main__")
    if getattr(main, "__file__", None) == code.co_filename:
        h.update(code.co_filename.encode("utf-8", "surrogateescape"))
    for x in code.co_consts:
        h.update(_constant_hash(x))
    return h.digest()


def _constant_hash(x: Any) -> bytes:
    """Of a constant, whatever the hash seed of this process."""
    if isinstance(x, types.CodeType):
        return _code_hash(x)
    if isinstance(x, (tuple, frozenset)):
        parts = [_constant_hash(y) for y in x]
        if isinstance(x, frozenset):
            parts.sort()
        text = repr((type(x).__name__, parts))
    else:
        text = repr((type(x).__name__, x))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass")).digest()


_numbers = itertools.count(1)
_start = os.urandom(8).hex()
#: id -> token, which the native module reads too
_tokens: dict[int, str] = {}
#: What removes the entries of objects that have gone, or those objects themselves.
_kept: dict[int, Any] = {}


def _token(x: Any) -> str:
    """A name for this very object that no other object ever gets."""
    number = id(x)
    with _lock:
        known = _tokens.get(number)
        if known is not None:
            return known
        token = f"#{os.getpid()}-{_start}-{next(_numbers)}"
        try:
            _kept[number] = weakref.ref(x, lambda _: _has_gone(number, token))
        except TypeError:
            _kept[number] = x  # for good, so that its id is never used again
        _results[token] = _Results()
        _tokens[number] = token
        return token


# -- results of objects that have gone ------------------------------------------


class _Results:
    """The keys of what an object has computed, by (prefix, function)."""

    __slots__ = ("digests", "count", "most")

    def __init__(self) -> None:
        self.digests: dict[tuple[str, bytes], list[bytes]] = {}
        self.count = 0
        #: With more, those that the table has dropped are looked for.
        self.most = 10_000


#: token -> its results, until the object has gone and they have been dropped
_results: dict[str, _Results] = {}
_gone: collections.deque[str] = collections.deque()
#: So many are dropped at a time.
_BATCH = 1000


def _has_gone(number: int, token: str) -> None:
    # Wherever the collector runs: what may wait is done by the next call.
    _tokens.pop(number, None)
    _kept.pop(number, None)
    _gone.append(token)


def _note(token: str, key: tuple[str, bytes, bytes]) -> None:
    """The object `token` depends on has a result under `key`."""
    with _lock:
        results = _results.get(token)
        if results is not None:
            results.digests.setdefault(key[:2], []).append(key[2])
            results.count += 1
            if results.count > results.most:
                _look_through(results)
            return
    _cache().delete(key)  # it has gone while it computed


def _look_through(results: _Results) -> None:
    there = _cache().contains
    for who, digests in results.digests.items():
        digests[:] = {x for x in digests if there((*who, x))}
    results.count = sum(map(len, results.digests.values()))
    results.most = max(10_000, 2 * results.count)


def _drop_results() -> None:
    """Nobody can ask for them any more."""
    keys: list[Any] = []
    with _lock:
        while _gone and len(keys) < _BATCH:
            results = _results.get(_gone[0])
            if results is None or not results.digests:
                _results.pop(_gone.popleft(), None)
                continue
            who, digests = results.digests.popitem()
            left = digests[_BATCH:]
            if left:
                results.digests[who] = left
            keys += ((*who, x) for x in digests[:_BATCH])
    for key in keys:
        _cache().delete(key)


def _forked() -> None:
    global _lock, _running, _waiting, _running_tasks
    _lock = threading.RLock()
    _running = {}
    _waiting = {}
    _running_tasks = {}
    _cache.cache_clear()


os.register_at_fork(after_in_child=_forked)
_native.set_cache_side(
    {
        "describe": _describe,
        "token": _token,
        "tokens": _tokens,
        "compute": _compute,
        "later": _compute_later,
        "partial": functools.partial,
    }
)
