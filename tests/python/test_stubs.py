"""The stubs of the native module and the module itself are held equal."""

import ast
import inspect
import re
from pathlib import Path

import pytest

from hornbeam import _native

STUBS = Path(__file__).resolve().parents[2] / "pybridge/python/hornbeam/_native.pyi"
SPECIAL = {"__contains__", "__init__", "__len__"}


class Stub:
    """One function: its parameters' names, how many have a default, and those
    that can be given by name."""

    def __init__(self, node):
        arguments = node.args
        self.by_name_only = {x.arg for x in arguments.kwonlyargs}
        in_order = arguments.posonlyargs + arguments.args
        in_order += [arguments.vararg] if arguments.vararg else []
        in_order += arguments.kwonlyargs
        in_order += [arguments.kwarg] if arguments.kwarg else []
        self.names = [x.arg for x in in_order]
        self.by_name = {x.arg for x in arguments.args}
        self.defaults = len(arguments.defaults + arguments.kw_defaults)
        self.property = any(
            isinstance(x, ast.Name) and x.id == "property" for x in node.decorator_list
        )


class Attribute:
    """One that is written down as `name: type`."""

    property = True


def stubs_of(body):
    functions = {x.name: Stub(x) for x in body if isinstance(x, ast.FunctionDef)}
    attributes = [x.target.id for x in body if isinstance(x, ast.AnnAssign)]
    return functions | {name: Attribute() for name in attributes}


TREE = ast.parse(STUBS.read_text())
FUNCTIONS = {k: x for k, x in stubs_of(TREE.body).items() if isinstance(x, Stub)}
CLASSES = {x.name: stubs_of(x.body) for x in TREE.body if isinstance(x, ast.ClassDef)}
METHODS = [
    (cls, name)
    for cls, members in CLASSES.items()
    for name, stub in members.items()
    if not stub.property
]


def public(x):
    return {name for name in vars(x) if not name.startswith("_") or name in SPECIAL}


def is_fast(x):
    """Functions of pybridge/calls/fast_call.hpp have a signature that Python reads."""
    return getattr(x, "__text_signature__", None) is not None


def is_native(x):
    return inspect.isroutine(x) and (
        is_fast(x) or (x.__doc__ or "").startswith(x.__name__ + "(")
    )


def check_signature(stub, function):
    if is_fast(function):
        parameters = list(inspect.signature(function).parameters.values())
        assert [x.name for x in parameters] == stub.names
        empty = inspect.Parameter.empty
        assert sum(x.default is not empty for x in parameters) == stub.defaults
        by_name = {x.name for x in parameters if x.kind == x.KEYWORD_ONLY}
        assert by_name == stub.by_name_only
        assert function.__doc__[0].isupper()
    else:
        check_docstring(stub, function)


def check_docstring(stub, function):
    """pybind11 writes the signature into the docstring: `f(arg0: str, key:
    object, default: object = None) -> object`, where argN has no name."""
    listed = re.match(r"\w+\((.*)\) -> ", function.__doc__)[1]
    parameters = [x for x in listed.split(", ") if x]
    assert len(parameters) == len(stub.names)
    assert sum(" = " in x for x in parameters) == stub.defaults
    names = [x.split(":")[0] for x in parameters]
    named = {x for x in names if not re.fullmatch(r"arg\d+", x)}
    assert named - {"self"} == stub.by_name - {"self"}


def test_the_stubs_name_all_that_the_module_has():
    real = {name for name in vars(_native) if not name.startswith("_")}
    assert set(FUNCTIONS) | set(CLASSES) == real


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_takes_what_its_stub_says(name):
    function = getattr(_native, name)
    assert is_native(function)
    check_signature(FUNCTIONS[name], function)


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_has_the_members_of_its_stub(name):
    real = getattr(_native, name)
    assert inspect.isclass(real)
    made_in_python = "__init__" in CLASSES[name]
    assert set(CLASSES[name]) - {"__init__"} == public(real) - {"__init__"}
    assert ("__init__" in public(real) or is_fast(real)) or not made_in_python
    for member, stub in CLASSES[name].items():
        if member == "__init__" and is_fast(real):
            continue
        assert stub.property == inspect.isdatadescriptor(vars(real)[member])


@pytest.mark.parametrize("cls, name", METHODS)
def test_a_method_takes_what_its_stub_says(cls, name):
    made = getattr(_native, cls)
    if name == "__init__" and is_fast(made):  # how it is made stands at the class
        CLASSES[cls][name].names.remove("self")
        check_signature(CLASSES[cls][name], made)
    else:
        check_signature(CLASSES[cls][name], getattr(made, name))


@pytest.mark.parametrize("name", CLASSES)
def test_only_classes_with_a_constructor_in_the_stubs_can_be_made(name):
    real = getattr(_native, name)
    made = CLASSES[name].get("__init__")
    if made and made.names == ["self"]:
        assert isinstance(real(), real)
    elif not made:
        with pytest.raises(TypeError, match="No constructor defined"):
            real()
