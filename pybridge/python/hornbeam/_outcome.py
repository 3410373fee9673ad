"""What becomes of code of others: (True, its value), or (False, what it raised).

Nothing that such code raises leaves here, whatever it is: threads and loops end of
some exceptions, and futures can't carry others.
"""

from __future__ import annotations

from typing import Any, Callable

from hornbeam import _late

Outcome = tuple[bool, Any]


def of(function: Callable[..., Any], *args: Any) -> Outcome:
    """That of a call."""
    try:
        return True, function(*args)
    except BaseException as e:
        return False, e


async def of_awaitable(x: Any) -> Outcome:
    """That of what is awaited."""
    try:
        return True, await x
    except BaseException as e:
        if _late.running_loop() is None:  # thrown away: its loop has ended
            raise
        return False, e


def flat(x: Outcome) -> Outcome:
    """That of what itself made an outcome."""
    ok, value = x
    return value if ok else x


def value(x: Outcome) -> Any:
    """The value, or raises what was raised."""
    ok, found = x
    if ok:
        return found
    try:
        raise found
    finally:
        del found, x  # or this frame and the exception would keep each other
