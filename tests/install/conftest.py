"""A wheel of this tree, and environments that know nothing of it."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BACKEND = ROOT / "packaging/hornbeam_build.py"
PATIENCE = 100  # seconds for one command


def clean_environment(folder):
    """What a user's shell may have at least; nothing of this tree."""
    (folder / "run").mkdir(exist_ok=True)
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "RUNTIME_DIRECTORY": str(folder / "run"),
    }


def run(*command, cwd, env=None, code=0, timeout=PATIENCE):
    """Runs a command in an environment of its own; what it printed."""
    done = subprocess.run(
        [str(x) for x in command],
        cwd=cwd,
        env=env or clean_environment(cwd),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


def project_version():
    text = (ROOT / "CMakeLists.txt").read_text()
    return re.search(r"project\(hornbeam VERSION ([\d.]+)", text)[1]


def build_wheel(folder):
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    printed = subprocess.run(
        [sys.executable, str(BACKEND), str(folder)],
        env=env,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        timeout=1500,
    ).stdout
    return Path(printed.splitlines()[-1])


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def contents(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {x.filename: archive.read(x) for x in archive.infolist()}


class Environment:
    """A virtual environment in a path with spaces, without a network."""

    def __init__(self, folder, python):
        self.folder = folder
        self.bin = folder / "my venv/bin"
        run(python, "-m", "venv", folder / "my venv", cwd=folder)
        self.site = next((folder / "my venv/lib").glob("python3*/site-packages"))

    def pip(self, *words, **options):
        """pip with no index: what it has not got here it can't get."""
        quiet = ["--disable-pip-version-check", "--no-cache-dir", "--no-input"]
        command = [self.bin / "python3", "-m", "pip", *quiet, *words]
        return run(*command, cwd=self.folder, timeout=1500, **options)

    def python(self, code, **options):
        return run(self.bin / "python3", "-c", code, cwd=self.folder, **options)

    def hornbeam(self, *words, **options):
        return run(self.bin / "hornbeam", *words, cwd=self.folder, **options)


@pytest.fixture(scope="session")
def venv(wheel, tmp_path_factory):
    """One in which the wheel is installed."""
    made = Environment(tmp_path_factory.mktemp("venv"), sys.executable)
    made.pip("install", "--no-index", wheel)
    return made


CLUSTER = """
[cluster]
name = "{name}"
secret = "cluster.pem"
[defaults]
path = ["."]
[nodes.web]
[nodes.worker]
modules = ["jobs"]
exports = ["jobs"]
"""
JOBS = """
import sys
def prefix(): return sys.prefix
def libraries():
    with open("/proc/self/maps") as maps:
        return sorted({x.split(maxsplit=5)[5].strip() for x in maps if ".so" in x})
"""
ASK = """
import hornbeam
from hornbeam_erlang import nodes, rpc_call
hornbeam.cluster.wait_for("worker@127.0.0.1")
print("prefix", rpc_call("worker", "jobs", "prefix", []))
print("libraries", rpc_call("worker", "jobs", "libraries", []))
"""
# What goes through the engine in one process.
EXAMPLE = """
import hornbeam
from hornbeam_erlang import (call, execute, register_function, register_hook,
                             state_get, state_set)
state_set("key", {"a": [1, 2.5, None]})
register_function("add", lambda a, b: a + b)
register_hook("text", lambda action, x: getattr(x, action)())
print(state_get("key"), call("add", 1, 2), execute("text", "upper", "hello"))
"""
EXAMPLE_PRINTS = "{'a': [1, 2.5, None]} 3 HELLO\n"


def write_cluster(folder, name):
    (folder / "cluster.toml").write_text(CLUSTER.format(name=name))
    (folder / "jobs.py").write_text(JOBS)
    (folder / "ask.py").write_text(ASK)
