"""Inference with a cache that all threads of the node share, and all processes of a
local cluster (HORNBEAM_CLUSTER).

A cached result is found again by what was computed and from what: the function
(or the prefix that names the model) and a hash of the input. It lives in the
table `ml_cache`.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
import sys
import threading
import types
import weakref
from typing import Any, Callable, TypeVar

from hornbeam import _log, _native, errors, tables

__all__ = ["cache_stats", "cached_inference"]

T = TypeVar("T")

_DEFAULT_PREFIX = "ml"
_MISSING = object()
# A signal handler may ask while its thread is in here.
_lock = threading.RLock()
_hits = 0
_misses = 0


def cached_inference(
    fn: Callable[[Any], T],
    input_data: Any,
    cache_key: str | None = None,
    cache_prefix: str = _DEFAULT_PREFIX,
) -> T:
    """`fn(input_data)`, computed once.

    With the default prefix the function's identity is part of the key: its module,
    name and code, its defaults and what it closes over, if all of that can be
    stored; of anything else (a method, a callable object) that very object, so that
    two models never share a result. An explicit `cache_prefix` names the model
    instead. An explicit `cache_key` is taken as it is. Inputs and results are what
    can be stored (see docs/terms.md); arrays stay arrays, and inputs of different
    types never share a result. Threads that ask for the same missing key wait for
    one computation, unless that would wait for them.

    Raises what `fn` raises, and TypeError for an input (without a `cache_key`)
    or a result that can't be stored.
    """
    global _hits, _misses
    if not callable(fn):
        raise TypeError(f"fn must be callable, not {type(fn).__name__}")
    if not isinstance(cache_prefix, str):
        name = type(cache_prefix).__name__
        raise TypeError(f"cache_prefix must be a str, not {name}")
    key: Any
    if cache_key is not None:
        if not isinstance(cache_key, str):
            raise TypeError(f"cache_key must be a str, not {type(cache_key).__name__}")
        key = cache_key
    else:
        # Keys that are made are tuples: they never meet explicit ones.
        who = _identity(fn) if cache_prefix == _DEFAULT_PREFIX else ""
        try:
            digest = _digest(input_data)
        except (TypeError, ValueError) as e:
            raise type(e)(
                f"the input can't be hashed; pass a cache_key of your own ({e})"
            ) from None
        key = (cache_prefix, who, digest)
    cache = _cache()
    found = cache.get(key, _MISSING)
    if found is not _MISSING:
        with _lock:
            _hits += 1
        return found
    computation = _enter(key)
    try:
        found = cache.get(key, _MISSING)
        if found is not _MISSING:
            with _lock:
                _hits += 1
            return found
        with _lock:
            _misses += 1
        value = fn(input_data)
        # A hit must be of the same type as this miss: both read it back.
        try:
            cache.set(key, value)
        except (TypeError, ValueError) as e:
            raise type(e)(f"the result of {fn!r} can't be cached: {e}") from None
        except errors.HornbeamError as e:  # full, say: it was computed all the same
            _log.say(_log.WARNING, "ml", "a result is not cached", "not cached", e)
    finally:
        if computation is not None:
            _leave(key, computation)
    return cache.get(key, value)


def _digest(x: Any) -> bytes:
    return hashlib.blake2b(_native.encode_exactly(x), digest_size=20).digest()


@functools.cache
def _cache() -> tables.Table:
    return tables.table("ml_cache")


def cache_stats() -> dict[str, Any]:
    """`hits` and `misses` of this process, and `hit_rate` (0.0 if there was no
    call)."""
    with _lock:
        total = _hits + _misses
        rate = _hits / total if total else 0.0
        return {"hits": _hits, "misses": _misses, "hit_rate": rate}


# -- one computation of a key at a time ---------------------------------------


class _Computation:
    """Of one key, by one thread after the other until one has a result."""

    __slots__ = ("lock", "thread")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        #: Who computes now, or 0.
        self.thread = 0


_running: dict[Any, _Computation] = {}
#: What each thread waits for.
_waiting: dict[int, _Computation] = {}


def _enter(key: Any) -> _Computation | None:
    """Wait until no other thread computes `key`. None if that thread waits for this
    one, perhaps by way of others, or is this one."""
    me = threading.get_ident()
    with _lock:
        computation = _running.setdefault(key, _Computation())
        by = computation.thread
        while by:
            if by == me:
                return None
            next_one = _waiting.get(by)
            by = next_one.thread if next_one is not None else 0
        _waiting[me] = computation
    try:
        computation.lock.acquire()
    finally:
        with _lock:
            _waiting.pop(me, None)
    computation.thread = me
    return computation


def _leave(key: Any, computation: _Computation) -> None:
    with _lock:
        if _running.get(key) is computation:
            del _running[key]
        computation.thread = 0
    computation.lock.release()


# -- who computes -------------------------------------------------------------

_numbers = itertools.count(1)
_start = os.urandom(8).hex()
# id -> (a reference that removes the entry when the object goes, token)
_tokens: dict[int, tuple[Any, str]] = {}


def _identity(fn: Any) -> str:
    if isinstance(fn, types.FunctionType):
        try:
            return _by_content(fn)
        except (TypeError, ValueError):
            return _token(fn)  # closes over what can't be stored
    if isinstance(fn, types.BuiltinFunctionType) and isinstance(
        fn.__self__, (types.ModuleType, type(None))
    ):
        return f"{fn.__module__}.{fn.__qualname__}"
    if isinstance(fn, types.MethodType):
        # `model.encode` is a new object each time; its parts are not.
        return f"{_token(fn.__self__)}.{_token(fn.__func__)}"
    if isinstance(fn, types.BuiltinFunctionType):
        return f"{_token(fn.__self__)}.{fn.__qualname__}"
    return _token(fn)


_IMMUTABLE = (bool, bytes, complex, float, int, str, type(None))
_NAMED = (type, types.BuiltinFunctionType, types.FunctionType, types.ModuleType)


def _by_content(fn: types.FunctionType) -> str:
    """What is the same in every process that runs the same code. What it uses of
    its module counts as well: plain values by content, modules, classes and
    functions by name, other objects, as a model, as that very object. Raises
    TypeError or ValueError if a default or a variable it closes over can't be
    stored."""
    name = f"{fn.__module__}.{fn.__qualname__}:{_code_hash(fn.__code__).hex()}"
    given: list[Any] = []
    for x in _names_of(fn.__code__):
        value = fn.__globals__.get(x, _MISSING)
        if type(value) in _IMMUTABLE:
            given.append((x, value))
        elif value is not _MISSING and not isinstance(value, _NAMED):
            name += f":{x}{_token(value)}"
    if fn.__defaults__ or fn.__kwdefaults__ or fn.__closure__:
        cells = [_content_of(x) for x in fn.__closure__ or ()]
        given += (fn.__defaults__, fn.__kwdefaults__, cells)
    if given:  # what can change is looked at for each call
        name += f":{_digest(given).hex()}"
    return name


@functools.lru_cache(maxsize=4096)
def _names_of(code: types.CodeType) -> tuple[str, ...]:
    """The names, of variables of the module among others, that code uses."""
    names = set(code.co_names)
    for x in code.co_consts:
        if isinstance(x, types.CodeType):
            names.update(_names_of(x))
    return tuple(sorted(names))


def _content_of(cell: types.CellType) -> Any:
    try:
        return [cell.cell_contents]
    except ValueError:  # it has none yet
        return []


@functools.lru_cache(maxsize=4096)
def _code_hash(code: types.CodeType) -> bytes:
    h = hashlib.blake2b(digest_size=10)
    h.update(code.co_code)
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


def _token(x: Any) -> str:
    """A name for this very object that no other object ever gets."""
    number = id(x)
    with _lock:
        known = _tokens.get(number)
        if known is not None:
            return known[1]
        token = f"#{os.getpid()}-{_start}-{next(_numbers)}"
        reference: Any
        try:
            reference = weakref.ref(x, lambda _: _tokens.pop(number, None))
        except TypeError:
            reference = x  # kept for good, so that its id is never used again
        _tokens[number] = (reference, token)
        return token


def _forked() -> None:
    global _lock, _running, _waiting
    _lock = threading.RLock()
    _running = {}
    _waiting = {}
    _cache.cache_clear()


os.register_at_fork(after_in_child=_forked)
