"""Erlang's terms as Python has them: how they compare, and as text.

Atoms are `Atom`, also true and false; strings are none of them, so that a list of
plain ones can stand for the stack of an error.
"""

from __future__ import annotations

import functools
from typing import Any, Callable

from hornbeam import Atom, Pid, Ref

TRUE, FALSE, OK, ERROR = Atom("true"), Atom("false"), Atom("ok"), Atom("error")
UNDEFINED, INFINITY = Atom("undefined"), Atom("infinity")
#: What stands for the stack of an error.
STACK = ["where it was raised"]


class Raised(Exception):
    """An exception of Erlang's: error, exit or throw."""

    def __init__(self, error_class: str, reason: Any) -> None:
        self.error_class = error_class
        self.reason = reason

    def exit_reason_of_process(self) -> Any:
        if self.error_class == "error":
            return (self.reason, STACK)
        if self.error_class == "throw":
            return ((Atom("nocatch"), self.reason), STACK)
        return self.reason


def error(reason: str, *more: Any) -> Raised:
    return Raised("error", (Atom(reason), *more) if more else Atom(reason))


class Fun:
    """A fun: code of a module, and what it has captured."""

    def __init__(
        self, module: str, code: int | str, arity: int, captured: dict[str, Any]
    ) -> None:
        self.module = module
        self.code = code  # the number of a fun, or the name of a function
        self.arity = arity
        self.captured = captured

    def to_term(self) -> Any:
        return (self.module, self.code, self.arity, self.captured)

    @staticmethod
    def from_term(x: Any) -> Fun:
        return Fun(*x)


def boolean(x: object) -> Atom:
    return TRUE if x else FALSE


def or_undefined(x: Any) -> Any:
    return UNDEFINED if x is None else x


def is_true(x: Any) -> bool:
    if x == TRUE:
        return True
    if x == FALSE:
        return False
    raise error("badarg")


def is_number(x: Any) -> bool:
    return type(x) is int or type(x) is float


# -- order --------------------------------------------------------------------

RANKS: tuple[type, ...] = (float, str, Ref, Fun, Pid, tuple, dict, list)


def _rank(x: Any) -> int:
    if type(x) is int:
        return 0
    return next(i for i, kind in enumerate(RANKS) if isinstance(x, kind))


def compare(a: Any, b: Any, exact: bool = False) -> int:
    """Erlang's order, in which 1 and 1.0 are equal unless `exact`."""
    if _rank(a) != _rank(b):
        return _rank(a) - _rank(b)
    if isinstance(a, dict):
        a, b = sorted_pairs(a), sorted_pairs(b)
    if isinstance(a, (tuple, list)):
        if isinstance(a, tuple) and len(a) != len(b):
            return len(a) - len(b)
        for x, y in zip(a, b):
            if order := compare(x, y, exact):
                return order
        return len(a) - len(b)
    if isinstance(a, (Pid, Ref)):
        a, b = (a.incarnation, a.serial), (b.incarnation, b.serial)
    if isinstance(a, Fun):
        a, b = id(a), id(b)
    if exact and a == b and is_number(a):
        a, b = type(a) is float, type(b) is float
    return int(a > b) - int(a < b)


def same(a: Any, b: Any) -> bool:
    """Erlang's `=:=`."""
    return compare(a, b, exact=True) == 0


in_order = functools.cmp_to_key(compare)


def sorted_pairs(x: dict[Any, Any]) -> list[tuple[Any, Any]]:
    return sorted(x.items(), key=lambda pair: in_order(pair[0]))


# -- text, as tests/conformance/erlang/trace_text.erl makes it ------------------

RESERVED = set(
    "after and andalso band begin bnot bor bsl bsr bxor case catch cond div else end "
    "fun if let maybe not of or orelse receive rem try when xor".split()
)


def _quoted(text: str) -> str:
    plain = (
        text.isascii()
        and text[:1].islower()
        and all(c.isalnum() or c in "_@" for c in text)
        and text not in RESERVED
    )
    return text if plain else f"'{text}'"


class Printer:
    """Processes and references are numbered in the order in which they appear."""

    def __init__(self, label: Callable[[str], str | None]) -> None:
        self._label = label
        self._pids: dict[Any, int] = {}
        self._refs: dict[Any, int] = {}

    def show(self, x: Any, sketch: bool = False) -> str:
        """A sketch has ? for what has no number yet."""
        if isinstance(x, Pid):
            return f"<p{self._number(self._pids, x, sketch)}>"
        if isinstance(x, Ref):
            return f"#r{self._number(self._refs, x, sketch)}"
        if isinstance(x, Fun):
            return "fun"
        if isinstance(x, str):
            label = self._label(x)
            return _quoted(x) if label is None else f"'@{label}'"
        if isinstance(x, tuple):
            return "{" + ",".join(self.show(y, sketch) for y in x) + "}"
        if isinstance(x, list):
            if x and all(type(y) is str for y in x):
                return "'$stack'"
            return "[" + ",".join(self.show(y, sketch) for y in x) + "]"
        if isinstance(x, dict):
            shown = (
                f"{self.show(k, sketch)} => {self.show(v, sketch)}"
                for k, v in sorted_pairs(x)
            )
            return "#{" + ",".join(shown) + "}"
        return repr(x).lower() if isinstance(x, bool) else repr(x)

    @staticmethod
    def _number(known: dict[Any, int], x: Any, sketch: bool) -> int | str:
        if x not in known:
            if sketch:
                return "?"
            known[x] = len(known) + 1
        return known[x]


def render(
    lines: list[tuple[str, Any]], label: Callable[[str], str | None]
) -> list[str]:
    """Lines of one group that follow each other are sorted, as their order is free."""
    printer = Printer(label)
    out: list[str] = []
    at = 0
    while at < len(lines):
        group = lines[at][0]
        if not group:
            out.append(printer.show(lines[at][1]))
            at += 1
            continue
        end = at
        while end < len(lines) and lines[end][0] == group:
            end += 1
        free = sorted(
            ((printer.show(x, sketch=True), x) for _, x in lines[at:end]),
            key=lambda pair: pair[0],
        )
        out += [f"any {group}: {printer.show(x)}" for _, x in free]
        at = end
    return out
