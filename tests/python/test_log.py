"""What goes wrong where nobody looks is said: on stderr, or to the program's own
`logging`."""

import os
import subprocess
import sys
import textwrap

import pytest
from launched import PATIENCE

import hornbeam

# A cast that fails in C++, and what is said of it.
COMMON = textwrap.dedent(
    """
    import logging, os, sys, threading
    import hornbeam
    from hornbeam_erlang import *

    class Kept(logging.Handler):
        '''Keeps records; `wait(n)` gives them when there are so many.'''

        def __init__(self):
            super().__init__()
            self.records, self.more = [], threading.Condition()

        def emit(self, record):
            with self.more:
                self.records.append(record)
                self.more.notify_all()

        def wait(self, n):
            with self.more:
                assert self.more.wait_for(lambda: len(self.records) >= n, 20)
                return self.records

    def fail():
        cast("hornbeam.term_size")

    def fail_otherwise():
        cast("hornbeam.to_string")
    """
)
FAILED = (
    "the function 'hornbeam.{}' on hornbeam@localhost failed in a cast: "
    "bad_term: hornbeam.{} takes one argument"
)
FIRST, SECOND = (FAILED.format(x, x) for x in ("term_size", "to_string"))


def run(code, **env):
    """What a program of its own prints on stdout and stderr."""
    done = subprocess.run(
        [sys.executable, "-c", COMMON + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, **env},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, done.stderr


def test_without_logging_it_is_a_line_on_stderr():
    assert run("fail()") == ("", f"hornbeam: error (hooks): {FIRST}\n")


def test_the_program_s_logging_gets_it_and_stderr_stays_quiet():
    form = "%(levelname)s %(name)s %(node)s %(message)s"
    out, err = run(
        f"""
        fail()  # the node runs when logging is configured
        logging.basicConfig(stream=sys.stdout, format={form!r})
        fail_otherwise()
        """
    )
    assert out.endswith(f"ERROR hornbeam.hooks  {SECOND}\n")
    assert err == "" or err.endswith(f"{FIRST}\n")


def test_a_handler_of_one_part_gets_that_part_alone():
    out, err = run(
        """
        kept = Kept()
        logging.getLogger("hornbeam.hooks").addHandler(kept)
        fail()
        print(kept.wait(1)[0].getMessage())
        table = hornbeam.tables.table("t")
        heard = threading.Event()
        def callback(change):
            heard.set()
            raise ValueError("no")
        table.watch(callback)
        table.set("k", 1)
        heard.wait()
        print(len(kept.records))
        """
    )
    assert out == f"{FIRST}\n1\n"
    line = "a callback that watches the table 't' raised: ValueError: no\n"
    assert err == "" or err.startswith(
        f"hornbeam: error (tables, hornbeam@localhost): {line}Traceback"
    )


def test_a_level_of_the_program_leaves_out_what_is_below():
    out, err = run(
        """
        logging.basicConfig(stream=sys.stdout)
        logging.getLogger("hornbeam").setLevel(logging.CRITICAL)
        fail()
        """
    )
    assert (out, err) == ("", "")


def test_what_repeats_is_said_once_a_minute():
    out, err = run("for i in range(10): fail()")
    assert err == f"hornbeam: error (hooks): {FIRST}\n"


def test_an_error_of_a_callback_comes_with_its_traceback():
    out, err = run(
        """
        kept = Kept()
        logging.getLogger().addHandler(kept)
        table = hornbeam.tables.table("t")
        def callback(change):
            raise ValueError("no")
        table.watch(callback)
        table.set("k", 1)
        record = kept.wait(1)[0]
        print(record.name, record.levelname, record.node, record.getMessage())
        at = record.exc_info[2]
        while at.tb_next is not None:
            at = at.tb_next
        print(record.exc_info[1], at.tb_frame.f_code.co_name)
        """
    )
    text = "a callback that watches the table 't' raised: ValueError: no"
    assert out == (
        f"hornbeam.tables ERROR hornbeam@localhost {text}\nno callback\n"
    )
    assert err == ""


def test_at_exit_nothing_is_lost_behind_a_handler_that_is_slow():
    out, err = run(
        """
        import atexit
        go, entered = threading.Event(), threading.Event()

        class Slow(logging.StreamHandler):
            def emit(self, record):
                entered.set()
                go.wait()
                super().emit(record)

        logging.getLogger().addHandler(Slow(sys.stdout))
        fail()
        entered.wait()
        fail_otherwise()
        atexit.register(go.set)  # the last that the program does
        """
    )
    assert (out, err) == (f"{FIRST}\n{SECOND}\n", "")


def test_a_handler_that_raises_anything_ends_nothing():
    out, err = run(
        """
        kept = Kept()

        class Broken(Kept):
            def emit(self, record):
                super().emit(record)
                raise SystemExit(3)

        broken = Broken()
        logging.getLogger().addHandler(broken)
        fail()
        broken.wait(1)
        logging.getLogger().addHandler(kept)
        logging.getLogger().removeHandler(broken)
        fail_otherwise()
        print(kept.wait(1)[0].getMessage())
        """
    )
    assert out == f"{SECOND}\n"


@pytest.mark.forks
def test_a_forked_child_has_a_log_of_its_own():
    out, err = run(
        """
        kept = Kept()
        logging.getLogger().addHandler(kept)
        fail()
        kept.wait(1)
        pid = os.fork()
        if pid == 0:
            kept.records.clear()
            fail()  # a minute of its own
            print(len(kept.wait(1)), flush=True)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        print(len(kept.records))
        """
    )
    assert (out, err) == ("1\n1\n", "")


@pytest.mark.forks
def test_a_forked_child_says_at_its_end_what_it_has_to_say():
    out, err = run(
        """
        fail()
        pid = os.fork()
        if pid == 0:
            fail_otherwise()
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        """
    )
    assert sorted(err.splitlines()) == [
        f"hornbeam: error (hooks): {x}" for x in (FIRST, SECOND)
    ]


def test_a_node_that_is_lost_is_said_and_one_that_leaves_is_not(
    other_nodes, caplog, eventually
):
    lost = other_nodes("lost@127.0.0.1")
    left = other_nodes("left@127.0.0.1")
    lost.process.kill()
    left.process.terminate()

    def said():
        return [x.getMessage() for x in caplog.records if x.name == "hornbeam.link"]

    eventually(lambda: "the node lost@127.0.0.1 is down" in said())
    eventually(lambda: "left@127.0.0.1" not in hornbeam.cluster.nodes())
    assert not [x for x in said() if x.startswith("the node left@127.0.0.1")]


def test_the_environment_says_how_much_is_said():
    code = """
    from hornbeam import _log
    state_get("k")
    for level in (_log.DEBUG, _log.INFO, _log.WARNING, _log.ERROR):
        _log.say(level, "test", "text")
    """

    def levels(value):
        out, err = run(code, HORNBEAM_LOG=value)
        return [x.split()[1] for x in err.splitlines() if x.endswith(": text")]

    assert levels("") == ["warning", "error"]
    assert levels("error") == ["error"]
    assert levels("debug") == ["debug", "info", "warning", "error"]
    assert levels("loud") == ["warning", "error"]
    assert "HORNBEAM_LOG is debug, info, warning" in run(code, HORNBEAM_LOG="loud")[1]


def test_to_import_hornbeam_configures_no_logging():
    out, err = run(
        """
        state_get("k")
        print(logging.getLogger().handlers)
        print(*logging.getLogger("hornbeam").handlers)
        logging.getLogger("hornbeam.test").warning("nobody has to hear this")
        """
    )
    assert (out, err) == ("[]\n<NullHandler (NOTSET)>\n", "")
