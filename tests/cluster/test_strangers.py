"""What somebody without the cluster's secret, or with a broken one, can do to the
port of a node: take a place for a moment, and nothing else."""

import contextlib
import json
import os
import resource
import shutil
import socket
import ssl
import subprocess
import sys
import textwrap
import time

import pytest
from launched import SLOWER

PATIENCE = 60 * SLOWER

# A node that tells its address, and then answers each line with its own
# processor time in seconds, after what the line says has been done.
NODE = """
import json, os, sys, time
import hornbeam
from hornbeam_erlang import register_hook
options = json.loads(sys.argv[1])
if "descriptors" in options:
    import resource
    most = options.pop("descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
hornbeam.configure(listen=True, name="target@127.0.0.1", cluster="strangers", **options)
register_hook("echo", lambda action, x: x)
hornbeam.cluster.node()
print(hornbeam.cluster.status()["address"], flush=True)
for line in sys.stdin:
    print(time.process_time(), flush=True)
"""

VISITOR = """
import json, sys, time
import hornbeam
from hornbeam_erlang import execute
options, address = json.loads(sys.argv[1]), sys.argv[2]
hornbeam.configure(cluster="strangers", **options)
try:
    hornbeam.cluster.connect("target@" + address)
    print(execute("echo", "x", "heard"), flush=True)
except RuntimeError as e:
    print(type(e).__name__, e, flush=True)
"""


class Target:
    def __init__(self, folder, **options):
        self.folder = folder
        self.secret = folder / "secret.pem"
        self.env = {**os.environ, "RUNTIME_DIRECTORY": str(folder)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", NODE, json.dumps(self.options(**options))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.env,
        )
        self.host, port = self.process.stdout.readline().strip().rsplit(":", 1)
        self.port = int(port)

    def options(self, **more):
        return {"secret": str(self.secret), **more}

    def connect(self):
        s = socket.create_connection((self.host, self.port), timeout=PATIENCE)
        return s

    def used(self):
        """The processor time that the node has used, in seconds."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def visit(self, **options):
        """What a node of the cluster gets that connects now."""
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                VISITOR,
                json.dumps(self.options(**options)),
                f"{self.host}:{self.port}",
            ],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env=self.env,
        )
        return done.stdout.strip() or done.stderr

    def end(self):
        """What the node has said; it must have lived until now."""
        assert self.process.poll() is None, self.process.stderr.read()
        _, said = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0, said
        return said


@pytest.fixture
def target(tmp_path):
    tmp_path.chmod(0o700)
    with contextlib.ExitStack() as stack:

        def start(**options):
            x = Target(tmp_path, **options)
            stack.callback(x.process.wait, PATIENCE)
            stack.callback(x.process.kill)
            return x

        yield start


def closed(s):
    """Waits until the other side closes `s`; returns what it said before."""
    said = b""
    with contextlib.suppress(ConnectionError):
        while more := s.recv(65536):
            said += more
    s.close()
    return said


def context(**files):
    x = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    x.check_hostname = False
    x.verify_mode = ssl.CERT_NONE
    x.set_alpn_protocols(["hornbeam/2"])
    if files:
        x.load_cert_chain(**files)
    return x


def certificate(folder, *more):
    """A PEM file with a key and a certificate of somebody else."""
    path = folder / f"other{len(list(folder.glob('other*')))}.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=hornbeam cluster",
         "-keyout", f"{path}.key", "-out", f"{path}.crt", *(more or ["-days", "9"])],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_text(
        (folder / f"{path.name}.key").read_text()
        + (folder / f"{path.name}.crt").read_text()
    )
    path.chmod(0o600)
    return path


HELLO_OF_TLS = bytes.fromhex("1603010200010001fc0303")


@pytest.mark.parametrize("says", [b"", HELLO_OF_TLS], ids=["nothing", "half a hello"])
def test_who_says_nothing_costs_no_time_and_is_sent_away(target, says):
    node = target()
    before = node.used()
    began = time.monotonic()
    held = [node.connect() for _ in range(8)]
    for s in held:
        s.sendall(says)
    for s in held:
        closed(s)
    took = time.monotonic() - began
    assert 1 < took < 20
    assert (node.used() - before) / took < 0.05
    assert node.visit() == "heard"
    assert "refused a connection" in node.end()


@pytest.mark.parametrize(
    "says",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x00" * 64,
        b"\xff" * 100000,
        os.urandom(4096),
        HELLO_OF_TLS + b"\xff" * 512,
        b"HORNBEAM\x02\x02\x00",
    ],
    ids=["http", "zeros", "ones", "random", "bad hello of TLS", "plain hello"],
)
def test_who_speaks_something_else_is_sent_away_at_once(target, says):
    node = target()
    s = node.connect()
    began = time.monotonic()
    with contextlib.suppress(ConnectionError):
        s.sendall(says)
    if says.startswith(b"\x00"):
        s.shutdown(socket.SHUT_WR)
    closed(s)
    assert time.monotonic() - began < 4
    assert node.visit() == "heard"
    node.end()


def test_a_certificate_of_somebody_else_is_refused_on_both_sides(target, tmp_path):
    node = target()
    other = certificate(tmp_path)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        with context(certfile=other).wrap_socket(node.connect()) as s:
            s.sendall(b"x")
            assert s.recv(1)
    said = node.visit(secret=str(other))
    assert "secret file" in said and "NodeError" in said, said
    assert node.visit() == "heard"
    assert "another secret file" in node.end()


def test_no_certificate_an_older_tls_and_another_protocol_are_refused(target):
    node = target()
    no_certificate, older, other = context(), context(), context()
    older.maximum_version = ssl.TLSVersion.TLSv1_2
    older.load_cert_chain(node.secret)
    other.load_cert_chain(node.secret)
    other.set_alpn_protocols(["h2"])
    for x in (no_certificate, older, other):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            with x.wrap_socket(node.connect()) as s:
                s.sendall(b"x")
                assert s.recv(1)
    assert node.visit() == "heard"
    node.end()


@pytest.mark.parametrize(
    "frame",
    [
        b"\x05hello",
        b"\xff\xff\xff\xff\xff\xff",
        b"\xff\xff\xff\x7f",
        b"\x80\x80\x04" + b"x" * 65536,
        b"\x09HORNBEAM\x02",
        b"\x0cHORNBEAM\xff\xff\xff\xff",
    ],
    ids=["no hello", "long length", "large", "long hello", "short", "broken"],
)
def test_who_has_the_secret_and_no_manners_is_sent_away_too(target, frame):
    node = target()
    x = context(certfile=node.secret)
    with x.wrap_socket(node.connect()) as s:
        s.sendall(frame)
        with contextlib.suppress(ssl.SSLError):
            closed(s)
    assert node.visit() == "heard"
    node.end()


@pytest.mark.parametrize("how", ["moved", "emptied", "unreadable", "replaced"])
def test_a_node_needs_its_secret_file_only_once(target, how, tmp_path):
    node = target()
    copy = tmp_path / "copy.pem"
    shutil.copy(node.secret, copy)
    copy.chmod(0o600)
    if how == "moved":
        node.secret.rename(tmp_path / "elsewhere.pem")
    elif how == "emptied":
        node.secret.write_text("")
    elif how == "replaced":
        shutil.copy(certificate(tmp_path), node.secret)
    else:
        node.secret.chmod(0)
    for _ in range(5):
        node.connect().close()
    assert node.visit(secret=str(copy)) == "heard"
    node.end()


def test_a_node_without_descriptors_lives_and_takes_connections_afterwards(target):
    node = target(descriptors=80)
    held = []
    for _ in range(100):
        s = socket.socket()
        s.settimeout(1)
        held.append(s)
        try:
            s.connect((node.host, node.port))
        except OSError:
            break
    before, began = node.used(), time.monotonic()
    for s in held[:4]:
        s.settimeout(PATIENCE)
        closed(s)
    assert (node.used() - before) / (time.monotonic() - began) < 0.1
    for s in held:
        s.close()
    end = time.monotonic() + PATIENCE
    while (said := node.visit()) != "heard":
        assert time.monotonic() < end, said
    node.end()


def test_thousands_of_connections_that_come_and_go_leave_nothing(target):
    node = target()
    folder = f"/proc/{node.process.pid}/fd"
    assert node.visit() == "heard"
    before = len(os.listdir(folder))
    for i in range(3000):
        with socket.create_connection((node.host, node.port)) as s:
            if i % 3 == 0:
                s.sendall(HELLO_OF_TLS)
    assert node.visit() == "heard"
    end = time.monotonic() + PATIENCE
    while len(os.listdir(folder)) > before:
        assert time.monotonic() < end, os.listdir(folder)
    node.end()


def test_calls_go_on_beside_hundreds_of_slow_handshakes(target):
    node = target()
    visitor = textwrap.dedent(
        """
        import json, sys, time
        import hornbeam
        from hornbeam_erlang import execute
        hornbeam.configure(cluster="strangers", **json.loads(sys.argv[1]))
        hornbeam.cluster.connect("target@" + sys.argv[2])
        print("connected", flush=True)
        sys.stdin.readline()
        times = []
        for i in range(1000):
            began = time.perf_counter()
            assert execute("echo", "x", i) == i
            times.append(time.perf_counter() - began)
        print(sorted(times)[500], flush=True)
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", visitor, json.dumps(node.options()),
         f"{node.host}:{node.port}"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=node.env,
    ) as caller:  # fmt: skip
        assert caller.stdout.readline() == "connected\n"
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
        try:
            held = [node.connect() for _ in range(500)]
            for s in held:
                with contextlib.suppress(ConnectionError):
                    s.sendall(HELLO_OF_TLS)
            caller.stdin.write("\n")
            caller.stdin.flush()
            # Half of them, on a machine that does something else as well.
            assert float(caller.stdout.readline()) < 0.01
            for s in held:
                s.close()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    node.end()


@pytest.fixture
def hole():
    """The address of a host that drops packets: its queue is full."""
    with contextlib.ExitStack() as stack:
        s = stack.enter_context(socket.socket())
        s.bind(("127.0.0.5", 0))
        s.listen(0)
        for _ in range(4):
            x = stack.enter_context(socket.socket())
            x.setblocking(False)
            x.connect_ex(s.getsockname())
        yield "127.0.0.5:%d" % s.getsockname()[1]


def test_a_peer_that_drops_packets_holds_nobody_up(target, hole):
    node = target()
    peers = [{"name": "hole@127.0.0.5", "address": hole}]
    began = time.monotonic()
    assert node.visit(name="d@127.0.0.1", peers=peers) == "heard"
    assert time.monotonic() - began < 4
    node.end()


def test_why_a_node_is_refused_is_said_at_once(target, tmp_path):
    node = target()
    elsewhere = tmp_path / "another host"
    elsewhere.mkdir(mode=0o700)
    for options, reason in (
        ({"cluster": "others"}, "belongs to cluster 'others', not to 'strangers'"),
        ({"name": "target@127.0.0.1"}, "a node named target@127.0.0.1 exists already"),
    ):
        code = VISITOR.replace('cluster="strangers", ', "").replace(
            '"target@"', '"wanted@"'
        )
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", code,
             json.dumps(node.options(**{"cluster": "strangers", **options})),
             f"{node.host}:{node.port}"],
            capture_output=True, text=True, timeout=PATIENCE,
            env={**node.env, "RUNTIME_DIRECTORY": str(elsewhere)},
        )  # fmt: skip
        assert reason in done.stdout, done.stdout + done.stderr
        assert time.monotonic() - began < 4
    node.end()
