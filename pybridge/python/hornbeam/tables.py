"""State tables: keys and values that every thread shares, of this node and of
others, in memory or in a file that all processes of the host share.

    users = tables.table("users", kind="ordered_set", ttl_ms=60_000)
    users.set("alice", {"age": 42})

Any value that can be stored is a key, and keys are exact: `1`, `1.0` and `True`
are three keys. Every operation is atomic and safe from any thread. See
docs/tables.md.
"""

from __future__ import annotations

import itertools
from typing import Any, Callable, Iterator, NamedTuple

from hornbeam import _engine, _log, _native, _outcome, _owner, _real, errors
from hornbeam.values import MISSING, Pid

__all__ = ["MISSING", "Change", "Table", "Watch", "new", "table"]


class Change(NamedTuple):
    """What happened to a key that is watched."""

    #: "set", "delete", "expire", "evict", or "end": of the table itself, or of
    #: the connection to its node.
    kind: str
    key: Any
    #: The value before, or MISSING.
    old: Any
    #: The value after, or MISSING.
    new: Any


Callback = Callable[[Change], object]
#: What `Table.watch` returns and `Table.unwatch` takes.
Watch = _native.TableWatch


class Table(_native.Table):
    """A table of this node, which is used in the calling thread, or of another
    node, which is asked by message; `table()` finds it.

    An operation on another node ends after 5 seconds, or when the surrounding
    `hornbeam.deadline` passes, with `HornbeamTimeout`, and at once with
    `NodeError` if that node can't be reached. Wrong values are `TypeError` and
    `ValueError`, here and there.
    """

    def __repr__(self) -> str:
        return f"<Table {self.name!r} of {self.node}>"

    def items(self, batch: int = 1000) -> Iterator[tuple[Any, Any]]:
        """All pairs of key and value, about `batch` in each step.

        What is there during the whole walk comes exactly once, whatever is
        written meanwhile. Of an ordered_set, in key order.
        """
        place = None
        while True:
            pairs, place = self.scan(place, batch)
            yield from pairs
            if place is None:
                return

    def __iter__(self) -> Iterator[Any]:
        return (key for key, _ in self.items())

    def watch(
        self, callback: Callback | None = None, *, key: Any = MISSING, prefix: str = ""
    ) -> Watch:
        """Be told of changes of `key`, or of all string keys that start with
        `prefix`; by default of all keys.

        With `callback`, it is called with a `Change` each time, in the order of
        changes, in a thread of its own that all callbacks share. Without, the
        mailbox of whoever calls gets
        `("table_event", number, name, kind, key, {"old": ..., "new": ...})` under
        the topic `table:NAME` (see `hornbeam.pubsub.receive`), the dict without
        what there is not.

        If the table ends, or its node is lost, the last change is of the kind
        "end".
        """
        wanted = None if key is not MISSING else prefix
        if key is not MISSING and prefix:
            raise TypeError("watch a key or a prefix, not both")
        number = next(_numbers)
        if callback is None:
            return Watch(self, _owner.listener(), number, key, wanted)
        if not callable(callback):
            raise TypeError(
                f"callback must be callable, not {type(callback).__name__}"
            )
        _callbacks[number] = callback
        try:
            return Watch(self, _listener(), number, key, wanted)
        except BaseException:
            del _callbacks[number]
            raise

    def unwatch(self, watch: Watch) -> bool:
        """End a watch; False if it had ended. What was on its way still
        comes."""
        if not isinstance(watch, Watch):
            raise TypeError(f"a watch must be a Watch, not {type(watch).__name__}")
        _callbacks.pop(watch.number, None)
        try:
            return watch.close()
        except errors.NodeError:
            return False


def table(name: str, node: str | None = None, **options: Any) -> Table:
    """The table `name` of this node, made when first asked for, or that of
    `node`.

    `options` declare how a table of this node is made; who asks for it later
    need not repeat them, but what is repeated must agree:

    - `kind`: "set", or "ordered_set" (in key order; 1 and 1.0 are one key),
      "bag" (several values a key, each once) or "duplicate_bag"
    - `ttl_ms`: how long entries live that are set without a time of their own,
      in milliseconds; 0: for ever
    - `max_entries`, `max_bytes`: beyond this, what was used least recently goes
    - `engine`: "memory", or "lmdb": a file that all processes of the host share,
      at `path`, which holds `map_bytes` at most; `durable="always"` for one that
      survives a power cut as well; `check`: when it is searched for damage
    - `home`: the node (`name@host`, or `name` on this host) that holds the entries
      for all nodes

    Raises `HornbeamError` if the table was declared otherwise before, and
    `TypeError` or `ValueError` for an option that makes no sense.
    """
    if options:
        if node is not None:
            raise TypeError("options are for a table of this node")
        _native.declare_table(name, options)
    return Table(name, "" if node is None else _native.full_name(node))


def new(
    name: str,
    *,
    access: str = "protected",
    heir: Pid | None = None,
    heir_data: Any = None,
    **options: Any,
) -> Table:
    """A new table of this node that belongs to whoever calls (see
    `hornbeam.process.self`), as `ets:new`. It ends with its owner, or goes to
    `heir`, a process of this node, if that lives then: it gets the message
    `("ETS-TRANSFER", name, pid of the owner, heir_data)`.

    `access` says what others may do: "public": all, "protected": read,
    "private": nothing. `options` are those of `table()`.

    Raises `HornbeamError` if there is a table of that name.
    """
    _native.new_table(
        name, {"access": access, **options}, _owner.mailbox(), heir, heir_data
    )
    return Table(name)


# -- callbacks ----------------------------------------------------------------

_numbers = itertools.count(1)
_callbacks: dict[int, Callback] = {}
_lock = _real.threading().Lock()
_box: _native.Mailbox | None = None


def _listener() -> _native.Mailbox:
    """The mailbox of the thread that runs the callbacks."""
    global _box
    with _lock:
        if _box is None or _box.closed:
            box = _native.Mailbox()
            _real.threading().Thread(
                target=_listen, args=(box,), name="hornbeam.watch", daemon=True
            ).start()
            _box = box
        return _box


def _listen(box: _native.Mailbox) -> None:
    ok, message = _outcome.of(box.receive_topic, None)
    while not ok or message is not None:
        what = "what a watch was to be told can't be read"
        if ok:
            table = message[0].removeprefix("table:")
            what = f"a callback that watches the table {table!r} raised"
            ok, message = _outcome.of(_tell, *message[1][1:])
        if not ok:  # the next change is another matter
            _outcome.of(_log.say, _log.ERROR, "tables", what, what, message)
            if _ended(box):
                return
        ok, message = _outcome.of(box.receive_topic, None)


def _tell(number: int, _: Any, kind: Any, key: Any, values: dict[str, Any]) -> None:
    callback = _callbacks.get(number)
    if callback is None:
        return
    if kind == "end":
        _callbacks.pop(number, None)
    old, new = values.get("old", MISSING), values.get("new", MISSING)
    callback(Change(str(kind), key, old, new))


def _ended(box: _native.Mailbox) -> bool:
    """Whether somebody has ended the process of the callbacks."""
    global _box
    if isinstance(_outcome.of(box.receive, 0)[1], errors.HornbeamError):
        with _lock:
            if _box is box:
                _box = None
        return True
    return False


def _forked() -> None:
    global _lock, _box
    _lock = _real.threading().Lock()
    _box = None
    _callbacks.clear()


_engine.on_fork.append(_forked)
