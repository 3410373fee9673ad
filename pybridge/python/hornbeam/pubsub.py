"""Topics: what is published reaches every subscriber in the cluster."""

from __future__ import annotations

from typing import Any

from hornbeam import _context, _native, process


def publish(topic: str, message: Any) -> int:
    """Send `message` to all subscribers of `topic`; returns to how many in the
    whole cluster it was sent."""
    return _native.publish(topic, message)


def subscribe(topic: str) -> None:
    """Subscribe whoever calls (see `hornbeam.process.self`) to `topic`. To
    subscribe twice is to subscribe once."""
    process.mailbox().subscribe(topic)


def unsubscribe(topic: str) -> None:
    """Take the subscription back; without one nothing happens."""
    process.mailbox().unsubscribe(topic)


def receive(
    timeout_ms: float | None = None, topic: str | None = None
) -> tuple[str, Any] | None:
    """The next message for whoever calls, as `(topic, message)`, or None if
    none comes within `timeout_ms` milliseconds. With `topic`, only of that."""
    if timeout_ms is None:
        timeout_ms = _context.left_ms()
    return process.mailbox().receive_topic(timeout_ms, topic)


def receive_pubsub(
    timeout: float | None = None, *, timeout_ms: float | None = None
) -> Any:
    """The next message for whoever calls, or None if none comes in time.

    Both timeouts are in milliseconds; None waits as long as it takes. In an
    async task use `await hornbeam.aio.receive_pubsub(...)`.
    """
    found = receive(timeout if timeout_ms is None else timeout_ms)
    return None if found is None else found[1]


def subscribers(topic: str) -> int:
    """How many subscribers `topic` has in the cluster, as far as this node
    knows; news from other nodes take a moment."""
    return _native.subscribers(topic)


def topics() -> list[str]:
    """All topics that have subscribers, in order."""
    return _native.topic_names()
