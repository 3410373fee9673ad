"""The cluster's secret is replaced while its nodes run."""

import contextlib
import signal
import subprocess

import pytest
from launched import ALONE, Asked, Launched

# Says its address, then does what each line says and prints how that went.
NODE = """
import json, sys, time
import hornbeam
from hornbeam import cluster
name, secret = sys.argv[1:]
hornbeam.configure(listen=True, name=name, cluster="rotation", secret=secret)
cluster.node()
print(cluster.status()["address"], flush=True)

def connected(count):
    until = time.monotonic() + 30
    while len(cluster.nodes()) != count and time.monotonic() < until:
        time.sleep(0.01)
    return cluster.nodes()

for line in sys.stdin:
    try:
        print(json.dumps(eval(line)), flush=True)
    except RuntimeError as e:
        print(json.dumps(str(e)), flush=True)
"""


class Node(Asked):
    def __init__(self, folder, name):
        self.secret = folder / f"{name}.pem"
        env = {"RUNTIME_DIRECTORY": str(folder)}
        super().__init__(NODE, f"{name}@127.0.0.1", self.secret, env=env)

    def has(self, *parts):
        """What its file holds from now on."""
        text = "".join(x.read_text() for x in parts)
        self.secret.write_text(text)
        return self("cluster.reload_secret()")


@pytest.fixture
def make(tmp_path):
    tmp_path.chmod(0o700)
    with contextlib.ExitStack() as stack:

        yield lambda name: stack.enter_context(Node(tmp_path, name))


def new_key(folder, name):
    """A file with a key, and one with its certificate."""
    key, certificate = folder / f"{name}-key.pem", folder / f"{name}-certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
         "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return key, certificate


def write(path, *parts):
    path.write_text("".join(x.read_text() for x in parts))
    path.chmod(0o600)


def pair(make, folder, *parts):
    """Two connected nodes, each with a file of its own that holds the same."""
    for name in "ab":
        write(folder / f"{name}.pem", *parts)
    a, b = make("a"), make("b")
    assert a(f"cluster.connect('b@{b.ready}')") is True
    return a, b


def test_a_secret_is_replaced_while_the_nodes_stay_connected(make, tmp_path):
    old, new = new_key(tmp_path, "old"), new_key(tmp_path, "new")
    a, b = pair(make, tmp_path, *old)

    for x in (a, b):  # accepted by all, before anybody shows it
        assert x.has(*old, new[1]) is None
    for x in (a, b):
        assert x.has(*new, old[1]) is None
    assert a("cluster.nodes()") == ["b@127.0.0.1"], "the link goes on"

    # The link is from when both showed the old one: it ends, and they meet again.
    for x in (a, b):
        assert x.has(*new) is None
    assert a("cluster.connect('b@%s')" % b.ready) is True
    assert a("connected(1)") == ["b@127.0.0.1"]

    write(tmp_path / "c.pem", *old)
    c = make("c")
    assert "secret" in c(f"cluster.connect('b@{b.ready}')")


def test_who_keeps_the_old_secret_is_disconnected(make, tmp_path):
    old, new = new_key(tmp_path, "old"), new_key(tmp_path, "new")
    a, b = pair(make, tmp_path, *old)
    assert a.has(*new) is None
    assert a("connected(0)") == []
    assert b("connected(0)") == []
    assert "secret" in b(f"cluster.connect('a@{a.ready}')")


def test_a_file_that_can_not_be_used_changes_nothing(make, tmp_path):
    old = new_key(tmp_path, "old")
    a, b = pair(make, tmp_path, *old)
    assert "no private key" in a.has(old[1])
    a.secret.unlink()
    why = a("cluster.reload_secret()")
    assert str(a.secret) in why and "No such file" in why
    assert not a.secret.exists(), "none is made"
    assert a("cluster.nodes()") == ["b@127.0.0.1"]
    b("cluster.disconnect('a@127.0.0.1')")
    assert a("connected(0)") == []
    assert b(f"cluster.connect('a@{a.ready}')") is True


def test_a_node_of_the_launcher_reads_its_secret_again_on_sighup(tmp_path):
    tmp_path.chmod(0o700)
    old = new_key(tmp_path, "old")
    write(tmp_path / "secret.pem", *old)
    config = tmp_path / "node.toml"
    config.write_text(
        """
        [node]
        name = "hup@127.0.0.1"
        listen = true
        [log]
        level = "info"
        """
    )
    env = {
        "RUNTIME_DIRECTORY": str(tmp_path),
        "HORNBEAM_SECRET_FILE": str(tmp_path / "secret.pem"),
    }
    # Without a terminal, whose end would be the end of the node.
    with Launched("node", "--config", config, env=env, before=ALONE) as node:
        node.line("hup@127.0.0.1 serves")
        node.send(signal.SIGHUP)
        node.line("secret was read again from")
        write(tmp_path / "secret.pem", old[1])
        node.send(signal.SIGHUP)
        node.line("secret is not read again: .*no private key")
        node.send(signal.SIGTERM)
        assert node.wait() == 0
