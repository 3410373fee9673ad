"""The hornbeam binary: real processes, seen from outside."""

import json
import os
import re
import signal
import time

import pytest
from launched import PATIENCE, Folder, Launched, Watched, greeting

DESK = """
def add(*numbers):
    return sum(numbers)

def echo(value):
    return value

def kinds():
    return {"t": (1, 2), "b": b"\\x00\\xff", 5: None, "f": 1.5}

def fail():
    raise KeyError("no such drawer")
"""


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


# -- up -----------------------------------------------------------------------


def test_every_line_carries_the_aligned_name_of_its_node(folder):
    with folder.up(folder.cluster(greeting("web", "longest_name"))) as up:
        up.line(r"^web          \| hello from web$")
        up.line(r"^longest_name \| hello from longest_name$")
        assert all(re.match(r"[\w]+ +\| ", x) for x in up.out + up.err)


def test_stdout_and_stderr_of_nodes_stay_apart(folder):
    code = "import sys\nprint('out')\nprint('err', file=sys.stderr)\n"
    with folder.up(folder.cluster({"a": code})) as up:
        up.line(r"\| out$")
        up.line(r"\| err$")
        assert "a        | out" in up.out
        assert "a        | err" in up.err


def test_lines_of_different_nodes_are_never_mixed(folder):
    code = """
import sys
for i in range(300):
    for piece in range(4):
        sys.stdout.write({0!r} * 500)
        sys.stdout.flush()
    sys.stdout.write("\\n")
print("done", {0!r}, flush=True)
"""
    nodes = {x: code.format(x) for x in "abc"}
    with folder.up(folder.cluster(nodes)) as up:
        for x in nodes:
            up.line(rf"\| done {x}$")
    for x in nodes:
        assert up.out.count(f"{x}        | {x * 2000}") == 300


def test_the_configuration_says_how_much_the_nodes_log(folder):
    code = """
from hornbeam import _log
_log.say(_log.INFO, "test", "a is here")
_log.say(_log.DEBUG, "test", "nobody hears this")
print("done")
"""
    extra = '[log]\nlevel = "info"'
    with folder.up(folder.cluster({"a": code}, extra=extra)) as up:
        up.line(r"^a        \| hornbeam: info \(test, a@127.0.0.1\): a is here$")
        up.line(r"\| done$")
    assert not [x for x in up.err if "nobody hears this" in x]


def test_a_last_line_without_its_end_is_shown(folder):
    script = folder.write("s.py", "print('not whole', end='')\n")
    with folder.up(folder.cluster(greeting("a", "b")), "--run", f"a:{script}") as up:
        assert up.wait() == 0
        assert "a        | not whole" in up.out


def test_a_killed_node_is_started_again(folder):
    with folder.up(folder.cluster(greeting("a", "b"))) as up:
        up.lines(r"hello from", 2)
        os.kill(up.pid_of("a"), signal.SIGKILL)
        up.line(r"hornbeam \| a ended \(killed by Killed\)")
        up.line(r"hornbeam \| a restarted")
        up.lines(r"hello from a", 2)
        assert len(up.lines(r"hello from b", 1)) == 1


def test_a_node_that_does_not_stay_up_leaves_the_others_alone(folder):
    config = folder.cluster(
        {"bad": "import os\nos._exit(3)\n", **greeting("good")},
        extra="restart_intensity = 2\nrestart_period_ms = 60000",
    )
    with folder.up(config) as up:
        up.line("hello from good")
        good = up.pid_of("good")
        up.line(
            r"bad is started again in 1 s: more than 2 restarts within 60000 ms "
            r"\(restart_intensity, restart_period_ms\)$"
        )
        assert len(up.lines(r"bad restarted", 2)) == 2
        up.line(r"bad is started again in 2 s$")
        assert len(up.lines(r"bad restarted", 3)) == 3
        up.send()
        assert up.wait() == 0
        assert up.pid_of("good") == good


def test_a_cluster_of_which_no_node_stays_up_ends_and_says_why(folder):
    broken = "import os\nos._exit(3)\n"
    config = folder.cluster(
        {"a": broken, "b": broken},
        extra="restart_intensity = 1\nrestart_period_ms = 60000",
    )
    with folder.up(config) as up:
        assert up.wait() == 1
        up.line(r"a ended \(exit code 3\)")
        up.line(r"ending, since no node stays up: more than 1 restarts within")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_nodes(folder, number):
    with folder.up(folder.cluster(greeting("a", "b", "c"))) as up:
        up.lines(r"hello from", 3)
        nodes = [Watched(up.pid_of(x)) for x in "abc"]
        up.send(number)
        assert up.wait(4) == 0
        for node in nodes:
            assert node.ends(0)
            node.close()


def test_a_node_that_ignores_the_signal_is_killed(folder):
    stubborn = """
import signal, threading
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("stubborn", flush=True)
while True:
    threading.Event().wait(60)
"""
    config = folder.cluster({"a": stubborn, **greeting("b")})
    with folder.up(config) as up:
        up.line("stubborn")
        up.line("hello from b")
        up.send()
        assert up.wait(4.5) == 0


def test_nodes_do_not_outlive_a_killed_launcher(folder):
    with folder.up(folder.cluster(greeting("a", "b"))) as up:
        up.lines(r"hello from", 2)
        nodes = [Watched(up.pid_of(x)) for x in "ab"]
        up.process.kill()
        for node in nodes:
            assert node.ends(4)
            node.close()


def test_the_cluster_ends_with_its_script_and_its_exit_code(folder):
    script = folder.write("s.py", "import sys\nprint('at work')\nsys.exit(7)\n")
    with folder.up(folder.cluster(greeting("a", "b")), "--run", "a:s.py") as up:
        assert up.wait() == 7
        up.line(r"^a        \| at work")
    assert script.exists()


def test_a_script_that_fails_fails_the_cluster(folder):
    folder.write("s.py", "raise RuntimeError('broken')\n")
    with folder.up(folder.cluster(greeting("a")), "--run", "a:s.py") as up:
        assert up.wait() == 1
        up.line(r"^a        \| RuntimeError: broken")


# -- mistakes -----------------------------------------------------------------


def test_a_mistake_in_the_configuration_is_named_with_its_line(folder):
    config = folder.write("bad.toml", "[cluster]\n[nodes.a]\nprot = 1\n")
    for args in (["up", config], ["node", "--config", config, "--name", "a"]):
        result = folder.run(*args)
        assert result.returncode == 2
        assert f"{config}:3: nodes.a.prot: " in result.stderr
        assert "did you mean port?" in result.stderr


@pytest.mark.parametrize(
    "run_option, said",
    [
        ("a", "--run takes NODE:SCRIPT"),
        ("z:s.py", "no node 'z'"),
        ("a:missing.py", "no script missing.py"),
    ],
)
def test_a_mistake_in_the_run_option_starts_nothing(folder, run_option, said):
    folder.write("s.py", "")
    result = folder.run("up", folder.cluster(greeting("a")), "--run", run_option)
    assert result.returncode == 2
    assert said in result.stderr
    assert "started" not in result.stderr


def test_a_missing_or_unknown_argument_is_refused(folder):
    for args in ([], ["up"], ["dance"], ["rpc", "a", "m", "f", "--tmeout", "1"]):
        assert folder.run(*args).returncode == 2


def test_help_and_version_are_there(folder):
    assert re.fullmatch(r"hornbeam \d+\.\d+\.\d+\n", folder.run("--version").stdout)
    for command in ("node", "up", "rpc", "status"):
        result = folder.run(command, "--help")
        assert result.returncode == 0
        assert f"Example: hornbeam {command}" in result.stdout


# -- rpc and status -----------------------------------------------------------


@pytest.fixture
def desk(folder):
    """A running cluster of two with something to call: `rpc(f, *args)`."""
    config = folder.cluster({"a": DESK, "b": DESK})
    with folder.up(config) as up:
        for node in "ab":
            folder.until_answered(
                up, "rpc", node, f"test_{node}", "add", 1, "--config", config
            )
        folder.config = config
        folder.launched = up
        yield folder


def test_rpc_prints_the_result_as_json(desk):
    def call(function, *args):
        where = ["--config", desk.config]
        result = desk.run("rpc", "a", "test_a", function, *where, *args)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    assert call("add", 1, 2, -4) == -1
    nested = [1, 2.5, None, {"k": [True]}]
    assert call("echo", json.dumps(nested)) == nested
    assert call("echo", "plain words") == "plain words"
    assert call("echo", '"5"') == "5"
    assert call("kinds") == {
        "t": [1, 2],
        "b": {"$bytes": "AP8="},
        "5": None,
        "f": 1.5,
    }


def test_rpc_finds_the_cluster_by_name_and_secret(desk):
    result = desk.run(
        "rpc", "b", "test_b", "add", 2, 3, "--cluster", "test", "--secret", "test.pem"
    )
    assert (result.returncode, result.stdout) == (0, "5\n")


def test_an_error_of_the_other_side_is_shown_and_fails(desk):
    result = desk.run("rpc", "a", "test_a", "fail", "--config", desk.config)
    assert result.returncode == 1
    assert result.stdout == ""
    assert "KeyError" in result.stderr and "no such drawer" in result.stderr


def test_a_node_that_is_not_there_fails_the_call(desk):
    result = desk.run(
        "rpc", "zoe", "m", "f", "--cluster", "test", "--secret", "test.pem"
    )
    assert result.returncode == 1
    assert "zoe@127.0.0.1" in result.stderr


def test_a_wrong_secret_is_refused(desk):
    other = desk.cluster(greeting("x"), name="other")
    with desk.up(other) as up:
        up.line("hello from x")
        result = desk.run(
            "rpc", "a", "test_a", "add", 1, "--cluster", "test",
            "--secret", "other.pem",
        )
    assert result.returncode == 1
    assert result.stdout == ""
    assert "secret" in result.stderr


def test_a_visitor_makes_no_secret_of_its_own(desk):
    result = desk.run("rpc", "a", "m", "f", "--secret", "new.pem")
    assert result.returncode == 1
    assert "no secret file new.pem" in result.stderr
    assert not (desk.path / "new.pem").exists()


def test_status_lists_the_nodes_with_their_figures(desk):
    until = time.monotonic() + PATIENCE
    while True:
        result = desk.run("status", "--config", desk.config)
        assert result.returncode == 0, result.stderr
        head, *rows = result.stdout.splitlines()
        # The two may still be connecting to each other.
        if all(row.split()[4] == "1" for row in rows) or time.monotonic() > until:
            break
    assert head.split()[:5] == ["NODE", "PID", "ADDRESS", "UP", "PEERS"]
    assert [row.split()[0] for row in rows] == ["a@127.0.0.1", "b@127.0.0.1"]
    for row, node in zip(rows, "ab"):
        assert int(row.split()[1]) == desk.launched.pid_of(node)
        assert row.split()[4] == "1"  # each sees the other, not the visitor


def test_the_nodes_of_a_numbered_configuration_are_found(folder):
    folder.write("desk.py", DESK)
    config = folder.write(
        "web.toml",
        """
        [node]
        name = "web-#"
        [cluster]
        name = "numbered"
        secret = "numbered.pem"
        [python]
        path = ["."]
        modules = ["desk"]
        exports = ["desk"]
        """,
    )
    start = ["node", "--config", config]
    with Launched(*start, env=folder.env) as one:
        one.line("web-1@127.0.0.1 serves at")
        with Launched(*start, env=folder.env) as two:
            two.line("web-2@127.0.0.1 serves at")
            for name, node in {
                "web-1": "web-1", "web-#": "web-1", "web-2@127.0.0.1": "web-2",
            }.items():
                ask = ["rpc", name, "hornbeam", "node", "--config", config]
                result = folder.run(*ask)
                assert result.returncode == 0, result.stderr
                assert result.stdout == f'"{node}@127.0.0.1"\n'
            result = folder.run("rpc", "web-3", "desk", "add", 1, "--config", config)
            assert result.returncode == 1
            assert "web-3@127.0.0.1" in result.stderr
            result = folder.run("status", "--config", config)
            assert result.returncode == 0, result.stderr
            rows = [x.split() for x in result.stdout.splitlines()[1:]]
            assert [x[0] for x in rows] == ["web-1@127.0.0.1", "web-2@127.0.0.1"]
            assert all("no answer" not in " ".join(x) for x in rows)


def test_status_names_a_node_that_does_not_answer(desk):
    pid = desk.launched.pid_of("b")
    os.kill(pid, signal.SIGSTOP)
    try:
        result = desk.run("status", "--config", desk.config)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert result.returncode == 0
    rows = result.stdout.splitlines()
    assert re.match(r"b@127.0.0.1 .* no answer", rows[2])


def test_status_of_a_cluster_without_nodes_fails(folder):
    result = folder.run("status", "--config", folder.cluster(greeting("a")))
    assert result.returncode == 1
    assert "no node of the cluster test runs on this host" in result.stderr
