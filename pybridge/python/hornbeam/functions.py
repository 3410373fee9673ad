"""Functions by name, in Python or C++, here or on a connected node."""

from __future__ import annotations

import sys
from typing import Any, Callable

from hornbeam import _calls, _context, _engine, _handlers, _log, _native


def register_function(
    name: str,
    function: Callable[..., Any],
    *,
    concurrency: int | None = None,
    queue: int = 1000,
    retry: bool = False,
) -> None:
    """Let `call(name, ...)` on this and every connected node run `function`.
    Registering a name again replaces it. Its bounds are as those of
    `hornbeam.hooks.register_hook`."""
    bounds = _handlers.Bounds(concurrency, queue, retry)
    if not callable(function):
        raise TypeError(
            f"function {name!r} must be callable, not {type(function).__name__}"
        )
    registry.add(name, _handlers.Handler(function, False, bounds))


def unregister_function(name: str) -> None:
    """Remove this node's function; unknown names are fine."""
    registry.remove(name)


def names() -> list[str]:
    """All functions that this node knows of, in the whole cluster, in order."""
    return _native.handler_names("function")


def providers(name: str) -> list[str]:
    """The nodes that have the function, as far as this node knows."""
    return _native.providers("function", name)


#: Call a registered function: of this node, else of a connected one.
call = _native.call


def _name_and_args(
    what: str, given: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, list[Any]]:
    name, *args = _calls.by_position(("name",), given, kwargs)
    if kwargs:
        raise TypeError(
            f"{what} takes no keyword arguments, as {next(iter(kwargs))!r}: a function "
            "in C++ has no names for its arguments"
        )
    return name, args


def _call(*given: Any, **kwargs: Any) -> Any:
    """What `call` does unless a plain function of this process has the name."""
    name, args = _name_and_args("call", given, kwargs)
    served = registry.local.get(name) if isinstance(name, str) else None
    if served is None:
        _check(name)
        timeout, depth = _context.timeout(), _context.depth()
        return _native.invoke("function", name, "", args, {}, timeout, depth)
    return _calls.run_here(served.handler.call(name, None, args, {}, served))


registry = _handlers.Registry("function")


def info() -> list[dict[str, Any]]:
    """As `hornbeam.hooks.info`, of functions."""
    _engine.ensure()
    return _native.handler_info("function")


def _cast(*given: Any, **kwargs: Any) -> None:
    name, args = _name_and_args("cast", given, kwargs)
    _check(name)
    if not _native.cast_handler("function", name, "", args, {}):
        caller = sys._getframe(1)
        where = f"{caller.f_code.co_filename}:{caller.f_lineno}"
        text = f"{where}: a cast has found no function {name!r} on any connected node"
        _log.say(_log.WARNING, "functions", text, f"cast {name}")


@_calls.done_by(_cast)
def cast(name: str, *args: Any) -> None:
    """Call a registered function and don't wait. Only the log hears of errors, and of
    a name that no node knows."""


def _check(name: str) -> None:
    if not isinstance(name, str):
        raise TypeError(
            f"the name of a function must be a str, not {type(name).__name__}"
        )
