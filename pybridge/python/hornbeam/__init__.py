"""What an Erlang node gives, for Python: shared state, mailboxes, topics, named
services and functions, calls to other nodes, tasks and streams.

The documented functions are in `hornbeam_erlang`, `hornbeam_ml` and
`hornbeam_dist`; what goes beyond is here. The first call, not the import, starts
a node inside this process.
"""

try:
    # Before the native module is loaded: what it keeps is of a whole process.
    import _xxsubinterpreters as _interpreters
except ModuleNotFoundError:  # a Python that the native module is not for either
    pass
else:
    if _interpreters.get_current() != _interpreters.get_main():
        raise ImportError(
            "hornbeam works in the main interpreter of a process, and this is a "
            "subinterpreter: under mod_wsgi, set WSGIApplicationGroup %{GLOBAL}"
        )

try:
    import hornbeam._native as _native
except ModuleNotFoundError as e:
    if e.name != "hornbeam._native":
        raise
    from hornbeam import _wrong_python

    raise ImportError(_wrong_python.text()) from None

from hornbeam import (
    _python_side,
    aio,
    cluster,
    debug,
    functions,
    gen_server,
    groups,
    hooks,
    middleware,
    process,
    pubsub,
    registry,
    rpc,
    state_holder,
    supervisor,
    tables,
    tasks,
)
from hornbeam._context import deadline, left_ms
from hornbeam._settings import configure
from hornbeam.cluster import start
from hornbeam.errors import (
    HandlerError,
    HornbeamError,
    HornbeamTimeout,
    NodeError,
    NotFoundError,
    OverloadedError,
    TaskCancelled,
)
from hornbeam.process import ProcessExit, make_ref, self
from hornbeam.supervisor import run
from hornbeam.values import Atom, Opaque, Pid, Ref, message, register_type

_python_side.hand_over()

__version__ = _native.version()

__all__ = [
    "Atom",
    "HandlerError",
    "HornbeamError",
    "HornbeamTimeout",
    "NodeError",
    "NotFoundError",
    "Opaque",
    "OverloadedError",
    "Pid",
    "ProcessExit",
    "Ref",
    "TaskCancelled",
    "aio",
    "cluster",
    "configure",
    "deadline",
    "debug",
    "functions",
    "gen_server",
    "groups",
    "hooks",
    "left_ms",
    "make_ref",
    "message",
    "middleware",
    "process",
    "pubsub",
    "register_type",
    "registry",
    "rpc",
    "run",
    "self",
    "start",
    "state_holder",
    "supervisor",
    "tables",
    "tasks",
]
