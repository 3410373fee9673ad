"""Dataclasses as messages."""

import importlib
import sys
from dataclasses import FrozenInstanceError, InitVar, dataclass, field
from typing import Any, ClassVar

import pytest

import hornbeam
from hornbeam import Opaque, gen_server, process
from hornbeam_erlang import rpc_call, state_get, state_set

SOON = 20_000  # ms


@pytest.fixture(autouse=True)
def apart():
    with process.scope() as pid:
        yield pid


@hornbeam.message
@dataclass
class Deposit:
    amount: int
    note: str = "none"
    kind: ClassVar[str] = "shared"


@hornbeam.message
@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    inside: Any
    more: list = field(default_factory=list)


@hornbeam.message
@dataclass
class Later:
    first: int
    double: int = field(init=False)

    def __post_init__(self):
        if self.first < 0:
            raise ValueError("it is negative")
        self.double = 2 * self.first


@hornbeam.message(tag="tests.Known there")
@dataclass
class Known:
    amount: int
    note: str = "default here"


def there_and_back(x):
    process.send(process.self(), x)
    return process.receive(SOON)


def test_an_instance_arrives_as_one():
    x = Deposit(5, "salary")
    found = there_and_back(x)
    assert found == x and found is not x and type(found) is Deposit


def test_match_reads_it(apart):
    def account(to):
        match process.receive():
            case Deposit(amount, note="salary"):
                process.send(to, amount)

    pid = process.spawn(account, apart)
    process.send(pid, Deposit(5, "salary"))
    assert process.receive(SOON) == 5


def test_receive_takes_the_first_of_its_class(apart):
    for x in (1, ("x", Deposit(1)), Known(2), Deposit(3)):
        process.send(apart, x)
    assert process.receive(SOON, match=Deposit) == Deposit(3)
    assert process.receive(SOON, match=("x", Deposit)) == ("x", Deposit(1))
    assert process.receive(SOON, match=Known(2)) == Known(2)


def test_messages_hold_others():
    x = Frozen(inside={"a": [Deposit(1), (Frozen(inside=None),)]}, more=[Later(3)])
    found = there_and_back(x)
    assert found == x
    with pytest.raises(FrozenInstanceError):
        found.more = 1


def test_a_field_that_the_class_makes_itself_is_sent_as_it_is():
    x = Later(3)
    assert there_and_back(x) == x
    x.double = 7
    assert there_and_back(x).double == 7


def test_a_class_may_refuse_what_arrives():
    x = Later(3)
    x.first = -3
    found = there_and_back(x)
    assert type(found) is Opaque and found.value == {"first": -3, "double": 6}


def test_it_is_a_request_of_a_server_and_a_value_of_a_table():
    class Account(gen_server.GenServer):
        def handle_call(self, request, caller):
            match request:
                case Deposit(amount):
                    return Deposit(amount + 1)

    pid = Account.start()
    assert gen_server.call(pid, Deposit(1)) == Deposit(2)
    state_set("a message", [Deposit(4)])
    assert state_get("a message") == [Deposit(4)]
    gen_server.stop(pid)


def test_other_nodes_that_have_registered_the_class_get_instances(worker):
    shown = rpc_call(worker, "services", "describe", [Known(3)])
    assert shown == "services.Known Known(amount=3, note='default here')"
    assert rpc_call(worker, "services", "echo", [Known(3)]) == Known(3)


def test_others_get_what_they_can_send_on(worker):
    shown = rpc_call(worker, "services", "describe", [Deposit(3)])
    assert shown == (
        "hornbeam.values.Opaque Opaque(tag='test_messages.Deposit', "
        "value={'amount': 3, 'note': 'none'})"
    )
    assert rpc_call(worker, "services", "echo", [[Deposit(3)]]) == [Deposit(3)]


def test_a_missing_field_has_its_default_and_an_unknown_one_makes_it_opaque():
    tag = f"{__name__}.Deposit"
    assert there_and_back(Opaque(tag, {"amount": 1})) == Deposit(1, "none")
    for value in ({"note": "x"}, {"amount": 1, "new": 2}, [1], None, {1: 2}):
        assert there_and_back(Opaque(tag, value)) == Opaque(tag, value)


def test_after_a_reload_it_is_the_new_class(tmp_path, monkeypatch):
    text = """
import hornbeam
from dataclasses import dataclass

@hornbeam.message
@dataclass
class Reloaded:
    a: int
"""
    (tmp_path / "reloaded.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("reloaded")
    old = module.Reloaded(1)
    state_set("reloaded", old)
    (tmp_path / "reloaded.py").write_text(text + '    b: str = "new"\n')
    importlib.invalidate_caches()
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    try:
        importlib.reload(module)
    finally:
        sys.dont_write_bytecode = before
    assert type(old) is not module.Reloaded
    for found in (there_and_back(old), state_get("reloaded")):
        assert type(found) is module.Reloaded and found == module.Reloaded(1, "new")


def test_subclasses_are_registered_by_themselves():
    class Plain(Deposit):
        pass

    with pytest.raises(TypeError, match="Plain can't be stored or sent"):
        there_and_back(Plain(1))
    with pytest.raises(TypeError, match="'.*Plain' is no dataclass"):
        hornbeam.message(Plain)

    @hornbeam.message
    @dataclass
    class Own(Deposit):
        more: int = 0

    found = there_and_back(Own(1, more=2))
    assert type(found) is Own and found.more == 2
    assert type(there_and_back(Deposit(1))) is Deposit


def test_what_can_be_no_message_is_told():
    class Plain:
        pass

    @dataclass
    class Given:
        a: int
        b: InitVar[int]

    for x in (Plain, 5, Deposit(1)):
        with pytest.raises(TypeError, match="write @hornbeam.message above @dataclass"):
            hornbeam.message(x)
    with pytest.raises(TypeError, match="'b' of '.*Given' is an InitVar"):
        hornbeam.message(Given)
    with pytest.raises(ValueError, match="is built in"):
        hornbeam.message(tag="datetime")(Deposit)
    with pytest.raises(TypeError, match="a str that is not empty"):
        hornbeam.message(tag="")(Deposit)


def test_a_field_that_can_not_be_sent_is_told_by_its_place():
    with pytest.raises(TypeError, match=r"\['amount'\].*type object can't be stored"):
        process.send(process.self(), Deposit(object()))


def test_importing_hornbeam_does_not_import_dataclasses(fresh_python):
    code = "import sys, hornbeam; print('dataclasses' in sys.modules)"
    assert fresh_python(code) == "False\n"
