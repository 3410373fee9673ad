"""`./dev test --long` runs every test that exists, and `./dev test` all but those
marked long."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from launched import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
BINARY = Path(os.environ.get("HORNBEAM_BIN") or ROOT / "build/release/launcher/x")
BUILD = BINARY.parents[1]
EVERY_CASE = "*,[.]"  # of Catch: those that are not hidden, and those that are

# Programs in tests/ that are no suites.
NO_SUITE = {
    "hornbeam_gdb_values": "what gdb shows",
    "hornbeam_fuzz_corpus": "made for the fuzzers",
}

# Suites of their own kind: ctest has the runs that are asked for.
NO_CASES = {"hornbeam_simulate": "seeds"}


def output_of(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    return done.stdout


def cases_of(program, which):
    """Catch's exit code is the number of cases."""
    return sorted(output_of(program, "--list-test-names-only", which).splitlines())


@pytest.fixture(scope="module")
def registered():
    """{program: [(case, whether it is long)]} as ctest has them."""
    listed = output_of("ctest", "--test-dir", BUILD, "--show-only=json-v1")
    found = {}
    for test in json.loads(listed)["tests"]:
        assert "_NOT_BUILT" not in test["name"], "build all targets first"
        labels = [
            label
            for p in test["properties"]
            if p["name"] == "LABELS"
            for label in p["value"]
        ]
        found.setdefault(test["command"][0], []).append(
            (test["name"], any("long" in x for x in labels))
        )
    return found


def test_each_case_of_each_program_is_a_test_of_ctest(registered):
    for program, tests in registered.items():
        if Path(program).name not in NO_CASES:
            assert sorted(name for name, _ in tests) == cases_of(program, EVERY_CASE)


def test_only_cases_marked_long_are_left_to_long(registered):
    for program, tests in registered.items():
        if Path(program).name not in NO_CASES:
            long = sorted(x for x, is_long in tests if is_long)
            assert long == cases_of(program, "[long]")


def test_each_program_in_tests_is_a_suite_of_ctest(registered):
    made = {
        name
        for file in TESTS.glob("*/CMakeLists.txt")
        for name in re.findall(r"add_executable\((\w+)\s", file.read_text())
    }
    assert made - set(NO_SUITE) == {Path(x).name for x in registered}


def test_each_file_of_python_tests_lies_where_dev_looks():
    looks = re.search(r'^python_tests="(.*)"$', (ROOT / "dev").read_text(), re.M)
    files = {str(x.parent.relative_to(ROOT)) for x in TESTS.rglob("test_*.py")}
    assert sorted(files) == sorted(looks[1].split())
