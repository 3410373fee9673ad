"""Functions by name: register_function, call, cast."""

import asyncio
import threading

import pytest

import hornbeam
import hornbeam_erlang as erlang
from hornbeam import HandlerError, NotFoundError


def test_a_function_is_called_with_its_arguments(name):
    erlang.register_function(name, lambda *args: args)
    assert erlang.call(name) == ()
    assert erlang.call(name, 1, "two") == (1, "two")


def test_a_local_function_gets_the_very_objects(name):
    erlang.register_function(name, lambda x: x)
    thing = object()
    assert erlang.call(name, thing) is thing


def test_a_local_function_runs_in_the_calling_thread(name):
    erlang.register_function(name, threading.get_ident)
    assert erlang.call(name) == threading.get_ident()


def test_a_second_registration_replaces_the_first(name):
    erlang.register_function(name, lambda: 1)
    erlang.register_function(name, lambda: 2)
    assert erlang.call(name) == 2


def test_an_unregistered_function_is_unknown(name):
    erlang.register_function(name, lambda: 1)
    assert name in hornbeam.functions.names()
    assert erlang.unregister_function(name) is None
    assert erlang.unregister_function(name) is None
    assert name not in hornbeam.functions.names()
    with pytest.raises(NotFoundError):
        erlang.call(name)


def test_functions_and_hooks_have_names_of_their_own(name):
    erlang.register_function(name, lambda: "function")
    erlang.register_hook(name, lambda action: "hook")
    assert erlang.call(name) == "function"
    assert erlang.execute(name, "x") == "hook"


def test_a_function_of_another_node_is_found(worker):
    assert erlang.call("there add", 1, 2) == 3
    assert "there add" in hornbeam.functions.names()


def test_a_function_here_comes_before_one_there(worker):
    erlang.register_function("there add", lambda *xs: "here")
    assert erlang.call("there add", 1, 2) == "here"
    erlang.unregister_function("there add")
    assert erlang.call("there add", 1, 2) == 3


def test_any_callable_is_a_function(name):
    class Adder:
        def __init__(self, n):
            self.n = n

        def __call__(self, x):
            return self.n + x

        def method(self, x):
            return -x

    for i, f in enumerate((Adder(5), Adder(5).method, Adder, len)):
        erlang.register_function(name, f)
    assert erlang.call(name, "abc") == 3
    erlang.register_function(name, Adder(5))
    assert erlang.call(name, 1) == 6
    erlang.register_function(name, Adder(5).method)
    assert erlang.call(name, 1) == -1


@pytest.mark.parametrize("f", [None, 5, "f", [], {}], ids=repr)
def test_what_is_not_callable_is_refused(name, f):
    with pytest.raises(TypeError, match="callable"):
        erlang.register_function(name, f)
    with pytest.raises(NotFoundError):
        erlang.call(name)


def test_a_coroutine_function_is_awaited(name):
    async def double(x):
        await asyncio.sleep(0)
        return 2 * x

    erlang.register_function(name, double)
    assert erlang.call(name, 21) == 42


def test_a_cast_runs_in_another_thread_and_returns_at_once(name):
    done, go = threading.Event(), threading.Event()

    def work(x):
        go.wait(10)
        found.append((x, threading.get_ident()))
        done.set()

    found = []
    erlang.register_function(name, work)
    assert erlang.cast(name, 5) is None
    assert not found
    go.set()
    assert done.wait(10)
    assert found[0][0] == 5 and found[0][1] != threading.get_ident()


def test_an_error_of_a_cast_is_logged_and_breaks_nothing(
    name, capfd, caplog, eventually
):
    done = threading.Event()

    def work():
        done.set()
        raise ValueError("nobody hears this")

    erlang.register_function(name, work)
    erlang.cast(name)
    assert done.wait(10)
    eventually(lambda: "ValueError: nobody hears this" in caplog.text)
    assert capfd.readouterr().err == ""
    with pytest.raises(HandlerError):
        erlang.call(name)


def test_a_cast_to_another_node_runs_there(worker, name, eventually):
    erlang.cast("there note", name, [1])
    eventually(lambda: erlang.rpc_call(worker, "services", "state_get", [name]) == [1])


def test_a_result_that_cannot_be_sent_is_an_error_that_names_it(worker):
    with pytest.raises(RuntimeError, match="TypeError.*function"):
        erlang.rpc_call(worker, "services", "give_function", [])


def test_an_argument_that_cannot_be_sent_is_a_type_error_that_names_it(worker):
    with pytest.raises(TypeError, match=r"args\[1\]\['f'\].*function"):
        erlang.call("there add", 1, {"f": lambda: 0})


def test_functions_that_call_each_other_without_end_are_stopped(name):
    erlang.register_function(name, lambda: erlang.call(name))
    with pytest.raises(RuntimeError, match="more than 100 calls"):
        erlang.call(name)


def test_many_threads_can_call_at_once(worker):
    start, wrong = threading.Barrier(8), []

    def work(n):
        start.wait()
        for i in range(50):
            if erlang.call("there add", n, i) != n + i:
                wrong.append((n, i))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_slow_casts_do_not_keep_calls_waiting_for_ever(worker):
    """More slow handlers than there are threads: a call still gets its turn
    when they have ended."""
    for _ in range(40):
        erlang.rpc_cast(worker, "services", "slow", [0.02])
    assert erlang.call("there add", 1) == 1
