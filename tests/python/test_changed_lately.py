"""Which sources `./dev lint` shows to clang-tidy: those whose content changed."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from changed_lately import changed, sources  # noqa: E402


def test_the_latest_change_comes_first_and_each_file_once():
    log = [
        (None, "M", "runtime/a.cpp", "runtime/a.cpp"),
        ("1", "A", "runtime/b.cpp", "runtime/b.cpp"),
        ("2", "M", "runtime/a.cpp", "runtime/a.cpp"),
    ]
    assert changed(log, set()) == ["runtime/a.cpp", "runtime/b.cpp"]


def test_a_rename_is_no_change_and_what_came_before_counts_for_the_new_name():
    log = [
        ("2", "R100", "old.cpp", "new.cpp"),
        ("1", "M", "old.cpp", "old.cpp"),
    ]
    assert changed(log[:1], set()) == []
    assert changed(log, set()) == ["new.cpp"]
    assert changed([("2", "R090", "old.cpp", "new.cpp")], set()) == ["new.cpp"]


def test_a_commit_of_renames_changes_nothing_but_names():
    log = [
        ("moves", "R080", "old.cpp", "new.cpp"),
        ("moves", "M", "other.cpp", "other.cpp"),
        ("1", "M", "old.cpp", "old.cpp"),
    ]
    assert changed(log, {"moves"}) == ["new.cpp"]


def test_a_header_stands_for_the_source_beside_it():
    names = [
        "runtime/a.hpp",
        "runtime/a.cpp",
        "runtime/alone.hpp",
        "runtime/gone.cpp",
        "docs/b.cpp",
        "tests/fuzz/term.cpp",
        "pybridge/python/hornbeam/tasks.py",
    ]
    there = {"runtime/a.cpp", "docs/b.cpp", "tests/fuzz/term.cpp"}
    assert sources(names, lambda x: str(x) in there) == ["runtime/a.cpp"]
