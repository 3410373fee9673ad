"""Processes by key, as Elixir's Registry: those of this node, each with a value.

    rooms = Registry()
    rooms.register("lobby", {"seats": 10})  # whoever calls
    process.send(rooms.whereis("lobby"), "hello")

A key is anything that can be hashed. An entry goes when its process ends: nobody who
has heard of that finds it any more. Values stay in this Python, and are not copied.
Nothing here waits, so that it is the same in coroutines.
"""

from __future__ import annotations

import weakref
from typing import Any, Callable, Hashable, NamedTuple

from hornbeam import _engine, _real, _waits, process
from hornbeam.errors import HornbeamError
from hornbeam.values import Pid, Ref

__all__ = ["AlreadyRegistered", "Entry", "Registry"]


class AlreadyRegistered(HornbeamError):
    """The key is taken: by `pid`."""

    def __init__(self, key: Any, pid: Pid) -> None:
        super().__init__(f"the key {key!r} is registered already: by {pid!r}")
        self.key = key
        self.pid = pid


class Entry(NamedTuple):
    """A process, as it is registered for a key."""

    key: Any
    pid: Pid
    value: Any


class Registry:
    """Keys with processes: with `unique`, each has one at most, else any number, and
    each process once for a key."""

    def __init__(self, *, unique: bool = True) -> None:
        self.unique = unique
        self._by_key: dict[Hashable, dict[Pid, Any]] = {}
        self._by_pid: dict[Pid, set[Hashable]] = {}
        with _lock:
            _registries.add(self)

    def register(
        self, key: Hashable, value: Any = None, pid: Pid | None = None
    ) -> None:
        """Register a process of this node, by default the calling one. Raises
        `AlreadyRegistered` if another has a unique key, or this one has the key;
        `ValueError` if the process is dead, or one of another node."""
        pid = process.self() if pid is None else pid
        if not process.is_alive(pid):
            raise ValueError(f"{pid!r} can't be registered: it is dead")
        with _lock:
            others = self._by_key.get(key, {})
            taken = others if self.unique else {pid: None} if pid in others else {}
            for other in taken:
                if process.is_alive(other):
                    raise AlreadyRegistered(key, other)
            for other in list(taken):
                self._remove(key, other)
            self._by_key.setdefault(key, {})[pid] = value
            self._by_pid.setdefault(pid, set()).add(key)
            _watch(pid)

    def unregister(self, key: Hashable, pid: Pid | None = None) -> bool:
        """Take an entry away, by default that of the calling process. False if there
        is none."""
        pid = process.self() if pid is None else pid
        with _lock:
            return self._remove(key, pid)

    def lookup(self, key: Hashable) -> list[Entry]:
        """Who is registered for a key, the first one first."""
        with _lock:
            found = [Entry(key, *x) for x in self._by_key.get(key, {}).items()]
        return [x for x in found if process.is_alive(x.pid)]

    def whereis(self, key: Hashable) -> Pid | None:
        """The first of them."""
        found = self.lookup(key)
        return found[0].pid if found else None

    def keys(self, pid: Pid | None = None) -> list[Any]:
        """The keys of a process, by default the calling one."""
        pid = process.self() if pid is None else pid
        if not process.is_alive(pid):
            return []
        with _lock:
            return list(self._by_pid.get(pid, ()))

    def entries(self) -> list[Entry]:
        """All of it."""
        with _lock:
            found = [Entry(k, *x) for k, of in self._by_key.items() for x in of.items()]
        return [x for x in found if process.is_alive(x.pid)]

    def update_value(self, key: Hashable, f: Callable[[Any], Any]) -> Any:
        """Give the entry of the calling process the value `f(value)`, and return that.
        Raises `KeyError` if there is none."""
        pid = process.self()
        with _lock:
            value = self._by_key.get(key, {})[pid]
        value = f(value)
        with _lock:
            of_key = self._by_key.get(key, {})
            if pid not in of_key:
                raise KeyError(pid)
            of_key[pid] = value
        return value

    def dispatch(self, key: Hashable, message: Any) -> int:
        """Send a message to each process of a key; returns to how many."""
        found = self.lookup(key)
        for x in found:
            process.send(x.pid, message)
        return len(found)

    def count(self) -> int:
        """How many entries there are."""
        return len(self.entries())

    def _remove(self, key: Hashable, pid: Pid) -> bool:
        of_key = self._by_key.get(key, {})
        if pid not in of_key:
            return False
        del of_key[pid]
        if not of_key:
            del self._by_key[key]
        keys = self._by_pid[pid]
        keys.discard(key)
        if not keys:
            del self._by_pid[pid]
        return True


# -- entries of those that have ended ---------------------------------------------

_lock = _real.threading().RLock()
_registries: weakref.WeakSet[Registry] = weakref.WeakSet()
#: Those that the keeper monitors.
_watched: set[Pid] = set()
_keeper: Pid | None = None


def _watch(pid: Pid) -> None:
    global _keeper
    if _keeper is None or not process.is_alive(_keeper):
        _keeper = process.spawn(_keep)
        _watched.clear()
        for x in {x for registry in _registries for x in registry._by_pid}:
            _tell(x)
    elif pid not in _watched:
        _tell(pid)


def _tell(pid: Pid) -> None:
    assert _keeper is not None
    _watched.add(pid)
    process.send(_keeper, ("watch", pid))


async def _keep() -> None:
    """The process that hears of ends."""
    refs: dict[Ref, Pid] = {}
    ref: Ref
    while True:
        match await _waits.on_loop(_waits.receive(None, None, tuple)):
            case ("watch", Pid() as pid):
                refs[process.monitor(pid)] = pid
            case ("DOWN", Ref() as ref, _, _, _) if ref in refs:
                _forget(refs.pop(ref))


def _forget(pid: Pid) -> None:
    with _lock:
        _watched.discard(pid)
        for registry in list(_registries):
            for key in list(registry._by_pid.get(pid, ())):
                registry._remove(key, pid)


def _forked() -> None:
    # Those that are registered stay with the parent.
    global _lock, _keeper
    _lock = _real.threading().RLock()
    _keeper = None
    _watched.clear()
    for registry in list(_registries):
        registry._by_key.clear()
        registry._by_pid.clear()


_engine.on_fork.append(_forked)
