"""Values that cross processes and nodes beyond Python's plain types.

Every value that is stored or sent becomes an Erlang-like term. Plain types go
as they are; this module adds atoms, pids and references, carries dates,
decimals, UUIDs, complex numbers, enums and NumPy arrays, and lets a program
add types of its own. Nothing is ever pickled.
"""

from __future__ import annotations

import enum
import sys
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, TypeVar, overload

from hornbeam import _late, _native

if TYPE_CHECKING:
    import datetime
else:
    datetime = _late.stand_in("datetime", globals())

T = TypeVar("T")

Pid = _native.Pid
Ref = _native.Ref


class Atom(str):
    """A name, as Erlang has them. It compares equal to its text."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Atom({str.__repr__(self)})"


class Missing:
    """The type of `MISSING`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"

    def __reduce__(self) -> str:  # a copy is the same one
        return "MISSING"


#: What stands for a key that is not there. It can't be stored.
MISSING = Missing()


class Opaque(NamedTuple):
    """A value that this process can't read, as it does not know its tag, or its
    class, enum member or time zone is gone: it can be stored and sent on, and reads
    as before where that is known."""

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


@overload
def message(cls: type[T], /) -> type[T]: ...


@overload
def message(*, tag: str) -> Callable[[type[T]], type[T]]: ...


def message(cls: Any = None, /, *, tag: str | None = None) -> Any:
    """Let instances of a dataclass be stored and sent.

        @hornbeam.message
        @dataclass
        class Deposit:
            amount: int

    They travel as a dict of their fields, with `tag` (by default the class's module and
    name), and are instances of the class that has the tag where they arrive: so
    `case Deposit(amount)` fits on each node that has registered it, and after a reload.
    Where none has it, or the fields do not fit, they are `Opaque`. A class is made by
    its `__init__`, which may refuse a value by raising.

    Raises `TypeError` if it is no dataclass, or has an `InitVar`.
    """
    if cls is None:
        return lambda cls: _register_dataclass(cls, tag)
    return _register_dataclass(cls, tag)


def _register_dataclass(cls: Any, tag: str | None) -> Any:
    own: Any = vars(cls) if isinstance(cls, type) else {}
    if "__dataclass_fields__" not in own:
        raise TypeError(
            f"{getattr(cls, '__qualname__', cls)!r} is no dataclass: write "
            "@hornbeam.message above @dataclass"
        )
    fields = _late.module("dataclasses").fields(cls)
    names = [x.name for x in fields]
    made_later = [x.name for x in fields if not x.init]
    given_only = _init_only(own["__dataclass_fields__"])
    if given_only is not None:
        raise TypeError(
            f"the field {given_only!r} of {cls.__qualname__!r} is an InitVar, which no "
            "instance has: it can't be sent"
        )

    def to_term(x: Any) -> dict[str, Any]:
        return {name: getattr(x, name) for name in names}

    def from_term(given: dict[str, Any]) -> Any:
        given = dict(given)
        later = {name: given.pop(name) for name in made_later if name in given}
        found = cls(**given)
        for name, value in later.items():
            object.__setattr__(found, name, value)
        return found

    if tag is None:
        tag = f"{cls.__module__}.{cls.__qualname__}"
    register_type(cls, tag, to_term, from_term)
    return cls


def _init_only(all_fields: dict[str, Any]) -> str | None:
    kind = _late.module("dataclasses")._FIELD_INITVAR
    return next((n for n, x in all_fields.items() if x._field_type is kind), None)


# -- built-in extensions ------------------------------------------------------


def _encode_zone(zone: datetime.tzinfo | None) -> Any:
    if zone is None:
        return None
    key = getattr(zone, "key", None)
    if isinstance(key, str):
        return key
    if isinstance(zone, datetime.timezone):
        offset = zone.utcoffset(None)
        parts: list[Any] = [offset.days * 86400 + offset.seconds, offset.microseconds]
        name = zone.tzname(None)
        if name != datetime.timezone(offset).tzname(None):
            parts.append(name)
        return parts
    raise TypeError(
        f"a time zone of type {type(zone).__name__} can't be sent; use zoneinfo "
        "or datetime.timezone"
    )


def _decode_zone(x: Any) -> datetime.tzinfo | None:
    if x is None:
        return None
    if isinstance(x, str):
        return _late.module("zoneinfo").ZoneInfo(x)
    offset = datetime.timedelta(seconds=x[0], microseconds=x[1])
    return datetime.timezone(offset, *x[2:])


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


def _datetime_codecs(m: Any) -> dict[type, _Codec]:
    return {
        m.datetime: _Codec("datetime", _encode_datetime, _decode_datetime),
        m.date: _Codec("date", m.date.isoformat, m.date.fromisoformat),
        m.time: _Codec("time", _encode_time, _decode_time),
        m.timedelta: _Codec(
            "timedelta",
            lambda x: [x.days, x.seconds, x.microseconds],
            lambda x: m.timedelta(x[0], x[1], x[2]),
        ),
    }


def _decimal_codecs(m: Any) -> dict[type, _Codec]:
    return {m.Decimal: _Codec("decimal", str, m.Decimal)}


def _uuid_codecs(m: Any) -> dict[type, _Codec]:
    return {m.UUID: _Codec("uuid", lambda x: x.bytes, lambda x: m.UUID(bytes=x))}


_builtin: dict[type, _Codec] = {
    complex: _Codec(
        "complex", lambda x: [x.real, x.imag], lambda x: complex(x[0], x[1])
    ),
    frozenset: _Codec("frozenset", set, frozenset),
    bytearray: _Codec("bytearray", bytes, bytearray),
}
#: Modules whose classes are built in: they are imported with the first value.
_modules: dict[str, Callable[[Any], dict[type, _Codec]]] = {
    "datetime": _datetime_codecs,
    "decimal": _decimal_codecs,
    "uuid": _uuid_codecs,
}
_module_of_tag = {
    **dict.fromkeys(("datetime", "date", "time", "timedelta"), "datetime"),
    "decimal": "decimal",
    "uuid": "uuid",
}


def _add(codecs: dict[type, _Codec]) -> None:
    for cls, codec in codecs.items():
        _by_class.setdefault(cls, codec)  # the program may have its own
        _by_tag[codec.tag] = codec.from_term


def _load(module: str) -> None:
    codecs = _modules.get(module)
    if codecs is not None:
        _add(codecs(_late.module(module)))
        _modules.pop(module, None)


_add(_builtin)
_by_tag["enum"] = _decode_enum
_by_tag["ndarray"] = _decode_array
_BUILTIN_TAGS = frozenset((*_by_tag, *_module_of_tag))


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
    if codec is None and cls.__module__ in _modules:
        _load(cls.__module__)
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
        if tag not in _module_of_tag:
            return Opaque(tag, value)
        _load(_module_of_tag[tag])
        from_term = _by_tag[tag]
    try:
        return from_term(value)
    except MemoryError:
        raise
    except Exception:
        # What it was made of is gone, or different: nothing is lost, and whoever
        # reads other values beside it does not suffer.
        if tag == "ndarray":
            raise
        return Opaque(tag, value)
