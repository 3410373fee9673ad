"""Calls to modules of a named node."""

from __future__ import annotations

import importlib
import types
from typing import Any, Sequence

from hornbeam import _calls, _context, _late, _native, _outcome, _pool, _remote
from hornbeam._native import Job
from hornbeam.errors import NotFoundError

# What this process lets others call: a module, or the name of one that is
# imported when it is first called.
_exported: dict[str, Any] = {}


def export(module: str | types.ModuleType, name: str | None = None) -> None:
    """Let other nodes call the public functions of a Python module.

    `module` is a module or its name; `name` is what others call it.
    """
    if isinstance(module, types.ModuleType):
        _exported[name or module.__name__] = module
    elif isinstance(module, str):
        _exported[name or module] = module
    else:
        raise TypeError(f"a module or its name, not {type(module).__name__}")


def _check(module: str, function: str, args: Sequence[Any]) -> list[Any]:
    for what, x in (("module", module), ("function", function)):
        if not isinstance(x, str):
            raise TypeError(f"the {what} must be a str, not {type(x).__name__}")
    if not isinstance(args, (list, tuple)):
        raise TypeError(f"args must be a list, not {type(args).__name__}")
    return list(args)


def rpc_call(
    node: str, module: str, function: str, args: Sequence[Any], timeout_ms: float = 5000
) -> Any:
    """Call a function of a module on a node and wait for the result.

    `module` is a C++ module registered there or a Python module that the
    node's configuration exports. A node that is not connected is connected
    first. `timeout_ms` in milliseconds; None: no limit.

    Raises `NodeError` if the node can't be reached, `HornbeamTimeout`,
    `NotFoundError` for an unknown module or function, `HandlerError` if the
    function raised. All are RuntimeErrors.
    """
    items = _check(module, function, args)
    to = _native.full_name(node)
    timeout = _context.timeout(timeout_ms)
    if timeout_ms is None:
        timeout = _context.left_ms()
    return _native.request(
        to, "rpc", "call", (module, function, items), timeout, _context.depth()
    )


def rpc_cast(node: str, module: str, function: str, args: Sequence[Any]) -> None:
    """Call a function on a node and don't wait: neither errors nor a node that
    can't be reached are reported."""
    items = _check(module, function, args)
    to = _native.full_name(node)
    _native.cast(to, "rpc", "call", (module, function, items))


def _find(module: str, function: str) -> Any:
    target = _exported.get(module)
    if target is None:
        raise NotFoundError(
            f"{_native.name()} exports no module {module!r}; name it in `exports` "
            "of its configuration, or call hornbeam.rpc.export there"
        )
    if isinstance(target, str):
        target = _exported[module] = importlib.import_module(target)
    found = None if function.startswith("_") else getattr(target, function, None)
    if not callable(found):
        raise NotFoundError(f"the module {module!r} has no function {function!r}")
    # What it has imported is not meant for others: a shell, say.
    own = getattr(found, "__module__", None) == target.__name__
    if function not in getattr(target, "__all__", ()) and (
        not own or isinstance(found, type)
    ):
        raise NotFoundError(
            f"the module {module!r} exports no {function!r}: it is not a function of "
            "its own, nor in its __all__"
        )
    return found


def _run(job: Job) -> None:
    if job.name == _remote.SERVICE:
        _pool.answer(job, *_outcome.of(_remote.begin, _find, job.action, job.args))
        return
    _calls.run_in_pool(
        lambda: _calls.Call(
            _find(job.name, job.action), tuple(job.args), {}, _late.running_loop()
        ),
        job.depth,
        job.left_ms,
        lambda ok, value: _pool.answer(job, ok, value),
    )


_pool.runners["module"] = _run
