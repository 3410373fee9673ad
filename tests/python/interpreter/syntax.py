"""The subset of Erlang that tests/conformance/README.md describes, read into a tree."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hornbeam import Atom


class ScriptError(Exception):
    """A scenario has what the interpreter does not know: an error of the test."""


@dataclass
class Token:
    kind: str  # atom, keyword, variable, integer, floating, string, macro, symbol, end
    text: str
    place: str


@dataclass
class Clause:
    """A clause of a function, a fun, `case`, `if`, `receive` or `try`."""

    patterns: list[Node]
    guard: list[list[Node]]  # alternatives (;) of conditions that all hold (,)
    body: list[Node] = field(default_factory=list)
    error_class: str = ""  # of `catch`: an atom or a variable


@dataclass
class Node:
    """An expression or a pattern; both are written in the same way."""

    kind: str
    place: str
    text: str = ""
    value: Any = None
    parts: list[Any] = field(default_factory=list)
    clauses: list[Clause] = field(default_factory=list)
    handlers: list[Clause] = field(default_factory=list)
    rest: list[Node] = field(default_factory=list)
    #: The last part of a list is its tail; `receive` and `try` have an `after`.
    more: bool = False
    arity: int = 0
    #: The number of a fun in its module.
    number: int = -1
    #: Whether it never waits; found out when it is asked for.
    plain: bool | None = None


class Module:
    """Its functions by name and number of arguments, its funs by number."""

    def __init__(self, path: Path) -> None:
        self.name = ""
        self.functions: dict[tuple[str, int], list[Clause]] = {}
        self.funs: list[list[Clause]] = []
        self._read(path)

    def _read(self, path: Path) -> None:
        reader = Reader(tokens_of(path), self)
        while reader.peek().kind != "end":
            if reader.peek().text == "-":
                self._read_attribute(reader, path.parent)
            else:
                name, clauses = reader.function()
                self.functions[name, len(clauses[0].patterns)] = clauses

    def _read_attribute(self, reader: Reader, folder: Path) -> None:
        reader.expect("-")
        name = reader.take()
        if name.text == "module":
            reader.expect("(")
            self.name = reader.take().text
        elif name.text == "include":
            reader.expect("(")
            self._read(folder / reader.take().text)
        elif name.text not in ("compile", "import", "export", "behaviour"):
            complain(name.place, f"unknown attribute -{name.text}")
        while reader.take().text != ".":
            if reader.peek().kind == "end":
                complain(name.place, f"the attribute -{name.text} has no end")


def complain(place: str, what: str) -> Any:
    raise ScriptError(f"{place}: {what}")


# -- tokens -------------------------------------------------------------------

KEYWORDS = set(
    "after andalso begin case catch div end fun if not of orelse receive rem try "
    "when".split()
)
TOKEN = re.compile(
    r"""(?P<space>\s+|%[^\n]*)
    |(?P<atom>[a-z][\w@]*)
    |(?P<variable>[A-Z_][\w@]*)
    |(?P<floating>\d+\.\d+)
    |(?P<integer>\d+)
    |'(?P<quoted>[^'\\]*)'
    |"(?P<string>[^"\\]*)"
    |\?(?P<macro>\w+)
    |(?P<symbol>=:=|=/=|->|<-|=>|:=|==|/=|=<|>=|\+\+|--|\|\||[()\[\]{},;:=!|\#<>+*/.-])
    """,
    re.VERBOSE,
)


def tokens_of(path: Path) -> list[Token]:
    text = path.read_text()
    out: list[Token] = []
    at, line = 0, 1
    while at < len(text):
        place = f"{path.name}:{line}"
        found = TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            complain(place, f"can't read {text[at:at + 10]!r}")
        else:
            kind, word = found.lastgroup, found[found.lastgroup]
            if kind == "atom" and word in KEYWORDS:
                kind = "keyword"
            if kind == "quoted":
                kind = "atom"
            if kind != "space":
                out.append(Token(kind, word, place))
            line += found[0].count("\n")
            at = found.end()
    out.append(Token("end", "", f"{path.name}:{line}"))
    return out


# -- the tree -----------------------------------------------------------------

#: Operators of two sides that bind to the left, from the weakest on.
LEVELS = (
    ("orelse",),
    ("andalso",),
    ("=:=", "=/=", "==", "/=", "=<", ">=", "<", ">"),
    ("++", "--"),
    ("+", "-"),
    ("*", "/", "div", "rem"),
)
TO_THE_RIGHT = ("++", "--")


class Reader:
    def __init__(self, tokens: list[Token], module: Module) -> None:
        self.tokens = tokens
        self.module = module
        self.at = 0

    def peek(self, ahead: int = 0) -> Token:
        return self.tokens[min(self.at + ahead, len(self.tokens) - 1)]

    def take(self) -> Token:
        found = self.peek()
        self.at = min(self.at + 1, len(self.tokens) - 1)
        return found

    def sees(self, *words: str) -> bool:
        found = self.peek()
        return found.kind in ("symbol", "keyword") and found.text in words

    def accept(self, word: str) -> bool:
        if not self.sees(word):
            return False
        self.take()
        return True

    def expect(self, word: str) -> None:
        if not self.accept(word):
            complain(
                self.peek().place, f"expected {word!r}, found {self.peek().text!r}"
            )

    # -- clauses

    def function(self) -> tuple[str, list[Clause]]:
        name = self.peek().text
        clauses = []
        while True:
            if self.take().text != name:
                complain(self.peek().place, f"a clause of another function than {name}")
            clauses.append(self.function_clause())
            if not self.accept(";"):
                self.expect(".")
                return name, clauses

    def function_clause(self) -> Clause:
        self.expect("(")
        return self.guarded(self.until(")"))

    def guarded(self, patterns: list[Node]) -> Clause:
        guard = self.guard() if self.accept("when") else []
        self.expect("->")
        return Clause(patterns, guard, self.body())

    def guard(self) -> list[list[Node]]:
        out = [self.body()]
        while self.accept(";"):
            out.append(self.body())
        return out

    def body(self) -> list[Node]:
        out = [self.expression()]
        while self.accept(","):
            out.append(self.expression())
        return out

    def until(self, close: str) -> list[Node]:
        if self.accept(close):
            return []
        out = self.body()
        self.expect(close)
        return out

    def clauses(self) -> list[Clause]:
        out = [self.guarded([self.expression()])]
        while self.accept(";"):
            out.append(self.guarded([self.expression()]))
        return out

    # -- expressions

    def expression(self) -> Node:
        if self.sees("catch"):
            complain(self.peek().place, "no old-style catch: write try ... catch")
        a = self.operation(0)
        if not self.sees("=", "!"):
            return a
        op = self.take()
        kind = "match" if op.text == "=" else "operation"
        return Node(kind, op.place, op.text, parts=[a, self.expression()])

    def operation(self, level: int) -> Node:
        if level == len(LEVELS):
            return self.prefixed()
        a = self.operation(level + 1)
        while self.sees(*LEVELS[level]):
            op = self.take()
            b = self.operation(level + (op.text not in TO_THE_RIGHT))
            a = Node("operation", op.place, op.text, parts=[a, b])
        return a

    def prefixed(self) -> Node:
        if not self.sees("-", "not"):
            return self.called()
        op = self.take()
        x = self.prefixed()
        if op.text == "-" and x.kind == "literal":
            x.value = -x.value
            return x
        return Node("operation", op.place, op.text, parts=[x])

    def called(self) -> Node:
        f = self.primary()
        while True:
            place = self.peek().place
            module = None
            if self.sees("#"):
                f = Node("map_update", place, parts=[f, *self.map().parts])
                continue
            if self.accept(":"):
                module, f = f, self.primary()
            elif not self.sees("("):
                return f
            self.expect("(")
            f = Node("call", place, parts=[module, f, *self.until(")")])

    def primary(self) -> Node:
        t = self.take()
        if t.kind == "atom":
            return Node("literal", t.place, value=Atom(t.text))
        if t.kind == "integer":
            return Node("literal", t.place, value=int(t.text))
        if t.kind == "floating":
            return Node("literal", t.place, value=float(t.text))
        if t.kind == "variable":
            return Node("variable", t.place, t.text)
        if t.kind == "macro" and t.text == "MODULE":
            return Node("literal", t.place, value=Atom(self.module.name))
        if t.kind in ("symbol", "keyword"):
            return self.compound(t)
        return complain(t.place, f"can't read {t.text!r} here")

    def compound(self, t: Token) -> Node:
        if t.text == "(":
            x = self.expression()
            self.expect(")")
            return x
        if t.text == "{":
            return Node("tuple", t.place, parts=self.until("}"))
        if t.text == "[":
            return self.list(t.place)
        if t.text == "#":
            self.at -= 1
            return self.map()
        if t.text == "fun":
            return self.fun(t.place)
        if t.text == "case":
            subject = self.expression()
            self.expect("of")
            return self.ended(
                Node("case", t.place, parts=[subject], clauses=self.clauses())
            )
        if t.text == "if":
            return self.ended(self.conditions(t.place))
        if t.text == "receive":
            return self.ended(self.receive(t.place))
        if t.text == "try":
            return self.ended(self.attempt(t.place))
        if t.text == "begin":
            return Node("block", t.place, parts=self.until("end"))
        return complain(t.place, f"can't read {t.text!r} here")

    def ended(self, n: Node) -> Node:
        self.expect("end")
        return n

    def list(self, place: str) -> Node:
        n = Node("list", place)
        if self.accept("]"):
            return n
        n.parts = self.body()
        if self.accept("||"):
            n.kind = "comprehension"
            n.rest = [self.qualifier()]
            while self.accept(","):
                n.rest.append(self.qualifier())
        elif self.accept("|"):
            n.parts.append(self.expression())
            n.more = True
        self.expect("]")
        return n

    def qualifier(self) -> Node:
        x = self.expression()
        if not self.accept("<-"):
            return x
        return Node("generator", x.place, parts=[x, self.expression()])

    def map(self) -> Node:
        n = Node("map", self.take().place)
        self.expect("{")
        if self.accept("}"):
            return n
        while True:
            n.parts.append(self.expression())
            if not self.accept("=>"):
                self.expect(":=")
            n.parts.append(self.expression())
            if not self.accept(","):
                self.expect("}")
                return n

    def fun(self, place: str) -> Node:
        if not self.sees("("):
            name = self.take().text
            self.expect("/")
            return Node("reference", place, name, arity=int(self.take().text))
        clauses = [self.function_clause()]
        while self.accept(";"):
            clauses.append(self.function_clause())
        self.expect("end")
        self.module.funs.append(clauses)
        number = len(self.module.funs) - 1
        return Node("fun", place, arity=len(clauses[0].patterns), number=number)

    def conditions(self, place: str) -> Node:
        n = Node("if", place)
        while True:
            guard = self.guard()
            self.expect("->")
            n.clauses.append(Clause([], guard, self.body()))
            if not self.accept(";"):
                return n

    def receive(self, place: str) -> Node:
        n = Node("receive", place)
        if not self.sees("after"):
            n.clauses = self.clauses()
        if self.accept("after"):
            n.more = True
            n.parts = [self.expression()]
            self.expect("->")
            n.rest = self.body()
        return n

    def attempt(self, place: str) -> Node:
        n = Node("try", place, parts=self.body())
        if self.accept("of"):
            n.clauses = self.clauses()
        if self.accept("catch"):
            n.handlers = [self.handler()]
            while self.accept(";"):
                n.handlers.append(self.handler())
        if self.accept("after"):
            n.more = True
            n.rest = self.body()
        return n

    def handler(self) -> Clause:
        error_class = "throw"
        if self.peek(1).text == ":":
            error_class = self.take().text
            self.take()
        pattern = self.primary()
        if self.accept(":"):
            self.take()  # the variable for the stack, which nobody reads
        clause = self.guarded([pattern])
        clause.error_class = error_class
        return clause
