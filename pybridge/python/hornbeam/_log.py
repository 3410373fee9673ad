"""What hornbeam has to say, from Python and from C++: to the program's `logging`
if it has configured that, else to stderr.

What C++ says waits in a queue for the thread that is started here with the node:
no thread of the engine ever waits for Python.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

from hornbeam import _native, _real, errors

# As in runtime/base/log.hpp.
DEBUG, INFO, WARNING, ERROR = range(4)

#: How long a program's handler may take for what was said before Python ends.
PATIENCE = 2.0

_thread: threading.Thread | None = None
_null: Any = None


def say(
    level: int, part: str, text: str, key: str = "", error: BaseException | None = None
) -> None:
    """Say `text`, and with it what `error` is. With a `key`, which tells apart
    what may repeat, it is said once a minute."""
    if not _native.log_is_on(level):
        return
    node = _native.name() if _native.running() else ""
    if error is not None:
        text += f": {errors.one_line(error)}"
    if key:
        left_out = _native.log_due(f"{part} {node} {key}")
        if left_out is None:
            return
        text = _native.with_left_out(text, left_out)
    _emit(level, part, node, text, None, error)


def _emit(
    level: int,
    part: str,
    node: str,
    text: str,
    at: float | None = None,
    error: BaseException | None = None,
) -> None:
    logger = _configured(part)
    if logger is None:
        if error is not None:
            text += "\n" + errors.format_exception(error).rstrip("\n")
        text = text.encode("utf-8", "backslashreplace").decode()
        _native.log_to_stderr(level, part, node, text)
        return
    number = (level + 1) * 10
    if not logger.isEnabledFor(number):
        return
    raised = None if error is None else (type(error), error, error.__traceback__)
    record = logger.makeRecord(
        logger.name, number, "hornbeam", 0, text, (), raised, extra={"node": node}
    )
    if at is not None:
        record.created = at
        record.msecs = at % 1 * 1000
    logger.handle(record)


def _logging() -> Any:
    """Python's `logging`, if the program has imported it: that takes a while, and
    without it there are no handlers."""
    global _null
    logging = sys.modules.get("logging")
    if not hasattr(logging, "captureWarnings"):  # its last function: it is whole
        return None
    assert logging is not None
    if _null is None:
        _null = logging.NullHandler()
        logging.getLogger("hornbeam").addHandler(_null)
    return logging


def _configured(part: str) -> Any:
    """The logger of a part, if the program has a handler for it."""
    logging = _logging()
    if logging is None:
        return None
    logger = at = logging.getLogger(f"hornbeam.{part}")
    while at is not None:
        if any(x is not _null for x in at.handlers):
            return logger
        at = at.parent if at.propagate else None
    return None


# -- what C++ says ------------------------------------------------------------


def start() -> None:
    """Take from here on what C++ says."""
    global _thread
    if _thread is not None:
        return
    _native.open_log()
    _thread = _real.threading().Thread(target=_work, name="hornbeam.log", daemon=True)
    try:
        _thread.start()
    except RuntimeError:  # no more threads: stderr does it
        _thread = None
        finish()


def _work() -> None:
    while records := _native.wait_for_log():
        _emit_all(records)


def _emit_all(records: list[tuple[int, str, str, str, float]]) -> None:
    for record in records:
        try:
            _emit(*record)
        except BaseException:  # of a handler of the program; the rest is told
            continue


def stop() -> None:
    """When Python ends, before the node does: wait until all is told."""
    global _thread
    thread, _thread = _thread, None
    _native.close_log()
    if thread is not None:
        thread.join(PATIENCE)


def finish() -> None:
    """Tell what was said since `stop`; the rest goes to stderr."""
    _emit_all(_native.finish_log())


def forked() -> None:
    """In a forked child: what was said is the parent's, until a node starts."""
    global _thread
    _thread = None


_logging()
