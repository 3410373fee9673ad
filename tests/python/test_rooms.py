"""The floors of the house, held by reading the `#include`s.

The tables of rooms in `runtime/README.md` and `pybridge/README.md` are the rule;
this test reads them. The floors of the folders themselves are those of
CONTRIBUTING.md, "Where things go".
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')
ROW = re.compile(r"^\| (\d+) \| \[(\w+)\]\(\w+/\) \|[^|]*\|([^|]*)\|$", re.M)

# What each folder may include of the others.
HOUSE = {
    "runtime": set(),
    "actors": {"runtime"},
    "config": {"runtime"},  # and of that only one room, see ONLY
    "pybridge": {"runtime", "actors"},
    "launcher": {"runtime", "actors", "config", "pybridge"},
}
ONLY = {("config", "runtime"): {"settings"}}

# Libraries that stay behind a wall: who may include their headers.
WALLS = {
    "CAF": (re.compile(r"caf/"), {"runtime/caf"}),
    "Python": (re.compile(r"(Python\.h|pybind11/)"), {"pybridge", "launcher"}),
    "LMDB": (re.compile(r"lmdb\.h"), {"runtime/table_lmdb"}),
    "OpenSSL": (
        re.compile(r"openssl/"),
        {"runtime/net", "runtime/link", "runtime/table", "runtime/table_lmdb"},
    ),
    "Asio": (re.compile(r"boost/asio"), {"runtime/net"}),
}

# What is allowed all the same: (file, what it includes) and why.
NAMES_ONLY = "declares names; a header shows an actor system by reference"
EXCEPTIONS = {
    ("runtime/process/processes.hpp", "caf/fwd.hpp"): NAMES_ONLY,
    ("runtime/node/node.hpp", "caf/fwd.hpp"): NAMES_ONLY,
    (
        "pybridge/gil/engine.cpp",
        "pybridge/calls/jobs.hpp",
    ): "opens and closes the queue of jobs, and holds it around a fork",
    (
        "pybridge/gil/engine.cpp",
        "pybridge/calls/python_mailbox.hpp",
    ): "ends the mailboxes before the node",
    (
        "pybridge/gil/engine.cpp",
        "pybridge/tables/handle.hpp",
    ): "keeps the handle of the default table",
    (
        "pybridge/calls/plain_jobs.cpp",
        "pybridge/bindings/module.hpp",
    ): "binds what it does itself, against the interpreter's C API",
}


def rooms_of(folder):
    """The rooms of a folder as its README lists them: floor and what each may
    include."""
    found = {}
    for floor, room, may in ROW.findall((ROOT / folder / "README.md").read_text()):
        found[room] = (int(floor), set(re.findall(r"\w+", may)))
    return found


ROOMS = {folder: rooms_of(folder) for folder in ("runtime", "pybridge")}


def sources(folder):
    return sorted(
        x.relative_to(ROOT)
        for x in (ROOT / folder).rglob("*")
        if x.suffix in (".hpp", ".cpp", ".h", ".c")
    )


def includes(file):
    """(line number, "file" or None, <file> or None) of each."""
    for number, line in enumerate((ROOT / file).read_text().splitlines(), 1):
        if found := INCLUDE.match(line):
            yield number, found[1], found[2]


def room_of(path):
    """The folder of a file, and its room if the folder has rooms."""
    parts = Path(path).parts
    return parts[0], parts[1] if parts[0] in ROOMS and len(parts) == 3 else None


def wrong_with_ours(file, included):
    """Why `file` may not include the file of ours `included`; None: it may."""
    folder, room = room_of(file)
    to_folder, to_room = room_of(included)
    if to_folder not in HOUSE:
        return "it is named by its path from the top of the repository"
    if not (ROOT / included).exists():
        return "there is no such file"
    if to_folder != folder:
        if to_folder not in HOUSE[folder]:
            return f"{folder}/ knows only {sorted(HOUSE[folder]) or 'itself'}"
        only = ONLY.get((folder, to_folder))
        if only and to_room not in only:
            return f"{folder}/ knows only {sorted(only)} of {to_folder}/"
        return None
    if room != to_room:
        may = ROOMS[folder][room][1]
        if to_room not in may:
            return f"{folder}/{room}/ may include only {sorted(may) or 'itself'}"
    return None


def wrong_with_library(file, included):
    where = {file.parts[0], "/".join(file.parts[:2])}
    for library, (pattern, rooms) in WALLS.items():
        if pattern.match(included) and not where & rooms:
            return f"{library} is known only to {sorted(rooms)}"
    return None


@pytest.mark.parametrize("folder", HOUSE)
def test_each_file_includes_only_what_its_floor_may(folder):
    wrong = []
    for file in sources(folder):
        for line, ours, library in includes(file):
            included = ours or library
            if (str(file), included) in EXCEPTIONS:
                continue
            why = (
                wrong_with_ours(file, ours)
                if ours
                else wrong_with_library(file, library)
            )
            if why:
                wrong.append(f'{file}:{line}: includes "{included}": {why}')
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.parametrize("folder", ROOMS)
def test_each_file_lies_in_a_room_that_the_readme_lists(folder):
    lost = [x for x in sources(folder) if room_of(x)[1] not in ROOMS[folder]]
    assert not lost, f"no room of {folder}/README.md: {[str(x) for x in lost]}"
    used = {room_of(x)[1] for x in sources(folder)}
    assert used == set(ROOMS[folder]), f"{folder}/README.md lists other rooms"


@pytest.mark.parametrize("folder", ROOMS)
def test_each_room_includes_only_rooms_of_lower_floors(folder):
    for room, (floor, may) in ROOMS[folder].items():
        for other in may:
            assert other in ROOMS[folder], f"{folder}/{room}: no room {other}"
            assert ROOMS[folder][other][0] < floor, f"{folder}/{room} and {other}"


def test_each_exception_is_still_needed():
    for file, included in EXCEPTIONS:
        found = [x for _, *both in includes(file) for x in both]
        assert included in found, f"{file} no longer includes {included}"
