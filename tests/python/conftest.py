"""A second node beside this process, and patience for what takes a moment."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "cluster"))

from launched import PATIENCE, Launched  # noqa: E402

# Apart from all other nodes of this user; set before the node here starts.
FOLDER = Path(tempfile.mkdtemp(prefix="hornbeam-tests-"))
CLUSTER = f"tests-{os.getpid()}"
SECRET = FOLDER / "secret.pem"
WORKER = "worker@gpu-server"  # the name that the reference's examples use
(FOLDER / "run").mkdir()
os.environ["RUNTIME_DIRECTORY"] = str(FOLDER / "run")
os.environ.pop("HORNBEAM_CLUSTER", None)

import hornbeam  # noqa: E402

hornbeam.configure(cluster=CLUSTER, secret=str(SECRET))


def pytest_unconfigure(config):
    shutil.rmtree(FOLDER, ignore_errors=True)


def start_node(
    name: str,
    path: Path = HERE / "provider",
    modules: tuple[str, ...] = ("services", "ml_model", "logger"),
    of_cluster: str = "",
) -> Launched:
    """A node with modules of a folder, ready to be called; the first one is imported
    as it starts. A context manager that ends it."""
    config = FOLDER / f"{name}.toml"
    config.write_text(
        textwrap.dedent(
            f"""\
            [node]
            name = "{name}"
            host = "127.0.0.1"
            port = 0
            [cluster]
            name = "{CLUSTER}"
            secret = "{SECRET}"
            {of_cluster}
            [python]
            path = ["{path}"]
            modules = ["{modules[0]}"]
            exports = {json.dumps(modules)}
            """
        )
    )
    node = Launched("node", "--config", config)
    try:
        node.line("serves at")
        hornbeam.cluster.connect(name, PATIENCE * 1000)
    except BaseException:
        node.__exit__()
        raise
    return node


@pytest.fixture(scope="session")
def _worker():
    with start_node(WORKER):
        yield WORKER


@pytest.fixture
def worker(_worker, eventually):
    """The name of a second node, to which this process is connected."""
    if WORKER not in hornbeam.cluster.nodes():  # a test may have changed that
        hornbeam.cluster.connect(WORKER, PATIENCE * 1000)
    eventually(lambda: WORKER in hornbeam.hooks.providers("llm"))
    return WORKER


@pytest.fixture
def other_nodes():
    """`other_nodes(name)` starts one more node, with further lines of `[cluster]`;
    they end with the test."""
    started = []

    def start(name, of_cluster=""):
        node = start_node(name, of_cluster=of_cluster)
        started.append(node)
        return node

    yield start
    for node in started:
        node.__exit__()


@pytest.fixture
def eventually():
    """`eventually(f)` waits until `f()` is true: news of other nodes and the
    end of threads take a moment that nobody announces."""

    def wait(f, what=""):
        until = time.monotonic() + PATIENCE
        pause = threading.Event()
        while not (found := f()):
            assert time.monotonic() < until, f"not in time: {what or f}"
            pause.wait(0.002)
        return found

    return wait


@pytest.fixture
def fresh_python():
    """`fresh_python(code)` runs code in a process of its own, whose node has
    not started and is not configured; returns what it printed."""

    def run(code, env=None):
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env={**os.environ, **(env or {})},
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture
def name(request):
    """A name for hooks, keys and topics that no other test uses."""
    return f"{request.node.nodeid}"


class Tables:
    """Makes tables here, or on the second node."""

    def __init__(self, worker, name):
        self.worker = worker
        self.name = name
        self.made = []

    def __call__(self, **options):
        name = f"{self.name} {len(self.made)}"
        if self.worker is None:
            found = hornbeam.tables.table(name, **options)
        else:
            args = [name, options]
            hornbeam.rpc.rpc_call(self.worker, "services", "make_table", args)
            found = hornbeam.tables.table(name, self.worker)
        self.made.append(found)
        return found


@pytest.fixture(params=["here", "there"])
def make_table(request, worker, name):
    """`make_table(**options)` is a table of this node or of another one."""
    where = Tables(worker if request.param == "there" else None, name)
    yield where
    for table in where.made:
        table.clear()


@pytest.fixture
def table(make_table):
    return make_table()
