"""Random programs over two nodes do what the model does: processes of Python, as
coroutines and as threads, and of C++ spawn, link, watch and end each other, send and
choose messages. The twin of tests/unit/random_processes_test.cpp.

HORNBEAM_SEED=17 runs the program of one seed.
"""

import os
import random
import threading
import time

import pytest
import random_actors
from conftest import HERE, PATIENCE, start_node
from process_model import OUTSIDE, Model, pid, ref
from random_actors import SERVER

from hornbeam import Pid, Ref, cluster, process, rpc, supervisor

REASONS = ("normal", "kill", "boom", "shutdown")
NAMES = ("x", "y", "z")
MODES = ("explicit_unalias", "demonitor", "reply_demonitor")
PATTERNS = ("m", "odd", "EXIT", "DOWN")
STEPS = 30
#: More of them are not spawned.
MOST = 12

# How often each happens, in proportion.
WEIGHTS = {
    "spawn": 2,
    "spawn_link": 2,
    "spawn_monitor": 2,
    "link": 5,
    "unlink": 3,
    "monitor": 3,
    "monitor_alias": 3,
    "monitor_name": 2,
    "demonitor": 3,
    "flush": 3,
    "alias": 2,
    "unalias": 2,
    "exit": 3,
    "end": 1,
    "trap": 4,
    "send": 4,
    "send_name": 2,
    "send_far": 2,
    "send_ref": 4,
    "register": 3,
    "unregister": 1,
    "take": 4,
    "take_ref": 2,
    "drain": 4,
}


def holds(f):
    """Whether it does, in time: nobody announces what is known of processes."""
    until = time.monotonic() + PATIENCE
    pause = threading.Event()
    while not (found := f()) and time.monotonic() < until:
        pause.wait(0.0005)
    return found


class Two:
    """The two nodes, with what runs there for all programs."""

    def __init__(self, far):
        self.names = [cluster.node(), far]
        self.me = process.self()
        random_actors.begin(self.me)
        rpc.rpc_call(far, "random_actors", "begin", [self.me])
        for _ in self.names:
            assert process.receive(PATIENCE * 1000) == ("ready",)

    def next(self, kind):
        """The next event of this kind."""
        found = process.receive(PATIENCE * 1000, match=lambda x: x[0] == kind)
        assert found is not None, f"no {kind} came"
        return found

    def part(self):
        cluster.disconnect(self.names[1])
        gone = holds(lambda: self.names[1] not in cluster.nodes())
        assert gone, "the nodes do not part"


@pytest.fixture(scope="module")
def two():
    with start_node("random@here", HERE, ("random_actors",)), process.scope():
        yield Two("random@here")
        process.exit(process.whereis(SERVER), "kill")


class Difference(AssertionError):
    pass


class Program:
    """One program: the model and the processes go step by step together, and are
    compared after each."""

    def __init__(self, seed, two):
        self.rng = random.Random(seed)
        self.two = two
        self.model = Model()
        self.pids = []
        self.refs = []
        self.watches = {}  # our monitors: of which process
        self.numbers = {two.me: pid(OUTSIDE)}
        self.text = []

    def run(self):
        for _ in range(3):
            self.spawn()
        for _ in range(STEPS):
            self.step()

    # -- what happens

    def pick(self, xs):
        return self.rng.choice(list(xs))

    def step(self):
        self.model.step += 1
        self.model.answer = None
        actors = [
            i for i in self.model.alive() if self.model.at(i).kind != "supervisor"
        ]
        chance = self.rng.random()
        if len(actors) < 3 or chance < 0.04:
            self.spawn()
        elif chance < 0.07:
            self.exit_from_outside()
        elif chance < 0.09:
            self.part()
        else:
            self.act(self.pick(actors))
        self.compare()

    def spawn(self):
        node = self.rng.randrange(2)
        kind = self.pick(("coroutine", "coroutine", "thread", "thread", "supervisor"))
        self.text.append(f"spawn a {kind} on {node}")
        process.send((SERVER, self.two.names[node]), ("spawn", kind))
        (_, made) = self.next_event()
        self.model.spawn(node, kind)
        self.adopt(made)

    def adopt(self, made):
        self.numbers[made] = pid(len(self.pids))
        self.watch(len(self.pids), made)
        self.pids.append(made)

    def watch(self, i, whom):
        self.watches[process.monitor(whom)] = i

    def add_ref(self, made):
        self.numbers[made] = ref(len(self.refs))
        self.refs.append(made)

    def exit_from_outside(self):
        i, reason = self.pick(self.model.alive()), self.pick(REASONS)
        self.text.append(f"exit P{i} {reason}")
        before = set(self.model.alive())
        self.model.exit(OUTSIDE, i, reason)
        process.exit(self.pids[i], reason)
        barrier = None
        if self.model.at(i).alive:
            barrier = self.model.step
            self.sync_from_outside(i)
        self.settle(before, synced=barrier)

    def sync_from_outside(self, i):
        if self.model.at(i).kind == "supervisor":
            supervisor.count_children(self.pids[i])
            process.send(self.two.me, ("synced", self.model.step))
        else:
            process.send(self.pids[i], ("sync", self.model.step))

    def part(self):
        self.text.append("part")
        before = set(self.model.alive())
        self.model.part()
        self.two.part()
        far = {i for i in before if self.model.at(i).node == 1}
        for i in far:
            self.model.at(i).reason = "noconnection"
        self.settle(before, lost=far)
        for i in far & set(self.model.alive()):
            self.watch(i, self.pids[i])

    def act(self, me):
        name = self.pick_action()
        order = getattr(self, f"_{name}")(me)
        if order is None:
            return
        (name, *args), model, target = order
        shown = ", ".join(str(self.normal(x)) for x in args)
        self.text.append(f"P{me}: {name}({shown})")
        before = set(self.model.alive())
        model()
        step = self.model.step
        lives = self.model.at(me).alive
        barrier = self.barrier(target) if lives else None
        process.send(self.pids[me], ("do", step, name, args, barrier))
        synced = step if barrier and barrier[0] == "process" else None
        answer = self.settle(before, done=step if lives else None, synced=synced)
        if lives:
            self.check_answer(me, name, args, answer)

    def pick_action(self):
        names = list(WEIGHTS)
        return self.rng.choices(names, [WEIGHTS[x] for x in names])[0]

    def barrier(self, target):
        """To what the process sends behind its signals: `target` is a process, or a
        node."""
        if target is None:
            return None
        kind, x = target
        if kind == "process" and self.model.at(x).alive:
            of = self.model.at(x).kind
            return ("supervisor" if of == "supervisor" else "process", self.pids[x])
        node = x if kind == "node" else self.model.at(x).node
        return ("process", (SERVER, self.two.names[node]))

    # -- the actions: the order, what the model does, whom it reaches

    def any(self):
        return self.rng.randrange(len(self.pids))

    def _spawned(self, me, name, then):
        if len(self.model.alive()) >= MOST:
            return None
        kind = self.pick(("coroutine", "thread"))
        model = self.model

        def run():
            then(model.spawn(model.at(me).node, kind))

        return (name, kind), run, None

    def _spawn(self, me):
        return self._spawned(me, "spawn", lambda i: None)

    def _spawn_link(self, me):
        return self._spawned(me, "spawn_link", lambda i: self.model.link(me, i))

    def _spawn_monitor(self, me):
        return self._spawned(me, "spawn_monitor", lambda i: self.model.monitor(me, i))

    def _with(self, me, name, model):
        to = self.any()
        return (name, self.pids[to]), lambda: model(me, to), ("process", to)

    def _link(self, me):
        return self._with(me, "link", self.model.link)

    def _unlink(self, me):
        return self._with(me, "unlink", self.model.unlink)

    def _monitor(self, me):
        return self._with(me, "monitor", self.model.monitor)

    def _monitor_alias(self, me):
        to, mode = self.any(), self.pick(MODES)
        if to == me:
            return None
        alias = "always" if mode == "explicit_unalias" else mode
        return (
            ("monitor_alias", self.pids[to], mode),
            lambda: self.model.monitor(me, to, alias),
            ("process", to),
        )

    def _monitor_name(self, me):
        name, node = self.pick(NAMES), self.rng.randrange(2)
        return (
            ("monitor", (name, self.two.names[node])),
            lambda: self.model.monitor_name(me, node, name),
            ("node", node),
        )

    def _of_ref(self, me, name, model):
        """Of one that the process has made, mostly."""
        mine = [r for r, x in enumerate(self.model.refs) if x.owner == me]
        if not mine:
            return None
        r = self.pick(mine)
        target = self.model.refs[r].target
        reached = None if target == OUTSIDE else ("process", target)
        return (name, self.refs[r]), lambda: model(r), reached

    def _demonitor(self, me):
        return self._of_ref(
            me, "demonitor", lambda r: self.model.demonitor(me, r, False)
        )

    def _flush(self, me):
        return self._of_ref(me, "flush", lambda r: self.model.demonitor(me, r, True))

    def _unalias(self, me):
        return self._of_ref(me, "unalias", lambda r: self.model.unalias(me, r))

    def _alias(self, me):
        once = self.pick((True, False))
        return ("alias", once), lambda: self.model.alias(me, once), None

    def _exit(self, me):
        to, reason = self.any(), self.pick(REASONS)
        return (
            ("exit", self.pids[to], reason),
            lambda: self.model.exit(me, to, reason),
            ("process", to),
        )

    def _end(self, me):
        reason = self.pick(REASONS)
        return ("end", reason), lambda: self.model.end(me, reason), None

    def _trap(self, me):
        on = self.pick((True, False))
        return ("trap", on), lambda: self.model.trap(me, on), None

    def _sent(self, to, model, target):
        numbers = [self.rng.randrange(1000) for _ in range(self.rng.randint(1, 4))]

        def run():
            for n in numbers:
                model(("m", n))

        return ("burst", to, numbers), run, target

    def _send(self, me):
        to = self.any()
        return self._sent(
            self.pids[to], lambda m: self.model.send(to, m), ("process", to)
        )

    def _send_name(self, me):
        name = self.pick(NAMES)
        return self._sent(
            name,
            lambda m: self.model.send_name(me, name, m),
            ("node", self.model.at(me).node),
        )

    def _send_far(self, me):
        name, node = self.pick(NAMES), self.rng.randrange(2)
        holder = self.model.names.get((node, name))
        return self._sent(
            (name, self.two.names[node]),
            lambda m: self.model.send_far(node, name, m),
            ("node", node) if holder is None else ("process", holder),
        )

    def _send_ref(self, me):
        known = [r for r, x in enumerate(self.model.refs) if self.refs[r].owner]
        if not known:
            return None
        r = self.pick(known)
        return self._sent(
            self.refs[r],
            lambda m: self.model.send_ref(r, m),
            ("process", self.model.refs[r].owner),
        )

    def _register(self, me):
        name, who = self.pick(NAMES), self.any()
        return (
            ("register", name, self.pids[who]),
            lambda: self.model.register(me, name, who),
            None,
        )

    def _unregister(self, me):
        name = self.pick(NAMES)
        return ("unregister", name), lambda: self.model.unregister(me, name), None

    def _take(self, me):
        return ("take", self.pick(PATTERNS)), lambda: None, None

    def _take_ref(self, me):
        return self._of_ref(me, "take", lambda r: None)

    def _drain(self, me):
        return ("drain",), lambda: None, None

    # -- what comes of it

    def next_event(self):
        found = process.receive(PATIENCE * 1000)
        if found is None:
            raise Difference("what should come does not")
        return found

    def settle(self, before, done=None, synced=None, lost=frozenset()):
        """Waits for all that the step should have us told; returns the answer."""
        ended = (before - set(self.model.alive())) | set(lost)
        answer = None
        while done is not None or synced is not None or ended:
            match self.next_event():
                case ("done", step, x) if step == done:
                    done, answer = None, x
                case ("done", step, _) if step == self.model.step and done is None:
                    pass  # its process has ended by what it did
                case ("synced", step) if step == synced:
                    synced = None
                case ("DOWN", mark, "process", _, reason) if mark in self.watches:
                    i = self.watches.pop(mark)
                    if i not in ended:
                        raise Difference(f"P{i} should not end: {reason}")
                    ended.discard(i)
                    if reason != self.model.at(i).reason:
                        raise Difference(
                            f"P{i} ended with {reason!r}, "
                            f"not {self.model.at(i).reason!r}"
                        )
                case other:
                    raise Difference(f"this came too much: {self.normal(other)}")
        return answer

    def check_answer(self, me, name, args, answer):
        if name.startswith("spawn"):
            self.adopt(answer[0])
            if len(answer) > 1:
                self.add_ref(answer[1])
        elif name in ("monitor", "monitor_alias", "alias"):
            self.add_ref(answer)
        elif name == "take":
            self.check_taken(me, args[0], self.normal(answer))
        elif name == "drain":
            self.check_drained(me, [self.normal(x) for x in answer])
        elif answer != self.model.answer:
            raise Difference(f"{name} said {answer!r}, not {self.model.answer!r}")

    def fits(self, message, pattern):
        if pattern == "odd":
            return message[0] == "m" and message[1] % 2 == 1
        if isinstance(pattern, Ref):
            return message[:2] == ("DOWN", self.normal(pattern))
        return message[0] == pattern

    def check_taken(self, me, pattern, taken):
        """The first that fits; what has come in one step may have come in any order,
        but for messages, which one process has sent."""
        mailbox = self.model.at(me).mailbox
        fitting = [x for x in mailbox if self.fits(x[1], pattern)]
        first = [m for step, m in fitting if step == fitting[0][0]]
        if first and first[0][0] == "m":
            first = first[:1]
        if taken is None and not first:
            return
        if taken not in first:
            raise Difference(f"P{me} took {taken}, not one of {first}")
        mailbox.remove(next(x for x in fitting if x[1] == taken))

    def check_drained(self, me, found):
        wanted, self.model.at(me).mailbox = self.model.at(me).mailbox, []
        at = 0
        for step in dict.fromkeys(step for step, _ in wanted):
            group = [m for s, m in wanted if s == step]
            got = found[at : at + len(group)]
            at += len(group)
            if sorted(map(str, got)) != sorted(map(str, group)) or [
                m for m in got if m[0] == "m"
            ] != [m for m in group if m[0] == "m"]:
                raise Difference(f"P{me} found {found}, not {[m for _, m in wanted]}")
        if at != len(found):
            raise Difference(f"P{me} found too much: {found[at:]}")

    def normal(self, x):
        """As the model has it."""
        if isinstance(x, (Pid, Ref)):
            return self.numbers.get(x, "a stranger")
        if isinstance(x, tuple):
            return tuple(self.normal(y) for y in x)
        if isinstance(x, str):
            names = self.two.names
            return f"node{names.index(x)}" if x in names else str(x)
        return x

    def compare(self):
        """Until the processes are as the model says."""
        wanted = [self.wanted(i) for i in range(len(self.pids))]
        if holds(lambda: self.found() == wanted):
            return
        for i, (a, b) in enumerate(zip(self.found(), wanted)):
            if a != b:
                raise Difference(f"P{i} is {a}, not {b}")

    def wanted(self, i):
        p = self.model.at(i)
        if not p.alive:
            return None
        refs = [x for x in self.model.refs if x.monitors]
        return [
            sorted(pid(j) for j in p.links),
            sorted(str(x.shown) for x in refs if x.owner == i),
            sorted(pid(x.owner) for x in refs if x.target == i),
            len(p.mailbox),
            p.trapping,
            p.name,
        ]

    def found(self):
        out = [None] * len(self.pids)
        for node in range(2):
            these = [i for i, p in enumerate(self.model.all) if p.node == node]
            pids = [self.pids[i] for i in these]
            if node == 0:
                states = random_actors.state_of(pids)
            else:
                process.send((SERVER, self.two.names[1]), ("state", pids))
                event = self.next_event()
                if event[0] != "state":
                    raise Difference(f"this came too much: {self.normal(event)}")
                states = event[1]
            for i, state in zip(these, states):
                out[i] = self.shown(state)
        return out

    def shown(self, state):
        if state is None:
            return None
        links, monitors, monitored_by, length, trapping, name = state
        return [
            sorted(self.normal(x) for x in links),
            sorted(str(self.normal(x[1])) for x in monitors),
            sorted(self.normal(x) for x in monitored_by if self.is_ours(x)),
            length,
            trapping,
            name or "",
        ]

    def is_ours(self, x):
        return x in self.numbers and x != self.two.me

    def end(self):
        """All end, and nothing more comes."""
        before = set(self.model.alive())
        for i in before:
            self.model.exit(OUTSIDE, i, "kill")
            process.exit(self.pids[i], "kill")
        for i in before:
            self.model.at(i).reason = "killed"
        self.settle(before)
        left = process.receive(0)
        if left is not None:
            raise Difference(f"this came too much: {self.normal(left)}")


def seeds(count):
    fixed = os.environ.get("HORNBEAM_SEED")
    first = int(fixed) if fixed else random.SystemRandom().randrange(2**32)
    return range(first, first + (1 if fixed else count))


def run_programs(two, count):
    for seed in seeds(count):
        program = Program(seed, two)
        try:
            program.run()
            program.end()
        except Difference as e:
            told = "; ".join(program.text)
            pytest.fail(f"{e}\nHORNBEAM_SEED={seed}: {told}", pytrace=False)


def run_storm(two, seed):
    """Several processes of both nodes act at once; some end, one and a supervisor are
    killed. Returns what came to them that should not have, or did not come."""
    rng = random.Random(seed)
    pids, reasons = [], {6: "killed", 7: "killed"}
    for i in range(8):
        kind = rng.choice(("coroutine", "thread"))
        reason = rng.choice((None, None, "normal", "boom"))
        order = ("storm", kind, i, rng.random(), 60, reason)
        if i == 7:
            order = ("spawn", "supervisor")
        elif i < 6 and reason is not None:
            reasons[i] = reason
        process.send((SERVER, two.names[i % 2]), order)
        pids.append(two.next("spawned")[1])
        if i < 7:
            two.next("ready")
    survivors = [i for i in range(6) if i not in reasons]
    watches = [process.monitor(pids[i]) for i in reasons]
    for x in pids[:7]:
        process.send(x, ("go", pids))
    sent = {}
    while len(sent) < 6:
        _, i, counts = two.next("acted")
        if i < 6:
            sent[i] = counts
        if len(sent) == 1:
            process.exit(pids[6], "kill")
        if len(sent) == 3:
            process.exit(pids[7], "kill")
    ended = dict(zip(reasons, (process.receive(match=x)[4] for x in watches)))
    reasons[6] = ended[6]  # it may have been done before
    wrong = [f"{ended}, not {reasons}"] if ended != reasons else []
    for i in survivors:
        of = [(j, sent[j].get(i, 0)) for j in sent]
        process.send(pids[i], ("finish", of, list(reasons.items())))
    for _ in survivors:
        _, i, texts = two.next("finished")
        wrong += [f"P{i}: {text}" for text in texts]
    for i in survivors:
        process.send(pids[i], ("end",))
    while process.receive(0) is not None:  # of the one that was killed
        pass
    return wrong


def run_storms(two, count):
    for seed in seeds(count):
        if wrong := run_storm(two, seed):
            told = "; ".join(wrong)
            pytest.fail(f"HORNBEAM_SEED={seed}: {told}", pytrace=False)


def test_what_comes_to_processes_that_all_act_at_once_keeps_the_rules(two):
    run_storms(two, 30)


@pytest.mark.long
def test_what_comes_in_many_storms_keeps_the_rules(two):
    run_storms(two, 1000)


def test_random_programs_on_two_nodes_do_what_the_model_does(two):
    run_programs(two, 200)


@pytest.mark.long
@pytest.mark.parametrize("part", range(16))
def test_many_random_programs_on_two_nodes_do_what_the_model_does(two, part):
    run_programs(two, 500)
