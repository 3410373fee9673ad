"""Two nodes with a network between them that delays, dribbles, stalls, cuts and closes
one direction only: calls end once, with the right answer or an error, messages of a
topic arrive in order and at most once, and when the network is well again so is
everything."""

import contextlib
import json
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest
from launched import SLOWER

PATIENCE = 60 * SLOWER
FAST = {"heartbeat_ms": 100, "detection_ms": 500, "cluster": "bad_networks"}

SERVER = """
import json, sys, threading
import hornbeam
from hornbeam_erlang import receive_pubsub, register_hook, subscribe
options, secret = json.loads(sys.argv[1]), sys.argv[2]
hornbeam.configure(listen=True, name="server@127.0.0.1", secret=secret, **options)
noted = []
class Server:
    def echo(self, x):
        return x
    def noted(self):
        return noted
    def count(self, n):
        yield from range(n)
register_hook("server", Server())
listening = threading.Event()
def listen():
    subscribe("notes")
    listening.set()
    while True:
        noted.append(receive_pubsub())
threading.Thread(target=listen, daemon=True).start()
listening.wait()
hornbeam.cluster.node()
print(hornbeam.cluster.status()["address"], flush=True)
sys.stdin.readline()
"""

# Calls, publishes and reads streams until a line comes, then says what was wrong.
CLIENT = """
import json, sys, threading, time
import hornbeam
from hornbeam import HornbeamError
from hornbeam_erlang import execute, publish, stream
options, secret, address = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
hornbeam.configure(
    name="client@127.0.0.1", secret=secret,
    peers=[{"name": "server@127.0.0.1", "address": address}], **options)
hornbeam.cluster.node()
going = threading.Event()
wrong, answered, failed = [], [0], [0]
LIMIT = 3.0

def until_connected():
    end = time.monotonic() + 30
    while True:
        try:
            return execute("server", "echo", "now")
        except HornbeamError as e:
            assert time.monotonic() < end, e
            time.sleep(0.02)

def repeat(step):
    def run():
        n = 0
        while not going.is_set():
            n += 1
            began = time.monotonic()
            try:
                with hornbeam.deadline(LIMIT * 1000):
                    x = step(n)
                if x is not None:
                    wrong.append(x)
                answered[0] += 1
            except HornbeamError:
                failed[0] += 1
                time.sleep(0.01)
            except BaseException as e:
                wrong.append(repr(e))
            if time.monotonic() - began > LIMIT + 2:
                wrong.append(f"{step.__name__} took {time.monotonic() - began:.1f} s")
    return threading.Thread(target=run)

def call(n):
    x = execute("server", "echo", [n, "x" * (n % 5000)])
    return None if x == [n, "x" * (n % 5000)] else f"{n} was answered {x!r:.100}"
def large(n):
    x = execute("server", "echo", b"y" * 700_000)
    return None if x == b"y" * 700_000 else f"{len(x)} bytes"
def chunks(n):
    x = list(stream("server", "count", 200))
    return None if x == list(range(200)) else f"chunks {x}"
sent = [0]
def note(n):
    publish("notes", sent[0])
    sent[0] += 1
    time.sleep(0.001)

assert until_connected() == "now"
threads = [repeat(f) for f in (call, call, large, chunks, note)]
for t in threads:
    t.start()
print("began", flush=True)
sys.stdin.readline()
going.set()
for t in threads:
    t.join(LIMIT + 20)
    if t.is_alive():
        wrong.append("a thread still waits")
before = answered[0], failed[0]
assert until_connected() == "now"
got = execute("server", "noted")
if got != sorted(set(got)):
    wrong.append(f"out of order, or twice: {got}")
last = hornbeam.cluster.status()
if last["calls_open"] or last["streams_consumed"]:
    wrong.append(f"left open: {last}")
print(json.dumps({"wrong": wrong[:5], "answered": before[0], "failed": before[1],
                  "published": [len(got), sent[0]]}), flush=True)
"""


class Proxy:
    """Carries bytes to a port, as badly as it is told to."""

    def __init__(self, port, dice):
        self.port = port
        self.dice = dice
        self.mode = "well"
        self.pairs = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                a = self.listener.accept()[0]
                b = socket.create_connection(("127.0.0.1", self.port))
                self.pairs.append((a, b))
                for pair in ((a, b), (b, a)):
                    threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, a, b):
        with contextlib.suppress(OSError):
            while data := a.recv(65536):
                while self.mode == "stalled":
                    time.sleep(0.01)
                if self.mode == "slow":
                    time.sleep(self.dice.random() * 0.01)
                if self.mode == "dribbling":
                    for i in range(min(len(data), 50)):
                        b.sendall(data[i : i + 1])
                    data = data[50:]
                b.sendall(data)
        with contextlib.suppress(OSError):
            b.shutdown(socket.SHUT_WR)

    def cut(self, how):
        for pair in self.pairs:
            for s in pair if self.dice.random() < 0.5 else pair[:1]:
                with contextlib.suppress(OSError):
                    if how == "half":
                        s.shutdown(socket.SHUT_RD)
                    else:
                        s.setsockopt(
                            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                        )
                        s.shutdown(socket.SHUT_RDWR)
                        s.close()
        self.pairs.clear()


@pytest.mark.parametrize("seed", range(4))
def test_a_network_that_behaves_badly_loses_nothing_that_was_acknowledged(
    seed, tmp_path
):
    dice = random.Random(seed)
    folders = [tmp_path / "a", tmp_path / "b"]
    for f in folders:
        f.mkdir(mode=0o700)
    secret = str(folders[0] / "secret.pem")

    def start(code, folder, *args):
        return subprocess.Popen(
            [sys.executable, "-c", code, json.dumps(FAST), secret, *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "RUNTIME_DIRECTORY": str(folder)},
        )

    with contextlib.ExitStack() as stack:
        server = stack.enter_context(start(SERVER, folders[0]))
        stack.callback(server.kill)
        port = int(server.stdout.readline().rsplit(":", 1)[1])
        proxy = Proxy(port, dice)
        client = stack.enter_context(start(CLIENT, folders[1], proxy.address))
        stack.callback(client.kill)
        assert client.stdout.readline() == "began\n", client.stderr.read()
        for _ in range(12):
            proxy.mode = dice.choice(["well", "slow", "dribbling", "stalled"])
            # That of a stall is now and then longer than `detection_ms`.
            time.sleep(dice.random() * (0.8 if proxy.mode == "stalled" else 0.4))
            proxy.mode = "well"
            if dice.random() < 0.6:
                proxy.cut(dice.choice(["half", "whole"]))
        out, err = client.communicate("\n", PATIENCE)
        assert client.returncode == 0, err
        said = json.loads(out)
        assert said["wrong"] == [], (seed, said, err)
        assert said["answered"] > 20 and said["published"][0] > 20, (seed, said, err)
        server.communicate("\n", PATIENCE)
        assert server.returncode == 0
