"""Servers in Python: OTP's gen_server, by its rules."""

import asyncio
import functools
import queue
import threading

import pytest

import hornbeam
from hornbeam import aio, gen_server, process, supervisor
from hornbeam.gen_server import (
    IGNORE,
    NO_REPLY,
    AlreadyStarted,
    CallError,
    CallTimeout,
    GenServer,
    InitFailed,
    Next,
    Reply,
    Stop,
)

SOON = 20_000  # ms


@pytest.fixture(autouse=True)
def apart():
    with process.scope() as pid:
        yield pid


class Plain(GenServer):
    """Its requests say what to do; each callback notes what it has got."""

    def init(self, *args):
        self.args, self.seen = args, []
        if args and args[0] == "as told":
            return args[1]()

    def handle_call(self, request, caller):
        if callable(tell := TOLD.get(request)):
            return tell(self, caller)
        return (self.args, self.seen)

    def handle_cast(self, request):
        self.seen.append(("cast", request))
        if callable(tell := TOLD.get(request)):
            return tell(self, None)

    def handle_info(self, message):
        self.seen.append(("info", message))
        if callable(tell := TOLD.get(message if isinstance(message, str) else "")):
            return tell(self, None)

    def handle_continue(self, x):
        self.seen.append(("continue", x))
        if callable(tell := TOLD.get(x)):
            return tell(self, None)

    def terminate(self, reason):
        if self.args and isinstance(self.args[-1], hornbeam.Pid):
            process.send(self.args[-1], ("terminated", reason))


class Inline(Plain):
    inline = True


class Coroutines(Plain):
    async def init(self, *args):
        return Plain.init(self, *args)

    async def handle_call(self, request, caller):
        await asyncio.sleep(0)
        return Plain.handle_call(self, request, caller)

    async def handle_cast(self, request):
        return Plain.handle_cast(self, request)

    async def handle_info(self, message):
        return Plain.handle_info(self, message)

    async def handle_continue(self, x):
        return Plain.handle_continue(self, x)

    async def terminate(self, reason):
        return Plain.terminate(self, reason)


def eventually(f):
    for _ in range(4000):
        if found := f():
            return found
        threading.Event().wait(0.005)
    raise AssertionError("it does not become true")


def fail(self, caller):
    raise LookupError("as told")


#: What a request has a server do.
TOLD = {
    "fail": fail,
    "tuple": lambda self, caller: ("any", ["tuple"]),
    "none": lambda self, caller: None,
    "later": lambda self, caller: setattr(self, "_caller", caller) or NO_REPLY,
    "now": lambda self, caller: self._caller.reply("at last"),
    "is asked": lambda self, caller: hasattr(self, "_caller"),
    "stop": lambda self, caller: Stop("as told", reply="bye"),
    "stop silently": lambda self, caller: Stop("as told"),
    "stop well": lambda self, caller: Stop(reply="bye"),
    "continue": lambda self, caller: Reply("first", then="next"),
    "idle": lambda self, caller: Reply("wait", timeout_ms=1),
    "go on": lambda self, caller: Next(then="next"),
    "nonsense": lambda self, caller: 5,
    "thread": lambda self, caller: threading.current_thread().name,
    "self": lambda self, caller: hornbeam.self(),
}


@pytest.fixture(params=[Plain, Inline, Coroutines], ids=lambda x: x.__name__)
def kind(request):
    return request.param


@pytest.fixture(params=["thread", "loop"])
def api(request):
    """The functions for users, in a thread or on an event loop."""

    class Here:
        call, stop, get_state = gen_server.call, gen_server.stop, gen_server.get_state

        @staticmethod
        def start(cls, *args, **kwargs):
            return cls.start(*args, **kwargs)

        @staticmethod
        def start_link(cls, *args, **kwargs):
            return cls.start_link(*args, **kwargs)

    class OnLoop:
        pass

    def on_loop(name):
        async def run(*args, **kwargs):
            return await getattr(aio.gen_server, name)(*args, **kwargs)

        return lambda *args, **kwargs: asyncio.run(run(*args, **kwargs))

    if request.param == "thread":
        return Here
    for name in ("call", "stop", "get_state", "start", "start_link"):
        setattr(OnLoop, name, staticmethod(on_loop(name)))
    return OnLoop


def test_a_call_gets_what_handle_call_returns(kind, api):
    server = api.start(kind, 1, 2)
    assert api.call(server, "state") == ((1, 2), [])
    assert api.call(server, "tuple") == ("any", ["tuple"])
    assert api.call(server, "none") is None
    api.stop(server)
    assert not process.is_alive(server)


def test_casts_and_messages_come_in_their_order(kind):
    server = kind.start()
    gen_server.cast(server, 1)
    process.send(server, ("any", 2))
    gen_server.cast(server, 3)
    seen = [("cast", 1), ("info", ("any", 2)), ("cast", 3)]
    assert gen_server.call(server, "state") == ((), seen)


def test_a_server_has_one_pid_in_all_callbacks(kind):
    server = kind.start()
    assert gen_server.call(server, "self") == server


def test_plain_callbacks_run_beside_the_loop_and_inline_ones_in_it():
    assert gen_server.call(Plain.start(), "thread") == "hornbeam.pool"
    assert gen_server.call(Inline.start(), "thread") == "hornbeam.loop"


def test_an_answer_may_come_later(kind):
    server = kind.start()
    got = []
    call = functools.partial(gen_server.call, server, "later")
    thread = threading.Thread(target=lambda: got.append(call()))
    thread.start()
    eventually(lambda: gen_server.call(server, "is asked"))
    gen_server.call(server, "now")
    thread.join()
    assert got == ["at last"]


def test_a_call_that_gets_no_answer_in_time_raises(kind, api):
    server = api.start(kind)
    with pytest.raises(CallTimeout, match="timeout") as e:
        api.call(server, "later", 20)
    assert isinstance(e.value, TimeoutError)
    assert process.receive(0) is None


def test_a_late_answer_is_dropped(kind):
    server = kind.start()
    with pytest.raises(CallTimeout):
        gen_server.call(server, "later", 20)
    gen_server.call(server, "now")
    assert process.receive(0) is None


def test_calls_of_nobody_of_oneself_and_of_the_dead(kind, api, name):
    with pytest.raises(CallError, match="noproc"):
        api.call("nobody " + name, 1)
    server = api.start(kind)
    api.stop(server)
    with pytest.raises(CallError, match="noproc") as e:
        api.call(server, 1)
    assert e.value.exit_reason[1][:2] == ("gen_server", "call")


def test_a_call_of_oneself_fails_at_once():
    with pytest.raises(CallError, match="calling_self"):
        gen_server.call(hornbeam.self(), 1, None)


def test_a_failed_call_is_the_callers_exit_reason(kind):
    def caller():
        gen_server.call("nobody at all", "request")

    _, ref = process.spawn_monitor(caller)
    reason = process.receive(SOON, match=ref)[4]
    assert reason == ("noproc", ("gen_server", "call", ["nobody at all", "request"]))


def test_an_exception_in_a_callback_ends_the_server_after_terminate(kind, apart):
    server = kind.start("x", apart)
    ref = process.monitor(server)
    with pytest.raises(CallError, match="LookupError: as told"):
        gen_server.call(server, "fail")
    (name, text), _ = process.receive(SOON, match=("terminated", ...))[1]
    assert (name, text) == ("LookupError", "as told")
    assert process.receive(SOON, match=ref)[4][0] == ("LookupError", "as told")


def test_stop_answers_after_terminate(kind, apart):
    server = kind.start("x", apart)
    assert gen_server.call(server, "stop") == "bye"
    assert process.receive(0) == ("terminated", "as told")


def test_a_stop_without_a_reply_fails_the_call_with_its_reason(kind):
    server = kind.start()
    with pytest.raises(CallError) as e:
        gen_server.call(server, "stop silently")
    assert e.value.reason == "as told"


def test_continue_comes_before_what_waits(kind):
    server = kind.start()
    assert gen_server.call(server, "continue") == "first"
    gen_server.cast(server, "go on")
    gen_server.cast(server, 1)
    seen = gen_server.call(server, "state")[1]
    assert seen == [
        ("continue", "next"),
        ("cast", "go on"),
        ("continue", "next"),
        ("cast", 1),
    ]


def test_a_server_that_waits_in_vain_is_told(kind):
    server = kind.start()
    assert gen_server.call(server, "idle") == "wait"
    eventually(lambda: not gen_server.get_state(server)["seen"] == [])
    assert gen_server.get_state(server)["seen"] == [("info", "timeout")]


def test_what_a_callback_may_not_return_ends_the_server_by_name(kind):
    server = kind.start()
    ref = process.monitor(server)
    gen_server.cast(server, "nonsense")
    (name, text), _ = process.receive(SOON, match=ref)[4]
    assert (name, text) == (
        "TypeError",
        "handle_cast must return None, Next or Stop, not int",
    )


# -- starting -----------------------------------------------------------------


def test_a_name_is_taken_once(kind, api, name):
    server = api.start(kind, name=name)
    assert process.whereis(name) == server
    assert api.call(name, "state") == ((), [])
    with pytest.raises(AlreadyStarted) as e:
        api.start(kind, name=name)
    assert e.value.pid == server
    api.stop(name)
    assert process.whereis(name) is None


def test_a_refused_start_link_leaves_no_exit_signal(kind, name):
    server = kind.start(name=name)
    process.trap_exit()
    with pytest.raises(AlreadyStarted):
        kind.start_link(name=name)
    with pytest.raises(InitFailed):
        kind.start_link("as told", lambda: Stop("no"))
    assert process.receive(50) is None
    gen_server.stop(server)


def test_two_starts_of_one_name_at_once_start_one(kind, name):
    found = []

    def start():
        try:
            found.append(kind.start(name=name))
        except AlreadyStarted as e:
            found.append(e.pid)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for x in threads:
        x.start()
    for x in threads:
        x.join()
    assert set(found) == {process.whereis(name)} and len(found) == 8


def test_init_may_refuse_ignore_and_fail(kind, api, name):
    def broken():
        raise ZeroDivisionError("in init")

    with pytest.raises(InitFailed, match="no"):
        api.start(kind, "as told", lambda: Stop("no"), name=name)
    assert api.start(kind, "as told", lambda: IGNORE, name=name) is None
    with pytest.raises(InitFailed, match="ZeroDivisionError: in init"):
        api.start(kind, "as told", broken, name=name)
    with pytest.raises(InitFailed, match="init must return None, Next or Stop"):
        api.start(kind, "as told", lambda: 5, name=name)
    assert process.whereis(name) is None


def test_an_init_that_takes_too_long_is_ended():
    class Slow(GenServer):
        async def init(self):
            await asyncio.sleep(3600)

    process.trap_exit()
    before = set(process.processes())
    with pytest.raises(hornbeam.HornbeamTimeout, match="the start of a server"):
        Slow.start_link(timeout_ms=20)
    eventually(lambda: not set(process.processes()) - before)
    assert process.receive(0) is None


def test_a_linked_server_ends_with_its_starter_after_terminate(kind, apart):
    def starter(to):
        process.send(to, kind.start_link("x", to))
        process.receive()
        process.exit("gone")

    pid = process.spawn(starter, apart)
    server = process.receive(SOON)
    ref = process.monitor(server)
    process.send(pid, "go on")
    assert process.receive(SOON, match=ref)[4] == "gone"


def test_a_server_that_traps_exits_terminates_with_its_parent(kind, apart):
    class Trapping(kind):
        def init(self, *args):
            process.trap_exit()
            self.args, self.seen = args, []

    def starter(to):
        process.send(to, Trapping.start_link("x", to))
        process.receive()
        process.exit("gone")

    pid = process.spawn(starter, apart)
    server = process.receive(SOON)
    ref = process.monitor(server)
    process.send(pid, "go on")
    assert process.receive(SOON, match=("terminated", ...)) == ("terminated", "gone")
    assert process.receive(SOON, match=ref)[4] == "gone"


# -- from outside ---------------------------------------------------------------


def test_the_state_is_shown_by_format_status(kind, api):
    class Shows(kind):
        def format_status(self):
            return {"shown": True}

    assert api.get_state(api.start(kind, 1)) == {"args": (1,), "seen": []}
    assert api.get_state(Shows.start()) == {"shown": True}


def test_servers_of_cpp_show_their_state_as_well(api):
    tree = supervisor.Supervisor([]).start()
    assert api.get_state(tree) is not None
    api.stop(tree)


def test_a_server_that_is_killed_as_it_starts_leaves_no_exit_message(kind):
    process.trap_exit()
    with pytest.raises(InitFailed) as e:
        kind.start_link("as told", lambda: process.exit(process.self(), "kill"))
    assert e.value.reason == "killed"
    assert process.receive(0) is None


def test_who_does_not_catch_what_stop_raises_ends_with_the_reason_of_erlang(kind):
    server = kind.start()
    process.exit(server, "kill")

    def ended_by(what):
        _, ref = process.spawn_monitor(gen_server.stop, what, "because", 1000)
        return process.receive(SOON, match=ref)[4]

    assert ended_by(server) == ended_by("nobody at all") == "noproc"
    _, ref = process.spawn_monitor(gen_server.get_state, server)
    asked = ("sys", "get_state", [server])
    assert process.receive(SOON, match=ref)[4] == ("noproc", asked)


def test_a_call_in_no_time_is_made_and_has_no_answer(kind, api):
    class Silent(kind):
        def handle_call(self, request, caller):
            self.seen.append(request)
            return NO_REPLY if request == "nothing" else self.seen

    server = Silent.start()
    with pytest.raises(CallTimeout):
        api.call(server, "nothing", timeout_ms=0)
    assert api.call(server, "all") == ["nothing", "all"]


def test_a_server_can_not_call_itself_by_any_of_its_names(kind, api, name):
    process.register(name)
    for who in (process.self(), name, (name, hornbeam.cluster.node())):
        with pytest.raises(CallError, match="calling_self"):
            gen_server.call(who, 1)
        with pytest.raises(CallError, match="calling_self"):
            gen_server.stop(who)


def test_stop_raises_if_the_server_ends_otherwise(kind, api):
    class Broken(kind):
        def terminate(self, reason):
            raise LookupError("in terminate")

    with pytest.raises(CallError, match="LookupError: in terminate"):
        api.stop(api.start(Broken))
    with pytest.raises(CallError, match="noproc"):
        api.stop("nobody at all")


def test_a_cast_always_succeeds(kind):
    server = kind.start()
    gen_server.stop(server)
    gen_server.cast(server, 1)
    gen_server.cast("nobody at all", 1)
    gen_server.cast(("nobody", "nowhere@127.0.0.1"), 1)


def test_killing_a_server_fails_its_callers(kind):
    server = kind.start()
    reasons = []

    def ask():
        try:
            gen_server.call(server, "later", None)
        except CallError as e:
            reasons.append(e.reason)

    thread = threading.Thread(target=ask)
    thread.start()
    eventually(lambda: process.process_info(server, "monitored_by"))
    process.exit(server, "kill")
    thread.join(20)
    assert reasons == ["killed"]


def raises(error):
    def tell(self, caller):
        raise error

    return tell


TOLD["exit"] = raises(process.ProcessExit("as told"))
TOLD["leave Python"] = raises(SystemExit(3))
TOLD["interrupted"] = raises(KeyboardInterrupt())
TOLD["cancelled"] = raises(asyncio.CancelledError())


def test_an_exit_in_a_callback_ends_the_server_after_terminate(kind, apart, caplog):
    pid = kind.start(apart)
    with pytest.raises(CallError, match="as told"):
        gen_server.call(pid, "exit")
    assert process.receive(SOON) == ("terminated", "as told")
    assert not caplog.records


@pytest.mark.parametrize(
    "what, name",
    [
        ("leave Python", "SystemExit"),
        ("interrupted", "KeyboardInterrupt"),
        ("cancelled", "CancelledError"),
    ],
)
def test_whatever_a_callback_raises_comes_after_terminate(kind, apart, what, name):
    pid = kind.start(apart)
    with pytest.raises(CallError, match=name):
        gen_server.call(pid, what)
    word, ((found, _), _) = process.receive(SOON)
    assert (word, found) == ("terminated", name)
    other = kind.start()
    assert gen_server.call(other, "none") is None  # the loop goes on


def test_an_init_that_exits_leaves_no_exit_signal_and_no_name(kind, name, apart):
    with pytest.raises(InitFailed) as e:
        kind.start_link("as told", exit_as_told, name=name)
    assert e.value.reason == "as told"
    assert process.whereis(name) is None
    assert process.is_alive(apart) and hornbeam.self() == apart


def exit_as_told():
    process.exit("as told")


def test_a_server_that_stops_itself_is_told(kind):
    def stop_self(self, caller):
        with pytest.raises(CallError, match="calling_self"):
            gen_server.stop(hornbeam.self())
        return "refused"

    TOLD["stop self"] = stop_self
    assert gen_server.call(kind.start(), "stop self") == "refused"


class Held(GenServer):
    def init(self):
        self.lock = threading.Lock()
        self.number = 1


class Untold(GenServer):
    def format_status(self):
        raise LookupError("as told")


def test_looking_at_a_server_does_not_end_it(api):
    held = Held.start()
    state = api.get_state(held)
    assert state["number"] == 1 and "lock object" in state["lock"]
    untold = Untold.start()
    text = "<format_status raised LookupError: as told>"
    assert api.get_state(untold) == text
    assert process.is_alive(held) and process.is_alive(untold)


def test_arrays_are_messages_as_any_other(kind, apart):
    numpy = pytest.importorskip("numpy")
    process.send(apart, ("x", numpy.arange(3)))  # what else waits disturbs no start
    pid = kind.start_link()
    for x in (
        (numpy.arange(3), 1),
        (numpy.arange(3), 1, 2),
        ("EXIT", numpy.arange(3), 1),
    ):
        process.send(pid, x)
    assert len(gen_server.call(pid, "state")[1]) == 3
    assert process.is_alive(pid)


STARTING = queue.Queue()


class Stuck(GenServer):
    async def init(self):
        STARTING.put(hornbeam.self())
        await asyncio.sleep(3600)


def test_a_start_that_is_given_up_leaves_no_server():
    async def give_up():
        task = asyncio.create_task(aio.gen_server.start(Stuck))
        pid = await asyncio.to_thread(STARTING.get, True, SOON / 1000)
        ref = process.monitor(pid)
        task.cancel()
        return (await aio.process.receive(SOON, match=ref))[4]

    assert asyncio.run(give_up()) == "killed"
