"""Whoever waits for a handler whose event loop is closed is told, by every way."""

import asyncio
import threading

import pytest

import hornbeam_erlang as erlang
from hornbeam import HornbeamError, _loop, aio


class LoopOfOthers:
    """An event loop in a thread of its own, as a framework has one."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda *_: None)
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)

    def hold(self):
        """Have it stand still, and stop once it goes on: what is posted in the
        meantime stays where it is."""
        standing, go_on = threading.Event(), threading.Event()

        def stand():
            standing.set()
            go_on.wait(20)
            self.loop.stop()

        self.loop.call_soon_threadsafe(stand)
        assert standing.wait(20)
        return go_on

    def owes(self):
        return bool(_loop._owed.get(self.loop))

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.join()

    def join(self):
        self._thread.join(20)
        self.loop.close()


@pytest.fixture
def others():
    x = LoopOfOthers()
    yield x
    if not x.loop.is_closed():
        x.close()


@pytest.fixture
def hook(others):
    """A hook whose home is the loop of others; `begun` says that one of its
    actions waits there, for good."""
    begun = threading.Event()

    class Handler:
        async def forever(self):
            begun.set()
            await asyncio.Event().wait()

        async def once(self):
            return "an answer"

        async def few(self):
            yield "an answer"

        async def chunks(self):
            yield 1
            begun.set()
            await asyncio.Event().wait()

    async def register():
        erlang.register_hook("of others", Handler())

    others.run(register())
    yield begun
    erlang.unregister_hook("of others")


def in_a_thread(f):
    """What becomes of `f()` in a thread of its own: its value or its error."""
    result = []

    def run():
        try:
            result.append(f())
        except BaseException as e:
            result.append(e)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def end():
        thread.join(20)
        assert result, "it still waits"
        return result[0]

    return end


WAYS = {
    "execute": lambda action: erlang.execute("of others", action),
    "a task": lambda action: erlang.await_result(
        erlang.execute_async("of others", action), 20_000
    ),
    "aio": lambda action: asyncio.run(aio.execute("of others", action)),
    "a stream": lambda action: list(erlang.stream("of others", action)),
}


@pytest.mark.parametrize("way", WAYS)
def test_who_waits_for_a_loop_that_is_closed_gets_an_error(way, others, hook):
    action = "chunks" if way == "a stream" else "forever"
    end = in_a_thread(lambda: WAYS[way](action))
    assert hook.wait(20)
    others.close()
    error = end()
    assert isinstance(error, HornbeamError)
    assert "event loop" in str(error) and "closed" in str(error)


@pytest.mark.parametrize("way", WAYS)
def test_what_has_not_begun_on_a_loop_that_is_closed_runs_on_the_nodes(
    way, others, hook, eventually
):
    go_on = others.hold()
    action = "few" if way == "a stream" else "once"
    end = in_a_thread(lambda: WAYS[way](action))
    eventually(others.owes)
    go_on.set()
    others.join()
    assert end() == (["an answer"] if way == "a stream" else "an answer")


def test_a_loop_that_owes_nothing_more_is_let_go(others, hook, eventually):
    assert erlang.execute("of others", "once") == "an answer"
    eventually(lambda: not others.owes())
    others.close()
    assert erlang.execute("of others", "once") == "an answer"
