"""Topics: what is published reaches every subscriber in the cluster."""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import Any, Iterator

from hornbeam import _context, _engine, _native, _owner, _ports, errors


def publish(topic: str, message: Any) -> int:
    """Send `message` to all subscribers of `topic`; returns to how many in the
    whole cluster it was sent."""
    return _native.publish(topic, message)


class Subscription:
    """What `subscribe` returns. A `with` around it takes the subscription back and
    drops what was not received; inside, this receives what that topic sends.

    `for message in sub:` and `async for message in sub:` wait for each."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self._box = _owner.listener()
        self._is_new = self._box.subscribe(topic)
        if self._is_new:
            with self._or_not_at_all():
                _engine.announce("topic")

    @contextlib.contextmanager
    def _or_not_at_all(self) -> Iterator[None]:
        """Takes the subscription back if what announces it is interrupted: nobody could
        do so any more."""
        try:
            yield
        except BaseException:
            if self._is_new:
                self._box.unsubscribe(self.topic)
            raise

    def receive(self, timeout_ms: float | None = None, default: Any = None) -> Any:
        """The next message, or `default` if none comes within `timeout_ms`
        milliseconds. In an async task use `await sub.arrival(...)`."""
        if timeout_ms is None:
            timeout_ms = _context.left_ms()
        found = self._box.receive_topic(timeout_ms, self.topic)
        return default if found is None else found[1]

    async def arrival(
        self, timeout_ms: float | None = None, default: Any = None
    ) -> Any:
        """The same for an async task."""
        found = await _ports.topic_message(
            self._box, self._look, timeout_ms, self.topic
        )
        return default if found is None else found[1]

    def _look(self) -> tuple[str, Any] | None:
        return self._box.receive_topic(0, self.topic)

    def __iter__(self) -> Subscription:
        return self

    def __next__(self) -> Any:
        return _unless_late(self.receive(None, _NOTHING))

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Any:
        return _unless_late(await self.arrival(None, _NOTHING))

    def __enter__(self) -> Subscription:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # One that was there before is somebody else's.
        if self._is_new and self._box.alive:
            self._box.unsubscribe(self.topic)
            while self._look() is not None:
                pass


_NOTHING = object()


def _unless_late(message: Any) -> Any:
    if message is _NOTHING:
        raise errors.too_late()
    return message


def subscribe(topic: str) -> Subscription:
    """Subscribe whoever calls (see `hornbeam.process.self`) to `topic`. To
    subscribe twice is to subscribe once.

    `with subscribe(topic) as sub:` ends with its block: see `Subscription`."""
    return Subscription(topic)


def unsubscribe(topic: str) -> None:
    """Take the subscription back; without one nothing happens."""
    _owner.inbox().unsubscribe(topic)


def receive(
    timeout_ms: float | None = None, topic: str | None = None
) -> tuple[str, Any] | None:
    """The next message for whoever calls, as `(topic, message)`, or None if
    none comes within `timeout_ms` milliseconds. With `topic`, only of that."""
    if timeout_ms is None:
        timeout_ms = _context.left_ms()
    return _owner.inbox(True).receive_topic(timeout_ms, topic)


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
