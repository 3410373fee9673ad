"""What is raised: classes, names, causes and tracebacks."""

import pickle
import traceback
from pathlib import Path

import pytest

import hornbeam
import hornbeam_erlang as erlang
from hornbeam import (
    HandlerError,
    HornbeamError,
    HornbeamTimeout,
    NodeError,
    NotFoundError,
    OverloadedError,
)


@pytest.mark.parametrize(
    "cls, also",
    [
        (HornbeamError, RuntimeError),
        (HornbeamTimeout, TimeoutError),
        (NodeError, ConnectionError),
        (NotFoundError, LookupError),
        (HandlerError, RuntimeError),
        (OverloadedError, RuntimeError),
    ],
)
def test_every_error_is_a_runtime_error_and_what_it_says(cls, also):
    assert issubclass(cls, HornbeamError)
    assert issubclass(cls, RuntimeError)
    assert issubclass(cls, also)


@pytest.mark.parametrize(
    "call",
    [
        lambda: erlang.execute("no such hook", "x"),
        lambda: erlang.execute_async("no such hook", "x"),
        lambda: next(erlang.stream("no such hook", "x")),
        lambda: erlang.call("no such function"),
        lambda: erlang.await_result("no such task"),
        lambda: erlang.rpc_call(erlang.node(), "no such module", "f", []),
    ],
)
def test_what_is_unknown_is_named(call):
    with pytest.raises(NotFoundError, match="no such") as e:
        call()
    assert isinstance(e.value, LookupError)


def fail():
    raise KeyError("no such drawer")


def test_a_local_error_has_the_original_as_its_cause(name):
    erlang.register_function(name, fail)
    with pytest.raises(RuntimeError) as e:
        erlang.call(name)
    assert isinstance(e.value, HandlerError)
    assert isinstance(e.value.__cause__, KeyError)
    assert e.value.class_name == "KeyError"
    assert "no such drawer" in e.value.message
    assert "KeyError" in str(e.value) and "no such drawer" in str(e.value)
    frames = traceback.walk_tb(e.value.__cause__.__traceback__)
    assert [f.f_code for f, _ in frames][-1] is fail.__code__


@pytest.mark.parametrize(
    "call",
    [
        lambda node: erlang.rpc_call(node, "services", "fail", []),
        lambda node: erlang.execute("there", "fail"),
        lambda node: erlang.call("there fail"),
        lambda node: erlang.await_result(erlang.execute_async("there", "fail")),
        lambda node: list(erlang.stream("there", "fail_after", 0)),
    ],
    ids=["rpc_call", "execute", "call", "task", "stream"],
)
def test_an_error_there_carries_class_message_traceback_and_node(worker, call):
    with pytest.raises(HandlerError) as e:
        call(worker)
    assert e.value.class_name == "KeyError"
    assert e.value.message in ("'no such drawer'", "'after'")
    assert e.value.traceback.startswith("Traceback (most recent call last)")
    assert "services.py" in e.value.traceback
    assert "raise KeyError(" in e.value.traceback
    assert e.value.node == worker
    assert worker in str(e.value) and "KeyError" in str(e.value)


def test_an_error_that_passes_two_nodes_keeps_its_first_culprit(
    worker, name, eventually
):
    erlang.register_hook(name, lambda action: fail())
    eventually(lambda: erlang.rpc_call(worker, "services", "knows_hook", [name]))
    with pytest.raises(HandlerError) as e:
        erlang.rpc_call(worker, "services", "execute", [name, "x"])
    assert e.value.class_name == "KeyError"
    assert e.value.message == "'no such drawer'"
    assert "test_errors.py" in e.value.traceback


def test_an_exception_without_text_is_still_reported(worker):
    with pytest.raises(HandlerError) as e:
        erlang.rpc_call(worker, "services", "fail_unprintably", [])
    assert e.value.class_name == "Unprintable"


def test_a_message_with_surrogates_arrives(worker):
    with pytest.raises(HandlerError) as e:
        erlang.rpc_call(worker, "services", "fail", ["bad \ud800 text"])
    assert "KeyError" in str(e.value)


def test_a_very_long_message_arrives_whole(worker):
    with pytest.raises(HandlerError) as e:
        erlang.rpc_call(worker, "services", "fail", ["x" * 1_000_000])
    assert "x" * 1_000_000 in e.value.message


def test_a_handler_that_exits_does_not_end_its_node(worker):
    with pytest.raises(HandlerError, match="SystemExit"):
        erlang.rpc_call(worker, "services", "leave", [])
    assert erlang.ping(worker)


def test_a_not_found_there_is_one_here(worker):
    with pytest.raises(NotFoundError, match="there.*no_action"):
        erlang.execute("there", "no_action")
    with pytest.raises(NotFoundError, match="no hook of mine"):
        erlang.rpc_call(worker, "services", "execute", ["no hook of mine", "x"])


def test_a_timeout_there_is_one_here(worker):
    with pytest.raises(TimeoutError):
        erlang.rpc_call(worker, "services", "slow", [], timeout_ms=20)


def test_an_error_of_ours_that_a_local_handler_raises_stays_itself(name):
    erlang.register_function(name, lambda: erlang.execute("no such hook", "x"))
    with pytest.raises(NotFoundError, match="no such hook"):
        erlang.call(name)


def test_errors_of_a_nested_local_call_are_not_wrapped_twice(name):
    erlang.register_function(name, fail)
    erlang.register_function(name + " outer", lambda: erlang.call(name))
    with pytest.raises(HandlerError) as e:
        erlang.call(name + " outer")
    assert isinstance(e.value.__cause__, KeyError)
    assert str(e.value).count("KeyError") == 1


def test_errors_can_be_pickled(worker):
    """concurrent.futures and multiprocessing hand exceptions on this way."""
    with pytest.raises(HandlerError) as e:
        erlang.execute("there", "fail")
    again = pickle.loads(pickle.dumps(e.value))
    assert type(again) is HandlerError
    assert str(again) == str(e.value)
    assert again.class_name == "KeyError"
    assert again.node == worker


def test_wrong_arguments_are_plain_errors():
    with pytest.raises(TypeError) as e:
        hornbeam.deadline("5").__enter__()
    assert not isinstance(e.value, HornbeamError)


def test_every_exception_has_its_row_in_the_documentation():
    page = Path(__file__).resolve().parents[2] / "docs/errors.md"
    named = page.read_text()
    ours, todo = set(), [HornbeamError, hornbeam.ProcessExit]
    while todo:
        cls = todo.pop()
        todo += cls.__subclasses__()
        if cls.__module__.startswith("hornbeam"):
            ours.add(cls.__name__)
    assert {x for x in ours if f"{x}`" not in named} == set()
