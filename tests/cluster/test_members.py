"""Who is a node, who is a worker, and who is asked to do something."""

import contextlib
import os
import subprocess
import sys
import time

import pytest
from launched import SLOWER, Asked

PATIENCE = 60 * SLOWER

# Says its name, then does what each line says and prints what came of it.
NODE = """
import json, os, sys, time
import hornbeam
from hornbeam import cluster
from hornbeam_erlang import *
settings = json.loads(sys.argv[1])
if settings:
    hornbeam.configure(**settings)
if "preloads" in sys.argv:
    register_hook("whose", lambda action: os.getpid())
cluster.node()
print(cluster.node(), flush=True)

children = []

def fork_member():
    "A child that is a member until its pipe is closed."
    ready, wrote = os.pipe()
    ends, held = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(held)
        for other in children:
            os.close(other[1])
        os.write(wrote, cluster.node().encode())
        os.read(ends, 1)
        hornbeam._engine.leave()
        os._exit(0)
    os.close(wrote)
    os.close(ends)
    children.append((child, held))
    name = os.read(ready, 200).decode()
    os.close(ready)
    return name

def end_member():
    child, held = children.pop()
    os.close(held)
    os.waitpid(child, 0)

def eventually(f):
    until = time.monotonic() + 30
    while not f() and time.monotonic() < until:
        time.sleep(0.002)
    return f()

def roles():
    return {x.name: x.role for x in cluster.members()}

for line in sys.stdin:
    print(json.dumps(eval(line)), flush=True)
"""


# Starts its node for each line, and says what comes of it.
STARTS = """
import json, sys
import hornbeam
hornbeam.configure(**json.loads(sys.argv[1]))
print("ready", flush=True)
for _ in sys.stdin:
    try:
        hornbeam.start()
        out = sorted(x.name for x in hornbeam.cluster.members())
    except hornbeam.HornbeamError as e:
        out = str(e)
    print(json.dumps(out), flush=True)
"""


@pytest.fixture
def start(tmp_path):
    tmp_path.chmod(0o700)
    env = {
        "RUNTIME_DIRECTORY": str(tmp_path),
        "HORNBEAM_CLUSTER": "members",
        "HORNBEAM_SECRET_FILE": str(tmp_path / "secret.pem"),
    }
    with contextlib.ExitStack() as stack:

        def start(settings="{}", *args, code=NODE):
            x = stack.enter_context(Asked(code, settings, *args, env=env))
            assert x.ready, "it has not started"
            return x

        yield start


def test_members_are_all_and_nodes_those_with_a_name(start):
    began = time.time()
    worker = start()
    named = start('{"name": "named"}')
    hidden = start('{"hidden": true, "name": "tool"}')
    expected = {
        worker.ready: "worker",
        "named@127.0.0.1": "node",
        "tool@127.0.0.1": "hidden",
    }
    for x in (worker, named):
        assert x(f"eventually(lambda: roles() == {expected})"), x("roles()")
    assert worker("nodes()") == ["named@127.0.0.1"]
    assert named("nodes()") == []
    assert named(f"cluster.wait_for('{worker.ready}')") is None

    own, *others = worker("[list(x) for x in cluster.members()]")
    assert own[0] == worker.ready
    assert [x[0] for x in others] == ["named@127.0.0.1", "tool@127.0.0.1"]
    for x, (name, _, pid, host, address, since) in [
        (worker, own),
        (named, others[0]),
    ]:
        assert (name, pid) == (x.ready, x.process.pid)
        assert host == os.uname().nodename
        assert address.startswith("127.0.0.1:")
        assert began <= since <= time.time()
    assert hidden("cluster.members()[0].role") == "hidden"


@pytest.mark.forks
def test_processes_of_one_configuration_are_numbered(start):
    settings = '{"name": "web-#"}'
    first, second, third = (start(settings) for _ in range(3))
    assert [x.ready for x in (first, second, third)] == [
        f"web-{i}@127.0.0.1" for i in (1, 2, 3)
    ]
    assert third("nodes()") == ["web-1@127.0.0.1", "web-2@127.0.0.1"]
    second.process.kill()
    second.process.wait()
    assert start(settings).ready == "web-2@127.0.0.1"
    assert third("fork_member()") == "web-4@127.0.0.1"
    assert first("eventually(lambda: roles().get('web-4@127.0.0.1') == 'node')")
    assert third("end_member()") is None


@pytest.mark.forks
def test_a_child_of_a_named_node_is_a_worker(start):
    other = start('{"name": "other"}')
    parent = start('{"name": "parent"}')
    child = parent("fork_member()")
    assert other(f"eventually(lambda: roles().get('{child}') == 'worker')")
    assert "parent@127.0.0.1" in other("nodes()")
    assert child not in other("nodes()")


def test_who_serves_nobody_is_not_asked(start):
    here = start()
    shy = start('{"serve": false, "name": "shy"}', "preloads")
    assert here("hornbeam.hooks.providers('whose')") == []
    assert shy("execute('whose', 'x')") == shy.process.pid
    open_handed = start("{}", "preloads")
    for _ in range(10):
        assert here("execute('whose', 'x')") == open_handed.process.pid
    # What is addressed to it comes.
    assert here("rpc_call('shy', 'hornbeam', 'node', [])") == "shy@127.0.0.1"
    # And it asks others.
    open_handed("register_function('there', lambda: 7)")
    assert shy("call('there')") == 7


@pytest.mark.forks
def test_a_master_leaves_it_to_its_children_to_serve(start):
    here = start()
    master = start("{}", "preloads")
    assert here("execute('whose', 'x')") == master.process.pid
    children = [master("fork_member()") for _ in range(2)]
    providers = "sorted(hornbeam.hooks.providers('whose'))"
    everybody = sorted([master.ready, *children])
    assert here(f"eventually(lambda: {providers} == {everybody})")
    for _ in range(10):
        assert here("execute('whose', 'x')") != master.process.pid
    # Its own calls stay with it, and what only it has is found there.
    assert master("execute('whose', 'x')") == master.process.pid
    assert master("register_function('of the master', lambda: 7)") is None
    assert here("call('of the master')") == 7
    # It serves again when it is alone.
    for _ in children:
        master("end_member()")
    assert here(f"eventually(lambda: {providers} == ['{master.ready}'])")
    assert here("execute('whose', 'x')") == master.process.pid


def test_what_can_be_no_name_is_refused():
    code = """
import hornbeam
for name in ("web-##", "#@#", "web@h#", "w b#"):
    try:
        hornbeam.configure(name=name)
    except ValueError as e:
        assert "name must look like worker1@127.0.0.1" in str(e), e
    else:
        raise AssertionError(name)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_who_could_not_start_may_try_again(start):
    settings = '{"name": "one"}'
    first, other = start(settings), start()
    second = start(settings, code=STARTS)
    pid = first.process.pid
    taken = f"a node named one@127.0.0.1 runs on this host already: pid {pid}"
    for _ in range(2):
        assert taken in second("again")
    first.process.kill()
    first.process.wait()
    assert second("again") == sorted(["one@127.0.0.1", other.ready])
