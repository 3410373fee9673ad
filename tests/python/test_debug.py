"""Looking into servers and processes that run; no question ends a server."""

import asyncio
import re
import threading

import pytest

import hornbeam
from hornbeam import aio, debug, gen_server, process
from hornbeam.gen_server import CallError, CallTimeout, GenServer
from hornbeam.supervisor import ChildSpec, DynamicSupervisor, Supervisor, start_child

SOON = 20_000  # ms


@pytest.fixture(autouse=True)
def apart():
    with process.scope() as pid:
        yield pid


class Counter(GenServer):
    inline = True

    def init(self, first=0):
        self.count, self.seen = first, []

    def handle_call(self, request, caller):
        return (self.count, self.seen)

    def handle_cast(self, request):
        self.seen.append(request)

    def handle_info(self, message):
        self.seen.append(message)


class OnLoop:
    """The same functions, awaited."""

    def __getattr__(self, name):
        f = getattr(aio.debug, name)
        return lambda *args: asyncio.run(f(*args))


@pytest.fixture(params=[debug, OnLoop()], ids=["here", "on a loop"])
def api(request):
    return request.param


def test_the_state_of_a_server_is_read_and_replaced(api):
    pid = Counter.start(3)
    assert api.get_state(pid) == {"count": 3, "seen": []}
    api.replace_state(pid, {"count": 8})
    assert gen_server.call(pid, "state") == (8, [])


@pytest.mark.parametrize("state", [5, None, [("count", 1)], {1: 2}, {("a",): 2}])
def test_a_state_that_can_not_be_is_refused_and_ends_nobody(api, state):
    pid = Counter.start(3)
    with pytest.raises(ValueError, match="a dict of attributes"):
        api.replace_state(pid, state)
    assert debug.get_state(pid) == {"count": 3, "seen": []}


def test_a_supervisor_shows_its_state_but_takes_no_other(api):
    tree = Supervisor([ChildSpec("one", Counter)]).start()
    assert api.get_state(tree) == 1
    with pytest.raises(ValueError, match="can't be replaced: no_such_state"):
        api.replace_state(tree, {})
    gen_server.stop(tree, "shutdown")


def test_a_suspended_server_takes_what_waits_when_it_goes_on(api):
    pid = Counter.start()
    api.suspend(pid)
    api.suspend(pid)
    gen_server.cast(pid, 1)
    with pytest.raises(CallTimeout):
        gen_server.call(pid, "state", 20)
    assert debug.get_state(pid)["seen"] == []
    api.resume(pid)
    assert gen_server.call(pid, "state") == (0, [1])


def test_a_suspended_server_can_be_stopped():
    pid = Counter.start()
    debug.suspend(pid)
    gen_server.stop(pid)
    assert not process.is_alive(pid)


def test_who_is_no_server_does_not_answer(api, apart):
    other = process.spawn(lambda: process.receive(match="never"))
    with pytest.raises(CallTimeout):
        api.get_state(other, 20)
    with pytest.raises(CallError, match="noproc"):
        api.suspend("nobody at all")
    process.exit(other, "kill")


MALFORMED = [
    ("$gen_call", 5, "x"),
    ("$gen_call", (1, 2), "x"),
    ("$gen_call", ("me",), "x"),
    ("$gen_call", [], "x"),
    ("$gen_cast", 1, 2),
    ("system", None, "get_state"),
    ("system", (1, 2, 3), "suspend"),
    ("system", ("a", "b"), ("terminate", "x")),
]


@pytest.mark.parametrize("suspended", [False, True])
@pytest.mark.parametrize("message", MALFORMED, ids=repr)
def test_a_question_of_nobody_is_a_message_as_any_other(message, suspended):
    pid = Counter.start()
    if suspended:
        debug.suspend(pid)
    process.send(pid, message)
    assert debug.get_state(pid)["seen"] == ([] if suspended else [message])
    debug.resume(pid)
    assert gen_server.call(pid, "state") == (0, [message])


@pytest.mark.parametrize(
    "request_",
    [
        "nonsense",
        ("replace_state",),
        ("replace_state", 1, 2),
        ("terminate",),
        ["replace_state", {"count": 9}],
        [],
        None,
        5,
    ],
    ids=repr,
)
def test_a_system_request_that_there_is_not_is_answered_so(apart, request_):
    pid = Counter.start()
    ref = hornbeam.make_ref()
    process.send(pid, ("system", (apart, ref), request_))
    assert process.receive(SOON, match=ref) == (ref, ("error", ("unknown", request_)))
    assert gen_server.call(pid, "state") == (0, [])


def test_an_array_is_no_system_request(apart):
    numpy = pytest.importorskip("numpy")
    pid = Counter.start()
    for request in (numpy.arange(3), (numpy.arange(2), 1), (1, numpy.arange(2))):
        ref = hornbeam.make_ref()
        process.send(pid, ("system", (apart, ref), request))
        assert process.receive(SOON, match=ref)[1][0] == "error"
    assert process.is_alive(pid)


# -- the tree -------------------------------------------------------------------


def shape(text):
    return re.sub(r"<[^>]*>", "<>", text).splitlines()


def test_the_tree_is_shown_as_text(api):
    inner = DynamicSupervisor(Counter, name="inner of debug")
    tree = Supervisor(
        [
            ChildSpec("clock", Counter),
            ChildSpec("inner", inner),
            ChildSpec("none", lambda: None),
            ChildSpec("shop", lambda: Counter.start_link(name="shop of debug")),
        ],
        name="tree of debug",
    ).start()
    for _ in range(2):
        start_child("inner of debug", 1)
    debug.suspend("shop of debug")
    gen_server.cast("shop of debug", 1)
    assert shape(api.tree("tree of debug")) == [
        "<> tree of debug (supervisor)",
        "├─ 'clock' <>",
        "├─ 'inner' <> inner of debug (supervisor)",
        "│  ├─ <>",
        "│  └─ <>",
        "├─ 'none' not running",
        "└─ 'shop' <> shop of debug, 1 message waits",
    ]
    assert api.tree("tree of debug") in debug.tree()
    assert debug.tree().count("inner of debug") == 1
    gen_server.stop(tree, "shutdown")
    assert "tree of debug" not in debug.tree()


def test_of_many_children_the_first_are_shown():
    tree = DynamicSupervisor(Counter).start()
    for _ in range(debug.MOST_CHILDREN + 3):
        start_child(tree)
    lines = shape(debug.tree(tree))
    assert len(lines) == 1 + debug.MOST_CHILDREN + 1
    assert lines[-1] == "└─ and 3 more"
    gen_server.stop(tree, "shutdown")


def test_a_supervisor_that_is_busy_does_not_hold_up_the_tree():
    go_on = threading.Event()
    tree = DynamicSupervisor(lambda: go_on.wait(SOON / 1000) and None).start()
    starting = threading.Thread(target=start_child, args=(tree,))
    starting.start()
    while not process.process_info(tree, "monitors"):
        process.receive(1)
    assert shape(debug.tree(tree, 20)) == [
        "<> (supervisor), 1 message waits",
        "└─ (it does not answer)",
    ]
    go_on.set()
    starting.join()
    gen_server.stop(tree, "shutdown")


def test_a_tree_of_nobody_is_told():
    with pytest.raises(CallError, match="noproc"):
        debug.tree("nobody at all")


# -- the busiest ----------------------------------------------------------------


def test_the_processes_with_the_most_come_first():
    def held():
        process.receive(match="go on")

    few, many = process.spawn(held), process.spawn(held)
    for pid, count in ((few, 500), (many, 700)):
        for i in range(count):
            process.send(pid, i)
    first, second = debug.top(count=2)
    assert (first.pid, first.messages) == (many, 700)
    assert (second.pid, second.messages, second.name) == (few, 500, None)
    refs = [process.monitor(few) for _ in range(50)]
    assert debug.top("monitored_by", 1)[0].pid == few
    assert debug.top("monitors", 1)[0].pid == process.self()
    for ref in refs:
        process.demonitor(ref)
    assert debug.top(count=0) == []
    with pytest.raises(ValueError, match="not by 'memory'"):
        debug.top("memory")
    for pid in (few, many):
        process.send(pid, "go on")
