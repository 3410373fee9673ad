"""Every example of the Python API reference, as it is printed there.

The examples are text so that they stay as printed. Where a call can go to
another node, an example runs twice: served by this process and by the second
node, which has the reference's own name `worker@gpu-server`.
"""

import asyncio
import collections
import inspect
import typing

import pytest

import hornbeam
import hornbeam_erlang
import hornbeam_ml


def example(text, /, **stand_ins):
    """Runs an example and returns its names."""
    names = {"__name__": "example", **stand_ins}
    exec(compile(text, "<example>", "exec"), names)
    return names


@pytest.fixture(autouse=True)
def clean_state():
    hornbeam.tables.table("state").clear()


class Model:
    def encode(self, text):
        return [float(len(text)), float(text.count("a"))]


def cosine_sim(a, b):
    return 1.0 if a == b else 0.5


class Embeddings(Model):
    def similarity(self, a, b):
        return cosine_sim(a, b)


class Learner:
    def train(self, dataset):
        return {"trained_on": len(dataset)}


class Writer:
    def generate(self, prompt):
        yield from (prompt + " and so on").split()


def validate_token(token):
    if token != "good token":
        raise PermissionError("bad token")
    return 123


@pytest.fixture(params=["here", "there"])
def served(request, worker, eventually):
    """What the examples call, in this process or on the second node."""
    hooks = {"embeddings": Embeddings, "ml": Learner, "llm": Writer}
    functions = {
        "add": lambda a, b: a + b,
        "validate_token": validate_token,
        "log_event": lambda event, data: hornbeam_erlang.publish(
            "logged events", [event, data]
        ),
    }
    if request.param == "here":
        for name, handler in hooks.items():
            hornbeam_erlang.register_hook(name, handler)
        for name, function in functions.items():
            hornbeam_erlang.register_function(name, function)
    else:
        assert hornbeam.hooks.providers("embeddings") == [worker]
    yield request.param
    for name in hooks:
        hornbeam_erlang.unregister_hook(name)
    for name in functions:
        hornbeam_erlang.unregister_function(name)


# -- shared state -------------------------------------------------------------

STATE_GET = """
from hornbeam_erlang import state_get

user = state_get('user:123')
if user:
    print(f"Found user: {user['name']}")
"""

STATE_SET = """
from hornbeam_erlang import state_set

state_set('user:123', {'name': 'Alice', 'email': 'alice@example.com'})
"""

STATE_DELETE = """
from hornbeam_erlang import state_delete

state_delete('user:123')
"""

STATE_INCR = """
from hornbeam_erlang import state_incr

# Track page views
views = state_incr('views:/home')

# Increment by 10
state_incr('score:user:123', 10)
"""

STATE_DECR = """
from hornbeam_erlang import state_decr

remaining = state_decr('quota:user:123')
if remaining < 0:
    raise QuotaExceeded()
"""

STATE_GET_MULTI = """
from hornbeam_erlang import state_get_multi

users = state_get_multi(['user:1', 'user:2', 'user:3'])
# {'user:1': {...}, 'user:2': {...}, 'user:3': None}
"""

STATE_KEYS = """
from hornbeam_erlang import state_keys

# Get all user keys
user_keys = state_keys('user:')
# ['user:1', 'user:2', 'user:123']
"""

SHORTCUTS = """
from hornbeam_erlang import get, set, delete, incr, decr

# Same as state_get, state_set, etc.
value = get('key')
set('key', value)
delete('key')
count = incr('counter')
"""


def test_state_get_finds_what_state_set_stored(capsys):
    assert example(STATE_GET)["user"] is None
    example(STATE_SET)
    user = example(STATE_GET)["user"]
    assert user == {"name": "Alice", "email": "alice@example.com"}
    assert capsys.readouterr().out == "Found user: Alice\n"


def test_state_delete_deletes():
    example(STATE_SET)
    example(STATE_DELETE)
    assert example(STATE_GET)["user"] is None


def test_state_incr_counts():
    assert example(STATE_INCR)["views"] == 1
    assert example(STATE_INCR)["views"] == 2
    assert hornbeam_erlang.state_get("score:user:123") == 20


def test_state_decr_counts_down():
    class QuotaExceeded(Exception):
        pass

    hornbeam_erlang.state_set("quota:user:123", 1)
    assert example(STATE_DECR, QuotaExceeded=QuotaExceeded)["remaining"] == 0
    with pytest.raises(QuotaExceeded):
        example(STATE_DECR, QuotaExceeded=QuotaExceeded)


def test_state_get_multi_has_none_for_missing_keys():
    hornbeam_erlang.state_set("user:1", {"name": "A"})
    hornbeam_erlang.state_set("user:2", {"name": "B"})
    users = example(STATE_GET_MULTI)["users"]
    assert users == {"user:1": {"name": "A"}, "user:2": {"name": "B"}, "user:3": None}


def test_state_keys_has_the_keys_with_the_prefix():
    for key in ("user:1", "user:2", "user:123", "view:1", b"user:4", ("user:", 5)):
        hornbeam_erlang.state_set(key, 1)
    user_keys = example(STATE_KEYS)["user_keys"]
    assert sorted(user_keys) == ["user:1", "user:123", "user:2"]


def test_the_shortcuts_are_the_long_functions():
    found = example(SHORTCUTS)
    assert found["value"] is None
    assert found["count"] == 1
    for short in ("get", "set", "delete", "incr", "decr"):
        assert found[short] is getattr(hornbeam_erlang, "state_" + short)


# -- rpc ----------------------------------------------------------------------

RPC_CALL = """
from hornbeam_erlang import rpc_call

# Call ML model on GPU node
result = rpc_call(
    'worker@gpu-server',
    'ml_model',
    'predict',
    [input_data],
    timeout_ms=30000
)
"""

RPC_CAST = """
from hornbeam_erlang import rpc_cast

# Log to remote server (don't wait for response)
rpc_cast('logger@log-server', 'logger', 'log', ['info', 'User logged in'])
"""

NODES = """
from hornbeam_erlang import nodes

connected = nodes()
# ['worker1@server', 'worker2@server', 'gpu@ml-server']
"""

NODE = """
from hornbeam_erlang import node

current = node()
# 'hornbeam@localhost'
"""


def test_rpc_call_returns_the_result_of_the_other_node(worker):
    input_data = [1.5, {"pixels": b"\x00"}]
    result = example(RPC_CALL, input_data=input_data)["result"]
    assert result == {"label": "cat", "seen": input_data}


def test_rpc_call_to_a_node_that_is_not_there_is_a_runtime_error():
    text = RPC_CALL.replace("worker@gpu-server", "nobody@127.0.0.1")
    with pytest.raises(RuntimeError, match="nobody@127.0.0.1"):
        example(text, input_data=1)


def test_rpc_cast_runs_there_without_an_answer(other_nodes, eventually):
    hornbeam_erlang.subscribe("log lines")
    other_nodes("logger@log-server")
    # The news of the subscription, before what is published there.
    eventually(
        lambda: hornbeam_erlang.rpc_call(
            "logger@log-server", "services", "publish", ["log lines", "ready"]
        )
    )
    while hornbeam_erlang.receive_pubsub(10000) != "ready":
        pass
    example(RPC_CAST)
    assert hornbeam_erlang.receive_pubsub(10000) == ["info", "User logged in"]
    hornbeam_erlang.unsubscribe("log lines")


def test_nodes_lists_the_connected_nodes(other_nodes):
    printed = ["worker1@server", "worker2@server", "gpu@ml-server"]
    for one in printed:
        other_nodes(one)
    connected = example(NODES)["connected"]
    assert collections.Counter(printed) <= collections.Counter(connected)
    assert hornbeam_erlang.node() not in connected


def test_node_is_hornbeam_at_localhost_unless_configured(fresh_python):
    assert fresh_python(NODE + "print(current)") == "hornbeam@localhost\n"
    assert fresh_python(NODES + "print(connected)") == "[]\n"


# -- topics -------------------------------------------------------------------

PUBLISH = """
from hornbeam_erlang import publish

# Notify all subscribers
count = publish('notifications', {
    'type': 'alert',
    'message': 'Server restart in 5 minutes'
})
print(f"Notified {count} subscribers")
"""


def test_publish_returns_the_number_of_subscribers_here(capsys):
    assert example(PUBLISH)["count"] == 0
    hornbeam_erlang.subscribe("notifications")
    assert example(PUBLISH)["count"] == 1
    assert capsys.readouterr().out.endswith("Notified 1 subscribers\n")
    assert hornbeam_erlang.receive_pubsub(0) == {
        "type": "alert",
        "message": "Server restart in 5 minutes",
    }
    hornbeam_erlang.unsubscribe("notifications")


def test_publish_counts_and_reaches_subscribers_on_other_nodes(worker, eventually):
    hornbeam_erlang.rpc_call(worker, "services", "subscribe", ["notifications"])
    eventually(lambda: hornbeam.pubsub.subscribers("notifications") == 1)
    assert example(PUBLISH)["count"] == 1
    alert = {"type": "alert", "message": "Server restart in 5 minutes"}
    eventually(
        lambda: hornbeam_erlang.rpc_call(worker, "services", "heard", ["notifications"])
        == [alert]
    )
    hornbeam_erlang.rpc_call(worker, "services", "unsubscribe", ["notifications"])
    eventually(lambda: hornbeam.pubsub.subscribers("notifications") == 0)


# -- functions ----------------------------------------------------------------

CALL = """
from hornbeam_erlang import call

# Call registered function
result = call('add', 1, 2)  # Returns 3

# Validate token
user_id = call('validate_token', token)
"""

CAST = """
from hornbeam_erlang import cast

# Log event without waiting
cast('log_event', 'user_login', {'user_id': 123})
"""


def test_call_returns_the_result_of_the_function(served):
    found = example(CALL, token="good token")
    assert found["result"] == 3
    assert found["user_id"] == 123


def test_an_error_of_a_called_function_is_a_runtime_error(served):
    with pytest.raises(RuntimeError, match="PermissionError.*bad token"):
        example(CALL, token="bad token")


def test_cast_runs_the_function_without_waiting(served, worker, eventually):
    hornbeam_erlang.subscribe("logged events")
    publish_there = (worker, "services", "publish", ["logged events", "ready"])
    eventually(lambda: hornbeam_erlang.rpc_call(*publish_there))
    while hornbeam_erlang.receive_pubsub(10000) != "ready":
        pass
    assert example(CAST)["cast"]("log_event", "again", {}) is None
    heard = [hornbeam_erlang.receive_pubsub(10000) for _ in range(2)]
    hornbeam_erlang.unsubscribe("logged events")
    assert ["user_login", {"user_id": 123}] in heard


# -- hooks --------------------------------------------------------------------

FUNCTION_HOOK = """
from hornbeam_erlang import register_hook

# Function handler
def my_handler(action, *args, **kwargs):
    if action == 'encode':
        return model.encode(args[0])
    elif action == 'similarity':
        return cosine_sim(args[0], args[1])

register_hook('embeddings', my_handler)
"""

CLASS_HOOK = """
# Class handler
class EmbeddingService:
    def __init__(self):
        self.model = load_model()

    def encode(self, text):
        return self.model.encode(text)

    def similarity(self, a, b):
        return cosine_sim(a, b)

register_hook('embeddings', EmbeddingService)
"""

EXECUTE = """
from hornbeam_erlang import execute

# Call embedding service
embedding = execute('embeddings', 'encode', text)
similarity = execute('embeddings', 'similarity', text1, text2)
"""

EXECUTE_ASYNC = """
from hornbeam_erlang import execute_async, await_result

# Start async task
task_id = execute_async('ml', 'train', dataset)

# Do other work...

# Wait for result
result = await_result(task_id, timeout_ms=60000)
"""

TEXTS = {"text": "a banana", "text1": "same", "text2": "same"}


def test_a_hook_is_a_function_and_then_a_class():
    loads = []

    def load_model():
        loads.append(1)
        return Model()

    stand_ins = {"model": Model(), "cosine_sim": cosine_sim, "load_model": load_model}
    example(FUNCTION_HOOK, **stand_ins)
    assert not loads
    assert example(EXECUTE, **TEXTS)["embedding"] == [8.0, 4.0]
    # The block of the reference goes on: the class replaces the function.
    example(FUNCTION_HOOK + CLASS_HOOK, **stand_ins)
    for _ in range(2):
        found = example(EXECUTE, **TEXTS)
        assert found["embedding"] == [8.0, 4.0]
        assert found["similarity"] == 1.0
    assert len(loads) == 1
    hornbeam_erlang.unregister_hook("embeddings")


def test_an_instance_is_a_hook_too():
    hornbeam_erlang.hook("embeddings", Embeddings())
    assert example(EXECUTE, **TEXTS)["similarity"] == 1.0
    hornbeam_erlang.unhook("embeddings")


def test_execute_returns_the_result_of_the_handler(served):
    found = example(EXECUTE, **TEXTS)
    assert found["embedding"] == [8.0, 4.0]
    assert found["similarity"] == 1.0


def test_execute_without_the_hook_is_a_runtime_error(fresh_python):
    code = "text = text1 = text2 = ''\ntry:" + EXECUTE.replace("\n", "\n    ")
    code += "\nexcept RuntimeError as e:\n    print(e)"
    assert "no hook 'embeddings'" in fresh_python(code)


def test_a_task_is_started_and_awaited(served):
    found = example(EXECUTE_ASYNC, dataset=[1, 2, 3])
    assert isinstance(found["task_id"], str)
    assert found["result"] == {"trained_on": 3}


def test_a_failed_or_slow_task_is_a_runtime_error(served):
    with pytest.raises(RuntimeError, match="TypeError"):
        example(EXECUTE_ASYNC, dataset=5)  # a number has no length
    task_id = hornbeam_erlang.execute_async("ml", "train", "abc")
    try:
        hornbeam_erlang.await_result(task_id, timeout_ms=0)
    except RuntimeError as e:
        assert isinstance(e, TimeoutError)
    assert hornbeam_erlang.await_result(task_id) == {"trained_on": 3}


# -- streams ------------------------------------------------------------------

STREAM = """
from hornbeam_erlang import stream

# Stream LLM response
for chunk in stream('llm', 'generate', prompt):
    print(chunk, end='', flush=True)
"""

STREAM_ASYNC = """
from hornbeam_erlang import stream_async

async def generate():
    async for chunk in stream_async('llm', 'generate', prompt):
        yield chunk
"""


def test_stream_gives_the_chunks(served, capsys):
    example(STREAM, prompt="once upon")
    assert capsys.readouterr().out == "onceuponandsoon"


def test_stream_async_gives_the_chunks(served):
    generate = example(STREAM_ASYNC, prompt="once upon")["generate"]

    async def collect():
        return [chunk async for chunk in generate()]

    assert asyncio.run(collect()) == ["once", "upon", "and", "so", "on"]


# -- hornbeam_ml --------------------------------------------------------------

CACHED_INFERENCE = """
from hornbeam_ml import cached_inference

# Embeddings are cached by input hash
embedding = cached_inference(model.encode, text)

# Same text returns cached result instantly
embedding2 = cached_inference(model.encode, text)  # Cache hit!

# Custom cache key
embedding = cached_inference(
    model.encode,
    text,
    cache_key=f"embed:v2:{doc_id}"
)
"""

CACHE_STATS = """
from hornbeam_ml import cache_stats

stats = cache_stats()
# {'hits': 150, 'misses': 23, 'hit_rate': 0.867}
print(f"Cache hit rate: {stats['hit_rate']:.1%}")
"""


def test_cached_inference_computes_once_for_each_key(capsys):
    class CountingModel(Model):
        calls = 0

        def encode(self, text):
            self.calls += 1
            return super().encode(text)

    model = CountingModel()
    before = example(CACHE_STATS)["stats"]
    found = example(CACHED_INFERENCE, model=model, text="a banana", doc_id=5)
    assert found["embedding"] == found["embedding2"] == [8.0, 4.0]
    assert model.calls == 2  # by the hash of the input, and by the key
    stats = example(CACHE_STATS)["stats"]
    assert stats["hits"] == before["hits"] + 1
    assert stats["misses"] == before["misses"] + 2
    assert stats["hit_rate"] == stats["hits"] / (stats["hits"] + stats["misses"])
    assert "Cache hit rate: " in capsys.readouterr().out


def test_cache_stats_without_a_call(fresh_python):
    out = fresh_python(CACHE_STATS + "print(stats)")
    assert out == "Cache hit rate: 0.0%\n{'hits': 0, 'misses': 0, 'hit_rate': 0.0}\n"


# -- the import summary and the signatures ------------------------------------

IMPORTS = """
# Full imports
from hornbeam_erlang import (
    # State
    state_get, state_set, state_delete,
    state_incr, state_decr,
    state_get_multi, state_keys,
    # Shortcuts
    get, set, delete, incr, decr,
    # RPC
    rpc_call, rpc_cast, nodes, node,
    # Pub/Sub
    publish,
    # Functions
    call, cast,
    # Hooks
    register_hook, unregister_hook, hook, unhook,
    execute, execute_async, await_result,
    stream, stream_async,
)

from hornbeam_ml import cached_inference, cache_stats
"""


def test_all_documented_names_can_be_imported():
    found = example(IMPORTS)
    assert all(callable(found[x]) for x in found if not x.startswith("__"))
    assert found["hook"] is found["register_hook"]
    assert found["unhook"] is found["unregister_hook"]


def test_an_import_alone_starts_no_node(fresh_python):
    code = IMPORTS + "import hornbeam\nprint(hornbeam._native.running())"
    assert fresh_python(code) == "False\n"


def test_names_that_hide_builtins_are_not_star_imported():
    found = example("from hornbeam_erlang import *")
    assert "state_set" in found
    for short in ("get", "set", "delete", "incr", "decr"):
        assert short not in found


@pytest.mark.parametrize(
    "module, function, parameters",
    [
        ("hornbeam_erlang", "rpc_call", "node module function args timeout_ms=5000"),
        ("hornbeam_erlang", "rpc_cast", "node module function args"),
        ("hornbeam_erlang", "nodes", ""),
        ("hornbeam_erlang", "node", ""),
        ("hornbeam_erlang", "publish", "topic message"),
        ("hornbeam_erlang", "call", "name *args"),
        ("hornbeam_erlang", "cast", "name *args"),
        ("hornbeam_erlang", "register_hook", "app_path handler"),
        ("hornbeam_erlang", "unregister_hook", "app_path"),
        ("hornbeam_erlang", "execute", "app_path action *args **kwargs"),
        ("hornbeam_erlang", "execute_async", "app_path action *args **kwargs"),
        ("hornbeam_erlang", "await_result", "task_id timeout_ms=30000"),
        ("hornbeam_erlang", "stream", "app_path action *args **kwargs"),
        ("hornbeam_erlang", "stream_async", "app_path action *args **kwargs"),
        (
            "hornbeam_ml",
            "cached_inference",
            "fn input_data cache_key=None cache_prefix='ml'",
        ),
        ("hornbeam_ml", "cache_stats", ""),
    ],
)
def test_the_signatures_are_the_documented_ones(module, function, parameters):
    f = getattr({"hornbeam_erlang": hornbeam_erlang}.get(module, hornbeam_ml), function)
    found = []
    for p in inspect.signature(f).parameters.values():
        if p.kind == p.KEYWORD_ONLY:
            continue  # an addition, which no documented call can meet
        stars = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        default = "" if p.default is p.empty else f"={p.default!r}"
        found.append(stars + p.name + default)
    assert " ".join(found) == parameters


def test_the_arguments_of_state_functions_have_their_documented_names():
    # They are native: their names are tried, not looked up.
    h = hornbeam_erlang
    h.state_set(key="named", value=1)
    assert h.state_get(key="named") == 1
    assert h.state_incr(key="named", delta=2) == 3
    assert h.state_decr(key="named", delta=2) == 1
    assert h.state_get_multi(keys=["named"]) == {"named": 1}
    assert h.state_keys(prefix="nam") == ["named"]
    assert h.state_delete(key="named") is None
    assert h.state_get("named") is None


def test_streams_are_generators():
    assert inspect.isgenerator(hornbeam_erlang.stream("llm", "generate", "x"))
    assert isinstance(
        hornbeam_erlang.stream_async("llm", "generate", "x"),
        typing.AsyncGenerator,
    )
