"""Inference with a cache that all threads of the node share.

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

from hornbeam import _native, tables

__all__ = ["cache_stats", "cached_inference"]

T = TypeVar("T")

_DEFAULT_PREFIX = "ml"
_MISSING = object()
_lock = threading.Lock()
_hits = 0
_misses = 0
_running: dict[Any, threading.Lock] = {}


def cached_inference(
    fn: Callable[[Any], T],
    input_data: Any,
    cache_key: str | None = None,
    cache_prefix: str = _DEFAULT_PREFIX,
) -> T:
    """`fn(input_data)`, computed once.

    With the default prefix the function's identity is part of the key: of a
    function of a module its module, name and code; of anything else (a method,
    a lambda, a closure) that very object, so that two models never share a
    result. An explicit `cache_prefix` names the model instead. An explicit
    `cache_key` is taken as it is. Inputs and results are what can be stored
    (see docs/terms.md); arrays stay arrays. Threads that ask for the same
    missing key wait for one computation.

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
            digest = hashlib.blake2b(_native.encode(input_data), digest_size=20)
        except (TypeError, ValueError) as e:
            raise type(e)(
                f"the input can't be hashed; pass a cache_key of your own ({e})"
            ) from None
        key = (cache_prefix, who, digest.digest())
    cache = _cache()
    found = cache.get(key, _MISSING)
    if found is not _MISSING:
        with _lock:
            _hits += 1
        return found
    with _lock:
        turn = _running.setdefault(key, threading.Lock())
    with turn:
        found = cache.get(key, _MISSING)
        if found is not _MISSING:
            with _lock:
                _hits += 1
            return found
        try:
            value = fn(input_data)
            # A hit must be of the same type as this miss: both read it back.
            try:
                cache.set(key, value)
            except (TypeError, ValueError) as e:
                raise type(e)(f"the result of {fn!r} can't be cached: {e}") from None
        finally:
            with _lock:
                _misses += 1
                if _running.get(key) is turn:
                    del _running[key]
    return cache.get(key, value)


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


# -- who computes -------------------------------------------------------------

_numbers = itertools.count(1)
_start = os.urandom(8).hex()
# id -> (a reference that removes the entry when the object goes, token)
_tokens: dict[int, tuple[Any, str]] = {}


def _identity(fn: Any) -> str:
    if isinstance(fn, types.FunctionType) and _of_module(fn):
        return f"{fn.__module__}.{fn.__qualname__}:{_code_hash(fn)}"
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


def _of_module(fn: types.FunctionType) -> bool:
    module = sys.modules.get(fn.__module__ or "")
    if fn.__closure__ or "<" in fn.__qualname__:
        return False
    return getattr(module, fn.__qualname__, None) is fn


def _code_hash(fn: types.FunctionType) -> str:
    h = hashlib.blake2b(digest_size=10)

    def add(code: types.CodeType) -> None:
        h.update(code.co_code)
        h.update(repr(code.co_names).encode("utf-8", "surrogatepass"))
        for x in code.co_consts:
            if isinstance(x, types.CodeType):
                add(x)
            else:
                h.update(repr((type(x).__name__, x)).encode("utf-8", "surrogatepass"))

    add(fn.__code__)
    h.update(repr((fn.__defaults__, fn.__kwdefaults__)).encode())
    return h.hexdigest()


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
    global _lock, _running
    _lock = threading.Lock()
    _running = {}
    _cache.cache_clear()


os.register_at_fork(after_in_child=_forked)
