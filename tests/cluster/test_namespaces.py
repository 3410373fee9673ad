"""Two nodes in two network namespaces, as on two hosts, whose network fails and
heals."""

import contextlib
import os
import subprocess
import sys

import pytest
from launched import SLOWER, Asked

SIDES = {"a": "10.77.0.1", "b": "10.77.0.2"}
NOBODY = "02:00:00:00:00:77"  # frames to it go lost

# Says its port, then does what each line says and prints what came of it.
NODE = """
import json, sys, threading, time
import hornbeam
from hornbeam import cluster, process
from hornbeam_erlang import call, register_function
name, host, secret, slower = sys.argv[1:]
hornbeam.configure(listen=True, name=f"{name}@{host}", host=host, secret=secret,
                   cluster="namespaces", heartbeat_ms=100, join_ms=100,
                   detection_ms=1000 * int(slower), connect_ms=500 * int(slower))
cluster.node()

news = []
def hear():
    process.monitor_nodes()
    heard.set()
    while True:
        news.append(list(process.receive()))
heard = threading.Event()
threading.Thread(target=hear, daemon=True).start()
heard.wait()
print(cluster.status()["address"].rpartition(":")[2], flush=True)

taken = []
def take(i):
    taken.append(i)
    return i

sent = 0
acknowledged = []
ends = threading.Event()
def go_on_calling():
    global sent
    while not ends.is_set():
        sent += 1
        try:
            acknowledged.append(call("take", sent))
        except hornbeam.HornbeamError:
            ends.wait(0.01)

def eventually(f):
    until = time.monotonic() + 60 * int(slower)
    while not f() and time.monotonic() < until:
        time.sleep(0.002)
    return f()

for line in sys.stdin:
    try:
        it = None
        exec(line)
        out = it
    except Exception as e:
        out = repr(e)
    print(json.dumps(out), flush=True)
"""


class Network:
    """Two namespaces, joined by a cable."""

    def __init__(self):
        self.names = {x: f"hornbeam-{os.getpid()}-{x}" for x in SIDES}
        self.macs = {}

    def run(self, side, *command):
        words = ["ip", "netns", "exec", self.names[side], *command]
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode != 0:
            raise OSError(f"{' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def make(self):
        for name in self.names.values():
            subprocess.run(
                ["ip", "netns", "add", name], check=True, capture_output=True
            )
        peer = ["peer", "name", "cable", "netns", self.names["b"]]
        self.run("a", "ip", "link", "add", "cable", "type", "veth", *peer)
        for side, address in SIDES.items():
            self.run(side, "ip", "address", "add", f"{address}/24", "dev", "cable")
            self.run(side, "ip", "link", "set", "lo", "up")
            self.run(side, "ip", "link", "set", "cable", "up")
            found = self.run(side, "cat", "/sys/class/net/cable/address")
            self.macs[side] = found.strip()
        for side in SIDES:
            self.send(side, True)

    def remove(self):
        for name in self.names.values():
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)

    def send(self, side, arrives):
        """Whether what `side` sends arrives at the other one."""
        other = "b" if side == "a" else "a"
        to = self.macs[other] if arrives else NOBODY
        self.run(
            side, "ip", "neighbour", "replace", SIDES[other], "lladdr", to,
            "dev", "cable",
        )


@pytest.fixture
def network():
    made = Network()
    try:
        made.make()
    except (OSError, subprocess.CalledProcessError) as e:
        made.remove()
        said = getattr(e, "stderr", None) or e
        pytest.skip(f"no network namespaces can be made here: {said!r}")
    yield made
    made.remove()


@pytest.mark.parametrize("deaf", ["both", "a", "b"])
def test_a_network_that_fails_and_heals_is_one_nodedown_and_one_nodeup(
    network, tmp_path, deaf
):
    tmp_path.chmod(0o700)
    with contextlib.ExitStack() as stack:

        def start(side):
            (tmp_path / side).mkdir(mode=0o700)  # each is a host of its own
            return stack.enter_context(
                Asked(
                    NODE, side, SIDES[side], tmp_path / "secret.pem", SLOWER,
                    env={"RUNTIME_DIRECTORY": str(tmp_path / side)},
                    before=["ip", "netns", "exec", network.names[side]],
                )
            )

        a, b = start("a"), start("b")
        b("register_function('take', take)")
        assert a(f"it = cluster.connect('b@{SIDES['b']}:{b.ready}')") is True
        a("caller = threading.Thread(target=go_on_calling); caller.start()")
        assert a("it = eventually(lambda: len(acknowledged) > 100)") is True

        for side in SIDES:
            if side != deaf:  # what it says goes lost
                network.send(side, False)
        for node in (a, b):
            assert node("it = eventually(lambda: len(news) >= 2)") is True
        before = a("it = len(acknowledged)")
        for side in SIDES:
            network.send(side, True)
        for node in (a, b):
            assert node("it = eventually(lambda: len(news) >= 3)") is True
        a(f"it = eventually(lambda: len(acknowledged) > {before} + 100)")
        a("ends.set(); caller.join()")

        other = f"b@{SIDES['b']}"
        assert a("it = news") == [[x, other] for x in ("nodeup", "nodedown", "nodeup")]
        other = f"a@{SIDES['a']}"
        assert b("it = news") == [[x, other] for x in ("nodeup", "nodedown", "nodeup")]
        # What was acknowledged is there, and nothing is there twice.
        taken, acknowledged = b("it = taken"), a("it = acknowledged")
        assert len(acknowledged) > before + 100
        assert set(acknowledged) <= set(taken)
        assert len(set(taken)) == len(taken)


# Connects so often and says nothing; prints how many of those it has closed, when that
# are so many or nothing has come of it for a while.
STRANGERS = """
import select, socket, sys
host, port, n, expected = sys.argv[1], *map(int, sys.argv[2:])
all = [socket.create_connection((host, port)) for _ in range(n)]
closed = set()
while len(closed) < expected or expected == 0:
    ready, _, _ = select.select([x for x in all if x not in closed], [], [], 1)
    if not ready:
        break
    closed.update(ready)
print(len(closed))
"""


def test_a_host_of_strangers_has_few_places_and_that_of_a_member_more(
    network, tmp_path
):
    tmp_path.chmod(0o700)
    with contextlib.ExitStack() as stack:

        def start(side):
            (tmp_path / side).mkdir(mode=0o700)
            return stack.enter_context(
                Asked(
                    NODE, side, SIDES[side], tmp_path / "secret.pem", SLOWER,
                    env={"RUNTIME_DIRECTORY": str(tmp_path / side)},
                    before=["ip", "netns", "exec", network.names[side]],
                )
            )

        def turned_away(n, expected):
            words = [sys.executable, "-c", STRANGERS, SIDES["a"], str(a.ready)]
            return int(network.run("b", *words, str(n), str(expected)))

        a = start("a")
        assert turned_away(40, 24) == 24
        b = start("b")
        assert b(f"it = cluster.connect('a@{SIDES['a']}:{a.ready}')") is True
        assert turned_away(40, 0) == 0
