"""The modules of the package stand on floors: each imports only those below it,
and at its top."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "pybridge/python/hornbeam"
FLOORS = [
    {"__main__", "_late", "_native", "_real", "_wrong_python"},
    {"_outcome", "errors"},
    {"values", "_log"},
    {"_context"},
    {"_engine"},
    {"_pool", "_ports"},
    {"_loop", "_settings"},
    {"_owner"},
    {"_spawned", "cluster", "pubsub", "tables"},
    {"_waits"},
    {"_remote"},
    {"process"},
    {"_aio_process", "_map", "gen_server", "groups", "registry"},
    {"_aio_gen_server", "state_holder", "supervisor"},
    {"_aio_state_holder", "_aio_supervisor", "debug"},
    {"_aio_debug", "middleware"},
    {"_calls"},
    {"_chunks", "_handlers"},
    {"functions", "hooks", "rpc"},
    {"tasks", "_node"},
    {"_python_side", "aio", "pytest_plugin"},
    {"__init__"},
]
MODULES = {x.stem: ast.parse(x.read_text()) for x in PACKAGE.glob("*.py")}
FLOOR_OF = {name: i for i, floor in enumerate(FLOORS) for name in floor}


def imported(tree):
    """The modules of the package that a module imports."""
    for x in ast.walk(tree):
        if isinstance(x, ast.Import):
            names = [name.name for name in x.names]
            yield from (n.partition(".")[2] for n in names if n.startswith("hornbeam."))
        elif isinstance(x, ast.ImportFrom):
            assert x.level == 0, "imports name the package"
            if x.module == "hornbeam":
                yield from (name.name for name in x.names)
            elif x.module.startswith("hornbeam."):
                yield x.module.partition(".")[2]


def test_every_module_has_a_floor():
    assert set(MODULES) | {"_native"} == set(FLOOR_OF)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_module_imports_only_what_is_below_it(name):
    above = {x for x in imported(MODULES[name]) if FLOOR_OF[x] >= FLOOR_OF[name]}
    assert above == set()


@pytest.mark.parametrize("name", sorted(MODULES))
def test_no_import_stands_inside_a_function(name):
    inside = [
        f"{f.name}, line {x.lineno}"
        for f in ast.walk(MODULES[name])
        if isinstance(f, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for x in ast.walk(f)
        if isinstance(x, (ast.Import, ast.ImportFrom))
    ]
    assert inside == []


@pytest.mark.parametrize("name", sorted(set(MODULES) - {"_late"}))
def test_modules_with_a_fixed_name_are_imported_late_by_the_helper_alone(name):
    by_hand = [
        x.lineno
        for x in ast.walk(MODULES[name])
        if isinstance(x, ast.Call)
        and ast.unparse(x.func) in ("__import__", "importlib.import_module")
        and isinstance(x.args[0], ast.Constant)
    ]
    assert by_hand == []
