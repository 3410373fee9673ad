"""Distribution: connections to other nodes and calls to them."""

from hornbeam.cluster import connect, disconnect, node, nodes, ping
from hornbeam.rpc import rpc_call, rpc_cast

__all__ = ["connect", "disconnect", "node", "nodes", "ping", "rpc_call", "rpc_cast"]
