"""Every term of the glossary, and every path that docs/internals names, exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GLOSSARY = ROOT / "docs/glossary.md"
# `names` | the field's word | what it is | `file`
ROW = re.compile(r"^\| (`[^|]*) \|[^|]*\|[^|]*\| `([^`|]+)` \|$", re.M)
TOP = "runtime|actors|config|pybridge|launcher|tests|docs|tools"
PATHS = re.compile(rf"`((?:{TOP})/[\w./]*)`")
BLOCK = re.compile(r"^```.*?^```$", re.M | re.S)
PAGES = [GLOSSARY, *(ROOT / "docs/internals").rglob("*.md")]


def terms():
    for names, file in ROW.findall(GLOSSARY.read_text()):
        for name in re.findall(r"`(\w+)`", names):
            yield name, file


@pytest.mark.parametrize("name, file", terms(), ids=lambda x: x)
def test_each_term_lives_where_the_glossary_says(name, file):
    assert re.search(rf"\b{name}\b", (ROOT / file).read_text()), file


def test_the_words_of_fast_paths_are_those_of_the_code():
    section = GLOSSARY.read_text().split("## Which fast path is which")[1]
    code = "\n".join(
        x.read_text()
        for folder in ("runtime", "actors", "pybridge")
        for x in (ROOT / folder).rglob("*.hpp")
    )
    for line in section.splitlines():
        if line.startswith("| **"):
            for name in re.findall(r"`([\w:]+)`", line.split("|")[2]):
                assert re.search(rf"\b{name.split('::')[-1]}\b", code), name


@pytest.mark.parametrize("page", PAGES, ids=lambda x: x.name)
def test_each_file_that_is_named_exists(page):
    prose = BLOCK.sub("", page.read_text())
    for path in PATHS.findall(prose):
        assert (ROOT / path).exists(), path
    for link in re.findall(r"\]\(([^)#:]+)\)", prose):
        assert (page.parent / link).exists(), link


def test_what_sanitizers_leave_out_exists():
    text = (ROOT / "tests/tsan.supp").read_text()
    code = "\n".join(x.read_text() for x in (ROOT / "runtime").rglob("*.hpp"))
    for name, member in re.findall(r"hornbeam::runtime::(\w+)::(\w*)", text):
        assert re.search(rf"\b(class|struct) {name}\b", code), name
        assert re.search(rf"\b{member}\(", code), member


def test_the_page_on_locks_has_each_rank_in_its_order():
    header = (ROOT / "runtime/base/ranked_mutex.hpp").read_text()
    body = header.split("enum class lock_rank")[1]
    ranks = re.findall(r"^  (\w+), +///<", body, re.M)
    page = (ROOT / "docs/internals/threads.md").read_text()
    table = page.split("| rank | lock |")[1].split("\n\n")[0]
    told = re.findall(r"^\| (\w+) \|", table, re.M)
    assert list(dict.fromkeys(told)) == ranks
