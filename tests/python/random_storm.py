"""Processes that all act at once, each by its own dice, and watch that what comes to
them keeps the rules, whatever the order of events was.

All trap exits. Process i links only to those behind it, so that it knows of its links.
"""

import asyncio
import random

from interpreter.machine import Step, in_thread, on_loop, receive

from hornbeam import process

NOTHING = object()
ACTIONS = ("send",) * 4 + ("monitor", "demonitor", "flush", "link", "unlink") * 2


async def coroutine_body(*args):
    await on_loop(Acting(*args).run())


def thread_body(*args):
    in_thread(Acting(*args).run())


BODIES = {"coroutine": coroutine_body, "thread": thread_body}


class Acting:
    def __init__(self, controller, number, seed, steps, reason):
        self.controller = controller
        self.number = number
        self.rng = random.Random(seed)
        self.steps = steps
        self.reason = reason  # with which it ends by itself, or None
        self.wrong = []
        self.sent = {}  # to whom: how many
        self.got = {}  # from whom: how many
        self.monitors = {}  # reference: of whom
        self.links = {}  # to whom: how often, since the last unlink
        self.exits = {}  # from whom: how many of these have come
        self.ended = {}  # who has: the reason

    def run(self):
        process.trap_exit()
        process.send(self.controller, ("ready", self.number))
        _, self.peers = yield from receive(None, None, ("go", list))
        self.numbers = {peer: i for i, peer in enumerate(self.peers)}
        for _ in range(self.steps):
            yield from self.act()
            yield from self.look()
        process.send(self.controller, ("acted", self.number, self.sent))
        if self.reason is not None:
            process.exit(self.reason)
        while (x := (yield from receive(None, None, ...)))[0] != "finish":
            self.take(x)
        yield from self.finish(*x[1:])
        process.send(self.controller, ("finished", self.number, self.wrong))
        yield from receive(None, None, ("end",))

    # -- what it does

    def act(self):
        whom = self.rng.randrange(len(self.peers))
        pid = self.peers[whom]
        action = self.rng.choice(ACTIONS)
        if action == "send":
            self.sent[whom] = self.sent.get(whom, 0) + 1
            process.send(pid, ("m", self.number, self.sent[whom]))
        elif action == "monitor" and whom != self.number:
            self.monitors[process.monitor(pid)] = whom
        elif action in ("demonitor", "flush") and self.monitors:
            mark = self.rng.choice(list(self.monitors))
            flush = action == "flush"
            if process.demonitor(mark, flush=flush) or flush:
                del self.monitors[mark]  # nothing may come of it any more
        elif action == "link" and whom > self.number:
            self.links[whom] = self.links.get(whom, 0) + 1
            process.link(pid)
        elif action == "unlink" and whom > self.number:
            process.unlink(pid)
            match = ("EXIT", pid, ...)
            while (x := (yield from receive(0, NOTHING, match))) is not NOTHING:
                self.take(x)
            self.links[whom] = self.exits[whom] = 0

    def look(self):
        """At a few of what has come, in whatever order it likes."""
        while self.rng.random() < 0.5:
            match = self.rng.choice((..., ..., ("DOWN", ..., ..., ..., ...)))
            x = yield from receive(0, NOTHING, match)
            if x is NOTHING:
                break
            if x[0] != "m" and match is not ...:
                self.take_early(x)
            else:
                self.take(x)
        if self.rng.random() < 0.2:  # the others have their turn
            yield Step(process.self, lambda: asyncio.sleep(0))

    # -- what comes

    def take(self, x):
        match x:
            case ("m", sender, n):
                if n != self.got.get(sender, 0) + 1:
                    self.say(f"{sender}'s message {n} after {self.got.get(sender, 0)}")
                if sender in self.ended:
                    self.say(f"{sender}'s message {n} after its down message")
                self.got[sender] = n
            case ("DOWN", _, "process", pid, reason):
                self.take_early(x)
                if reason != "noproc":  # that is no news of its own
                    self.ended[self.numbers[pid]] = reason
            case ("EXIT", pid, reason):
                sender = self.numbers[pid]
                self.exits[sender] = self.exits.get(sender, 0) + 1
                allowed = self.links.get(sender, 0) if sender > self.number else 1
                if self.exits[sender] > allowed:
                    self.say(f"{sender}'s exit {reason} without a link")
            case _:
                self.say(f"{x} came")

    def take_early(self, x):
        """A down message, of whose sender there may be others before it."""
        if self.monitors.pop(x[1], None) is None:
            self.say(f"a down message too much: {x}")

    def say(self, text):
        self.wrong.append(text)

    # -- what must have come in the end

    def finish(self, sent, reasons):
        """`sent`: (from, how many to us) of those that know; `reasons`: (who has
        ended, with what)."""
        sent, reasons = dict(sent), dict(reasons)
        while missing := self.missing(sent, reasons):
            x = yield from receive(10_000, NOTHING, ...)
            if x is NOTHING:
                self.say(f"missing: {missing}")
                return
            self.take(x)
        for who, reason in self.ended.items():
            if reason != reasons.get(who):
                self.say(f"{who} ended with {reason}, not {reasons.get(who)}")

    def missing(self, sent, reasons):
        for sender, n in sent.items():
            if self.got.get(sender, 0) < n:
                return f"messages of {sender}"
        for whom in self.monitors.values():
            if whom in reasons:
                return f"the down message of {whom}"
        for whom in reasons:
            if self.links.get(whom, 0) > 0 and not self.exits.get(whom, 0):
                return f"the exit of {whom}"
        return ""
