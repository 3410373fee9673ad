"""What processes of two nodes do to each other, as the OTP manual has it, in plain
sequential code: everything happens at once. The twin of
tests/unit/process_model.hpp.

A process is its number, which messages show as the text "P7", a reference as "R3".
"""

from dataclasses import dataclass, field

#: Whoever exits processes without being one of them.
OUTSIDE = -1


def pid(i):
    return "outside" if i == OUTSIDE else f"P{i}"


def ref(i):
    return f"R{i}"


@dataclass
class Process:
    node: int
    #: "coroutine", "thread" or "supervisor", the last one of C++: it traps exits and
    #: takes what comes out of its mailbox at once.
    kind: str
    alive: bool = True
    trapping: bool = False
    reason: str = ""
    name: str = ""
    links: set = field(default_factory=set)
    #: (the step in which it came, the message)
    mailbox: list = field(default_factory=list)


@dataclass
class Reference:
    owner: int
    #: Whom it monitors, and as what that is shown.
    target: int = OUTSIDE
    shown: object = None
    monitors: bool = False
    #: Until when messages to it reach its owner: "" not at all, "once", "always",
    #: "demonitor" or "reply_demonitor".
    alias: str = ""


class Model:
    def __init__(self):
        self.all = []
        self.refs = []
        self.names = {}  # (node, name): process
        self.step = 0
        #: What the operation of this step says to the process that does it.
        self.answer = None

    def at(self, i):
        return self.all[i]

    def alive(self):
        return [i for i, p in enumerate(self.all) if p.alive]

    def spawn(self, node, kind):
        self.all.append(Process(node, kind, trapping=kind == "supervisor"))
        return len(self.all) - 1

    # -- what a process may do ---------------------------------------------------

    def send(self, to, message):
        self._deliver(to, message)

    def send_name(self, me, name, message):
        self._send_to_holder(self.names.get((self.at(me).node, name)), message)

    def send_far(self, node, name, message):
        i = self.names.get((node, name))
        if i is not None:
            self._deliver(i, message)

    def _send_to_holder(self, i, message):
        if i is None:
            self.answer = "badarg"
        else:
            self._deliver(i, message)

    def send_ref(self, r, message):
        x = self.refs[r]
        if not x.alias or not self.at(x.owner).alive:
            return
        self._deliver(x.owner, message)
        if x.alias in ("once", "reply_demonitor"):
            x.alias, x.monitors = "", False

    def alias(self, me, once):
        self.refs.append(Reference(me, alias="once" if once else "always"))

    def unalias(self, me, r):
        x = self.refs[r]
        self.answer = x.owner == me and bool(x.alias)
        if self.answer:
            x.alias = ""

    def link(self, me, to):
        if to == me:
            return
        if self.at(to).alive:
            self.at(me).links.add(to)
            self.at(to).links.add(me)
        elif self.at(me).node != self.at(to).node:  # it could not know
            self._exit_by_link(me, to, "noproc")
        elif self.at(me).trapping:
            self._deliver(me, ("EXIT", pid(to), "noproc"))
        else:
            self.answer = "noproc"

    def unlink(self, me, to):
        self.at(me).links.discard(to)
        self.at(to).links.discard(me)

    def monitor(self, me, target, alias=""):
        self._monitor(me, target, pid(target), alias)

    def monitor_name(self, me, node, name):
        holder = self.names.get((node, name), OUTSIDE)
        self._monitor(me, holder, (name, f"node{node}"), "")

    def _monitor(self, me, target, shown, alias):
        x = Reference(me, target, shown, alias=alias)
        self.refs.append(x)
        if target == me:
            return  # nobody hears of its own end
        if target != OUTSIDE and self.at(target).alive:
            x.monitors = True
        else:
            self._down(len(self.refs) - 1, "noproc")

    def demonitor(self, me, r, flush):
        x = self.refs[r]
        mine = x.owner == me
        self.answer = mine and x.monitors
        if mine and x.monitors:
            x.monitors = False
        elif flush:
            p = self.at(me)
            p.mailbox = [
                (step, m) for step, m in p.mailbox if m[:2] != ("DOWN", ref(r))
            ]
        if mine and x.alias in ("demonitor", "reply_demonitor"):
            x.alias = ""

    def exit(self, sender, to, reason):
        p = self.at(to)
        if not p.alive:
            return
        if reason == "kill":
            self.end(to, "killed")
        elif p.trapping:
            self._deliver(to, ("EXIT", pid(sender), reason))
        elif reason != "normal" or sender == to:
            self.end(to, reason)

    def trap(self, me, on):
        self.answer = self.at(me).trapping
        self.at(me).trapping = on

    def register(self, me, name, who):
        p = self.at(who)
        free = (p.node, name) not in self.names
        if p.alive and p.node == self.at(me).node and not p.name and free:
            p.name = name
            self.names[p.node, name] = who
        else:
            self.answer = "badarg"

    def unregister(self, me, name):
        i = self.names.pop((self.at(me).node, name), None)
        if i is None:
            self.answer = "badarg"
        else:
            self.at(i).name = ""

    # -- what happens to processes -------------------------------------------------

    def end(self, who, reason):
        """It ends, and whoever it takes with it."""
        p = self.at(who)
        if not p.alive:
            return
        p.alive, p.reason = False, reason
        p.mailbox.clear()
        if p.name:
            del self.names[p.node, p.name]
            p.name = ""
        for r, x in enumerate(self.refs):
            if x.owner == who:
                x.monitors, x.alias = False, ""
            elif x.monitors and x.target == who:
                self._down(r, reason)
        links, p.links = p.links, set()
        for other in links:
            self.at(other).links.discard(who)
        for other in links:
            self._exit_by_link(other, who, reason)

    def part(self):
        """The nodes lose each other."""
        lost = []
        for i, p in enumerate(self.all):
            far = {j for j in p.links if self.at(j).node != p.node}
            p.links -= far
            lost += [(i, j) for j in far]
        for r, x in enumerate(self.refs):
            if x.monitors and self.at(x.owner).node != self.at(x.target).node:
                self._down(r, "noconnection")
        for to, sender in lost:
            self._exit_by_link(to, sender, "noconnection")

    def _down(self, r, reason):
        x = self.refs[r]
        x.monitors = False
        if x.alias in ("demonitor", "reply_demonitor"):
            x.alias = ""
        self._deliver(x.owner, ("DOWN", ref(r), "process", x.shown, reason))

    def _exit_by_link(self, to, sender, reason):
        if self.at(to).trapping:
            self._deliver(to, ("EXIT", pid(sender), reason))
        elif reason != "normal":
            self.end(to, reason)

    def _deliver(self, to, message):
        p = self.at(to)
        if p.alive and p.kind != "supervisor":
            p.mailbox.append((self.step, message))
