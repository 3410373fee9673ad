"""Imports for later: of what is large and often not needed, so that importing
Hornbeam stays cheap. No other import stands inside a function."""

from __future__ import annotations

import importlib
import sys
from typing import Any


def module(name: str) -> Any:
    """The module of that name, imported by now."""
    return importlib.import_module(name)


class _StandIn:
    """For a module in the variables of another, until it is used."""

    def __init__(self, name: str, variables: dict[str, Any]) -> None:
        self._hidden = name, variables

    def __getattr__(self, attribute: str) -> Any:
        name, variables = self._hidden
        top = name.partition(".")[0]
        importlib.import_module(name)
        variables[top] = sys.modules[top]
        return getattr(variables[top], attribute)


def stand_in(name: str, variables: dict[str, Any]) -> Any:
    """What stands for the module of that name in `variables`, the `globals()` of
    the module that asks; used for the first time, it puts the module there."""
    return _StandIn(name, variables)


def running_loop() -> Any:
    """The event loop that runs in this thread, or None. Where asyncio was not
    imported, none does."""
    events = sys.modules.get("asyncio.events")
    if events is None:
        return None
    get = getattr(events, "_get_running_loop", None)  # it may be half imported
    return None if get is None else get()


def running_task() -> Any:
    """The task that runs in this thread, or None: what `asyncio.current_task()`
    says, but for the exception where no loop runs."""
    if _get_loop is None:
        return None if running_loop() is None else _first_running_task()
    loop = _get_loop()
    return None if loop is None else _get_task(loop)


# Those of asyncio, once a loop has run: by then it is whole.
_get_loop: Any = None
_get_task: Any = None


def _first_running_task() -> Any:
    global _get_loop, _get_task
    _get_task = sys.modules["asyncio.tasks"].current_task
    _get_loop = sys.modules["asyncio.events"]._get_running_loop
    return _get_task(_get_loop())
