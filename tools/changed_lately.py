"""Prints the C++ sources whose content changed in the last two weeks, the latest
first, at most forty; what is not committed comes before all others. A move or a
rename is no change, nor is a commit that `.git-blame-ignore-revs` lists. Of a changed
header the source beside it is meant."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = "runtime actors config pybridge launcher samples benchmarks tests".split()
SINCE = "14 days ago"
MOST = 40


def git(*args):
    done = subprocess.run(
        ["git", "-C", ROOT, *args], capture_output=True, text=True, check=True
    )
    return done.stdout


def changes():
    """(commit, status, name before, name after) of each file, the latest first."""
    for line in git("ls-files", "--others", "--exclude-standard").splitlines():
        yield None, "A", line, line
    commit = None
    log = git("log", f"--since={SINCE}", "-M", "--name-status", "--format=commit %H")
    for line in (git("diff", "-M", "--name-status", "HEAD") + log).splitlines():
        if line.startswith("commit "):
            commit = line.split()[1]
        elif line:
            status, *names = line.split("\t")
            yield commit, status, names[0], names[-1]


def changed(changes, ignored):
    """The files as they are named today, each once."""
    today = {}  # what a file was renamed to later
    found = {}
    for commit, status, before, after in changes:
        name = today.get(after, after)
        if status[0] == "R":
            today[before] = name
        if status not in ("R100", "D") and commit not in ignored:
            found[name] = None
    return list(found)


def sources(names, exists):
    found = {}
    for name in names:
        path = Path(name).with_suffix(".cpp")
        if Path(name).suffix not in (".cpp", ".hpp") or path.parts[0] not in FOLDERS:
            continue
        if exists(path) and path.parts[:2] != ("tests", "fuzz"):  # needs clang
            found[str(path)] = None
    return list(found)


def main():
    try:
        lines = (ROOT / ".git-blame-ignore-revs").read_text().splitlines()
        ignored = {x for x in lines if x and not x.startswith("#")}
        names = changed(changes(), ignored)
    except (OSError, subprocess.CalledProcessError) as e:
        print(f"nothing is known of what changed: {e}", file=sys.stderr)
        return
    print("\n".join(sources(names, lambda x: os.path.exists(ROOT / x))[:MOST]))


if __name__ == "__main__":
    main()
