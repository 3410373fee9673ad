"""A handler for tasks, registered by tests here and on the second node."""

import asyncio
import threading

import hornbeam_erlang as erlang
from hornbeam import TaskCancelled, tasks


class LongWork:
    """What its actions have come to is told in the table `state` of the node
    that runs them, under the key that they are given."""

    def echo(self, value):
        return value

    def fail(self):
        raise KeyError("no such drawer")

    def relay(self, topic):
        """Reports what is published, until that is None; returns how many."""
        erlang.subscribe(topic)
        erlang.state_set(topic, "running")
        count = 0
        while (message := erlang.receive_pubsub(timeout=20000)) is not None:
            tasks.progress(message)
            count += 1
            erlang.state_set(topic, count)
            if message == "last":
                break
        return count

    def until_cancelled(self, key):
        erlang.state_set(key, "running")
        pause = threading.Event()
        while not tasks.cancelled():
            pause.wait(0.002)
        try:
            tasks.check()
        except TaskCancelled:
            erlang.state_set(key, "checked")
            raise

    async def coroutine(self, key):
        erlang.state_set(key, "running")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            erlang.state_set(key, "cancelled")
            raise
        return "slept"

    async def steps(self, n):
        for i in range(n):
            tasks.progress(i + 1)
            await asyncio.sleep(0)
        return n
