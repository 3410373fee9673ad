"""Values that cross processes and nodes beyond Python's plain types.

Every value that is stored or sent becomes an Erlang-like term. Plain types go
as they are; this module adds atoms, pids and references, carries dates,
decimals, UUIDs, complex numbers, enums and NumPy arrays, and lets a program
add types of its own. Nothing is ever pickled.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import sys
import uuid
from typing import Any, Callable, NamedTuple, TypeVar

from hornbeam import _late

T = TypeVar("T")


class Atom(str):
    """A name, as Erlang has them. It compares equal to its text."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Atom({str.__repr__(self)})"


class _Mark:
    """What is unique in all nodes: a node, one start of it, a number."""

    __slots__ = ("node", "incarnation", "serial")

    def __init__(self, node: str, incarnation: int, serial: int) -> None:
        self.node = node
        self.incarnation = incarnation
        self.serial = serial

    def _key(self) -> tuple[str, int, int]:
        return (self.node, self.incarnation, self.serial)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._key() == other._key()  # type: ignore

    def __hash__(self) -> int:
        return hash(self._key())


class Pid(_Mark):
    """The address of a process, a thread, a task or a handler call."""

    def __repr__(self) -> str:
        return f"<{self.node}.{self.incarnation}.{self.serial}>"


class Ref(_Mark):
    """A unique mark, made by `hornbeam.make_ref()`. An alias also names the
    process that it leads to (`owner`, else 0)."""

    __slots__ = ("owner",)

    def __init__(
        self, node: str, incarnation: int, serial: int, owner: int = 0
    ) -> None:
        super().__init__(node, incarnation, serial)
        self.owner = owner

    def __repr__(self) -> str:
        return f"#Ref<{self.node}.{self.incarnation}.{self.serial}>"


class Missing:
    """The type of `MISSING`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"


#: What stands for a key that is not there. It can't be stored.
MISSING = Missing()


class Opaque(NamedTuple):
    """A value whose tag this process does not know: it can be stored and sent
    on, and reads as before where the tag is known."""

    tag: str
    value: Any


class _Codec(NamedTuple):
    tag: str
    to_term: Callable[[Any], Any]
    from_term: Callable[[Any], Any]


_by_class: dict[type, _Codec] = {}
_by_tag: dict[str, Callable[[Any], Any]] = {}


def register_type(
    cls: type[T],
    tag: str,
    to_term: Callable[[T], Any],
    from_term: Callable[[Any], T],
) -> None:
    """Let values of exactly `cls` be stored and sent.

    `to_term` turns one into plain values, `from_term` the other way round;
    `tag` names the type on every node that knows it. A tag or class that is
    registered already is replaced; the built-in tags can't be.
    """
    if not isinstance(cls, type):
        raise TypeError(f"cls must be a class, not {type(cls).__name__}")
    if not isinstance(tag, str) or not tag:
        raise TypeError("tag must be a str that is not empty")
    if tag in _BUILTIN_TAGS:
        raise ValueError(f"the tag {tag!r} is built in; choose another")
    _by_class[cls] = _Codec(tag, to_term, from_term)
    _by_tag[tag] = from_term


# -- built-in extensions ------------------------------------------------------


def _encode_zone(zone: datetime.tzinfo | None) -> Any:
    if zone is None:
        return None
    key = getattr(zone, "key", None)
    if isinstance(key, str):
        return key
    if isinstance(zone, datetime.timezone):
        offset = zone.utcoffset(None)
        return [offset.days * 86400 + offset.seconds, offset.microseconds]
    raise TypeError(
        f"a time zone of type {type(zone).__name__} can't be sent; use zoneinfo "
        "or datetime.timezone"
    )


def _decode_zone(x: Any) -> datetime.tzinfo | None:
    if x is None:
        return None
    if isinstance(x, str):
        return _late.module("zoneinfo").ZoneInfo(x)
    return datetime.timezone(datetime.timedelta(seconds=x[0], microseconds=x[1]))


def _encode_datetime(x: datetime.datetime) -> Any:
    return [x.replace(tzinfo=None).isoformat(), _encode_zone(x.tzinfo), x.fold]


def _decode_datetime(x: Any) -> datetime.datetime:
    text, zone, fold = x
    return datetime.datetime.fromisoformat(text).replace(
        tzinfo=_decode_zone(zone), fold=fold
    )


def _encode_time(x: datetime.time) -> Any:
    return [x.replace(tzinfo=None).isoformat(), _encode_zone(x.tzinfo), x.fold]


def _decode_time(x: Any) -> datetime.time:
    text, zone, fold = x
    return datetime.time.fromisoformat(text).replace(
        tzinfo=_decode_zone(zone), fold=fold
    )


def _decode_enum(x: Any) -> Any:
    module, name, member = x[:3]
    # Only modules that the program has imported itself: data loads no code.
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if isinstance(found, type) and issubclass(found, enum.Enum):
        return found(x[3]) if member is None else found[member]
    return Opaque("enum", x)


def _decode_array(x: Any) -> Any:
    dtype, shape, data = x
    return _late.module("numpy").ndarray(shape, dtype, data)


_builtin: dict[type, _Codec] = {
    datetime.datetime: _Codec("datetime", _encode_datetime, _decode_datetime),
    datetime.date: _Codec(
        "date", datetime.date.isoformat, datetime.date.fromisoformat
    ),
    datetime.time: _Codec("time", _encode_time, _decode_time),
    datetime.timedelta: _Codec(
        "timedelta",
        lambda x: [x.days, x.seconds, x.microseconds],
        lambda x: datetime.timedelta(x[0], x[1], x[2]),
    ),
    decimal.Decimal: _Codec("decimal", str, decimal.Decimal),
    uuid.UUID: _Codec("uuid", lambda x: x.bytes, lambda x: uuid.UUID(bytes=x)),
    complex: _Codec(
        "complex", lambda x: [x.real, x.imag], lambda x: complex(x[0], x[1])
    ),
    frozenset: _Codec("frozenset", set, frozenset),
    bytearray: _Codec("bytearray", bytes, bytearray),
}
_by_class.update(_builtin)
_by_tag.update({c.tag: c.from_term for c in _builtin.values()})
_by_tag["enum"] = _decode_enum
_by_tag["ndarray"] = _decode_array
_BUILTIN_TAGS = frozenset(_by_tag)


def _encode_array(x: Any) -> Any:
    numpy = sys.modules["numpy"]
    dtype = x.dtype
    if dtype.hasobject or dtype.names is not None or dtype.kind == "V":
        raise TypeError(
            f"an array of dtype {dtype} can't be stored or sent; only numbers, "
            "dates and fixed-size text can"
        )
    flat = numpy.ascontiguousarray(x)
    # Dates and text have no buffer of their own kind.
    data = flat.tobytes() if dtype.kind in "mMUSO" else flat.reshape(-1).data
    return ("ndarray", (dtype.str, x.shape, data))


def encode(x: Any) -> tuple[str | None, Any] | None:
    """For the native module: what `x` is sent as.

    None: unknown. (None, value): a plain value in other clothes. ("ndarray",
    (dtype, shape, buffer)): an array. (tag, value): an extension.
    """
    cls = type(x)
    codec = _by_class.get(cls)
    if codec is not None:
        return (codec.tag, codec.to_term(x))
    if isinstance(x, enum.Enum):
        where = [cls.__module__, cls.__qualname__]
        if x.name in cls.__members__:
            return ("enum", [*where, x.name])
        return ("enum", [*where, None, x.value])  # several flags, or none
    if cls is Opaque:
        if not isinstance(x.tag, str):
            raise TypeError(
                f"the tag of an Opaque must be a str, not {type(x.tag).__name__}"
            )
        if x.tag == "ndarray":
            raise ValueError("an Opaque can't be an ndarray")
        return (x.tag, x.value)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        if cls is numpy.ndarray:
            return _encode_array(x)
        if isinstance(x, numpy.generic):
            plain = x.item()
            # A date in nanoseconds would become a mere number, a record a tuple.
            if isinstance(plain, numpy.generic) or x.dtype.kind in "mMV":
                raise TypeError(f"a NumPy scalar of type {cls.__name__} can't be sent")
            return (None, plain)
    return None


def decode(tag: str, value: Any) -> Any:
    """For the native module: the object that an extension stands for."""
    from_term = _by_tag.get(tag)
    if from_term is None:
        return Opaque(tag, value)
    return from_term(value)
