"""Importing Hornbeam loads what it needs, and the rest when it is needed."""

import inspect
import subprocess
import sys

import pytest

import hornbeam
import hornbeam_erlang as erlang

#: What takes longer to import than all of Hornbeam, or is often not needed.
LATER = (
    "asyncio concurrent.futures datetime decimal inspect logging multiprocessing "
    "numpy socket ssl subprocess traceback uuid zoneinfo"
).split()


def run(code):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    return done.stdout.split()


LOADED = f"print(*(x for x in {LATER!r} if x in sys.modules))"


@pytest.mark.parametrize(
    "module", ["hornbeam_erlang", "hornbeam_ml", "hornbeam_dist", "hornbeam"]
)
def test_an_import_loads_nothing_large(module):
    assert run(f"import sys, {module}; {LOADED}") == []


@pytest.mark.parametrize(
    "call",
    [
        "erlang.state_set('a', [1, {'b': 2.0}]); erlang.state_get('a')",
        "erlang.state_incr('n')",
        "erlang.subscribe('t'); erlang.publish('t', 1); erlang.receive_pubsub(1000)",
        "erlang.register_function('f', len); erlang.call('f', 'abc')",
        "hornbeam.process.send(hornbeam.self(), 1); hornbeam.process.receive(1000)",
        "erlang.node(), erlang.nodes()",
    ],
)
def test_a_first_call_without_event_loops_loads_no_asyncio(call):
    code = f"import sys, hornbeam, hornbeam_erlang as erlang; {call}; {LOADED}"
    assert "asyncio" not in run(code)


def test_what_is_loaded_later_works_from_the_first_call_on():
    code = """
import hornbeam_erlang as erlang
from hornbeam import aio
async def chunks(action):
    yield 1
erlang.register_hook("h", chunks)
async def main():
    return [x async for x in erlang.stream_async("h", "x")], await aio.execute("g", "x")
async def g(action):
    return 2
erlang.register_hook("g", g)
import asyncio
print(asyncio.run(main()), erlang.execute("g", "x"), *erlang.stream("h", "x"))
"""
    assert run(code) == ["([1],", "2)", "2", "1"]


def test_values_of_modules_that_were_not_imported_can_be_read(tmp_path):
    path = str(tmp_path / "t.lmdb")
    make = f"hornbeam.tables.table('t', engine='lmdb', path={path!r})"
    run(
        "import hornbeam, uuid, decimal, datetime\n"
        f"t = {make}\n"
        "t.set('u', uuid.UUID(int=1)); t.set('d', decimal.Decimal('1.5'))\n"
        "t.set('t', datetime.timedelta(1))"
    )
    lines = run(
        f"import hornbeam, sys\nt = {make}\nprint('uuid' in sys.modules)\n"
        "for k in 'udt': print(type(t.get(k)).__name__)"
    )
    assert lines == ["False", "UUID", "Decimal", "timedelta"]


@pytest.mark.parametrize(
    "function", [hornbeam.aio.execute, hornbeam.aio.call, hornbeam.aio.receive_pubsub]
)
def test_what_is_awaited_is_a_coroutine_function(function):
    assert inspect.iscoroutinefunction(function)


def test_stream_async_is_an_asynchronous_generator_function():
    assert inspect.isasyncgenfunction(erlang.stream_async)
