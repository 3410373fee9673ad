"""The exceptions of Hornbeam.

All derive from `HornbeamError`, which is a `RuntimeError`. A timeout is also a
`TimeoutError`, a node that can't be reached or went down also a
`ConnectionError`, an unknown hook, function, task or module also a
`LookupError`. Wrong arguments are plain `TypeError` and `ValueError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from hornbeam import _late

if TYPE_CHECKING:
    import asyncio
else:
    asyncio = _late.stand_in("asyncio", globals())


class HornbeamError(RuntimeError):
    """Something could not be done. `node` names the other node, if any."""

    node: str = ""


class HornbeamTimeout(HornbeamError, TimeoutError):
    """The deadline passed first. The call may still run."""


class NodeError(HornbeamError, ConnectionError):
    """A node can't be reached, or went down during the call."""


class NotFoundError(HornbeamError, LookupError):
    """No such hook, function, task or module."""


class OverloadedError(HornbeamError):
    """A queue is at its bound; try again later."""


class TaskCancelled(HornbeamError):
    """The task was cancelled: raised to those who wait for it, and in its
    handler by `hornbeam.tasks.check()`."""


class BadTypeError(HornbeamError, TypeError):
    """Another node refused a value because of its type."""


class BadValueError(HornbeamError, ValueError):
    """Another node refused a value."""


class ProcessExit(BaseException):
    """Ends the code of a process, with `reason`: raised by `hornbeam.process.exit`,
    and by what a process calls after another one has ended it."""

    def __init__(self, reason: Any = "normal") -> None:
        super().__init__(reason)
        self.reason = reason


class HandlerError(HornbeamError):
    """The code that was called raised.

    `class_name`, `message` and `traceback` are those of the exception there;
    in the same process it is also the `__cause__`.
    """

    def __init__(
        self, text: str, class_name: str = "", message: str = "", traceback: str = ""
    ) -> None:
        super().__init__(text)
        self.class_name = class_name
        self.message = message
        self.traceback = traceback


# -- what more than one place says; see also runtime/call/failures.cpp -----------


def node_ended() -> HornbeamError:
    return HornbeamError("this node has ended")


def no_answer(what: str) -> HornbeamTimeout:
    return HornbeamTimeout(f"{what}: no answer in time")


def too_late() -> HornbeamTimeout:
    return HornbeamTimeout("the deadline has passed")


def not_there(
    what: str, name: str, where: str = "any connected node"
) -> NotFoundError:
    """No hook, function or module (`what`) of that name is `where`."""
    return NotFoundError(f"no {what} {name!r} on {where}")


# -- failures of the native module as exceptions, and back ----------------------

# The numbers of error_code in runtime/call/outcome.hpp.
INTERNAL, TIMEOUT, NO_CONNECTION, NOT_FOUND, REMOTE = range(5)
BAD_TYPE, BAD_VALUE, OVERLOADED, REFUSED, ENDED = range(5, 10)

_classes: dict[int, type[HornbeamError]] = {
    TIMEOUT: HornbeamTimeout,
    NO_CONNECTION: NodeError,
    NOT_FOUND: NotFoundError,
    OVERLOADED: OverloadedError,
    BAD_TYPE: BadTypeError,
    BAD_VALUE: BadValueError,
}
_codes: list[tuple[type[BaseException], int]] = [
    (HornbeamTimeout, TIMEOUT),
    (NodeError, NO_CONNECTION),
    (NotFoundError, NOT_FOUND),
    (OverloadedError, OVERLOADED),
]


def make_exception(
    code: int, message: str, node: str, class_name: str, traceback: str
) -> BaseException:
    """For the native module: the exception that stands for a failure."""
    error: BaseException
    if code == REMOTE:
        where = f" on {node}" if node else ""
        error = HandlerError(
            f"{class_name}{where}: {message}", class_name, message, traceback
        )
    elif code == INTERNAL and class_name == TaskCancelled.__name__:
        error = TaskCancelled(message)
    else:
        error = _classes.get(code, HornbeamError)(message)
    error.node = node
    return error


def describe(error: BaseException) -> tuple[int, str, str, str]:
    """The failure that stands for an exception on its way to another node:
    code, message, class name and the text of the traceback."""
    text = format_exception(error)
    if isinstance(error, HandlerError):  # passed on: keep the first culprit
        return (REMOTE, error.message, error.class_name, error.traceback or text)
    for cls, code in _codes:
        if isinstance(error, cls):
            return (code, _message(error), type(error).__name__, text)
    if type(error) in (HornbeamError, TaskCancelled):
        return (INTERNAL, _message(error), type(error).__name__, text)
    return (REMOTE, _message(error), type(error).__qualname__, text)


def format_exception(error: BaseException) -> str:
    """As Python prints it, with its traceback."""
    traceback = _late.module("traceback")
    return "".join(
        traceback.format_exception(type(error), error, error.__traceback__)
    )


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException:  # a __str__ that raises must not hide the error
        return f"<no text: {type(error).__name__}.__str__ raised>"


def one_line(error: BaseException) -> str:
    """Its class and its text, as under a traceback."""
    return f"{type(error).__qualname__}: {_message(error)}"


def raise_here(error: BaseException) -> NoReturn:
    """Raise what a handler raised to a caller whose thread has run it: what is no
    `Exception` passes, but for a cancellation, which is none of the caller's."""
    if not isinstance(error, Exception):
        if not isinstance(error, asyncio.CancelledError):
            raise error
    raise_elsewhere(error)


def raise_elsewhere(error: BaseException) -> NoReturn:
    """Raise what a handler raised to a caller in another task."""
    outside = wrap(error)
    if outside is error:
        raise outside
    raise outside from error


def wrap(error: BaseException) -> HornbeamError:
    """The error that stands for what a handler raised."""
    if isinstance(error, HornbeamError):
        return error
    name, message = type(error).__qualname__, _message(error)
    return HandlerError(f"{name}: {message}", name, message)
