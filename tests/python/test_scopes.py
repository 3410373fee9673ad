"""`process.scope()`, what gives one to each request of a web server, and
`with pubsub.subscribe(topic)`."""

import asyncio
import concurrent.futures
import contextvars
import threading

import pytest

import hornbeam
import hornbeam_erlang as erlang
from hornbeam import _owner, aio, middleware, process, pubsub
from hornbeam.process import scope

LONG = 20_000


def take():
    return erlang.receive_pubsub(0)


# -- blocks -------------------------------------------------------------------


def test_a_scope_is_a_process_for_its_block(name):
    mine = hornbeam.self()
    with scope() as pid:
        assert hornbeam.self() == pid != mine
        erlang.subscribe(name)
        erlang.publish(name, "inside")
        process.send(pid, "by pid")
        assert (take(), process.receive(0)) == ("inside", "by pid")
        erlang.publish(name, "left behind")
    assert hornbeam.self() == mine
    assert pubsub.subscribers(name) == 0
    with scope() as another:
        assert another not in (pid, mine)


def test_a_scope_ends_when_its_block_raises(name):
    with pytest.raises(KeyError):
        with scope():
            erlang.subscribe(name)
            raise KeyError
    assert pubsub.subscribers(name) == 0
    assert take() is None


def test_scopes_lie_in_each_other():
    with scope() as outer:
        with scope() as inner:
            assert hornbeam.self() == inner
        assert hornbeam.self() == outer != inner


def test_a_scope_may_be_a_decorator(name):
    @scope()
    def request():
        erlang.subscribe(name)
        return hornbeam.self()

    assert request() != request() != hornbeam.self()
    assert pubsub.subscribers(name) == 0


def test_tables_of_a_scope_end_with_it(name):
    with scope():
        hornbeam.tables.new(name, access="private").set("k", 1)
        assert hornbeam.tables.table(name).get("k") == 1
    with scope():
        hornbeam.tables.new(name)


def test_a_scope_in_a_task_is_of_its_code_and_not_of_the_tasks_that_it_starts(name):
    async def me():
        return hornbeam.self()

    async def main():
        mine = hornbeam.self()
        with scope() as pid:
            erlang.subscribe(name)
            assert hornbeam.self() == pid != mine
            assert await asyncio.create_task(me()) not in (pid, mine)
            assert await asyncio.to_thread(hornbeam.self) == pid
            erlang.publish(name, 1)
            assert await asyncio.wait_for(aio.receive_pubsub(LONG), 20) == 1
        assert hornbeam.self() == mine
        assert pubsub.subscribers(name) == 0

    asyncio.run(main())


def test_tasks_in_scopes_of_their_own_do_not_mix(name):
    async def client(room):
        with scope():
            erlang.subscribe(room)
            await all_there.wait()
            erlang.publish(room, room)
            return await aio.receive_pubsub(LONG)

    async def main():
        nonlocal all_there
        all_there = asyncio.Barrier(3)
        rooms = [f"{name} {i}" for i in range(3)]
        assert await asyncio.gather(*map(client, rooms)) == rooms

    all_there = None
    asyncio.run(main())


def test_threads_with_the_context_of_a_scope_belong_to_it_until_it_ends(name):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        thread = pool.submit(hornbeam.self).result()
        with scope() as pid:
            inside = contextvars.copy_context()
            pool.submit(inside.run, erlang.subscribe, name).result()
            assert pool.submit(inside.run, hornbeam.self).result() == pid
            erlang.publish(name, 1)
            assert take() == 1
            assert pool.submit(hornbeam.self).result() == thread
        assert pool.submit(inside.run, hornbeam.self).result() == thread


def test_scopes_of_generators_may_overlap(name):
    def steps():
        with scope() as pid:
            yield pid
            yield hornbeam.self()

    mine = hornbeam.self()
    first, second = steps(), steps()
    pids = [next(first), next(second)]
    assert hornbeam.self() == pids[1]
    first.close()
    assert hornbeam.self() == pids[1]
    second.close()
    assert hornbeam.self() == mine


def test_a_scope_that_another_process_ends_stays_ended():
    mine = hornbeam.self()
    with scope() as pid:
        kill = hornbeam.Atom("kill")
        hornbeam._native.cast(erlang.node(), "processes", "exit", (pid, pid, kill))
        for call in (hornbeam.self, take, hornbeam.self):
            with pytest.raises(hornbeam.HornbeamError, match="has been ended"):
                call()
    assert hornbeam.self() == mine


def test_a_scope_in_a_handler_call_is_another_process(name):
    def handler(action):
        mine = hornbeam.self()
        with scope() as pid:
            inside = hornbeam.self() == pid != mine
        return inside and hornbeam.self() == mine

    erlang.register_hook(name, handler)
    assert erlang.await_result(erlang.execute_async(name, "x")) is True


# -- WSGI ---------------------------------------------------------------------


def served(app, environ=None):
    """What a server makes of a request."""
    chunks = app(environ or {}, lambda status, headers: None)
    try:
        return [bytes(x) for x in chunks]
    finally:
        if hasattr(chunks, "close"):
            chunks.close()


def test_a_request_reads_nothing_that_an_earlier_one_has_subscribed_to(name):
    def app(environ, start_response):
        erlang.publish(name, "for the one before")
        found = take()
        erlang.subscribe(name)
        start_response("200 OK", [])
        return [repr(found).encode()]

    app = middleware.wsgi(app)
    assert served(app) == served(app) == [b"None"]
    assert pubsub.subscribers(name) == 0


def test_the_process_of_a_request_lasts_until_its_response_is_closed(name):
    def app(environ, start_response):
        mine = hornbeam.self()
        erlang.subscribe(name)
        try:
            for _ in range(2):
                erlang.publish(name, 1)
                yield b"%d" % take()
                assert hornbeam.self() == mine
        finally:
            pids.append(hornbeam.self() == mine)

    pids = []
    app = middleware.wsgi(app)
    assert served(app) == [b"1", b"1"]
    chunks = app({}, None)
    assert next(chunks) == b"1"
    assert pubsub.subscribers(name) == 1
    assert hornbeam.self() != _owner._owner.get()
    chunks.close()
    assert pubsub.subscribers(name) == 0
    assert pids == [True, True]


def test_responses_that_are_read_in_turn_do_not_mix(name):
    def app(environ, start_response):
        erlang.subscribe(name + environ["n"])
        erlang.publish(name + environ["n"], environ["n"])
        yield b"begun"
        yield take().encode()

    app = middleware.wsgi(app)
    both = [app({"n": n}, None) for n in "ab"]
    assert [next(x) for x in both] == [b"begun"] * 2
    assert [next(x) for x in both] == [b"a", b"b"]
    for x in both:
        x.close()


def test_a_request_that_raises_ends_its_process(name):
    def app(environ, start_response):
        erlang.subscribe(name)
        raise KeyError

    with pytest.raises(KeyError):
        served(middleware.wsgi(app))
    assert pubsub.subscribers(name) == 0


def test_a_server_still_sees_what_it_sends_in_its_own_way():
    class Wrapper:
        def __iter__(self):
            return iter(())

    for chunks in ([b"x"], (b"x",), Wrapper()):
        app = middleware.wsgi(lambda environ, start_response: chunks)
        assert app({"wsgi.file_wrapper": Wrapper}, None) is chunks


def test_threads_that_a_framework_runs_belong_to_the_request(name):
    def app(environ, start_response):
        context = contextvars.copy_context()
        pool.submit(context.run, erlang.subscribe, name).result()
        erlang.publish(name, "here")
        return [take().encode()]

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        app = middleware.wsgi(app)
        assert served(app) == served(app) == [b"here"]
        assert pubsub.subscribers(name) == 0
        assert pool.submit(len, _owner.mailbox()).result() == 0


# -- ASGI ---------------------------------------------------------------------


async def no_event():
    raise NotImplementedError


async def ignored(event):
    pass


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_each_request_of_a_task_that_serves_several_is_a_process(name, kind):
    async def app(scope, receive, send):
        erlang.publish(name, "for the one before")
        assert await aio.receive_pubsub(0) is None
        await asyncio.to_thread(erlang.subscribe, name)
        erlang.publish(name, "mine")
        assert await aio.receive_pubsub(LONG) == "mine"
        pids.append(hornbeam.self())

    async def main():
        for _ in range(2):
            await middleware.asgi(app)({"type": kind}, no_event, ignored)
            assert pubsub.subscribers(name) == 0
        pids.append(hornbeam.self())

    pids = []
    asyncio.run(main())
    assert len(set(pids)) == 3


def test_a_task_that_a_framework_runs_the_rest_in_reads_the_request(name):
    """As Starlette's BaseHTTPMiddleware."""

    async def endpoint():
        await asyncio.to_thread(erlang.subscribe, name)
        erlang.publish(name, 1)
        return await aio.receive_pubsub(0)

    async def app(scope, receive, send):
        await send(await asyncio.create_task(endpoint()))

    async def send(event):
        sent.append(event)

    sent = []
    asyncio.run(middleware.asgi(app)({"type": "http"}, no_event, send))
    assert sent == [1]
    assert pubsub.subscribers(name) == 0


def test_the_start_up_of_an_application_is_no_request(name):
    async def app(scope, receive, send):
        erlang.subscribe(name)

    async def main():
        await middleware.asgi(app)({"type": "lifespan"}, no_event, ignored)
        return pubsub.subscribers(name)

    assert asyncio.run(main()) == 1


def test_a_request_that_is_cancelled_ends_its_process(name):
    async def app(scope, receive, send):
        erlang.subscribe(name)
        begun.set()
        await aio.receive_pubsub()

    async def main():
        nonlocal begun
        begun = asyncio.Event()
        app_ = middleware.asgi(app)
        task = asyncio.create_task(app_({"type": "http"}, no_event, ignored))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return pubsub.subscribers(name)

    begun = None
    assert asyncio.run(main()) == 0


# -- with subscribe -----------------------------------------------------------


def test_a_subscription_ends_with_its_block_and_nothing_of_it_is_left(name):
    with pubsub.subscribe(name) as sub:
        erlang.publish(name, 1)
        erlang.publish(name, None)
        erlang.publish(name, "not received")
        assert sub.topic == name
        assert sub.receive(0) == 1
        assert sub.receive(0, "nothing") is None
    assert pubsub.subscribers(name) == 0
    assert take() is None


def test_a_subscription_receives_its_topic_alone(name):
    with pubsub.subscribe(name + " a") as a, pubsub.subscribe(name + " b") as b:
        erlang.publish(a.topic, "a")
        erlang.publish(b.topic, "b")
        assert b.receive(0) == "b"
        assert b.receive(0, "nothing") == "nothing"
        assert a.receive(0) == "a"


def test_a_subscription_that_was_there_before_is_kept(name):
    erlang.subscribe(name)
    with pubsub.subscribe(name):
        erlang.publish(name, 1)
    assert take() == 1
    assert pubsub.subscribers(name) == 1
    erlang.unsubscribe(name)


def test_a_for_loop_takes_the_messages_of_a_subscription(name):
    with pubsub.subscribe(name) as sub:
        for i in range(3):
            erlang.publish(name, i)
        assert [x for _, x in zip(range(3), sub)] == [0, 1, 2]
        with hornbeam.deadline(5), pytest.raises(hornbeam.HornbeamTimeout):
            next(sub)


def test_an_async_for_loop_takes_them_without_blocking_its_loop(name):
    async def listen(sub):
        got = []
        async for message in sub:
            if message == "end":
                return got
            got.append(message)

    async def main():
        with pubsub.subscribe(name) as sub, pubsub.subscribe(name + " 2"):
            # What others send waits, and keeps nobody busy.
            erlang.publish(name + " 2", "for somebody else")
            task = asyncio.create_task(listen(sub))
            await asyncio.sleep(0)
            for x in (1, 2, "end"):
                erlang.publish(name, x)
            got = await task
            assert await sub.arrival(0, "nothing") == "nothing"
            assert await aio.receive_pubsub(0) == "for somebody else"
        assert pubsub.subscribers(name) == 0
        return got

    assert asyncio.run(main()) == [1, 2]


def test_who_waits_for_one_topic_is_not_woken_by_another_that_waits(name):
    async def main():
        with pubsub.subscribe(name) as sub, pubsub.subscribe(name + " 2") as other:
            erlang.publish(other.topic, 1)
            looks = 0
            look = sub._look

            def counted():
                nonlocal looks
                looks += 1
                return look()

            sub._look = counted
            assert await sub.arrival(30, "nothing") == "nothing"
            return looks

    assert asyncio.run(main()) < 5


def test_a_subscription_of_a_thread_that_ends_in_another_is_taken_back(name):
    sub = pubsub.subscribe(name)

    def leave():
        with sub:
            pass

    thread = threading.Thread(target=leave)
    thread.start()
    thread.join()
    assert pubsub.subscribers(name) == 0
