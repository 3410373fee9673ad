"""Runs benchmarks: each part in several rounds, each round in a process of its own,
so that a range shows what differs from start to start as well.

A benchmark is a file with `PARTS`, names and functions that take `Rows`, and maybe
`around`, a context manager that is entered before a part in its process."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib.util
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType

from _rows import (
    FORMAT,
    BadFile,
    Row,
    Rows,
    check_writable,
    comparison,
    judged,
    merged,
    read,
    tables,
    verdict,
)

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent

# -- the machine --------------------------------------------------------------

#: What is said of them is stored, if they are installed.
PACKAGES = ["g++", "libcaf-dev", "libssl-dev", "liblmdb-dev", "python3"]
PACKAGES += ["python3-numpy", "redis-server", "python3-redis", "erlang-base"]

#: More than this share of the machine taken by others, and figures are doubtful.
QUIET = 0.05


def output(*command: str) -> str:
    """What a program says; nothing if there is no such program or it fails."""
    try:
        return subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ).stdout.strip()
    except OSError:
        return ""


def machine() -> dict[str, object]:
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {
        "cpu": cpu[1].strip() if cpu else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
    }


def versions() -> dict[str, str]:
    project = (ROOT / "CMakeLists.txt").read_text()
    version = re.search(r"project\(\w+ VERSION ([\d.]+)", project)
    show = "${Package} ${db:Status-Status} ${Version}\n"
    lines = output("dpkg-query", "-W", "-f", show, *PACKAGES).splitlines()
    words = [line.split() for line in lines]
    found = {x[0]: x[2] for x in words if len(x) == 3 and x[1] == "installed"}
    return {"hornbeam": version[1] if version else "", **found}


def revision() -> str | None:
    return output("git", "-C", str(ROOT), "describe", "--always", "--dirty") or None


class Moment:
    """What the processors' time had been spent on by now."""

    def __init__(self) -> None:
        with open("/proc/stat") as f:
            self.ticks = [float(x) for x in f.readline().split()[1:9]]
        # Ours, that of our children included that have ended.
        self.ours = sum(os.times()[:4]) * os.sysconf("SC_CLK_TCK")

    def until(self, later: Moment) -> dict[str, float] | None:
        """Shares of the time of all processors; None where it is not counted."""
        user, nice, system, idle, iowait, irq, softirq, steal = (
            b - a for a, b in zip(self.ticks, later.ticks)
        )
        busy = user + nice + system + irq + softirq
        total = busy + idle + iowait + steal
        if total <= 0:
            return None
        ours = min(later.ours - self.ours, busy)
        return {
            "idle": round((idle + iowait) / total, 4),
            "stolen": round(steal / total, 4),
            "ours": round(ours / total, 4),
            "others": round((busy - ours) / total, 4),
        }


def quiet_line(x: dict[str, float] | None) -> str:
    if x is None:
        return "How quiet the machine was is not known."
    shares = ", ".join(f"{what} {share * 100:.1f} %" for what, share in x.items())
    doubt = x["others"] + x["stolen"] > QUIET
    return f"Processors: {shares}.{' NOT QUIET.' if doubt else ''}"


# -- one round ----------------------------------------------------------------


def load(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"benchmark_{file.stem}", file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def one_round(file: Path, part: str, out: Path) -> None:
    """In a process of its own: measures a part once and writes what it says."""
    module = load(file)
    rows = Rows(file.stem, part)
    with getattr(module, "around", contextlib.nullcontext)():
        module.PARTS[part](rows)
    told = {"rows": [x.to_json() for x in rows.rows], "notes": rows.notes}
    out.write_text(json.dumps(told))


def round_of(file: Path, part: str, folder: str) -> tuple[list[Row], list[str]]:
    """The rows and notes of one round; CalledProcessError if it fails."""
    with tempfile.TemporaryDirectory(dir=folder) as own:
        out = Path(own) / "round.json"
        command = [sys.executable, __file__, str(file), part, str(out)]
        environment = {**os.environ, "RUNTIME_DIRECTORY": own, "BENCH_FOLDER": folder}
        # What it prints is no table of ours: it goes where errors do.
        subprocess.run(command, check=True, stdout=2, env=environment)
        told = json.loads(out.read_text())
    return [Row.from_json(x) for x in told["rows"]], told["notes"]


# -- all of them --------------------------------------------------------------


def options_of(
    argv: list[str] | None, modules: dict[Path, ModuleType]
) -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    several = len(modules) > 1
    doc = "All benchmarks." if several else next(iter(modules.values())).__doc__ or ""
    parser = argparse.ArgumentParser(description=doc.split("\n\n")[0])
    if not several:
        parts = next(iter(modules.values())).PARTS
        parser.add_argument(
            "--only", choices=parts, metavar="PART", help=", ".join(parts)
        )
    parser.add_argument(
        "--runs", "--rounds", type=int, default=5, metavar="N", help="5 if not given"
    )
    parser.add_argument("--quick", action="store_true", help="one round: no ranges")
    parser.add_argument("--json", type=Path, metavar="FILE", help="writes all there")
    parser.add_argument(
        "--compare", type=Path, metavar="FILE", help="one that --json has written"
    )
    parser.add_argument(
        "--markdown", action="store_true", help="tables as benchmarks/README.md has"
    )
    options = parser.parse_args(argv)
    if options.runs < 1:
        parser.error(f"--runs {options.runs}: there is at least one")
    if options.quick:
        options.runs = 1
    options.only = getattr(options, "only", None)
    return parser, options


def progress(text: str) -> None:
    """Where someone looks on; gone when the next line comes."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


class Run:
    """All that is measured by one command."""

    def __init__(self, runs: int, markdown: bool) -> None:
        self.runs = runs
        self.markdown = markdown
        self.rows: list[Row] = []
        self.failed: list[str] = []
        self.quiet: list[dict[str, object]] = []
        self.machine = machine()
        self.load = os.getloadavg()
        self.about: dict[str, object] = {
            "format": FORMAT,
            "begun": datetime.datetime.now().astimezone().isoformat("T", "seconds"),
            "revision": revision(),
            "machine": self.machine,
            "versions": versions(),
            "runs": runs,
            "load_before": list(self.load),
        }

    def heading(self) -> str:
        load = " ".join(f"{v:.2f}" for v in self.load)
        rounds = "one round" if self.runs == 1 else f"{self.runs} rounds, [least–most]"
        return (
            f"{self.about['revision'] or 'no revision'}, {self.machine['cpu']}, "
            f"{self.machine['cores']} cores, load before {load}; {rounds}."
        )

    def say(self, text: str) -> None:
        progress("")
        print(f"{text}\n", flush=True)

    def measure(self, file: Path, part: str, folder: str) -> list[Row]:
        """All rounds of a part. One that fails ends the part, not the run."""
        rounds, notes = [], []
        for i in range(self.runs):
            progress(f"{file.stem} {part}: round {i + 1} of {self.runs}")
            try:
                rows, said = round_of(file, part, folder)
            except subprocess.CalledProcessError as e:
                self.failed.append(f"{file.stem} {part}")
                how = f"a round ended with {e.returncode}, see above"
                progress("")
                print(f"{file.stem} {part}: {how}", file=sys.stderr)
                break
            rounds.append(rows)
            notes += [x for x in said if x not in notes]
        for note in notes:
            self.say(note)
        return merged(rounds)

    def benchmark(self, file: Path, parts: list[str], folder: str) -> None:
        """Parts that follow each other with rows of the same table are shown as
        one."""
        shown: list[Row] = []
        begin = Moment()
        for part in parts:
            before = Moment()
            rows = self.measure(file, part, folder)
            if shown and rows and rows[0].table != shown[-1].table:
                self.show(shown, begin.until(before))
                shown, begin = [], before
            shown += rows
        self.show(shown, begin.until(Moment()))

    def show(self, rows: list[Row], processors: dict[str, float] | None) -> None:
        if not rows:
            return
        self.rows += rows
        where = {"benchmark": rows[0].benchmark}
        where["tables"] = list(dict.fromkeys(x.table for x in rows))
        self.quiet.append(where | {"processors": processors})
        self.say(f"{tables(rows, self.markdown)}\n\n{quiet_line(processors)}")

    def compare(self, name: Path, about: dict, then: list[Row]) -> None:
        here, there = self.machine, about["machine"]
        same = all(here[x] == there[x] for x in ("cpu", "cores"))
        self.say(f"Beside {name} ({about.get('revision')}, {about.get('begun')}):")
        if not same:
            self.say(
                f"That is of another machine ({there['cpu']}, {there['cores']} cores): "
                "only the ratios compare."
            )
        self.say(comparison(then, self.rows, same, self.markdown))

    def write(self, file: Path) -> None:
        rows = [x.to_json() for x in self.rows]
        data = self.about | {"failed": self.failed, "quiet": self.quiet, "rows": rows}
        file.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")

    def result(self) -> int:
        """The exit code; says where errors do why it is not 0."""
        complaints = [
            f"NOT MET: {x.benchmark}, {x.table}: {x.name}"
            f"{f', beside {x.peer}' if x.peer else ''}: {judged(x)}, {verdict(x)}"
            for x in self.rows
            if x.met is False
        ]
        complaints += [f"FAILED: {x}" for x in self.failed]
        for x in complaints:
            print(x, file=sys.stderr)
        return 1 if complaints else 0


def main(*files: str, argv: list[str] | None = None) -> int:
    """Runs the benchmarks in these files as the command line says. Returns 1 when a
    row misses its bound or a round fails, and leaves with 2 when an option is bad."""
    modules = {Path(x).resolve(): load(Path(x).resolve()) for x in files}
    parser, options = options_of(argv, modules)
    then = None
    try:
        if options.compare:
            then = read(options.compare)
        if options.json:
            check_writable(options.json)
    except BadFile as e:
        parser.error(str(e))
    run = Run(options.runs, options.markdown)
    run.say(run.heading())
    try:
        with tempfile.TemporaryDirectory() as folder:
            for file, module in modules.items():
                parts = [options.only] if options.only else list(module.PARTS)
                run.benchmark(file, parts, folder)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    if options.json:
        run.write(options.json)
    if then:
        run.compare(options.compare, *then)
    return run.result()


if __name__ == "__main__":
    one_round(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
