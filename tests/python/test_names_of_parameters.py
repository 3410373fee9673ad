"""Documented parameters can be given by name; what is left of the keywords is the
handler's."""

import asyncio

import pytest

import hornbeam_erlang as erlang
from hornbeam import NotFoundError, aio


@pytest.fixture
def hook():
    def handler(action, *args, **kwargs):
        return action, args, kwargs

    erlang.register_hook(app_path="named", handler=handler)
    erlang.register_function(name="named", function=lambda *a: a)
    yield "named"
    erlang.unregister_hook(app_path="named")
    erlang.unregister_function(name="named")


async def _chunks(*args, **kwargs):
    return [x async for x in erlang.stream_async(*args, **kwargs)]


WAYS = {
    "execute": erlang.execute,
    "execute_async": lambda *a, **k: erlang.await_result(
        task_id=erlang.execute_async(*a, **k), timeout_ms=20_000
    ),
    "stream": lambda *a, **k: list(erlang.stream(*a, **k))[0],
    "aio.execute": lambda *a, **k: asyncio.run(aio.execute(*a, **k)),
    "stream_async": lambda *a, **k: asyncio.run(_chunks(*a, **k))[0],
}


@pytest.mark.parametrize("way", WAYS)
def test_a_name_fills_what_was_not_given_by_position(way, hook):
    run = WAYS[way]
    assert run(app_path=hook, action="go", x=1) == ("go", (), {"x": 1})
    assert run(hook, action="go") == ("go", (), {})
    assert run(hook, "go", 1, x=2) == ("go", (1,), {"x": 2})
    # Given by position already, a keyword of that name is the handler's.
    assert run(hook, "go", app_path="x") == ("go", (), {"app_path": "x"})


@pytest.mark.parametrize("way", WAYS)
def test_what_is_missing_is_named(way, hook):
    with pytest.raises(TypeError, match="'action'"):
        WAYS[way](hook)
    with pytest.raises(TypeError, match="'app_path'"):
        WAYS[way](action="go")


def test_functions_are_named_too(hook):
    assert erlang.call(name=hook) == ()
    assert asyncio.run(aio.call(name=hook)) == ()
    with pytest.raises(TypeError, match="'x'"):
        erlang.call(hook, x=1)
    with pytest.raises(TypeError, match="'x'"):
        erlang.cast(hook, x=1)


def test_casts_are_quiet_whatever_is_there(hook, caplog):
    assert erlang.cast("nobody has this", 1) is None
    assert erlang.cast(name=hook) is None
    assert erlang.rpc_cast("nobody@127.0.0.1", "m", "f", []) is None
    (said,) = (x for x in caplog.messages if "nobody has this" in x)
    assert __file__ in said


def test_a_time_to_live_is_in_seconds_or_milliseconds(eventually):
    erlang.state_set("for ever", 1, ttl=0)
    erlang.state_set("seconds", 1, ttl=0.05)
    erlang.state_set("milliseconds", 1, ttl_ms=50)
    assert erlang.state_get("seconds") == 1
    eventually(lambda: erlang.state_get("seconds") is None)
    eventually(lambda: erlang.state_get("milliseconds") is None)
    assert erlang.state_get("for ever") == 1


@pytest.mark.parametrize("ttl", ["1", -1, float("nan"), float("inf"), 1e13, [1]])
def test_what_is_no_time_to_live_is_refused(ttl):
    with pytest.raises((TypeError, ValueError), match="ttl"):
        erlang.state_set("k", 1, ttl=ttl)


def test_a_time_to_live_is_given_once():
    with pytest.raises(TypeError, match="one of them"):
        erlang.state_set("k", 1, ttl=1, ttl_ms=1)


def test_erlangs_own_module_answers():
    ask = (erlang.node(), "erlang")
    count = erlang.rpc_call(*ask, "system_info", ["process_count"])
    assert isinstance(count, int) and count > 0
    assert erlang.rpc_call(*ask, "node", []) == erlang.node()
    with pytest.raises(NotFoundError, match="system_info"):
        erlang.rpc_call(*ask, "halt", [])


def test_only_a_modules_own_functions_are_exported(tmp_path, monkeypatch):
    import hornbeam

    (tmp_path / "exported.py").write_text(
        "from subprocess import run\n"
        "from os.path import join, split\n"
        "import os\n"
        "__all__ = ['join']\n"
        "class Shell: pass\n"
        "def own(): return 1\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    hornbeam.rpc.export("exported")

    def call(function, *args):
        return erlang.rpc_call(erlang.node(), "exported", function, list(args))

    assert call("own") == 1
    assert call("join", "a", "b") == "a/b"
    for name in ("run", "split", "Shell", "os", "_own"):
        with pytest.raises(NotFoundError, match=name):
            call(name, "id")
