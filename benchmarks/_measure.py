"""How long something takes, in one round of a benchmark."""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable
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


def cost_of_threads(action: Action, threads: int = 16, each: int = 200) -> float:
    """Microseconds a call when so many threads call it at once."""

    def many() -> None:
        for _ in range(each):
            action()

    def all_of_them() -> None:
        started = [threading.Thread(target=many) for _ in range(threads)]
        for t in started:
            t.start()
        for t in started:
            t.join()

    return cost(all_of_them, 2.0) / (threads * each)


def cost_of_coroutines(
    action: Callable[[], Awaitable[object]], coroutines: int, each: int = 200
) -> float:
    """Microseconds a call when so many coroutines of one loop call it at once."""

    async def many() -> None:
        for _ in range(each):
            await action()

    async def all_of_them() -> None:
        await asyncio.gather(*[many() for _ in range(coroutines)])

    return cost(lambda: asyncio.run(all_of_them()), 2.0) / (coroutines * each)


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


def value_of(command: list[str]) -> float:
    """What a program that measures one thing has printed."""
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=120)
    return float(json.loads(out.stdout)["value"])
