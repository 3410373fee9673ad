"""gdb shows our values as the code itself prints them."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from launched import PATIENCE

pytestmark = pytest.mark.plain

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("HORNBEAM_BIN") or ROOT / "build/release/launcher/x")
VALUES = BINARY.parents[1] / "tests/gdb/values"
FUNCTIONS = ("show_term", "show_pid", "show_failure", "show_outcome")


def in_gdb(folder, *commands):
    """What gdb prints when the program stops at each value and goes on."""
    script = folder / "script.gdb"
    at_each = [
        f"break {x}\ncommands\nsilent\n{{}}\ncontinue\nend".format("\n".join(commands))
        for x in FUNCTIONS
    ]
    script.write_text("\n".join(["set width 0", *at_each, "run"]))
    done = subprocess.run(
        ["gdb", "-nx", "-batch", "-x", ROOT / "tools/gdb/hornbeam_gdb.py"]
        + ["-x", script, VALUES],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=3 * PATIENCE,
    )
    if "ptrace" in done.stderr or "personality" in done.stderr:
        pytest.skip("this machine lets nobody trace a process")
    return done.stdout + done.stderr


@pytest.fixture(scope="module", autouse=True)
def _gdb():
    if shutil.which("gdb") is None:
        pytest.skip("there is no gdb")


def test_gdb_shows_a_value_of_each_kind_as_the_code_prints_it(tmp_path):
    expected = subprocess.run([VALUES], capture_output=True, text=True, check=True)
    shown = re.findall(r"^\$\d+ = (.*)$", in_gdb(tmp_path, "print *x"), re.M)
    assert shown == expected.stdout.splitlines()
    assert len(shown) > 30


def test_gdb_cuts_what_is_long(tmp_path):
    out = in_gdb(tmp_path, "set print elements 1", "print *x")
    shown = re.findall(r"^\$\d+ = (.*)$", out, re.M)
    assert "[1, ...]" in shown
    assert '"1"...' in shown  # of a text
