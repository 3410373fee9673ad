"""What processes cost, beside the same protocols in Erlang (processes.erl) if
it is installed.

    ./dev bench processes [--only NAME] [--runs N]
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from _bench import main
from _measure import value_of
from _peers import erlang
from _rows import Rows

BINARY = (
    Path(__file__).resolve().parent.parent
    / "build/release/benchmarks/hornbeam_bench_processes"
)

#: The unit of each and its bounds: how many times as good as Erlang it is at
#: least, and what it takes at most.
BENCHMARKS: dict[str, tuple[str, float | None, float | None]] = {
    "ping_pong": ("µs", 2.0, None),
    "ping_pong_tuple": ("µs", 2.0, None),
    "ring": ("µs", 1.5, None),
    "one_way": ("µs", 1.0, None),
    "one_way_bounded": ("µs", 1.0, None),
    "many_to_one": ("µs", 1.0, None),
    "gen_server_call": ("µs", 2.0, None),
    "selective_receive": ("ns", 1.0, None),
    "spawn_exit": ("µs", 1.0, None),
    "spawn_exit_monitor": ("µs", 1.0, None),
    "spawn_storm": ("µs", None, None),
    "spawn_storm_kept": ("bytes", None, None),
    "idle_memory": ("bytes", None, 600.0),
    "idle_cpu": ("ms", None, None),
    "link_unlink": ("µs", None, None),
    "monitor_demonitor": ("µs", None, None),
    "timers": ("µs", None, None),
}
TITLE = "C++ processes"


def ours(name: str) -> float:
    if not BINARY.exists():
        raise SystemExit(f"{BINARY} is not there: ./dev build makes it")
    return value_of([str(BINARY), name])


def beside_erlang(name: str) -> Callable[[Rows], None]:
    unit, times_as_good, at_most = BENCHMARKS[name]

    def part(out: Rows) -> None:
        out.table(TITLE, unit)
        mine = ours(name)
        # The default allows 262,144 processes.
        theirs = erlang("processes", name, "+P", "2000000")
        if theirs is None:
            out.note("Erlang is not installed (erlang-base): ours alone.")
        # A ratio is ours divided by the peer's.
        ratio = 1 / times_as_good if times_as_good else None
        out.row(name, mine, "Erlang", theirs, at_most=ratio, ours_at_most=at_most)

    return part


def two_wakeups(out: Rows) -> None:
    """Threads of C++: there is nothing like them in Erlang."""
    out.table(TITLE, "µs")
    out.row("two_wakeups", ours("two_wakeups"))


def outside_request(out: Rows) -> None:
    """Two threads may share a core or not: the floor moves with that."""
    out.table(TITLE, "µs")
    mine, floor = ours("outside_request"), ours("two_wakeups")
    out.row("outside_request", mine, "two_wakeups", floor, at_most=2.0)


PARTS = {
    **{name: beside_erlang(name) for name in BENCHMARKS},
    "two_wakeups": two_wakeups,
    "outside_request": outside_request,
}


if __name__ == "__main__":
    raise SystemExit(main(__file__))
