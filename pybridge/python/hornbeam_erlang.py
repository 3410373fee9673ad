"""Erlang's features for Python: state, calls, topics, hooks, streams.

The interface of Hornbeam's module of this name. Everything raised at run time
derives from RuntimeError (see `hornbeam.errors`).
"""

from hornbeam._engine import announce as _announce
from hornbeam._native import (
    state_decr,
    state_delete,
    state_get,
    state_get_multi,
    state_incr,
    state_keys,
    state_set,
)
from hornbeam._owner import listener as _listener
from hornbeam.aio import stream as stream_async
from hornbeam.cluster import node, nodes, ping
from hornbeam.functions import call, cast, register_function, unregister_function
from hornbeam.hooks import execute, register_hook, stream, unregister_hook
from hornbeam.pubsub import publish, receive_pubsub, unsubscribe
from hornbeam.rpc import rpc_call, rpc_cast
from hornbeam.tasks import await_result, execute_async


def subscribe(topic: str) -> None:
    """Subscribe whoever calls (see `hornbeam.process.self`) to `topic`. To
    subscribe twice is to subscribe once."""
    if _listener().subscribe(topic):
        _announce("topic")


hook = register_hook
unhook = unregister_hook

# These hide builtins, so a star import does not bring them.
get = state_get
set = state_set  # noqa: A001
delete = state_delete
incr = state_incr
decr = state_decr

__all__ = [
    "await_result",
    "call",
    "cast",
    "execute",
    "execute_async",
    "hook",
    "node",
    "nodes",
    "ping",
    "publish",
    "receive_pubsub",
    "register_function",
    "register_hook",
    "rpc_call",
    "rpc_cast",
    "state_decr",
    "state_delete",
    "state_get",
    "state_get_multi",
    "state_incr",
    "state_keys",
    "state_set",
    "stream",
    "stream_async",
    "subscribe",
    "unhook",
    "unregister_function",
    "unregister_hook",
    "unsubscribe",
]
