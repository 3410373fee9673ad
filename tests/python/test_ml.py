"""`cached_inference`: what is the same computation, and what never is."""

import collections
import functools
import os
import subprocess
import sys
import threading
import typing

import numpy
import pytest

import hornbeam
import hornbeam_ml
from hornbeam_ml import cache_stats, cached_inference

calls = []


@pytest.fixture(autouse=True)
def clean():
    hornbeam.tables.table("ml_cache").clear()
    calls.clear()


def module_level(x):
    calls.append(x)
    return [x]


def other_module_level(x):
    calls.append(x)
    return ["other", x]


class Model:
    def __init__(self, factor):
        self.factor = factor

    def encode(self, x):
        calls.append(x)
        return x * self.factor

    def decode(self, x):
        calls.append(x)
        return -x

    def __call__(self, x):
        calls.append(x)
        return x + self.factor

    @staticmethod
    def static(x):
        calls.append(x)
        return x

    __hash__ = None  # many models can't be hashed


def test_a_hit_is_not_computed_again():
    for _ in range(3):
        assert cached_inference(module_level, "a") == ["a"]
    assert calls == ["a"]


def test_two_functions_never_share_a_result():
    assert cached_inference(module_level, 1) == [1]
    assert cached_inference(other_module_level, 1) == ["other", 1]


def test_two_models_never_share_a_result():
    a, b = Model(2), Model(3)
    assert cached_inference(a.encode, 5) == 10
    assert cached_inference(b.encode, 5) == 15
    assert cached_inference(a.decode, 5) == -5
    assert cached_inference(a.encode, 5) == 10
    assert cached_inference(a, 5) == 7
    assert len(calls) == 4


def test_a_bound_method_is_the_same_each_time_it_is_fetched():
    model = Model(2)
    for _ in range(3):
        cached_inference(model.encode, 5)
    assert len(calls) == 1


def test_a_model_in_the_place_of_one_that_is_gone_shares_nothing():
    for factor in range(1, 200):
        # Likely at the address of the one before.
        assert cached_inference(Model(factor).encode, 1) == factor
        assert cached_inference(lambda x, f=factor: f, 1) == factor


def test_lambdas_closures_and_partials_are_themselves():
    def closure(n):
        return lambda x: x + n

    functions = [
        lambda x: x + 1,
        lambda x: x + 2,
        closure(3),
        closure(4),
        functools.partial(pow, 2),
        functools.partial(pow, 3),
    ]
    assert [cached_inference(f, 5) for f in functions] == [6, 7, 8, 9, 32, 243]
    assert [cached_inference(f, 5) for f in functions] == [6, 7, 8, 9, 32, 243]


def test_a_function_that_was_changed_is_another():
    def define(text):
        names = {"__name__": __name__}
        exec(f"def changing(x):\n    return {text}", names)
        globals()["changing"] = names["changing"]
        return names["changing"]

    assert cached_inference(define("x + 1"), 1) == 2
    assert cached_inference(define("x + 2"), 1) == 3
    assert cached_inference(define("x - 2"), 1) == -1
    assert cached_inference(define("x if x in (1, 2) else 0"), 1) == 1
    assert cached_inference(define("x if x in (2, 3) else 0"), 1) == 0


def test_changed_defaults_make_another_function():
    def define(default):
        names = {"__name__": __name__}
        exec(f"def changing(x, y={default}):\n    return x + y", names)
        globals()["changing"] = names["changing"]
        return names["changing"]

    assert cached_inference(define(1), 1) == 2
    assert cached_inference(define(2), 1) == 3


def test_builtin_functions_work():
    assert cached_inference(len, "abc") == 3
    assert cached_inference(str.upper, "abc") == "ABC"
    assert cached_inference("x-".join, ["a", "b"]) == "ax-b"
    assert cached_inference("y-".join, ["a", "b"]) == "ay-b"
    assert cached_inference(int, "5") == 5


def test_a_prefix_names_the_model_instead_of_the_function():
    assert cached_inference(module_level, 1, cache_prefix="model v1") == [1]
    assert cached_inference(other_module_level, 1, cache_prefix="model v1") == [1]
    assert cached_inference(other_module_level, 1, cache_prefix="model v2") == [
        "other",
        1,
    ]
    assert len(calls) == 2


def test_a_prefix_and_the_function_identity_never_meet():
    identity = hornbeam_ml._identity(module_level)
    cached_inference(module_level, 1)
    found = cached_inference(other_module_level, 1, cache_prefix=identity)
    assert found == ["other", 1]


def test_an_explicit_key_is_taken_as_it_is():
    assert cached_inference(module_level, 1, cache_key="k") == [1]
    assert cached_inference(module_level, 2, cache_key="k") == [1]
    assert cached_inference(other_module_level, 2, "k", "another prefix") == [1]
    assert cached_inference(module_level, object, cache_key="k") == [1]
    assert cached_inference(module_level, 2, cache_key="") == [2]
    assert hornbeam.tables.table("ml_cache").get("k") == [1]


INPUTS = [
    1,
    1.0,
    True,
    "1",
    b"1",
    bytearray(b"1"),
    (1,),
    [1],
    {1},
    frozenset({1}),
    {1: None},
    None,
    0,
    0.0,
    -0.0,
    False,
    "",
    b"",
    [],
    (),
    {},
    "\u00e9",
    "e\u0301",  # looks the same
    [[1], 2],
    [1, [2]],
    [["a", "b"]],
    [["ab"]],
    10**100,
    float("inf"),
    float("nan"),
    1j,
    numpy.array([1, 2], "int32"),
    numpy.array([1, 2], "int64"),
    numpy.array([1, 2], "uint64"),
    numpy.array([1, 2], "float32"),
    numpy.array([1, 2], "float64"),
    numpy.array([1, 2], ">i8"),
    numpy.array([2, 1], "int64"),
    numpy.array([[1], [2]], "int64"),
    numpy.array([[1, 2]], "int64"),
    numpy.array([], "int64"),
    numpy.array([], "float64"),
    numpy.zeros((0, 2)),
    numpy.zeros((2, 0)),
    numpy.array(1),
    numpy.array([1, 2], "int64").tobytes(),
]


def test_inputs_of_different_type_or_value_never_collide():
    for i, x in enumerate(INPUTS):
        assert cached_inference(lambda _: i, x, cache_prefix="all") == i, repr(x)
    for i, x in enumerate(INPUTS):
        found = cached_inference(lambda _: "computed", x, cache_prefix="all")
        assert found == i, repr(x)


def test_an_array_is_its_content_however_it_lies_in_memory():
    a = numpy.arange(12).reshape(3, 4)
    for same in (a, a.copy("F"), numpy.arange(24).reshape(3, 8)[:, ::2] // 2):
        if numpy.array_equal(same, a):
            cached_inference(lambda x: calls.append(1), same, cache_prefix="layout")
    assert len(calls) == 1


def test_equal_dicts_and_sets_are_one_input_in_whatever_order():
    # These two have their items in different order.
    cached_inference(len, {0, 8}, cache_prefix="order")
    assert cached_inference(list, {8, 0}, cache_prefix="order") == 2
    assert cached_inference(list, {"a": 1, "b": 2}) == ["a", "b"]
    assert cached_inference(list, {"b": 1, "a": 2}) == ["b", "a"]
    assert cached_inference(list, {"b": 2, "a": 1}) == ["a", "b"]
    ordered = collections.OrderedDict
    assert cached_inference(list, ordered(a=1, b=2)) == ["a", "b"]
    assert cached_inference(list, ordered(b=2, a=1)) == ["b", "a"]


class Celsius(typing.NamedTuple):
    degrees: float


class Kelvin(typing.NamedTuple):
    degrees: float


class Name(str):
    pass


def test_inputs_of_different_classes_never_share_a_result():
    def kind(x):
        return type(x).__name__

    inputs = [
        (1.0,),
        Celsius(1.0),
        Kelvin(1.0),
        1,
        True,
        1.0,
        numpy.int64(1),
        numpy.float32(1),
        numpy.float64(1),
        numpy.bool_(1),
        "a",
        Name("a"),
        numpy.str_("a"),
        b"a",
        {"a": 1},
        collections.OrderedDict(a=1),
        collections.Counter("a"),
    ]
    for x in inputs:
        assert cached_inference(kind, x) == kind(x)
        assert cached_inference(kind, [{"inside": x}]) == "list"
    assert different_inside(inputs) == len(inputs)


def different_inside(inputs):
    """How many different inputs these are, where they lie in others."""
    for x in inputs:
        cached_inference(lambda _: 0, [{"inside": x}], cache_prefix="classes")
    table = hornbeam.tables.table("ml_cache")
    return sum(key[0] == "classes" for key, _ in table.items())


def test_a_function_that_asks_for_its_own_key_computes():
    asked = threading.local()

    def embed(text):
        if not hasattr(asked, "already"):
            asked.already = True
            return cached_inference(embed, text)
        return len(text)

    result = []
    thread = threading.Thread(
        target=lambda: result.append(cached_inference(embed, "hi")), daemon=True
    )
    thread.start()
    thread.join(20)
    assert result == [2]


def test_threads_that_would_wait_for_each_other_compute():
    both = threading.Barrier(2)
    met = threading.local()

    def one(x):
        return meet(x) or ["one", cached_inference(other, x, cache_key="other")]

    def other(x):
        return meet(x) or ["other", cached_inference(one, x, cache_key="one")]

    def meet(x):
        if hasattr(met, "already"):
            return "computed again"
        met.already = True
        both.wait(20)

    results = {}

    def run(f, key):
        results[key] = cached_inference(f, 0, cache_key=key)

    threads = [
        threading.Thread(target=run, args=x, daemon=True)
        for x in ((one, "one"), (other, "other"))
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join(20)
    assert results.keys() == {"one", "other"}


MODEL = Model(2)


def with_a_global(x):
    return MODEL.encode(x)


def test_a_model_in_a_variable_of_the_module_is_part_of_the_function(monkeypatch):
    assert cached_inference(with_a_global, 3) == 6
    monkeypatch.setitem(globals(), "MODEL", Model(5))
    assert cached_inference(with_a_global, 3) == 15
    monkeypatch.undo()
    assert cached_inference(with_a_global, 3) == 6
    assert calls == [3, 3]


def test_equal_closures_and_lambdas_share_results():
    def closure(n):
        def add(x):
            calls.append(x)
            return x + n

        return add

    assert cached_inference(closure(1), 1) == cached_inference(closure(1), 1) == 2
    assert cached_inference(closure(2), 1) == 3
    assert calls == [1, 1]


PROGRAM = """
import sys
from hornbeam_ml import cached_inference, cache_stats
def plain(x): return len(x)
def classify(x): return x in {"cat", "dog", "bird", "fish"}
def default(x, among=frozenset(("cat", "dog"))): return x in among
for f in plain, classify, default:
    cached_inference(f, "cat")
print(cache_stats()["hits"])
"""


def test_processes_of_a_local_cluster_share_what_they_have_computed(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    hits = []
    for seed in "123":
        environment = {
            **os.environ,
            "HORNBEAM_CLUSTER": f"ml-{os.getpid()}",
            "PYTHONHASHSEED": seed,
        }
        done = subprocess.run(
            [sys.executable, program],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.stderr == ""
        hits.append(done.stdout.strip())
    assert hits == ["0", "3", "3"]


@pytest.mark.parametrize(
    "result",
    [
        None,
        False,
        0,
        "",
        (1, 2),
        {1, 2},
        b"x",
        numpy.arange(6, dtype="float32").reshape(2, 3),
        numpy.float32(1.5),
        {"a": (1, numpy.array([True]))},
    ],
    ids=lambda x: type(x).__name__,
)
def test_a_hit_has_the_type_and_value_of_a_miss(result):
    def compute(x):
        calls.append(x)
        return result

    miss = cached_inference(compute, 1)
    hit = cached_inference(compute, 1)
    assert len(calls) == 1
    assert type(miss) is type(hit)
    assert repr(miss) == repr(hit)
    if isinstance(result, numpy.ndarray):
        assert isinstance(hit, numpy.ndarray)
        assert hit.dtype == result.dtype and hit.shape == result.shape


def test_a_result_that_is_changed_does_not_change_the_cache():
    cached_inference(module_level, 1).append("changed")
    cached_inference(module_level, 1).append("changed")
    assert cached_inference(module_level, 1) == [1]


def test_an_array_that_was_found_can_be_written_to():
    found = cached_inference(lambda x: numpy.zeros(3), 1, cache_key="zeros")
    found = cached_inference(lambda x: numpy.zeros(3), 1, cache_key="zeros")
    found[0] = 1
    again = cached_inference(lambda x: numpy.zeros(3), 1, cache_key="zeros")
    assert again[0] == 0


def test_callers_of_the_same_missing_key_compute_it_once():
    entered, go = threading.Event(), threading.Event()
    start, got = threading.Barrier(9), []

    def compute(x):
        calls.append(x)
        entered.set()
        go.wait(10)
        return "result"

    def ask():
        start.wait()
        got.append(cached_inference(compute, 1))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for t in threads:
        t.start()
    start.wait()
    entered.wait(10)
    go.set()
    for t in threads:
        t.join()
    assert got == ["result"] * 8
    assert calls == [1]


def test_different_keys_do_not_wait_for_each_other():
    outer_entered = threading.Event()

    def compute(x):
        if x == "outer":
            outer_entered.set()
            return cached_inference(compute, "inner") + "+outer"
        return x

    assert cached_inference(compute, "outer") == "inner+outer"


def test_an_error_is_raised_as_it_is_and_not_cached():
    def compute(x):
        calls.append(x)
        if len(calls) < 3:
            raise ZeroDivisionError("by zero")
        return "at last"

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            cached_inference(compute, 1)
    assert cached_inference(compute, 1) == "at last"


def test_an_input_or_result_that_cannot_be_stored_is_a_type_error():
    with pytest.raises(TypeError, match="cache_key"):
        cached_inference(module_level, object())
    with pytest.raises(TypeError, match="result.*object"):
        cached_inference(lambda x: object(), 1)
    assert not calls


@pytest.mark.parametrize(
    "args", [(None, 1), (5, 1), (len, "a", 5), (len, "a", b"k"), (len, "a", None, 5)]
)
def test_wrong_arguments_are_type_errors(args):
    with pytest.raises(TypeError):
        cached_inference(*args)


def test_the_statistics_count_hits_and_misses():
    before = cache_stats()
    for x in (1, 2, 1, 1):
        cached_inference(module_level, x)
    after = cache_stats()
    assert set(after) == {"hits", "misses", "hit_rate"}
    assert after["hits"] - before["hits"] == 2
    assert after["misses"] - before["misses"] == 2
    assert after["hit_rate"] == after["hits"] / (after["hits"] + after["misses"])
