"""`hornbeam.configure` refuses at once what no node can be started with."""

import json
import subprocess
import sys

import pytest
from launched import PATIENCE

REFUSED = {
    # setting: (value, error, what it says)
    "name": ("a b@c", ValueError, "name must look like worker1@127.0.0.1"),
    "cluster": ("../x", ValueError, "cluster: a cluster's name is made of"),
    "host": ("", ValueError, "host must be the name of a host or its address"),
    "advertise": ("web:0", ValueError, "advertise must be host or host:port"),
    "port": (65536, ValueError, "port must be between 0 and 65535, not 65536"),
    "listen": ("yes", TypeError, "listen must be True or False, not str"),
    "remote_debug": (1, TypeError, "remote_debug must be True or False, not int"),
    "hidden": (1, TypeError, "hidden must be True or False, not int"),
    "serve": (0, TypeError, "serve must be True or False, not int"),
    "workers": (10**12, ValueError, "workers must be between 0 and 1024"),
    "heartbeat_ms": (0, ValueError, "heartbeat_ms must be between 10 and 3600000"),
    "detection_ms": (1999, ValueError, "must be at least twice heartbeat_ms"),
    "connect_ms": (True, TypeError, "connect_ms must be an int, not bool"),
    "flush_ms": (1.5, TypeError, "flush_ms must be an int, not float"),
    "join_ms": (10**30, ValueError, "join_ms must be between 0 and 3600000"),
    "handshake_ms": (-(10**30), ValueError, "handshake_ms must be between"),
    "link_buffer_bytes": (1, ValueError, "link_buffer_bytes must be between 65536"),
    "forget_ms": ("1", TypeError, "forget_ms must be an int, not str"),
    "secret": (1, TypeError, "secret must be a str, not int"),
    "peers": ("a@b", TypeError, "peers is a list of peers, not str"),
    "plugins": ("x.so", TypeError, "plugins is a list of files, not str"),
    "tables": ([], TypeError, "tables is a dict of names"),
    "pool": (4097, ValueError, "pool must be between 0 and 4096, not 4097"),
    "call_timeout_ms": (-1, ValueError, "call_timeout_ms must be at least 0, not -1"),
    "task_keep_ms": (None, TypeError, "task_keep_ms must be an int, not NoneType"),
    "task_keep_count": ("", TypeError, "task_keep_count must be an int, not str"),
    "task_keep_bytes": (-1, ValueError, "task_keep_bytes"),
    "nmae": ("a@b", TypeError, "there is no setting 'nmae'; there are: advertise"),
}
TABLES = [
    ({"durable": "always"}, "durable: is for tables with engine"),
    ({"engine": "lmdb", "durable": "always"}, "durable: \"always\" needs a path"),
    ({"engine": "lmdb", "kind": "bag"}, "kind: a table with engine"),
    ({"map_bytes": 1 << 21}, "map_bytes: is for tables with engine"),
    ({"engine": "lmdb", "map_bytes": 1}, "map_bytes: must be between 1 MiB and"),
    ({"home": "a@b:4370"}, "home: a node's name looks like worker1@127.0.0.1"),
    ({"access": "private"}, "access: must be \"public\" for a table"),
    ({"max_bytes": 2**63}, "max_bytes can't be more than 9223372036854775807"),
    ({"max_bytes": -(2**70)}, "max_bytes can't be negative"),
    ({"engine": "lmdb", "path": "/a\0b"}, "path: has a zero byte"),
    ({"engine": "lmdb", "path": "/"}, "path: / is a folder"),
    ({"engine": "lmdb", "path": __file__ + "/a/b"}, f"path: {__file__} is no folder"),
    ({"engine": "lmdb", "path": "a" * 251}, "path: has a name of more than 250 bytes"),
    ({"engine": "lmdb", "path": "/" + "a/" * 2500}, "path: has more than 4090 bytes"),
    ({"home": "a b"}, "home: a node's name looks like worker1@127.0.0.1"),
]
PEERS = [
    ([1], TypeError, "a peer is a str as 'name@host:port', or a dict"),
    ([{"nam": "a@b"}], TypeError, "a peer has name and address, but no 'nam'"),
    ([{"address": "a:1"}], TypeError, "a peer needs a name"),
    (["a@b:70000"], ValueError, "a peer's address is host:port or [::1]:port"),
    ([{"name": "a@b", "address": "10.0.0.5"}], ValueError, "unlike '10.0.0.5'"),
    (["web-#@h"], ValueError, "a peer's name looks like worker1@127.0.0.1, unlike"),
    (["a b"], ValueError, "a peer's name looks like worker1@127.0.0.1, unlike 'a b'"),
]


def run(code, *args):
    done = subprocess.run(
        [sys.executable, "-c", code, *args],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def complaints():
    """What the settings are answered with, in a process without a node."""
    code = """
import json, sys
import hornbeam
from hornbeam import _engine
out = []
for options in eval(sys.argv[1]):
    try:
        out.append(["none", hornbeam.configure(**options)])
    except Exception as e:
        out.append([type(e).__name__, str(e)])
assert _engine.settings == {}, _engine.settings
print(json.dumps(out))
"""
    settings = [{key: value} for key, (value, _, _) in REFUSED.items()]
    settings += [{"peers": value, "name": "a@b"} for value, _, _ in PEERS]
    settings += [{"tables": {"t": value}} for value, _ in TABLES]
    return json.loads(run(code, repr(settings)))


@pytest.mark.parametrize("key", list(REFUSED))
def test_a_setting_that_can_not_be_is_refused_by_its_name(complaints, key):
    _, kind, text = REFUSED[key]
    name, said = complaints[list(REFUSED).index(key)]
    assert name == kind.__name__ and text in said and key in said, said


@pytest.mark.parametrize("i", range(len(PEERS)))
def test_a_peer_that_can_not_be_is_refused(complaints, i):
    _, kind, text = PEERS[i]
    name, said = complaints[len(REFUSED) + i]
    assert name == kind.__name__ and text in said, said


@pytest.mark.parametrize("i", range(len(TABLES)))
def test_a_table_that_can_not_be_is_refused(complaints, i):
    name, said = complaints[len(REFUSED) + len(PEERS) + i]
    assert name == "ValueError" and "tables['t']: " + TABLES[i][1] in said, said


def test_a_table_file_that_can_not_be_made_is_refused(tmp_path):
    tmp_path.chmod(0o555)
    code = """
import os, sys
import hornbeam
if os.geteuid() == 0:
    os.setuid(65534)
for file in "file", "new/file":
    where = {"engine": "lmdb", "path": os.path.join(sys.argv[1], file)}
    try:
        hornbeam.configure(tables={"t": where})
    except ValueError as e:
        print(e)
"""
    for line in run(code, str(tmp_path)).splitlines():
        assert line.startswith("tables['t']: path: nothing can be made in " + "/")
        assert line.endswith(": Permission denied")


def test_a_file_that_can_not_be_opened_is_said_with_its_table(tmp_path):
    code = """
import sys
import hornbeam
from hornbeam import tables
path = sys.argv[1] + "/new/file"
hornbeam.configure(tables={"t": {"engine": "lmdb", "path": path}})
hornbeam.start()
try:
    tables.table("t").get(1)
except hornbeam.NotFoundError as e:
    print(e)
try:
    hornbeam.tables.table("u" * 200, engine="lmdb")
except hornbeam.HornbeamError as e:
    print(e)
"""
    missing, long = run(code, str(tmp_path)).splitlines()
    assert missing.startswith(
        f"the table 't': there is no folder for the table file {tmp_path}/new/file: "
    )
    assert "the name of the table 'uuu" in long and "too long for a file" in long


def test_the_name_of_a_table_must_be_that_of_a_file():
    code = """
import hornbeam
try:
    hornbeam.configure(tables={"u" * 200: {"engine": "lmdb"}})
except ValueError as e:
    print(e)
"""
    assert "is too long for a file: give the table a path" in run(code)


def test_what_is_configured_counts():
    code = """
import hornbeam
from hornbeam import _context, _pool
from hornbeam_erlang import await_result, execute_async, node, register_hook
hornbeam.configure(name="web", pool=2, call_timeout_ms=50, task_keep_count=1)
assert node() == "web@127.0.0.1", node()
assert (_pool.limit, _context.default_timeout_ms) == (2, 50)
register_hook("quick", lambda action, x: x)
first = execute_async("quick", "x", 1)
assert await_result(first) == 1
assert await_result(execute_async("quick", "x", 2)) == 2
try:
    await_result(first)
except hornbeam.HornbeamError:
    print("gone")
"""
    assert run(code) == "gone\n"


def test_others_are_told_the_address_that_is_advertised(tmp_path):
    tmp_path.chmod(0o700)
    code = """
import hornbeam
hornbeam.configure(name="a@127.0.0.1", listen=True, advertise="localhost",
                   secret={secret!r}, cluster="advertise")
hornbeam.cluster.node()
host, port = hornbeam.cluster.status()["address"].split(":")
assert host == "localhost" and int(port) > 0
"""
    run(code.format(secret=str(tmp_path / "secret.pem")))


def test_no_setting_is_changed_where_one_is_refused():
    code = """
import hornbeam
try:
    hornbeam.configure(name="other@127.0.0.1", pool=10, port=-1)
except ValueError:
    pass
from hornbeam import _pool
from hornbeam_erlang import node
assert (node(), _pool.limit) == ("hornbeam@localhost", 0)
"""
    run(code)
