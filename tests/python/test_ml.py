"""`cached_inference`: what is the same computation, and what never is."""

import asyncio
import collections
import functools
import gc
import os
import subprocess
import sys
import threading
import typing

import numpy
import pytest

import hornbeam
from hornbeam import _native
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
    (_, identity, _), _ = _native.inference_key(module_level, 1, "ml")
    identity = identity.decode()
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


# -- a function is what it consists of now -------------------------------------


def test_what_a_function_closes_over_may_change():
    n = 1

    def add(x):
        calls.append(x)
        return x + n

    assert cached_inference(add, 1) == cached_inference(add, 1) == 2
    n = 10
    assert cached_inference(add, 1) == cached_inference(add, 1) == 11
    n = 1
    assert cached_inference(add, 1) == 2
    assert len(calls) == 2


def test_what_is_in_a_list_that_a_function_closes_over_may_change():
    weights = [1]

    def total(x, more=[]):  # noqa: B006
        return x + sum(weights) + sum(more)

    assert cached_inference(total, 1) == 2
    weights.append(5)
    assert cached_inference(total, 1) == 7
    total.__defaults__[0].append(3)
    assert cached_inference(total, 1) == 10


def test_defaults_that_are_given_by_name_may_change():
    def add(x, *, n=1):
        return x + n

    assert cached_inference(add, 1) == cached_inference(add, 1) == 2
    add.__kwdefaults__["n"] = 5
    assert cached_inference(add, 1) == cached_inference(add, 1) == 6
    add.__kwdefaults__ = {"n": [1]}
    with pytest.raises(TypeError, match="list"):
        cached_inference(add, 1)


SCALE = 2


def with_a_number(x):
    return x * SCALE


def test_a_number_in_a_variable_of_the_module_may_change(monkeypatch):
    assert cached_inference(with_a_number, 3) == cached_inference(with_a_number, 3) == 6
    monkeypatch.setitem(globals(), "SCALE", 5)
    assert cached_inference(with_a_number, 3) == 15
    monkeypatch.delitem(globals(), "SCALE")
    with pytest.raises(NameError):
        cached_inference(with_a_number, 3)


def test_code_that_takes_the_place_of_other_code_is_another_function():
    def one(x):
        return "one"

    def two(x):
        return "two"

    assert cached_inference(one, 1) == "one"
    one.__code__ = two.__code__
    assert cached_inference(one, 1) == "two"


def test_functions_of_one_code_and_another_name_are_others():
    def function(x):
        return name

    def copy():
        return type(function)(function.__code__, globals(), *rest)

    name = "one"
    rest = (None, None, function.__closure__)
    one, two = copy(), copy()
    two.__qualname__ = "another"
    cached_inference(one, 1)
    cached_inference(two, 1)
    table = hornbeam.tables.table("ml_cache")
    assert table.size() == 2


def test_a_function_that_closes_over_what_cannot_be_stored_is_that_very_object():
    def make(model):
        return lambda x: model.encode(x)

    model = Model(2)
    one, two = make(model), make(Model(3))
    for _ in range(2):
        assert cached_inference(one, 5) == 10
        assert cached_inference(two, 5) == 15
    assert len(calls) == 2


# -- results of objects that have gone ------------------------------------------


def test_results_of_objects_that_have_gone_are_let_go():
    table = hornbeam.tables.table("ml_cache")
    for factor in range(20):
        model = Model(factor)
        cached_inference(model.encode, 1)
        cached_inference(model, 1)
        cached_inference(lambda x, own=model: own.encode(x), 2)
    del model
    gc.collect()
    cached_inference(module_level, 1)
    assert table.size() == 1


def test_a_model_that_lives_keeps_its_results():
    models = [Model(n) for n in range(3)]
    for model in models:
        cached_inference(model.encode, 1)
    del models[1:], model
    gc.collect()
    cached_inference(module_level, 1)
    assert cached_inference(models[0].encode, 1) == 0
    assert calls == [1, 1, 1, 1]


def test_a_model_that_goes_while_it_computes_leaves_nothing():
    table = hornbeam.tables.table("ml_cache")
    holder = [Model(2)]
    names = {"__name__": __name__, "MODEL": holder[0]}
    exec("def compute(x):\n    global MODEL\n    MODEL = None\n    return 5", names)
    holder.clear()
    assert cached_inference(names["compute"], 1) == 5
    cached_inference(module_level, 1)
    assert table.size() == 1


# -- who waits --------------------------------------------------------------------


def run_threads(n, f):
    threads = [threading.Thread(target=f, daemon=True) for _ in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(20)
    assert not any(t.is_alive() for t in threads)


class Failing:
    """A computation that fails some times, and sees whether another one runs."""

    def __init__(self, failures):
        self.failures, self.runs, self.begun = failures, 0, 0
        self.together = False

    def begin(self):
        self.runs += 1
        self.begun += 1
        self.together |= self.runs > 1

    def end(self):
        self.runs -= 1
        if self.begun <= self.failures:
            raise ZeroDivisionError
        return "at last"


def test_first_computations_that_fail_come_one_after_the_other():
    work, start, got = Failing(5), threading.Barrier(8), []

    def compute(x):
        work.begin()
        return work.end()

    def ask():
        start.wait(20)
        try:
            got.append(cached_inference(compute, 1, cache_key="failing"))
        except ZeroDivisionError:
            got.append(None)

    run_threads(8, ask)
    assert got.count(None) == 5 and got.count("at last") == 3
    assert work.begun == 6 and not work.together


def test_signal_handlers_run_while_the_main_thread_waits(fresh_python):
    out = fresh_python(
        """
        import signal, threading
        from hornbeam_ml import cached_inference

        entered, go = threading.Event(), threading.Event()

        def compute(x):
            entered.set()
            assert go.wait(20)
            return "computed"

        def handler(*_):
            print(cached_inference(len, "from the handler"))
            go.set()

        thread = threading.Thread(target=cached_inference, args=(compute, 1))
        thread.start()
        entered.wait(20)
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        print(cached_inference(compute, 1))
        """
    )
    assert out == "16\ncomputed\n"


def test_a_signal_handler_that_asks_for_the_key_that_its_thread_computes_computes(
    fresh_python,
):
    out = fresh_python(
        """
        import signal
        from hornbeam_ml import cached_inference

        asked = []

        def compute(x):
            if not asked:
                asked.append(1)
                signal.raise_signal(signal.SIGALRM)
            return "computed"

        signal.signal(
            signal.SIGALRM, lambda *_: print(cached_inference(compute, 1, "key"))
        )
        print(cached_inference(compute, 1, "key"))
        """
    )
    assert out == "computed\ncomputed\n"


def test_a_deadline_ends_the_wait_for_another_thread():
    entered, go = threading.Event(), threading.Event()

    def compute(x):
        entered.set()
        go.wait(20)
        return 1

    thread = threading.Thread(target=cached_inference, args=(compute, 1))
    thread.start()
    entered.wait(20)
    with pytest.raises(hornbeam.HornbeamTimeout, match="cached result"):
        with hornbeam.deadline(20):
            cached_inference(compute, 1)
    go.set()
    thread.join(20)
    assert cached_inference(compute, 1) == 1


# -- coroutine functions ------------------------------------------------------------


async def embed(x):
    calls.append(x)
    await asyncio.sleep(0)
    return [x]


class AsyncModel:
    async def encode(self, x):
        return await embed(x)

    async def __call__(self, x):
        return await embed(x)


@pytest.mark.parametrize("how", ["function", "method", "object", "partial"])
def test_a_coroutine_function_is_awaited_and_computes_once(how):
    model = AsyncModel()
    fn = {
        "function": embed,
        "method": model.encode,
        "object": model,
        "partial": functools.partial(embed),
    }[how]

    async def main():
        first = [await cached_inference(fn, "a") for _ in range(2)]
        return first + await asyncio.gather(*(cached_inference(fn, "b") for _ in "123"))

    before = cache_stats()
    assert asyncio.run(main()) == [["a"]] * 2 + [["b"]] * 3
    assert calls == ["a", "b"]
    assert cache_stats()["misses"] == before["misses"] + 2
    assert cache_stats()["hits"] == before["hits"] + 3


def test_tasks_of_two_loops_compute_once():
    entered, go = threading.Event(), threading.Event()
    got = []

    async def compute(x):
        calls.append(x)
        entered.set()
        await asyncio.get_running_loop().run_in_executor(None, go.wait, 20)
        return "computed"

    def run():
        got.append(asyncio.run(cached_inference(compute, 1)))

    first = threading.Thread(target=run)
    first.start()
    entered.wait(20)

    async def second():
        waits = asyncio.ensure_future(cached_inference(compute, 1))
        await asyncio.sleep(0)
        go.set()
        return await waits

    assert asyncio.run(second()) == "computed"
    first.join(20)
    assert got == ["computed"] and calls == [1]


def test_coroutines_that_fail_come_one_after_the_other():
    work = Failing(5)

    async def compute(x):
        work.begin()
        await asyncio.sleep(0)
        return work.end()

    async def main():
        asked = (cached_inference(compute, 1) for _ in range(8))
        return await asyncio.gather(*asked, return_exceptions=True)

    got = asyncio.run(main())
    assert got.count("at last") == 3 and work.begun == 6 and not work.together


def test_a_coroutine_that_is_cancelled_leaves_the_turn_to_the_next():
    async def compute(x):
        calls.append(x)
        if len(calls) == 1:
            await asyncio.Event().wait()
        return "computed"

    async def main():
        asked = [asyncio.ensure_future(cached_inference(compute, 1)) for _ in "1234"]
        while not calls:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        asked[1].cancel()  # one that waits
        asked[0].cancel()  # and the one that computes
        return await asyncio.gather(*asked, return_exceptions=True)

    one, two, *others = asyncio.run(main())
    assert isinstance(one, asyncio.CancelledError)
    assert isinstance(two, asyncio.CancelledError)
    assert others == ["computed"] * 2 and calls == [1, 1]


def test_a_turn_that_comes_to_a_cancelled_coroutine_goes_on():
    async def compute(x):
        calls.append(x)
        if len(calls) == 1:
            await asyncio.sleep(0)
            raise ZeroDivisionError
        return "computed"

    async def main():
        async def first():
            try:
                await cached_inference(compute, 1)
            except ZeroDivisionError:
                asked[0].cancel()  # it has been told, and has not run yet

        asked = []
        leader = asyncio.ensure_future(first())
        while not calls:
            await asyncio.sleep(0)
        asked += (asyncio.ensure_future(cached_inference(compute, 1)) for _ in "12")
        await leader
        return await asyncio.wait_for(
            asyncio.gather(*asked, return_exceptions=True), 20
        )

    cancelled, got = asyncio.run(main())
    assert isinstance(cancelled, asyncio.CancelledError) and got == "computed"


def test_a_coroutine_that_asks_for_its_own_key_computes_in_whatever_task():
    async def compute(x):
        calls.append(x)
        if len(calls) == 1:
            return await asyncio.gather(cached_inference(compute, x))
        return "inner"

    async def main():
        return await asyncio.wait_for(cached_inference(compute, 1), 20)

    assert asyncio.run(main()) in (["inner"], "inner")
    assert calls == [1, 1]


def test_coroutines_that_would_wait_for_each_other_compute():
    async def one(x):
        calls.append("one")
        await asyncio.sleep(0)
        if calls.count("one") > 1:
            return "one again"
        return ["one", await cached_inference(two, 0, cache_key="two")]

    async def two(x):
        calls.append("two")
        await asyncio.sleep(0)
        if calls.count("two") > 1:
            return "two again"
        return ["two", await cached_inference(one, 0, cache_key="one")]

    async def main():
        both = asyncio.gather(
            cached_inference(one, 0, cache_key="one"),
            cached_inference(two, 0, cache_key="two"),
        )
        return await asyncio.wait_for(both, 20)

    assert len(asyncio.run(main())) == 2


def test_a_deadline_ends_the_wait_for_another_task():
    async def main():
        go = asyncio.Event()

        async def compute(x):
            await go.wait()
            return 1

        first = asyncio.ensure_future(cached_inference(compute, 1, "waits"))
        await asyncio.sleep(0)
        with pytest.raises(hornbeam.HornbeamTimeout, match="cached result"):
            with hornbeam.deadline(20):
                await cached_inference(compute, 1, "waits")
        go.set()
        return await first

    assert asyncio.run(main()) == 1


def test_a_function_that_returns_a_coroutine_is_told_what_to_do():
    with pytest.raises(TypeError, match="pass the coroutine function itself"):
        cached_inference(lambda x: embed(x), 1)


# -- large values -----------------------------------------------------------------


def test_a_large_input_is_hashed_where_it_lies(fresh_python):
    out = fresh_python(
        """
        import resource
        import numpy
        from hornbeam_ml import cached_inference

        def peak():
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

        cached_inference(len, numpy.zeros(1))
        large = numpy.ones(8_000_000)  # 64 MB
        text, data = "x" * 64_000_000, b"x" * 64_000_000
        before = peak()
        for x in (large, text, data, [large], {"a": large}):
            cached_inference(len, x)
            cached_inference(len, x)
        print(peak() - before < 32)
        """
    )
    assert out == "True\n"


def test_other_threads_run_while_a_large_input_is_hashed():
    large = numpy.ones(4_000_000)
    cached_inference(len, large)
    results, n = [], 4
    run_threads(n, lambda: results.append(cached_inference(len, large)))
    assert results == [4_000_000] * n


# -- statistics -------------------------------------------------------------------


def test_the_statistics_of_a_cluster_are_those_of_all_its_processes(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        """
import subprocess, sys
import hornbeam
from hornbeam_ml import cached_inference, cache_stats

def size(x):
    return len(x)

for x in sys.argv[1:]:
    cached_inference(size, x)
if sys.argv[1:] == ["a", "b"]:
    other = subprocess.Popen(
        [sys.executable, __file__, "a", "c", "a"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    other.stdout.readline()
    print(cache_stats(), cache_stats(cluster=True))
    other.communicate("\\n", timeout=20)
else:
    hornbeam.start()
    print("ready", flush=True)
    sys.stdin.readline()
"""
    )
    done = subprocess.run(
        [sys.executable, program, "a", "b"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "HORNBEAM_CLUSTER": f"ml-stats-{os.getpid()}"},
    )
    assert done.stdout == (
        "{'hits': 0, 'misses': 2, 'hit_rate': 0.0} "
        "{'hits': 2, 'misses': 3, 'hit_rate': 0.4}\n"
    ), done.stderr


def test_a_node_alone_is_its_cluster():
    cached_inference(module_level, 1)
    assert cache_stats(cluster=True) == cache_stats()


@pytest.mark.forks
def test_a_forked_child_counts_anew(fresh_python):
    out = fresh_python(
        """
        import os
        from hornbeam_ml import cached_inference, cache_stats

        cached_inference(len, "a")
        if os.fork() == 0:
            cached_inference(len, "a")
            print(cache_stats(), flush=True)
            os._exit(0)
        os.wait()
        print(cache_stats(), flush=True)
        """
    )
    assert out == (
        "{'hits': 1, 'misses': 0, 'hit_rate': 1.0}\n"
        "{'hits': 0, 'misses': 1, 'hit_rate': 0.0}\n"
    )


def test_an_input_that_cannot_be_stored_is_named_with_its_place():
    with pytest.raises(TypeError, match=r"cache_key.*\['a'\]\[1\].*object"):
        cached_inference(module_level, {"a": [1, object()]})
    loop = []
    loop.append(loop)
    with pytest.raises(ValueError, match="contains itself"):
        cached_inference(module_level, loop)
