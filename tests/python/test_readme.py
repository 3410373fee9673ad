"""What README.md and docs/ show is run, and prints what they say.

A block of `sh` or `python` is run; a block of `text` behind it is what it must
print, where `...` stands for anything and spaces may differ. A first line
`# NAME` makes a block a file instead of running it.
"""

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from launched import PATIENCE, Launched

pytestmark = pytest.mark.plain

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
BINARY = Path(os.environ.get("HORNBEAM_BIN") or ROOT / "build/release/launcher/x")
BUILD = BINARY.parents[1]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
NOT_RUN = {"./dev test"}  # this very test is part of it
SLOW = {"./dev run"}


class Block:
    def __init__(self, language, text):
        self.language = language
        self.text = text
        self.expected = ""
        named = re.match(r"# (\S+\.\w+)\n", text)
        self.file = named[1] if named else None

    def __repr__(self):
        return self.text.splitlines()[0]


def blocks_of(path):
    found = []
    for language, text in BLOCK.findall(path.read_text()):
        if language == "text":
            found[-1].expected = text
        else:
            found.append(Block(language, text))
    return found


def pattern(expected):
    """Lines as they are, but for `...` and the number of spaces."""
    lines = []
    for line in expected.splitlines():
        if line == "...":
            lines.append(r"(?:.*\n)*")
        else:
            words = re.escape(re.sub(r" +", " ", line.strip()))
            lines.append(words.replace(r"\.\.\.", ".*?") + r"\n")
    return "".join(lines)


def fits(block, printed):
    tidy = "".join(re.sub(r" +", " ", x.strip()) + "\n" for x in printed.splitlines())
    return re.fullmatch(pattern(block.expected), tidy)


def check(block, printed):
    wanted = block.expected
    assert fits(block, printed), f"expected:\n{wanted}\nprinted:\n{printed}"


class Place:
    """A folder where the README's commands work as in the repository and in
    `./dev shell`, apart from all other nodes."""

    def __init__(self, folder):
        self.folder = folder
        for name in ("dev", "config", "samples"):
            (folder / name).symlink_to(ROOT / name)
        for name in ("build", "run"):
            (folder / name).mkdir()
        (folder / "build/release").symlink_to(BUILD)
        self.env = {
            **os.environ,
            "HORNBEAM_BUILT": "1",
            "HORNBEAM_SECRET": str(folder / "secret.pem"),
            "PATH": f"{BUILD}/launcher:/usr/bin:{os.environ['PATH']}",
            "PYTHONPATH": f"{BUILD}/python",
            "RUNTIME_DIRECTORY": str(folder / "run"),
        }
        self.env.pop("HORNBEAM_CLUSTER", None)

    def run(self, *command):
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=3 * PATIENCE,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def serve(self, block):
        """Starts what serves until it is ended; waits for what it prints."""
        server = Launched(*block.text.split()[1:], env=self.env, cwd=self.folder)
        try:
            for line in block.expected.splitlines():
                words = pattern(line).removesuffix(r"\n").replace(r"\ ", " +")
                server.line(f"^{words}")
        except BaseException:
            server.__exit__()
            raise
        return server

    def run_all(self, blocks, eventually):
        with contextlib.ExitStack() as servers:
            for block in blocks:
                command = block.text.strip()
                if block.file:
                    (self.folder / block.file).write_text(block.text)
                elif block.language == "python":
                    check(block, self.run(sys.executable, "-c", block.text))
                elif block.language == "sh" and command.startswith("hornbeam up"):
                    servers.enter_context(self.serve(block))
                elif block.language == "sh" and command.startswith("hornbeam status"):
                    # Nodes meet each other a moment after they serve.
                    eventually(lambda: fits(block, self.run("sh", "-ec", block.text)))
                elif block.language == "sh" and command not in NOT_RUN | SLOW:
                    check(block, self.run("sh", "-ec", block.text))


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_the_readme_does_what_it_says(place, eventually):
    place.run_all(blocks_of(README), eventually)


@pytest.mark.parametrize(
    "block", [x for x in blocks_of(README) if repr(x) in SLOW], ids=repr
)
def test_a_slow_command_of_the_readme_does_what_it_says(block, place):
    check(block, place.run("sh", "-ec", block.text))


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/*.md")), ids=lambda x: x.name)
def test_examples_in_docs_print_what_they_say(page, place, eventually):
    place.run_all(blocks_of(page), eventually)


def test_the_readme_shows_the_sample_as_it_is():
    shown = [x.text for x in blocks_of(README) if x.language == "cpp"]
    assert shown == [(ROOT / "samples/embed/main.cpp").read_text()]


def test_the_readme_names_every_function():
    import hornbeam
    import hornbeam_dist
    import hornbeam_erlang
    import hornbeam_ml

    text = README.read_text()
    for module in (hornbeam_erlang, hornbeam_ml, hornbeam_dist, hornbeam):
        for name in module.__all__:
            assert re.search(rf"`{name}\b|[ `]{name}`", text), (module, name)


@pytest.mark.parametrize(
    "page", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]), ids=lambda x: x.name
)
def test_links_lead_somewhere(page):
    prose = BLOCK.sub("", page.read_text())
    for target in re.findall(r"\]\(([^)#:]+)\)", prose):
        assert (page.parent / target).exists(), target
