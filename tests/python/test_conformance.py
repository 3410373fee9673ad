"""The scenarios of tests/conformance, run by processes of Python: each must leave the
trace that Erlang/OTP has left."""

import re

import pytest
from conftest import HERE, start_node
from interpreter import world
from interpreter.machine import SCENARIOS, text_of

TRACES = SCENARIOS.parent / "traces"

#: What Python has no call for, or says in another way.
SKIPPED: dict[str, str] = {
    **dict.fromkeys(
        (
            "a_failing_init_ends_a_linked_parent",
            "an_init_that_ignores_is_ignore",
            "an_init_that_stops_is_an_error_of_start",
        ),
        "a start that is refused raises, and sends no exit signal besides",
    ),
    **dict.fromkeys(
        ("monitor_node_can_be_taken_back", "monitor_node_gives_nodedown"),
        "there is process.monitor_nodes, for all nodes",
    ),
    **dict.fromkeys(
        (
            "get_childspec_fills_in_the_defaults",
            "which_children_shows_the_last_child_first",
        ),
        "a child has no modules",
    ),
    "a_child_has_its_shutdown_time_to_end": (
        "self() of a start function is not the supervisor"
    ),
    "a_child_without_a_start_function_is_refused": "ChildSpec refuses it itself",
    "a_message_to_a_reference_is_silent": "it is a TypeError",
    "a_start_may_give_more_than_the_pid": "a start function returns the pid alone",
    "process_info_shows_the_message_queue": "process_info has no messages",
}

WAITS_FOR_TIME = r"after [1-9]\d+ ->"
NAMES = sorted(x.stem for x in SCENARIOS.glob("*.erl"))


@pytest.fixture(scope="module")
def nodes():
    modules = ("interpreter.spawner",)
    world.current = world.World(lambda name: start_node(name, HERE, modules))
    yield world.current
    world.current.close()


@pytest.mark.parametrize("way", ["coroutines", "threads"])
@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_leaves_the_trace_of_erlang(nodes, name, way):
    if name in SKIPPED:
        pytest.skip(SKIPPED[name])
    expected = (TRACES / f"{name}.trace").read_text().splitlines()[1:]
    # What is late on a busy computer is so once or twice, what is wrong always.
    tries = 3 if re.search(WAITS_FOR_TIME, text_of(name)) else 1
    while (found := nodes.run(name, way)) != expected and tries > 1:
        tries -= 1
    assert found == expected
