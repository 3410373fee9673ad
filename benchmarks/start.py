"""What a program waits for at its start: the import, and the first call in no cluster.

    ./dev bench start
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from statistics import median

from _bench import main
from _rows import Rows

TIMES = 15
PASS = "pass"
IMPORT = "import hornbeam_erlang as erlang"
FIRST = {
    "first call: state_set": "erlang.state_set('n', 1)",
    "first call: execute": "erlang.register_hook('f', len); erlang.execute('f', '1')",
    "first call: publish": "erlang.publish('t', 1)",
}


def milliseconds(*programs: str) -> list[float]:
    """What each takes from its start to its end, one after the other in turn."""
    environment = {k: v for k, v in os.environ.items() if k != "HORNBEAM_CLUSTER"}
    taken: list[list[float]] = [[] for _ in programs]
    for _ in range(TIMES):
        for program, times in zip(programs, taken):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", program], env=environment, check=True)
            times.append((time.perf_counter() - began) * 1000)
    return [median(x) for x in taken]


def start(out: Rows) -> None:
    out.table("beyond Python's own start", "ms")
    empty, ours, asyncio = milliseconds(PASS, IMPORT, "import asyncio")
    out.row(
        "import hornbeam_erlang",
        ours - empty,
        "import asyncio",
        asyncio - empty,
        ours_at_most=30,
    )
    out.table("beyond the import, with the node's end", "ms")
    calls = [f"{IMPORT}; {x}" for x in FIRST.values()]
    imported, *taken = milliseconds(IMPORT, *calls)
    for name, x in zip(FIRST, taken):
        out.row(name, x - imported, ours_at_most=20)


PARTS = {"start": start}


if __name__ == "__main__":
    raise SystemExit(main(__file__))
