"""Work that the workers of `config/demo.toml` do when they are asked: functions
for `rpc_call`, a longer job for `execute_async`, and a subscriber."""

from __future__ import annotations

import collections
import re
import threading
import time
from typing import Any

from embeddings import corpus

from hornbeam_erlang import (
    node,
    publish,
    receive_pubsub,
    register_function,
    register_hook,
    subscribe,
)


def count_words(text: str) -> int:
    """For rpc_call: the number of words."""
    return len(text.split())


def divide(a: float, b: float) -> float:
    """For rpc_call, to see how an error comes back."""
    return a / b


def nap(ms: int) -> str:
    """For rpc_call, to see how a timeout comes back."""
    time.sleep(ms / 1000)
    return "rested"


def index(action: str, *args: Any, **kwargs: Any) -> dict[str, int]:
    """The hook `jobs`: the most frequent long words of all texts."""
    if action != "index":
        raise ValueError(f"jobs knows no action {action!r}")
    counts: collections.Counter[str] = collections.Counter()
    for text in corpus().values():
        counts.update(re.findall(r"[a-z]{7,}", text.lower()))
    return dict(counts.most_common(kwargs.get("top", 5)))


def listen() -> None:
    """Answer everything that is published as `news`, for as long as the node
    lives."""
    subscribe("news")
    while True:
        message = receive_pubsub()
        publish("news.read", {"reader": node(), "headline": message["headline"]})


register_hook("jobs", index)
register_function("shout", lambda text: text.upper() + "!")
threading.Thread(target=listen, daemon=True).start()
