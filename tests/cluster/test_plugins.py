"""Plug-ins: shared libraries in C++ that a node loads when it starts."""

import json
import subprocess
import textwrap
from pathlib import Path

import pytest
from launched import BINARY, Launched, run

WORDS = Path(BINARY).resolve().parents[1] / "samples/libwords.so"


@pytest.fixture
def config(tmp_path, monkeypatch):
    """`config(**files)` writes the files of a node; returns that of the node."""
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))

    def write(plugins="", **files):
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        path = tmp_path / "node.toml"
        path.write_text(
            textwrap.dedent(
                f"""\
                [node]
                name = "plugged@127.0.0.1"
                {plugins}
                [cluster]
                name = "plug-ins"
                secret = "{tmp_path}/secret.pem"
                [python]
                path = ["."]
                """
            )
        )
        return path

    return write


@pytest.fixture
def build(tmp_path):
    """`build(code)` makes a shared library of C code."""

    def compile(code):
        source = tmp_path / "plugin.c"
        source.write_text(code)
        library = tmp_path / "plugin.so"
        command = ["gcc", "-shared", "-fPIC", "-o", str(library), str(source)]
        subprocess.run(command, check=True)
        return library

    return compile


USES_WORDS = """
    import json
    from hornbeam_erlang import await_result, call, execute, execute_async
    from hornbeam import tasks

    print(json.dumps(call("count_words", "to be or not")))
    print(json.dumps(execute("words", "frequency", "to be or not to be")))
    task = execute_async("words", "frequency", "to be")
    print(json.dumps(await_result(task)), tasks.status(task)["progress"])
    for wrong in [lambda: execute("words", "nothing", ""), lambda: call("count_words")]:
        try:
            wrong()
        except RuntimeError as e:
            print(type(e).__name__, e)
    """


def check_words(out):
    lines = out.splitlines()
    assert lines[0].startswith("plugged@127.0.0.1 serves at")
    assert json.loads(lines[1]) == 4
    assert json.loads(lines[2]) == {"be": 2, "not": 1, "or": 1, "to": 2}
    assert lines[3] == '{"be": 1, "to": 1} 2'
    assert lines[4].startswith("NotFoundError") and "nothing" in lines[4]
    assert lines[5].endswith("count_words takes one text")


def test_python_calls_what_a_plugin_has_registered(config, tmp_path):
    path = config(script=USES_WORDS)
    script = tmp_path / "script.py"
    done = run("node", "--config", path, "--plugin", WORDS, "--run", script)
    assert done.returncode == 0, done.stderr
    check_words(done.stdout)


def test_a_configuration_names_plugins_beside_itself(config, tmp_path):
    (tmp_path / "libwords.so").symlink_to(WORDS)
    path = config('plugins = ["libwords.so"]', script=USES_WORDS)
    script = tmp_path / "script.py"
    done = run("node", "--config", path, "--run", script, cwd="/")
    assert done.returncode == 0, done.stderr
    check_words(done.stdout)


def test_the_nodes_of_a_cluster_may_have_plugins(config, tmp_path):
    config(script='from hornbeam_erlang import call\nprint(call("count_words", "a"))')
    path = tmp_path / "cluster.toml"
    path.write_text(
        textwrap.dedent(
            f"""\
            [cluster]
            name = "plug-ins"
            secret = "{tmp_path}/secret.pem"
            [nodes.web]
            plugins = ["{WORDS}"]
            """
        )
    )
    with Launched("up", path, "--run", f"web:{tmp_path}/script.py") as up:
        assert up.wait() == 0, up
        up.line(r"web +\| 1$")


def refused(config, *plugins):
    flags = [x for plugin in plugins for x in ("--plugin", plugin)]
    done = run("node", "--config", config(), *flags)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_plugin_that_is_not_there_is_named(config, tmp_path):
    missing = tmp_path / "missing.so"
    assert f"the plug-in {missing} is not there" in refused(config, WORDS, missing)


def test_a_file_that_is_no_library_is_named(config, tmp_path):
    text = tmp_path / "text.so"
    text.write_text("no library")
    assert f"the plug-in {text} can't be loaded: " in refused(config, text)


def test_a_library_without_an_entry_point_is_named(config, build):
    library = build("int nothing;")
    expected = f"the plug-in {library} has no entry point: HORNBEAM_PLUGIN"
    assert expected in refused(config, library)


def test_a_plugin_of_another_version_is_named_with_both_versions(config, build):
    library = build(
        """
        struct { unsigned abi; const char* name; void (*start)(void*); }
          hornbeam_plugin = {999, "old", 0};
        """
    )
    assert (
        f"the plug-in {library} was built for version 999 of the plug-in "
        "interface, and this hornbeam has version 3: build it anew"
    ) in refused(config, library)
