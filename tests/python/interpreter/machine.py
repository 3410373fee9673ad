"""Walks over the tree of a scenario.

`receive` may stand anywhere, so whatever may wait is a generator: it yields what is
to be waited for, a `Step`, and the code of its process waits, a coroutine on its loop
or a function in its thread. Whatever processes do to each other is done by
`hornbeam.process` alone.
"""

from __future__ import annotations

import asyncio
import functools
from pathlib import Path
from typing import Any, Callable, Generator, NamedTuple

from interpreter import terms
from interpreter.syntax import Clause, Module, Node, ScriptError, complain
from interpreter.terms import INFINITY, TRUE, Fun, Raised, error, is_true, same

from hornbeam import Atom, aio, process
from hornbeam.values import register_type

SCENARIOS = Path(__file__).resolve().parents[2] / "conformance" / "scenarios"

#: How many calls a process may make before the others have their turn.
TURN = 2000

Bindings = dict[str, Any]
register_type(Fun, "fun", Fun.to_term, Fun.from_term)


class Step(NamedTuple):
    """A call that waits: a function, and the coroutine function of its name."""

    here: Callable[..., Any]
    on_loop: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}


Steps = Generator[Step, Any, Any]


class Context:
    """What the code of one process has at hand."""

    def __init__(self, module: str, way: str) -> None:
        self.module = load(module)
        self.way = way  # "coroutines" or "threads"
        self.calls = 0


@functools.lru_cache(maxsize=None)
def load(name: str) -> Module:
    return Module(SCENARIOS / f"{name}.erl")


def text_of(name: str) -> str:
    return (SCENARIOS / f"{name}.erl").read_text()


# -- what waits -----------------------------------------------------------------


def in_thread(steps: Steps) -> Any:
    answer, failure = None, None
    while True:
        try:
            step = steps.send(answer) if failure is None else steps.throw(failure)
        except StopIteration as e:
            return e.value
        answer, failure = None, None
        try:
            answer = step.here(*step.args, **step.kwargs)
        except BaseException as e:
            failure = e


async def on_loop(steps: Steps) -> Any:
    answer, failure = None, None
    while True:
        try:
            step = steps.send(answer) if failure is None else steps.throw(failure)
        except StopIteration as e:
            return e.value
        answer, failure = None, None
        try:
            answer = await step.on_loop(*step.args, **step.kwargs)
        except BaseException as e:
            failure = e


def receive(timeout_ms: float | None, default: Any, match: Any) -> Steps:
    return (
        yield Step(
            process.receive,
            aio.process.receive,
            (timeout_ms, default),
            {"match": match},
        )
    )


# -- the code of a process --------------------------------------------------------

#: One for each that runs, also of processes that have been ended.
running: set[object] = set()
#: What the interpreter came to and does not know.
failures: list[str] = []


def start(c: Context, what: Any, go: Any = None) -> tuple[Any, ...]:
    """What a new process does, as a term: `what` is a fun, or the name of a module,
    of a function, and arguments. It waits for the message `go` first, unless that is
    None."""
    return (c.module.name, c.way, what, go)


def body_of(way: str) -> Callable[[Any], Any]:
    return _in_coroutine if way == "coroutines" else _in_thread


async def _in_coroutine(how: Any) -> None:
    await on_loop(_body(how))


def _in_thread(how: Any) -> None:
    in_thread(_body(how))


def _body(how: Any) -> Steps:
    module, way, what, go = how
    mark = object()
    running.add(mark)
    try:
        c = Context(module, way)
        if go is not None:
            yield from receive(None, None, lambda x: same(x, go))
        try:
            if isinstance(what, Fun):
                yield from apply_fun(c, what, [])
            else:
                yield from apply_named(c, "", *what)
        except Raised as e:
            process.exit(e.exit_reason_of_process())
    except ScriptError as e:
        failures.append(str(e))
    finally:
        running.discard(mark)


# -- calls ----------------------------------------------------------------------


class _Tail(NamedTuple):
    """The call that a function ends with: carried out by its caller, so that loops
    need no stack."""

    clauses: list[Clause]
    captured: Bindings
    args: list[Any]


def apply(
    c: Context, clauses: list[Clause], captured: Bindings, args: list[Any]
) -> Steps:
    while True:
        c.calls += 1
        if c.calls % TURN == 0:
            yield Step(process.self, lambda: asyncio.sleep(0))
        for clause in clauses:
            b: Bindings = {}
            if matches(c, clause.patterns, args, b):
                b = {**captured, **b}  # heads bind anew
                if holds(c, clause.guard, b):
                    break
        else:
            raise error("function_clause")
        x = yield from body(c, clause.body, b, True)
        if type(x) is not _Tail:
            return x
        clauses, captured, args = x


def apply_fun(c: Context, fun: Any, args: list[Any]) -> Steps:
    if not isinstance(fun, Fun):
        raise error("badfun", fun)
    if fun.arity != len(args):
        raise error("badarity", (fun, args))
    module = load(fun.module)
    if isinstance(fun.code, int):
        clauses = module.funs[fun.code]
    else:
        clauses = module.functions[fun.code, fun.arity]
    return (yield from apply(c, clauses, fun.captured, args))


def apply_named(
    c: Context, place: str, module: str, name: str, args: list[Any]
) -> Steps:
    own = module == c.module.name
    if own or not module:
        found = c.module.functions.get((name, len(args)))
        if found is not None:
            return (yield from apply(c, found, {}, args))
    if own:
        raise error("undef")
    key = (module or "erlang", name, len(args))
    if key in WAITING:
        return (yield from WAITING[key](c, *args))
    if key in PLAIN:
        return call_plain(key, c, args)
    return complain(place, f"unknown function {module}:{name}/{len(args)}")


Key = tuple[str, str, int]
PLAIN: dict[Key, Callable[..., Any]] = {}
WAITING: dict[Key, Callable[..., Steps]] = {}


def call_plain(key: Key, c: Context, args: list[Any]) -> Any:
    try:
        return PLAIN[key](c, *args)
    except (TypeError, ValueError, LookupError):  # what is wrong with the arguments
        raise error("badarg") from None


def _into(table: dict[Key, Any], names: str) -> Callable[[Any], Any]:
    def add(f: Any) -> Any:
        for name in names.split():
            module, _, rest = name.rpartition(":")
            function, arity = rest.split("/")
            table[module or "erlang", function, int(arity)] = f
        return f

    return add


def plain(names: str) -> Callable[[Any], Any]:
    """Names a function that never waits: "self/0 pg:join/3"."""
    return _into(PLAIN, names)


def waiting(names: str) -> Callable[[Any], Any]:
    """Names a generator."""
    return _into(WAITING, names)


# -- patterns ---------------------------------------------------------------------


def match(c: Context, pattern: Node, x: Any, b: Bindings) -> bool:
    """Adds what the pattern binds, also if it does not match in the end."""
    kind, parts = pattern.kind, pattern.parts
    if kind == "variable":
        if pattern.text == "_":
            return True
        if pattern.text in b:
            return same(b[pattern.text], x)
        b[pattern.text] = x
        return True
    if kind == "tuple":
        return isinstance(x, tuple) and matches(c, parts, x, b)
    if kind == "list":
        if not isinstance(x, list):
            return False
        if not pattern.more:
            return matches(c, parts, x, b)
        fixed = len(parts) - 1
        return (
            len(x) >= fixed
            and matches(c, parts[:-1], x[:fixed], b)
            and match(c, parts[-1], x[fixed:], b)
        )
    if kind == "map":
        if not isinstance(x, dict):
            return False
        for key, value in zip(parts[::2], parts[1::2]):
            k = value_of(c, key, b)
            if k not in x or not match(c, value, x[k], b):
                return False
        return True
    if kind == "match":
        return match(c, parts[0], x, b) and match(c, parts[1], x, b)
    return same(value_of(c, pattern, b), x)


def matches(c: Context, patterns: list[Node], xs: Any, b: Bindings) -> bool:
    return len(patterns) == len(xs) and all(
        match(c, pattern, x, b) for pattern, x in zip(patterns, xs)
    )


def holds(c: Context, guard: list[list[Node]], b: Bindings) -> bool:
    """Whether the guard does; one that fails does not."""
    for conditions in guard:
        try:
            if all(value_of(c, x, b) == TRUE for x in conditions):
                return True
        except Raised:
            pass
    return not guard


def select(
    c: Context, clauses: list[Clause], xs: list[Any], b: Bindings
) -> Clause | None:
    """The first clause that takes them; its variables are bound then."""
    for clause in clauses:
        trial = dict(b)
        if matches(c, clause.patterns, xs, trial) and holds(c, clause.guard, trial):
            b.update(trial)
            return clause
    return None


# -- expressions that never wait ----------------------------------------------------


def is_plain(c: Context, n: Node) -> bool:
    if n.plain is None:
        n.plain = _is_plain(c, n)
    return n.plain


def _is_plain(c: Context, n: Node) -> bool:
    if n.kind in ("literal", "variable", "fun", "reference"):
        return True
    if n.kind in ("tuple", "list", "map", "map_update", "operation"):
        return all(is_plain(c, x) for x in n.parts)
    if n.kind == "match":
        return is_plain(c, n.parts[1])
    if n.kind != "call":
        return False
    key = _key_of_call(n)
    return (
        key in PLAIN
        and (n.parts[0] is not None or key[1:] not in c.module.functions)
        and all(is_plain(c, x) for x in n.parts[2:])
    )


def _key_of_call(n: Node) -> Key | None:
    module, f, *args = n.parts
    if f.kind != "literal" or (module is not None and module.kind != "literal"):
        return None
    return ("erlang" if module is None else module.value, f.value, len(args))


def value_of(c: Context, n: Node, b: Bindings) -> Any:
    kind = n.kind
    if kind == "literal":
        return n.value
    if kind == "variable":
        if n.text not in b:
            complain(n.place, f"the variable {n.text} has no value")
        return b[n.text]
    if kind == "operation" and n.text in ("andalso", "orelse"):
        a = value_of(c, n.parts[0], b)
        if is_true(a) == (n.text == "orelse"):
            return a
        return value_of(c, n.parts[1], b)
    if kind == "match":
        x = value_of(c, n.parts[1], b)
        return bind(c, n.parts[0], x, b)
    if kind == "call":
        key = _key_of_call(n)
        if key is None or key not in PLAIN:
            return complain(n.place, "no such call in a guard or a pattern")
        return call_plain(key, c, [value_of(c, x, b) for x in n.parts[2:]])
    if kind == "fun":
        return Fun(c.module.name, n.number, n.arity, dict(b))
    if kind == "reference":
        if (n.text, n.arity) not in c.module.functions:
            complain(n.place, f"unknown function {n.text}")
        return Fun(c.module.name, n.text, n.arity, {})
    if kind not in MADE:
        return complain(n.place, "no such expression in a guard or a pattern")
    return MADE[kind](n, [value_of(c, x, b) for x in n.parts])


def bind(c: Context, pattern: Node, x: Any, b: Bindings) -> Any:
    if not match(c, pattern, x, b):
        raise error("badmatch", x)
    return x


def _make_list(n: Node, xs: list[Any]) -> list[Any]:
    if not n.more:
        return xs
    if not isinstance(xs[-1], list):
        complain(n.place, "a list whose tail is no list")
    return xs[:-1] + xs[-1]


def _operate(n: Node, xs: list[Any]) -> Any:
    if len(xs) == 1:
        return terms.boolean(not is_true(xs[0])) if n.text == "not" else -xs[0]
    if n.text == "!":
        return call_plain(("erlang", "send", 2), None, xs)  # type: ignore[arg-type]
    return OPERATORS[n.text](*xs)


#: What makes a value of the values of its parts.
MADE: dict[str, Callable[[Node, list[Any]], Any]] = {
    "tuple": lambda n, xs: tuple(xs),
    "list": _make_list,
    "map": lambda n, xs: dict(zip(xs[::2], xs[1::2])),
    "map_update": lambda n, xs: {**xs[0], **dict(zip(xs[1::2], xs[2::2]))},
    "operation": _operate,
}


def _arithmetic(f: Callable[[Any, Any], Any], whole: bool = False) -> Any:
    def run(a: Any, b: Any) -> Any:
        kinds = (int,) if whole else (int, float)
        if type(a) not in kinds or type(b) not in kinds:
            raise error("badarith")
        try:
            return f(a, b)
        except ArithmeticError:
            raise error("badarith") from None

    return run


def _quotient(a: int, b: int) -> int:
    """Towards zero."""
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def _subtract(a: list[Any], b: list[Any]) -> list[Any]:
    out = list(a)
    for x in b:
        for i, y in enumerate(out):
            if same(x, y):
                del out[i]
                break
    return out


def _of_lists(f: Callable[[Any, Any], Any]) -> Any:
    def run(a: Any, b: Any) -> Any:
        if not isinstance(a, list) or not isinstance(b, list):
            raise error("badarg")
        return f(a, b)

    return run


OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "=:=": lambda a, b: terms.boolean(same(a, b)),
    "=/=": lambda a, b: terms.boolean(not same(a, b)),
    "==": lambda a, b: terms.boolean(terms.compare(a, b) == 0),
    "/=": lambda a, b: terms.boolean(terms.compare(a, b) != 0),
    "<": lambda a, b: terms.boolean(terms.compare(a, b) < 0),
    ">": lambda a, b: terms.boolean(terms.compare(a, b) > 0),
    "=<": lambda a, b: terms.boolean(terms.compare(a, b) <= 0),
    ">=": lambda a, b: terms.boolean(terms.compare(a, b) >= 0),
    "++": _of_lists(lambda a, b: a + b),
    "--": _of_lists(_subtract),
    "+": _arithmetic(lambda a, b: a + b),
    "-": _arithmetic(lambda a, b: a - b),
    "*": _arithmetic(lambda a, b: a * b),
    "/": _arithmetic(lambda a, b: a / b),
    "div": _arithmetic(_quotient, whole=True),
    "rem": _arithmetic(lambda a, b: a - b * _quotient(a, b), whole=True),
}


# -- expressions that may wait --------------------------------------------------------


def evaluate(c: Context, n: Node, b: Bindings, last: bool = False) -> Steps:
    if is_plain(c, n):
        return value_of(c, n, b)
    if n.kind not in EVALUATED:
        return complain(n.place, "no such expression")
    return (yield from EVALUATED[n.kind](c, n, b, last))


def body(c: Context, expressions: list[Node], b: Bindings, last: bool) -> Steps:
    """The value of the last one; with `last` it is what the function returns."""
    for n in expressions[:-1]:
        yield from evaluate(c, n, b)
    return (yield from evaluate(c, expressions[-1], b, last))


def evaluate_all(c: Context, ns: list[Node], b: Bindings) -> Steps:
    out = []
    for n in ns:
        out.append((yield from evaluate(c, n, b)))
    return out


def _made(c: Context, n: Node, b: Bindings, last: bool) -> Steps:
    return MADE[n.kind](n, (yield from evaluate_all(c, n.parts, b)))


def _operation(c: Context, n: Node, b: Bindings, last: bool) -> Steps:
    if n.text not in ("andalso", "orelse"):
        return (yield from _made(c, n, b, last))
    a = yield from evaluate(c, n.parts[0], b)
    if is_true(a) == (n.text == "orelse"):
        return a
    return (yield from evaluate(c, n.parts[1], b))


def _match(c: Context, n: Node, b: Bindings, last: bool) -> Steps:
    return bind(c, n.parts[0], (yield from evaluate(c, n.parts[1], b)), b)


def _call(c: Context, n: Node, b: Bindings, last: bool) -> Steps:
    module, f, *rest = n.parts
    of = "" if module is None else (yield from evaluate(c, module, b))
    named = f.kind == "literal" and isinstance(f.value, Atom)
    fun = None if named else (yield from evaluate(c, f, b))
    args = yield from evaluate_all(c, rest, b)
    if not named:
        return (yield from apply_fun(c, fun, args))
    local = c.module.functions.get((f.value, len(args)))
    if last and local is not None and of in ("", c.module.name):
        return _Tail(local, {}, args)
    return (yield from apply_named(c, n.place, of, f.value, args))


def _block(c: Context, n: Node, b: Bindings, last: bool) -> Steps:
    return (yield from body(c, n.parts, b, last))


def _branch(c: Context, n: Node, b: Bindings, last: bool) -> Steps:
    subject = yield from evaluate_all(c, n.parts, b)
    chosen = select(c, n.clauses, subject, b)
    if chosen is None:
        raise error("case_clause", *subject) if subject else error("if_clause")
    return (yield from body(c, chosen.body, b, last))


_NOTHING = object()


def _receive(c: Context, n: Node, b: Bindings, last: bool) -> Steps:
    ms = None
    if n.more:
        ms = yield from evaluate(c, n.parts[0], b)
        if ms == INFINITY:
            ms = None
        elif type(ms) is not int or not 0 <= ms < 2**32:
            raise error("timeout_value")

    def is_wanted(x: Any) -> bool:
        return select(c, n.clauses, [x], dict(b)) is not None

    got = yield from receive(ms, _NOTHING, is_wanted)
    chosen = None if got is _NOTHING else select(c, n.clauses, [got], b)
    return (yield from body(c, chosen.body if chosen else n.rest, b, last))


def _attempt(c: Context, n: Node, b: Bindings, last: bool) -> Steps:
    """`after` runs for exceptions, not when the process has been ended."""
    if not n.more:
        return (yield from _protected(c, n, b))
    try:
        x = yield from _protected(c, n, b)
    except Raised:
        yield from body(c, n.rest, b, False)
        raise
    yield from body(c, n.rest, b, False)
    return x


def _protected(c: Context, n: Node, b: Bindings) -> Steps:
    try:
        x = yield from body(c, n.parts, b, False)
    except Raised as e:
        for handler in n.handlers:
            trial = dict(b)
            name = handler.error_class
            if name[0].isupper():
                trial[name] = Atom(e.error_class)
            elif name not in ("_", e.error_class):
                continue
            if matches(c, handler.patterns, [e.reason], trial):
                if holds(c, handler.guard, trial):
                    b.update(trial)
                    break
        else:
            raise
        chosen: Clause | None = handler
    else:
        if not n.clauses:
            return x
        chosen = select(c, n.clauses, [x], b)
        if chosen is None:
            raise error("try_clause", x)
    return (yield from body(c, chosen.body, b, False))


def _comprehension(c: Context, n: Node, b: Bindings, last: bool) -> Steps:
    out: list[Any] = []
    yield from _comprehend(c, n, 0, dict(b), out)
    return out


def _comprehend(
    c: Context, n: Node, i: int, b: Bindings, out: list[Any]
) -> Steps:
    if i == len(n.rest):
        out.append((yield from evaluate(c, n.parts[0], b)))
        return
    q = n.rest[i]
    if q.kind != "generator":
        if is_true((yield from evaluate(c, q, b))):
            yield from _comprehend(c, n, i + 1, b, out)
        return
    for x in (yield from evaluate(c, q.parts[1], b)):
        fresh: Bindings = {}
        if match(c, q.parts[0], x, fresh):
            yield from _comprehend(c, n, i + 1, {**b, **fresh}, out)


EVALUATED = {
    **dict.fromkeys(("tuple", "list", "map", "map_update"), _made),
    "operation": _operation,
    "match": _match,
    "call": _call,
    "block": _block,
    "case": _branch,
    "if": _branch,
    "receive": _receive,
    "try": _attempt,
    "comprehension": _comprehension,
}
