"""How a tree lives with its program: `hornbeam.run`, and in a web application."""

import asyncio
import logging
import signal
import subprocess
import sys
import textwrap

import pytest
from launched import PATIENCE

import hornbeam
from hornbeam import aio, middleware, process
from hornbeam.gen_server import GenServer
from hornbeam.supervisor import ChildSpec, Supervisor

SOON = 20_000  # ms

TREE = """
import os, signal, sys
import hornbeam
from hornbeam import gen_server, process
from hornbeam.gen_server import GenServer
from hornbeam.supervisor import ChildSpec, Supervisor

class Part(GenServer):
    def init(self, name):
        process.trap_exit()
        self.name = name
        print(name, "begins", flush=True)

    def terminate(self, reason):
        print(self.name, "ends with", reason, flush=True)

def fails():
    raise LookupError("as told")

parts = [ChildSpec(x, Part, (x,)) for x in ("one", "two")]
tree = Supervisor(parts, name="tree")
failing = Supervisor([ChildSpec("x", process.spawn_link, (fails,))])

def when_it_runs(f, *args):
    def wait():
        while process.whereis("tree") is None:
            process.receive(1)
        f(*args)

    process.spawn(wait)

def send_me(number):
    when_it_runs(os.kill, os.getpid(), number)

"""
STOPPED = [
    "one begins",
    "two begins",
    "two ends with shutdown",
    "one ends with shutdown",
]


def run(code):
    return subprocess.run(
        [sys.executable, "-c", TREE + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def test_ctrl_c_stops_the_tree_in_reverse_and_returns():
    done = run("send_me(signal.SIGINT); hornbeam.run(tree); print('goes on')")
    assert done.stdout.splitlines() == [*STOPPED, "goes on"]
    assert (done.returncode, done.stderr) == (0, "")


def test_sigterm_stops_the_tree_in_reverse_and_ends_the_program():
    done = run("send_me(signal.SIGTERM); hornbeam.run(tree); print('goes on')")
    assert done.stdout.splitlines() == STOPPED
    assert (done.returncode, done.stderr) == (0, "")


def test_a_second_sigterm_does_not_disturb_the_stop():
    done = run(
        """
        class Slow(Part):
            def terminate(self, reason):
                os.kill(os.getpid(), signal.SIGTERM)
                Part.terminate(self, reason)

        send_me(signal.SIGTERM)
        parts = [ChildSpec(x, Slow, (x,)) for x in ("one", "two")]
        hornbeam.run(Supervisor(parts, name="tree"))
        """
    )
    assert done.stdout.splitlines() == STOPPED
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_a_handler_of_the_program_stays(number):
    done = run(
        f"""
        signal.signal(signal.{number}, lambda *_: gen_server.cast("tree", "x"))
        handler = signal.getsignal(signal.{number})
        when_it_runs(lambda: (
            os.kill(os.getpid(), signal.{number}), gen_server.stop("tree")))
        hornbeam.run(tree)
        print(signal.getsignal(signal.{number}) is handler)
        """
    )
    assert done.stdout.splitlines()[-1] == "True"
    assert done.returncode == 0


def test_a_second_ctrl_c_ends_the_stop():
    done = run(
        """
        class Stuck(Part):
            def terminate(self, reason):
                process.receive(700, match="never")  # one half a second later
                os.kill(os.getpid(), signal.SIGINT)
                process.receive(match="never")

        send_me(signal.SIGINT)
        stuck = ChildSpec("x", Stuck, ("x",), shutdown_ms="infinity")
        try:
            hornbeam.run(Supervisor([stuck], name="tree"))
        except KeyboardInterrupt:
            print("interrupted")
        """
    )
    assert (done.stdout, done.returncode) == ("x begins\ninterrupted\n", 0)


def test_who_runs_no_tree_any_more_ends_of_sigterm_as_ever():
    done = run(
        """
        send_me(signal.SIGINT)
        hornbeam.run(tree)
        os.kill(os.getpid(), signal.SIGTERM)
        """
    )
    assert done.returncode == -signal.SIGTERM


@pytest.mark.parametrize(
    "options, code, said",
    [
        ("", 1, ""),
        (", on_give_up=lambda reason: 7", 7, ""),
        (", on_give_up=print", 0, "shutdown\n"),
    ],
)
def test_a_tree_that_gives_up_ends_the_program_as_told(options, code, said):
    done = run(f"hornbeam.run(failing{options})")
    assert (done.returncode, done.stdout) == (code, said)


def test_a_tree_that_is_stopped_with_normal_is_at_its_end():
    done = run(
        """
        class Ends(GenServer):
            def init(self):
                when_it_runs(gen_server.stop, "tree")

        hornbeam.run(Supervisor([ChildSpec("x", Ends)], name="tree"))
        print("goes on")
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "goes on\n", "")


def test_a_tree_may_be_run_by_any_thread():
    done = run(
        """
        import threading
        thread = threading.Thread(target=hornbeam.run, args=(tree,))
        when_it_runs(gen_server.stop, "tree")
        thread.start()
        thread.join()
        """
    )
    assert (done.returncode, done.stderr) == (0, "")


# -- in a web application ---------------------------------------------------------


class Noting(GenServer):
    def init(self, to, name):
        process.trap_exit()
        self.to, self.name = to, name
        process.send(to, ("begins", name))

    def terminate(self, reason):
        process.send(self.to, ("ends", self.name))


def noting(to):
    return Supervisor([ChildSpec(x, Noting, (to, x)) for x in ("one", "two")])


def fail():
    raise LookupError("as told")


async def received(n):
    return [await aio.process.receive(SOON) for _ in range(n)]


def test_a_tree_lives_as_long_as_its_application():
    async def main():
        made = middleware.lifespan(noting(process.self()))
        async with made(None):
            began = await received(2)
        return began, await received(2)

    began, ended = asyncio.run(main())
    assert began == [("begins", "one"), ("begins", "two")]
    assert ended == [("ends", "two"), ("ends", "one")]


def test_a_tree_that_does_not_start_is_an_error_of_the_application():
    async def main():
        async with aio.supervisor.running(Supervisor([ChildSpec("x", fail)])):
            raise AssertionError("it has started")

    with pytest.raises(hornbeam.gen_server.InitFailed, match="as told"):
        asyncio.run(main())


def test_whoever_is_told_that_a_tree_gives_up_decides():
    reasons = []

    async def main():
        told = asyncio.Event()

        def on_give_up(reason):
            reasons.append(reason)
            told.set()

        tree = Supervisor([ChildSpec("x", process.spawn_link, (fail,))])
        async with aio.supervisor.running(tree, on_give_up=on_give_up):
            await told.wait()

    asyncio.run(main())
    assert reasons == ["shutdown"]


def test_else_the_program_is_told_to_end(caplog):
    async def main():
        ends = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ends.set)
        tree = Supervisor([ChildSpec("x", process.spawn_link, (fail,))])
        async with middleware.lifespan(tree)(None):
            await ends.wait()

    with caplog.at_level(logging.ERROR, "hornbeam.processes"):
        asyncio.run(main())
    assert "has given up (shutdown): this program is told to end" in caplog.text
