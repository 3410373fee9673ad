"""Topics: publish, subscribe, receive."""

import threading

import pytest

import hornbeam
import hornbeam_erlang as erlang
from hornbeam import pubsub


def test_a_message_reaches_its_subscriber(name):
    erlang.subscribe(name)
    assert erlang.publish(name, {"n": 1}) == 1
    assert erlang.receive_pubsub() == {"n": 1}
    erlang.unsubscribe(name)
    assert erlang.publish(name, "gone") == 0


def test_to_subscribe_twice_is_to_subscribe_once(name):
    erlang.subscribe(name)
    erlang.subscribe(name)
    assert erlang.publish(name, 1) == 1
    assert erlang.receive_pubsub(0) == 1
    assert erlang.receive_pubsub(0) is None
    erlang.unsubscribe(name)
    assert erlang.publish(name, 2) == 0


def test_to_unsubscribe_without_a_subscription_does_nothing(name):
    assert erlang.unsubscribe(name) is None


def test_nobody_hears_what_was_published_before(name):
    assert erlang.publish(name, "early") == 0
    erlang.subscribe(name)
    assert erlang.receive_pubsub(0) is None
    erlang.unsubscribe(name)


def test_messages_keep_their_order(name):
    erlang.subscribe(name)
    for i in range(500):
        erlang.publish(name, i)
    assert [erlang.receive_pubsub(0) for _ in range(500)] == list(range(500))
    erlang.unsubscribe(name)


def test_every_subscriber_gets_a_copy_of_its_own(name):
    ready, got = threading.Barrier(4), []

    def listen():
        erlang.subscribe(name)
        ready.wait()
        message = erlang.receive_pubsub(10000)
        message.append("mine")
        got.append(message)

    threads = [threading.Thread(target=listen) for _ in range(3)]
    for t in threads:
        t.start()
    ready.wait()
    assert erlang.publish(name, ["shared"]) == 3
    for t in threads:
        t.join()
    assert got == [["shared", "mine"]] * 3


def test_a_message_may_be_none_and_receive_tells_it_from_no_message(name):
    erlang.subscribe(name)
    erlang.publish(name, None)
    assert pubsub.receive(0) == (name, None)
    assert pubsub.receive(0) is None
    erlang.unsubscribe(name)


def test_receive_can_wait_for_one_topic(name):
    a, b = name + " a", name + " b"
    erlang.subscribe(a)
    erlang.subscribe(b)
    erlang.publish(a, 1)
    erlang.publish(b, 2)
    assert pubsub.receive(0, topic=b) == (b, 2)
    assert pubsub.receive(0, topic=b) is None
    assert pubsub.receive(0) == (a, 1)
    erlang.unsubscribe(a)
    erlang.unsubscribe(b)


@pytest.mark.parametrize("timeout", [0, -1, 0.5, 5])
def test_receive_pubsub_returns_none_after_its_timeout_in_ms(timeout):
    assert erlang.receive_pubsub(timeout) is None
    assert erlang.receive_pubsub(timeout=timeout) is None
    assert erlang.receive_pubsub(timeout_ms=timeout) is None


def test_receive_pubsub_without_a_timeout_ends_with_the_deadline():
    with hornbeam.deadline(10):
        assert erlang.receive_pubsub() is None


def test_a_receiver_that_waits_is_woken(name):
    waiting, got = threading.Event(), []

    def listen():
        erlang.subscribe(name)
        waiting.set()
        got.append(erlang.receive_pubsub())

    thread = threading.Thread(target=listen)
    thread.start()
    waiting.wait()
    erlang.publish(name, "wake up")
    thread.join(10)
    assert got == ["wake up"]


@pytest.mark.parametrize("topic", ["", "a.b/c *", "ü\U0001f600", "\ud800", "x" * 10000])
def test_any_text_is_a_topic(topic):
    erlang.subscribe(topic)
    assert topic in pubsub.topics()
    assert erlang.publish(topic, 1) == 1
    assert pubsub.receive(0) == (topic, 1)
    erlang.unsubscribe(topic)


def test_topics_are_exact(name):
    erlang.subscribe(name)
    assert erlang.publish(name + " ", 1) == 0
    assert erlang.publish(name.upper(), 1) == 0
    erlang.unsubscribe(name)


def test_publish_counts_the_subscribers_of_the_whole_cluster(worker, name, eventually):
    erlang.subscribe(name)
    erlang.rpc_call(worker, "services", "subscribe", [name])
    eventually(lambda: pubsub.subscribers(name) == 2)
    assert erlang.publish(name, "all") == 2
    assert erlang.receive_pubsub(0) == "all"
    eventually(lambda: erlang.rpc_call(worker, "services", "heard", [name]) == ["all"])
    erlang.rpc_call(worker, "services", "unsubscribe", [name])
    eventually(lambda: pubsub.subscribers(name) == 1)
    assert erlang.publish(name, "me") == 1
    assert erlang.receive_pubsub(0) == "me"
    erlang.unsubscribe(name)


def test_the_other_node_counts_and_reaches_subscribers_here(worker, name, eventually):
    erlang.subscribe(name)
    there = (worker, "services", "publish")
    eventually(lambda: erlang.rpc_call(*there, [name, "hello"]) == 1)
    assert erlang.receive_pubsub(10000) == "hello"
    erlang.unsubscribe(name)
    eventually(lambda: erlang.rpc_call(*there, [name, "nobody"]) == 0)


def test_messages_to_another_node_keep_their_order(worker, name, eventually):
    erlang.rpc_call(worker, "services", "subscribe", [name])
    eventually(lambda: pubsub.subscribers(name) == 1)
    for i in range(300):
        assert erlang.publish(name, i) == 1

    def heard():
        return erlang.rpc_call(worker, "services", "heard", [name])

    eventually(lambda: len(heard()) == 300)
    assert heard() == list(range(300))
    erlang.rpc_call(worker, "services", "unsubscribe", [name])


def test_subscribers_of_a_node_that_ends_are_no_longer_counted(
    other_nodes, name, eventually
):
    node = other_nodes("leaver@127.0.0.1")
    erlang.rpc_call("leaver@127.0.0.1", "services", "subscribe", [name])
    eventually(lambda: pubsub.subscribers(name) == 1)
    node.process.kill()
    eventually(lambda: pubsub.subscribers(name) == 0)
    assert erlang.publish(name, 1) == 0


def test_what_is_published_before_a_process_ends_arrives(
    worker, name, eventually, fresh_python
):
    """Casts and publishes under way are flushed for up to 500 ms."""
    from conftest import CLUSTER, SECRET

    erlang.rpc_call(worker, "services", "subscribe", [name])
    fresh_python(
        f"""
        import hornbeam, hornbeam_erlang as erlang
        hornbeam.configure(cluster={CLUSTER!r}, secret={str(SECRET)!r})
        hornbeam.cluster.connect({worker!r})
        erlang.rpc_call({worker!r}, "services", "add", [])
        while not (
            hornbeam.pubsub.subscribers({name!r})
            and "there note" in hornbeam.functions.names()
        ):
            erlang.rpc_call({worker!r}, "services", "add", [])
        for i in range(50):
            assert erlang.publish({name!r}, i) == 1
        erlang.cast("there note", {name!r}, "cast")
        """
    )
    eventually(
        lambda: len(erlang.rpc_call(worker, "services", "heard", [name])) == 50
        and erlang.rpc_call(worker, "services", "state_get", [name]) == "cast"
    )
    erlang.rpc_call(worker, "services", "unsubscribe", [name])
