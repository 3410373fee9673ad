"""State tables: keys and values that every thread shares.

Any value that can be stored is a key, and keys are exact: `1`, `1.0` and `True`
are three keys.
"""

from __future__ import annotations

from typing import Any

from hornbeam import _context, _native


class RemoteTable:
    """A table of another node, reached through that table's actor.

    Each operation is one message there and back. Raises `NodeError` while the
    node can't be reached.
    """

    def __init__(self, name: str, node: str) -> None:
        self.name = name
        self.node = node

    def _ask(self, op: str, *args: Any) -> Any:
        return _native.request(
            self.node,
            "table:" + self.name,
            op,
            args,
            _context.timeout(5000),
            _context.depth(),
        )

    def get(self, key: Any, default: Any = None) -> Any:
        found = self._ask("get", key)
        return found[0] if found else default

    def contains(self, key: Any) -> bool:
        return self._ask("contains", key)

    def set(self, key: Any, value: Any) -> None:
        self._ask("set", key, value)

    def insert_new(self, key: Any, value: Any) -> bool:
        return self._ask("insert_new", key, value)

    def delete(self, key: Any) -> bool:
        return self._ask("delete", key)

    def take(self, key: Any, default: Any = None) -> Any:
        found = self._ask("take", key)
        return found[0] if found else default

    def incr(self, key: Any, delta: int = 1) -> int:
        return self._ask("incr", key, delta)

    def get_multi(self, keys: list[Any]) -> dict[Any, Any]:
        keys = list(keys)
        found = self._ask("get_many", keys)
        return {k: x[0] if x else None for k, x in zip(keys, found)}

    def keys(self, prefix: str | None = None) -> list[Any]:
        return self._ask("keys") if prefix is None else self._ask("keys", prefix)

    def size(self) -> int:
        return self._ask("size")

    def clear(self) -> None:
        self._ask("clear")


def table(name: str, node: str | None = None) -> _native.Table | RemoteTable:
    """The table `name` of this node, made when first asked for; or that of
    another node."""
    if node is None or (full := _native.full_name(node)) == _native.name():
        return _native.table(name)
    return RemoteTable(name, full)
