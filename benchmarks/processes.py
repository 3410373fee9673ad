"""What processes cost, beside the same protocols in Erlang (processes.erl) if
it is installed. The two take turns, and each figure is the median of all rounds.

    ./dev bench processes [--only NAME] [--rounds N]
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
BINARY = ROOT / "build/release/benchmarks/hornbeam_bench_processes"

# What is promised of each: `x` is at least so many times as good as Erlang,
# `max` at most so much, `wakeups` at most so many times `two_wakeups`.
BOUNDS: dict[str, tuple[str, float] | None] = {
    "ping_pong": ("x", 2.0),
    "ping_pong_tuple": ("x", 2.0),
    "ring": ("x", 1.5),
    "one_way": ("x", 1.0),
    "one_way_bounded": ("x", 1.0),
    "many_to_one": ("x", 1.0),
    "gen_server_call": ("x", 2.0),
    "selective_receive": ("x", 1.0),
    "spawn_exit": ("x", 1.0),
    "spawn_exit_monitor": ("x", 1.0),
    "spawn_storm": None,
    "spawn_storm_kept": None,
    "idle_memory": ("max", 600.0),
    "idle_cpu": None,
    "link_unlink": None,
    "monitor_demonitor": None,
    "timers": None,
    "two_wakeups": None,
    "outside_request": ("wakeups", 2.0),
}
# Threads of C++: there is nothing like them in Erlang.
ONLY_OURS = {"two_wakeups", "outside_request"}

Runner = Callable[[str], tuple[float, str]]


def run(command: list[str]) -> tuple[float, str]:
    """The value and the unit that a program prints for one benchmark."""
    out = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, timeout=120
    ).stdout
    line = json.loads(out)
    return line["value"], line["unit"]


def ours(name: str) -> tuple[float, str]:
    return run([str(BINARY), name])


def wakeups(_: str) -> tuple[float, str]:
    return ours("two_wakeups")


def erlang(folder: str) -> Runner | None:
    """Runs a benchmark in Erlang; None where there is no Erlang."""
    if not (shutil.which("erl") and shutil.which("erlc")):
        return None
    source = str(ROOT / "benchmarks/processes.erl")
    subprocess.run(["erlc", "-o", folder, source], check=True)
    # The default allows 262,144 processes.
    command = ["erl", "-noshell", "+P", "2000000", "-pa", folder]
    return lambda name: run([*command, "-run", "processes", "main", name])


def verdict(name: str, mine: float, beside: float | None) -> str:
    """The bound and whether it is met."""
    bound = BOUNDS[name]
    if bound is None:
        return ""
    kind, limit = bound
    if kind == "max":
        text, met = f"<= {limit:.0f}", mine <= limit
    elif beside is None:
        return f">= {limit:.1f} x"
    elif kind == "wakeups":
        text, met = f"<= {limit:g} x {beside:.2f}", mine <= limit * beside
    else:
        text, met = f">= {limit:.1f} x", beside >= limit * mine
    return f"{text:<14}{'met' if met else 'NOT MET'}"


def row(name: str, rounds: int, peer: Runner | None) -> str:
    if name == "outside_request":
        # Two threads may share a core or not: the floor moves with that.
        peer = wakeups
    elif name in ONLY_OURS:
        peer = None
    mine, theirs, unit = [], [], ""
    for _ in range(rounds):
        value, unit = ours(name)
        mine.append(value)
        if peer:
            theirs.append(peer(name)[0])
    value = median(mine)
    beside = median(theirs) if theirs else None
    columns = " " * 19
    if beside is not None and name not in ONLY_OURS:
        ratio = f"{beside / value:7.2f} x" if value else ""
        columns = f"{beside:10.3f}{ratio:>9}"
    bound = verdict(name, value, beside)
    return f"{name:<20}{unit:<6}{value:10.3f}{columns}   {bound}".rstrip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=BOUNDS, metavar="NAME")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if not BINARY.exists():
        raise SystemExit(f"{BINARY} is not there: ./dev build makes it")
    with tempfile.TemporaryDirectory() as folder:
        peer = erlang(folder)
        if peer is None:
            print("Erlang is not installed (erlang-base): these are ours alone.")
        print(f"{'':<20}{'unit':<6}{'ours':>10}{'Erlang':>10}{'ratio':>9}   bound")
        for name in [options.only] if options.only else BOUNDS:
            print(row(name, options.rounds, peer), flush=True)


if __name__ == "__main__":
    main()
