"""What runs inside `hornbeam node`: imports what the configuration names,
then serves until it is told to end."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import runpy
import signal
import sys
import time
import traceback
from typing import Any, Callable

from hornbeam import _engine, _log, _native, _settings, process, rpc, supervisor
from hornbeam.values import Pid, Ref


def main(config: str, script: str | None = None) -> int:
    """Run a node as `config` (a JSON object) says. With a script, run that and
    end with its exit code; else serve until SIGTERM or SIGINT. SIGHUP has the
    cluster's secret read again, but at a terminal."""
    settings = json.loads(config)
    python = settings["python"]
    _native.configure_log(settings["log"]["level"])
    for folder in reversed(python["path"]):
        sys.path.insert(0, folder)
    for module in python["exports"]:
        rpc.export(module)
    _settings.configure(
        **settings["node"],
        **{key: python[key] for key in _settings.PYTHON},
    )

    # With a terminal it says that that is gone, and ends the node.
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    reloads = () if ignored or _has_terminal() else (signal.SIGHUP,)
    if script is None:
        # A signal may reach any thread, and only Python's own wakes the main
        # one: the pipe does so whoever got it.
        told, tell = os.pipe()
        os.set_blocking(tell, False)
        signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, *reloads):
            signal.signal(number, lambda *_: None)
    else:
        signal.signal(signal.SIGTERM, _once(lambda: sys.exit(_gave_up)))
        for number in reloads:
            signal.signal(number, lambda *_: _reload())
    # The launcher has SIGHUP wait until here, and others may have any; threads that
    # start now get them as well.
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP, *ends})
    try:
        _engine.ensure()
    except RuntimeError as e:
        why = str(e).removeprefix("this node can't start: ")
        _log.say(_log.ERROR, "node", f"{settings['node']['name']} can't start: {why}")
        return 1
    for module in python["modules"]:
        try:
            importlib.import_module(module)
        except BaseException as e:
            text = f"the module {module!r} can't be imported"
            _log.say(_log.ERROR, "node", text, error=e)
            return 1
    trees: list[Pid] = []
    for name in python["start"]:
        try:
            trees.append(_tree(name).start())
        except BaseException as e:
            text = f"the tree {name!r} can't be started"
            _log.say(_log.ERROR, "node", text, error=e)
            _stop(trees)
            return 1
    if trees:
        process.spawn(_watch, dict(zip(trees, python["start"])))
    with contextlib.suppress(OSError):  # nobody need read it
        where = _native.address() or "no address"
        print(f"{_native.name()} serves at {where}", flush=True)
    try:
        if script is not None:
            return _run(script)
        while (got := os.read(told, 1)[0]) != signal.SIGTERM and got != signal.SIGINT:
            if got == signal.SIGHUP:
                _reload()
        return _gave_up
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _stop(trees)


#: The exit code of a node that is told to end: 1 if a tree of it has given up.
_gave_up = 0
_ending = False


def _tree(name: str) -> supervisor.Supervisor:
    """What `module:name` is, or what it returns if it is a function."""
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    if not isinstance(found, supervisor.Supervisor) and callable(found):
        found = found()
    if not isinstance(found, supervisor.Supervisor):
        raise TypeError(f"it is no Supervisor, but of type {type(found).__name__}")
    return found


def _watch(trees: dict[Pid, str]) -> None:
    global _gave_up
    refs = {process.monitor(pid): name for pid, name in trees.items()}
    while True:
        _, ref, _, _, reason = process.receive(match=("DOWN", Ref, ..., ..., ...))
        if _ending:
            return
        if reason != "normal":
            break
    _log.say(_log.ERROR, "node", f"the tree {refs[ref]!r} has given up: {reason}")
    _gave_up = 1
    os.kill(os.getpid(), signal.SIGTERM)


def _stop(trees: list[Pid]) -> None:
    global _ending
    _ending = True
    for pid in reversed(trees):
        supervisor.stop_tree(pid)


#: Seconds in which several signals are one, as for the launcher.
_ONE_SIGNAL = 0.5


def _once(f: Callable[[], object]) -> Callable[..., None]:
    """A handler that calls `f`, but not while what that does has just begun."""
    last = -_ONE_SIGNAL

    def handle(*_: Any) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _ONE_SIGNAL:
            last = now
            f()

    return handle


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _reload() -> None:
    if not _native.running():
        return  # it reads the file when it starts
    try:
        _native.reload_secret()
    except RuntimeError as e:
        text = f"the cluster's secret is not read again: {e}"
        _log.say(_log.ERROR, "node", text)


def _run(script: str) -> int:
    sys.argv = [script]
    sys.path.insert(0, os.path.dirname(os.path.abspath(script)))
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as e:
        if e.code is None or isinstance(e.code, int):
            return e.code or 0
        print(e.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0
