"""What the benchmarks share: how long something takes, and rows of a table."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

Action = Callable[[], object]


def cost(action: Action, seconds: float = 0.3, rounds: int = 5) -> float:
    """Microseconds a call: the median of the rounds."""
    return costs([action], seconds, rounds)[0]


def costs(actions: list[Action], seconds: float = 0.3, rounds: int = 5) -> list[float]:
    """Microseconds a call of each: medians of rounds in which they take turns."""
    counts = [_count(action, seconds / rounds) for action in actions]
    times = [
        [_time(action, n) / n for action, n in zip(actions, counts)]
        for _ in range(rounds)
    ]
    return [median(column) * 1e6 for column in zip(*times)]


def _count(action: Action, seconds: float) -> int:
    count, spent = 1, 0.0
    while spent < seconds / 4:
        count *= 2
        spent = _time(action, count)
    return max(1, int(count * seconds / spent))


def _time(action: Action, count: int) -> float:
    begin = time.perf_counter()
    for _ in range(count):
        action()
    return time.perf_counter() - begin
