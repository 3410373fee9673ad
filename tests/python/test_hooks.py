"""Hooks: handlers of all kinds, here and on other nodes."""

import asyncio
import functools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import hornbeam
import hornbeam_erlang as erlang
from hornbeam import HandlerError, HornbeamError, NodeError, NotFoundError, hooks


class Service:
    made = 0

    def __init__(self):
        type(self).made += 1
        self.calls = 0

    def add(self, a, b=0):
        self.calls += 1
        return a + b

    def count(self):
        return self.calls

    async def coroutine(self, x):
        await asyncio.sleep(0)
        return x

    @staticmethod
    def static(x):
        return ["static", x]

    @classmethod
    def clsmethod(cls):
        return cls.__name__

    @property
    def prop(self):
        return lambda: "from a property"

    def _private(self):
        return "secret"

    attribute = 5


# -- the kinds of handlers ----------------------------------------------------


def test_a_function_is_called_with_the_action_and_all_arguments(name):
    erlang.register_hook(name, lambda action, *args, **kwargs: (action, args, kwargs))
    found = erlang.execute(name, "act", 1, "two", three=3)
    assert found == ("act", (1, "two"), {"three": 3})


def test_function_handlers_get_private_actions_too(name):
    erlang.register_hook(name, lambda action: action)
    assert erlang.execute(name, "_any") == "_any"
    assert erlang.execute(name, "") == ""


def test_a_class_is_instantiated_once_at_registration(name):
    class Counted(Service):
        made = 0

    erlang.register_hook(name, Counted)
    assert Counted.made == 1
    assert erlang.execute(name, "add", 1, b=2) == 3
    assert erlang.execute(name, "add", 1) == 1
    assert erlang.execute(name, "count") == 2
    assert Counted.made == 1


def test_an_instance_keeps_its_state(name):
    service = Service()
    erlang.register_hook(name, service)
    erlang.execute(name, "add", 1)
    assert service.calls == 1


def test_methods_of_every_kind_are_actions(name):
    erlang.register_hook(name, Service)
    assert erlang.execute(name, "static", 1) == ["static", 1]
    assert erlang.execute(name, "clsmethod") == "Service"
    assert erlang.execute(name, "prop") == "from a property"
    assert erlang.execute(name, "coroutine", 5) == 5


@pytest.mark.parametrize("action", ["_private", "__init__", "__class__", "_"])
def test_actions_that_start_with_an_underscore_are_refused(name, action):
    erlang.register_hook(name, Service)
    with pytest.raises(NotFoundError, match="private") as e:
        erlang.execute(name, action)
    assert action in str(e.value)


@pytest.mark.parametrize("action", ["no_method", "attribute", ""])
def test_an_unknown_action_is_named(name, action):
    erlang.register_hook(name, Service)
    with pytest.raises(NotFoundError, match="no action") as e:
        erlang.execute(name, action)
    assert repr(action) in str(e.value)


def test_partials_methods_and_callable_objects_are_functions(name):
    class Callable:
        def __call__(self, action, *args):
            return ["called", action, *args]

        def __len__(self):
            return 0

    for handler in (
        functools.partial(lambda x, action, *args: [x, action, *args], "called"),
        Callable(),
        Callable().__call__,
    ):
        erlang.register_hook(name, handler)
        assert erlang.execute(name, "act", 1) == ["called", "act", 1]


def test_a_coroutine_function_is_a_handler(name):
    async def handler(action, *args):
        await asyncio.sleep(0)
        return [action, *args]

    erlang.register_hook(name, handler)
    assert erlang.execute(name, "act", 1) == ["act", 1]


@pytest.mark.parametrize("handler", [None, 5, 1.5, "text", b"b", [], {}], ids=repr)
def test_what_cannot_be_a_handler_is_refused(name, handler):
    with pytest.raises(TypeError, match="handler of hook"):
        erlang.register_hook(name, handler)
    assert name not in hooks.names()


def test_a_class_that_cannot_be_made_registers_nothing(name):
    class Broken:
        def __init__(self):
            raise OSError("no weights")

    with pytest.raises(OSError, match="no weights"):
        erlang.register_hook(name, Broken)
    assert name not in hooks.names()


# -- the registry -------------------------------------------------------------


def test_a_second_registration_replaces_the_first(name):
    erlang.register_hook(name, lambda action: 1)
    erlang.register_hook(name, lambda action: 2)
    assert erlang.execute(name, "x") == 2
    assert hooks.providers(name) == [erlang.node()]


def test_an_unregistered_hook_is_unknown(name):
    erlang.register_hook(name, Service)
    assert name in hooks.names()
    assert erlang.unregister_hook(name) is None
    assert erlang.unregister_hook(name) is None
    assert name not in hooks.names()
    with pytest.raises(NotFoundError, match="no hook"):
        erlang.execute(name, "add", 1)


def test_the_aliases_are_the_functions():
    assert erlang.hook is erlang.register_hook
    assert erlang.unhook is erlang.unregister_hook


def test_keyword_arguments_may_have_any_name(name):
    erlang.register_hook(name, lambda _action, **kwargs: kwargs)
    for key in ("app_path", "action", "self", "name", "timeout_ms", "not a name"):
        assert erlang.execute(name, "act", **{key: 1}) == {key: 1}


# -- of this process ----------------------------------------------------------


def test_a_local_handler_gets_the_very_objects_in_the_calling_thread(name):
    erlang.register_hook(name, lambda action, x: (x, threading.get_ident()))
    thing = object()
    found, thread = erlang.execute(name, "act", thing)
    assert found is thing
    assert thread == threading.get_ident()


def test_a_local_error_has_its_cause(name):
    def handler(action):
        raise ZeroDivisionError("by zero")

    erlang.register_hook(name, handler)
    with pytest.raises(HandlerError, match="ZeroDivisionError: by zero") as e:
        erlang.execute(name, "x")
    assert isinstance(e.value.__cause__, ZeroDivisionError)


def test_a_handler_that_calls_itself_without_end_is_stopped(name):
    erlang.register_hook(name, lambda action: erlang.execute(name, action))
    with pytest.raises(HornbeamError, match="more than 100 calls"):
        erlang.execute(name, "x")


def test_a_handler_can_replace_and_remove_itself(name):
    def handler(action):
        erlang.unregister_hook(name)
        erlang.register_hook(name, lambda action: "second")
        return "first"

    erlang.register_hook(name, handler)
    assert erlang.execute(name, "x") == "first"
    assert erlang.execute(name, "x") == "second"


# -- of another node ----------------------------------------------------------


def test_a_hook_of_another_node_is_called_with_all_arguments(worker):
    found = erlang.execute("there", "echo", 1, "two", three=[3])
    assert found == [[1, "two"], {"three": [3]}]
    found = erlang.execute("there function", "act", 1, key=None)
    assert found == ["act", [1], {"key": None}]
    assert erlang.execute("there coroutine", "act", 1) == ["act", 1]
    assert erlang.execute("there", "coroutine", 5) == 5


def test_a_class_on_another_node_is_instantiated_once_too(worker):
    first = erlang.execute("there", "count")
    assert erlang.execute("there", "count") == first + 1


def test_a_handler_on_another_node_gets_copies(worker):
    items = [1]
    assert erlang.execute("there", "change", items) == [1, "changed"]
    assert items == [1]


@pytest.mark.parametrize("action", ["_private", "__init__", "nothing", "attribute", ""])
def test_private_and_unknown_actions_are_refused_there_too(worker, action):
    with pytest.raises(NotFoundError):
        erlang.execute("there", action)


def test_keyword_arguments_may_have_any_name_there_too(worker):
    for key in ("app_path", "action", "name", "timeout_ms", "not a name"):
        assert erlang.execute("there", "echo", **{key: 1}) == [[], {key: 1}]


def test_a_result_that_cannot_be_sent_is_an_error_that_names_it(worker):
    with pytest.raises(RuntimeError, match="object"):
        erlang.execute("there", "bad_result")


def test_calls_without_end_between_nodes_are_stopped(worker, eventually):
    class Back:
        def deeper(self, by):
            return erlang.execute(by, "deeper", "back")

    erlang.register_hook("back", Back)
    eventually(lambda: erlang.rpc_call(worker, "services", "knows_hook", ["back"]))
    with pytest.raises(RuntimeError, match="more than 100 calls"):
        erlang.execute("there", "deeper", "back")
    erlang.unregister_hook("back")


def test_a_handler_there_can_call_back(worker, name, eventually):
    erlang.register_hook(name, lambda action, x: [erlang.node(), x])
    eventually(lambda: erlang.rpc_call(worker, "services", "knows_hook", [name]))
    found = erlang.rpc_call(worker, "services", "execute", [name, "x", 5])
    assert found == [erlang.node(), 5]


def test_the_hook_of_this_node_is_preferred(worker):
    erlang.register_hook("there", lambda action: "here")
    assert hooks.providers("there") == [erlang.node(), worker]
    assert erlang.execute("there", "node") == "here"
    erlang.unregister_hook("there")
    assert erlang.execute("there", "node") == worker


def test_several_nodes_share_the_calls_in_turn(worker, other_nodes, eventually):
    second = "second@127.0.0.1"
    other_nodes(second)
    eventually(lambda: len(hooks.providers("there")) == 2)
    seen = [erlang.execute("there", "node") for _ in range(10)]
    assert sorted(seen) == sorted([worker, second] * 5)
    assert all(a != b for a, b in zip(seen, seen[1:]))


def test_a_hook_that_was_registered_later_is_found(worker, name, eventually):
    erlang.rpc_call(worker, "services", "register", [name])
    eventually(lambda: hooks.providers(name) == [worker])
    assert erlang.execute(name, "act", 1) == [worker, "act", 1]
    erlang.rpc_call(worker, "services", "unregister", [name])
    eventually(lambda: not hooks.providers(name))
    with pytest.raises(NotFoundError):
        erlang.execute(name, "act")


@pytest.mark.parametrize("place", ["here", "there"])
def test_a_hook_comes_and_goes_a_thousand_times_during_calls(
    worker, place, name, eventually
):
    where = worker if place == "there" else erlang.node()
    if place == "there":
        erlang.rpc_call(worker, "services", "register", [name])
        eventually(lambda: hooks.providers(name))
    else:
        erlang.register_hook(name, lambda action, x: [where, action, x])
    done = threading.Event()
    results = {"answered": 0, "unknown": 0}

    def call():
        while not done.is_set():
            try:
                assert erlang.execute(name, "act", 7) == [where, "act", 7]
                results["answered"] += 1
            except NotFoundError:
                results["unknown"] += 1

    with ThreadPoolExecutor(5) as several:
        calls = [several.submit(call) for _ in range(4)]
        if place == "there":
            churn = ["services", "churn", [name, 1000], 60000]
            several.submit(erlang.rpc_call, worker, *churn).result()
        else:
            for _ in range(1000):
                erlang.unregister_hook(name)
                erlang.register_hook(name, lambda action, x: [where, action, x])
        eventually(lambda: hooks.providers(name) == [where])
        done.set()
        for x in calls:
            x.result()
    assert results["answered"] > 0
    assert erlang.execute(name, "act", 1) == [where, "act", 1]
    (there,) = (x for x in hooks.info() if x["name"] == name and x["node"] == where)
    assert there["open"] == 0


def test_the_hooks_of_a_node_that_ended_are_gone(other_nodes, name, eventually):
    node = other_nodes("brief@127.0.0.1")
    erlang.rpc_call("brief@127.0.0.1", "services", "register", [name])
    eventually(lambda: hooks.providers(name) == ["brief@127.0.0.1"])
    node.process.kill()
    eventually(lambda: not hooks.providers(name))
    with pytest.raises(NotFoundError):
        erlang.execute(name, "act")


def test_a_call_ends_with_the_node_that_serves_it(other_nodes, name, eventually):
    node = other_nodes("serving@127.0.0.1")
    erlang.rpc_call("serving@127.0.0.1", "services", "register_slow", [name])
    eventually(lambda: hooks.providers(name))
    raised = []

    def call():
        try:
            erlang.execute(name, "x")
        except HornbeamError as e:
            raised.append(e)

    thread = threading.Thread(target=call)
    thread.start()
    running = hornbeam.tables.table("state", "serving@127.0.0.1")
    eventually(lambda: running.get(name) == "running")
    node.process.kill()
    thread.join(20)
    assert len(raised) == 1 and isinstance(raised[0], NodeError)
    assert "serving@127.0.0.1" in str(raised[0])


# -- coroutines and their loops -----------------------------------------------


def test_coroutine_handlers_run_on_the_loop_of_their_registration(name):
    async def where(action):
        return threading.get_ident(), id(asyncio.get_running_loop())

    async def main():
        erlang.register_hook(name, where)
        # In a thread: the loop itself must be free to run the handler.
        return await asyncio.to_thread(erlang.execute, name, "x"), (
            threading.get_ident(),
            id(asyncio.get_running_loop()),
        )

    found, home = asyncio.run(main())
    assert found == home
    # That loop has ended: now it is the node's.
    assert erlang.execute(name, "x")[0] not in (home[0], threading.get_ident())


def test_a_coroutine_handler_called_from_its_own_loop_says_what_to_do(name):
    async def handler(action):
        return 5

    async def main():
        erlang.register_hook(name, handler)
        with pytest.raises(HornbeamError, match="await hornbeam.aio.execute"):
            erlang.execute(name, "x")
        return await hornbeam.aio.execute(name, "x")

    assert asyncio.run(main()) == 5


def test_calls_from_another_node_that_wait_for_each_other_meet(
    worker, name, eventually
):
    erlang.rpc_call(worker, "services", "register_meeting", [name, 4])
    eventually(lambda: hornbeam.hooks.providers(name))
    with ThreadPoolExecutor(4) as several:
        for _ in range(20):
            met = [several.submit(erlang.execute, name, "meet") for _ in range(4)]
            assert sorted(x.result(60) for x in met) == [0, 1, 2, 3]


def test_threads_that_wait_for_each_other_between_their_calls_all_go_on(worker):
    together = threading.Barrier(8)

    def run(mine):
        got = []
        for i in range(50):
            got.append(erlang.rpc_call(worker, "services", "echo", [(mine, i)]))
            together.wait(30)  # not by a call of ours
        return got

    with ThreadPoolExecutor(8) as several:
        all_got = list(several.map(run, range(8)))
    assert all_got == [[(mine, i) for i in range(50)] for mine in range(8)]
