"""What nodes cost one another, in C++ and over TLS, beside nodes of Erlang without
it (remote.erl) if that is installed.

    ./dev bench nodes [--only NAME] [--runs N]
"""

from __future__ import annotations

from pathlib import Path

from _bench import main
from _measure import value_of
from _peers import remote_erlang
from _rows import Rows

BINARY = (
    Path(__file__).resolve().parent.parent
    / "build/release/benchmarks/hornbeam_bench_nodes"
)
TITLE = "nodes of two processes, TLS"


def ours(name: str) -> float:
    if not BINARY.exists():
        raise SystemExit(f"{BINARY} is not there: ./dev build makes it")
    return value_of([str(BINARY), name])


def one_way(out: Rows) -> None:
    out.table(TITLE, "µs")
    theirs = remote_erlang("remote", "one_way")
    what = "a message of 100 bytes, one way"
    out.row(what, ours("one_way"), "Erlang, no TLS", theirs, at_most=1 / 5)


def new_link(out: Rows) -> None:
    out.table(TITLE, "µs")
    out.row("a new link", ours("new_link"), unit="ms", ours_at_most=10)


def idle_peers(out: Rows) -> None:
    out.table(TITLE, "µs")
    what = "100 idle peers, share of a core"
    out.row(what, ours("idle_peers"), unit="%", ours_at_most=0.5)


PARTS = {"one_way": one_way, "new_link": new_link, "idle_peers": idle_peers}


if __name__ == "__main__":
    raise SystemExit(main(__file__))
