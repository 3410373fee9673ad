"""What nodes leave on their host: entries in its registry, and the secret."""

import os
import signal
import subprocess
import sys

import pytest
from launched import SLOWER

PATIENCE = 60 * SLOWER

#: A process that has joined, until its input ends.
MEMBER = """
import sys
from hornbeam_erlang import node

print(node(), flush=True)
sys.stdin.read()
"""


class Host:
    """Processes with a runtime directory and a home of their own."""

    def __init__(self, folder):
        self.folder = folder
        self.run_folder = folder / "run"
        self.run_folder.mkdir(mode=0o700)
        self.env = {
            k: v for k, v in os.environ.items() if not k.startswith("HORNBEAM_SECRET")
        }
        self.env.update(HOME=str(folder), RUNTIME_DIRECTORY=str(self.run_folder))
        self.env.pop("XDG_CONFIG_HOME", None)

    def files(self, cluster="workers"):
        return sorted(x.name for x in (self.run_folder / cluster).iterdir())

    def start(self, code, **env):
        return subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env={**self.env, **env},
        )

    def run(self, code, **env):
        return subprocess.run(
            [sys.executable, "-c", code],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            cwd=self.folder,
            env={**self.env, **env},
        )

    def member(self, code=MEMBER):
        """A process of the cluster `workers` and the name that it prints."""
        process = self.start(code, HORNBEAM_CLUSTER="workers")
        return process, process.stdout.readline().strip()


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def end(process):
    process.stdin.close()
    assert process.wait(PATIENCE) == 0
    process.stdout.close()


def test_a_process_that_ends_takes_its_entry_with_it(host):
    process, name = host.member()
    assert host.files() == [name]
    end(process)
    assert host.files() == []


def test_the_entry_of_a_process_that_was_killed_goes_with_the_next_one(host):
    process, name = host.member()
    process.kill()
    process.wait(PATIENCE)
    process.stdin.close()
    process.stdout.close()
    assert host.files() == [name]
    following, name = host.member()
    assert host.files() == [name]
    end(following)


LEAVES_A_CHILD = """
import os, subprocess, sys
from hornbeam_erlang import node

print(node(), flush=True)
if {fork}:
    child = os.fork()
    if child == 0:
        os.read(0, 1)
        os._exit(0)
else:
    child = subprocess.Popen(["sleep", "300"], close_fds=False).pid
print(child, flush=True)
sys.stdin.readline()
"""


@pytest.mark.forks
@pytest.mark.parametrize("fork", [True, False])
def test_a_child_that_outlives_its_parent_holds_no_name(host, fork):
    process, name = host.member(LEAVES_A_CHILD.format(fork=fork))
    child = int(process.stdout.readline())
    try:
        process.kill()
        process.wait(PATIENCE)
        following, other = host.member()
        assert host.files() == [other]
        end(following)
    finally:
        os.kill(child, signal.SIGKILL)
        process.stdin.close()
        process.stdout.close()


@pytest.mark.forks
def test_a_child_that_ends_leaves_its_parents_entry(host):
    process, name = host.member(
        """
import os, sys
from hornbeam_erlang import node

me = node()
child = os.fork()
if child == 0:
    sys.exit()
os.waitpid(child, 0)
print(me, flush=True)
sys.stdin.read()
"""
    )
    assert host.files() == [name]
    end(process)
    assert host.files() == []


NAMED = """
import sys
import hornbeam

hornbeam.configure(cluster="workers", name="web@127.0.0.1", listen=True)
print(hornbeam.cluster.node(), flush=True)
sys.stdin.read()
"""


def test_a_second_node_of_a_name_does_not_start_and_names_the_first_process(host):
    first = host.start(NAMED)
    assert first.stdout.readline() == "web@127.0.0.1\n"
    second = host.run(NAMED)
    assert second.returncode == 1
    last = second.stderr.splitlines()[-1]
    assert "web@127.0.0.1" in last and f"pid {first.pid}" in last
    end(first)
    assert host.run(NAMED).stdout == "web@127.0.0.1\n"


@pytest.mark.parametrize("name", ["..", "a/b", "@tables", "a\nb", "x" * 200])
def test_a_cluster_has_a_name_of_letters_whoever_gives_it(host, name):
    by_variable = host.run(
        "from hornbeam_erlang import node; node()", HORNBEAM_CLUSTER=name
    )
    configured = host.run(
        f"""
import hornbeam

hornbeam.configure(cluster={name!r})
hornbeam.cluster.node()
"""
    )
    for result in by_variable, configured:
        assert result.returncode == 1
        last = result.stderr.splitlines()[-1]
        assert "a cluster's name" in last
        assert name.replace("\n", "\\x0a")[:100] in last
    assert not any(host.run_folder.iterdir())


ALONE = """
from hornbeam_erlang import node, state_get, state_set

state_set("k", 1)
print(node(), state_get("k"))
"""


def test_a_program_that_joins_nobody_needs_no_folder(host):
    result = host.run(
        ALONE, RUNTIME_DIRECTORY="/dev/null/x", HOME="/dev/null/x", HORNBEAM_SECRET=""
    )
    assert result.stdout == "hornbeam@localhost 1\n", result.stderr


def test_who_joins_hears_why_the_runtime_directory_can_not_be_used(host):
    result = host.run(MEMBER, HORNBEAM_CLUSTER="w", RUNTIME_DIRECTORY="/dev/null/x")
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert "the folder /dev/null/x/" in last and "Not a directory" in last


def test_of_several_runtime_directories_the_first_is_used(host):
    host.env["RUNTIME_DIRECTORY"] += ":/none:/nowhere"
    process, name = host.member()
    assert host.files() == [name]
    end(process)


def test_the_variable_for_the_secret_names_its_file(host):
    path = host.folder / "mine.pem"
    for variable in "HORNBEAM_SECRET_FILE", "HORNBEAM_SECRET":
        result = host.run(MEMBER, HORNBEAM_CLUSTER="w", **{variable: str(path)})
        assert result.returncode == 0, result.stderr
        assert path.stat().st_mode & 0o777 == 0o600
        path.unlink()


@pytest.mark.parametrize("value", ["-----BEGIN KEY-----", "s3cr3t", "two\nlines"])
def test_a_value_that_is_no_path_is_not_shown(host, value):
    result = host.run(MEMBER, HORNBEAM_CLUSTER="w", HORNBEAM_SECRET=value)
    assert result.returncode == 1
    assert "HORNBEAM_SECRET_FILE" in result.stderr
    assert value not in result.stderr and value not in result.stdout
    assert host.run(ALONE, HORNBEAM_SECRET=value).returncode == 0
