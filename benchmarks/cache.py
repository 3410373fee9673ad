"""What a hit of the cache of inference costs, beside a hash and `lru_cache`.

    ./dev bench cache [--only PART]
"""

from __future__ import annotations

import functools
import hashlib
import pickle
from collections.abc import Callable
from typing import Any

from _bench import main
from _measure import costs
from _peers import own_node
from _rows import Rows

TEXT = "a question of some length that somebody asks"
VECTOR = [i / 3 for i in range(384)]


class Model:
    def encode(self, x: object) -> float:
        return 1.5


def remembered(fn: Callable[[Any], object]) -> Callable[[object], object]:
    """The peer: `fn`, computed once for each hash of the pickled input."""
    given: list[object] = [None]

    @functools.lru_cache(maxsize=None)
    def found(key: bytes) -> object:
        return fn(given[0])

    def ask(x: object) -> object:
        given[0] = x
        return found(hashlib.sha256(pickle.dumps(x)).digest())

    return ask


def hits(out: Rows) -> None:
    import numpy

    from hornbeam_ml import cached_inference

    def number(x: object) -> float:
        return 1.5

    def closure(n: int) -> Callable[[object], int]:
        return lambda x: n

    array = numpy.arange(384, dtype="float32")
    out.table("a hit", "µs")
    for name, fn, x in (
        ("a text", number, TEXT),
        ("a text, of a method", Model().encode, TEXT),
        ("a text, of a closure", closure(1), TEXT),
        ("384 floats", number, VECTOR),
        ("an array of 384 floats", number, array),
    ):
        theirs = remembered(fn)
        actions = [
            functools.partial(cached_inference, fn, x),
            functools.partial(theirs, x),
        ]
        ours, beside = costs(actions)
        out.row(name, ours, "sha256 of a pickle, lru_cache", beside, at_most=1.5)
    for name, result in (("384 floats", VECTOR), ("an array", array)):
        ask = functools.partial(
            cached_inference, lambda x, result=result: result, TEXT, name
        )
        out.row(f"a text, the result is {name}", costs([ask])[0], ours_at_most=3)


PARTS = {"hits": hits}
around = own_node


if __name__ == "__main__":
    raise SystemExit(main(__file__))
