"""What a type checker says of a program that uses the package."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = '''
from dataclasses import dataclass

import hornbeam
from hornbeam import aio, debug, tasks
from hornbeam.registry import Registry


@hornbeam.message
@dataclass
class Deposit:
    amount: int


@hornbeam.message(tag="x")
@dataclass
class Other:
    amount: int


async def text(x: int) -> str:
    return str(x)


class Shop(aio.gen_server.GenServer):
    pass


async def main() -> None:
    reveal_type(await aio.map(text, [1]))  # list[str]
    reveal_type(await aio.map(str, [1]))  # list[str]
    await aio.debug.suspend("x")
    aio.debug.top()
    await aio.state_holder.update("x", lambda x: x)
    aio.state_holder.cast("x", len)
    await aio.gen_server.start(Shop)
    tree = aio.supervisor.Supervisor([aio.supervisor.ChildSpec("x", Shop)])
    async with aio.supervisor.running(tree) as pid:
        reveal_type(pid)  # Pid
    aio.process.send(await aio.process.receive(), 1)


reveal_type(Deposit(1).amount)  # int
reveal_type(Other(1).amount)  # int
reveal_type(tasks.map(text, [1]))  # list[str]
reveal_type(tasks.map(str, [1]))  # list[str]
reveal_type(debug.top("links", 1)[0].messages)  # int
reveal_type(Registry().whereis("a"))  # Pid, None
'''


@pytest.mark.long
def test_a_program_is_checked_strictly(tmp_path):
    api = pytest.importorskip("mypy.api")
    (tmp_path / "program.py").write_text(PROGRAM)
    config = ["--config-file", str(ROOT / "setup.cfg"), "--strict"]
    cache = ["--cache-dir", str(tmp_path / "cache"), "--python-executable"]
    said, problems, code = api.run(
        [*config, *cache, sys.executable, str(tmp_path / "program.py")]
    )
    assert (code, problems) == (0, ""), said
    revealed = re.findall(r"program.py:(\d+): note: Revealed type is \"(.*)\"", said)
    lines = PROGRAM.splitlines()
    wanted = [x for x in lines if "reveal_type" in x]
    assert len(revealed) == len(wanted)
    for number, found in revealed:
        for word in re.findall(r"\w+", lines[int(number) - 1].partition("# ")[2]):
            assert re.search(rf"\b{word}\b", found), (lines[int(number) - 1], found)
