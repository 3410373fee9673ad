"""Rows of figures: what one round measures, what all rounds together say, and how
that is shown, stored in a file and compared with an earlier file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import NamedTuple

#: Of the files that `--json` writes. Another one is refused by `--compare`.
FORMAT = 1


class BadFile(Exception):
    """A file is not one that `--json` has written, or can't be read or written."""


class Spread(NamedTuple):
    """What several rounds gave."""

    median: float
    least: float
    most: float

    def holds(self, x: float) -> bool:
        return self.least <= x <= self.most


def spread(values: list[float]) -> Spread:
    return Spread(median(values), min(values), max(values))


class Bound(NamedTuple):
    """What is promised of a row's median."""

    of: str  # "ratio" or "ours"
    op: str  # "<=" or ">="
    limit: float

    def met_by(self, x: float) -> bool:
        return x <= self.limit if self.op == "<=" else x >= self.limit


@dataclass
class Row:
    """One thing that is measured, with the figures of all rounds in their order.
    A ratio is ours divided by the peer's of the same round."""

    benchmark: str
    part: str
    table: str
    name: str
    unit: str
    peer: str = ""
    bound: Bound | None = None
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, ...]:
        return (self.benchmark, self.part, self.table, self.name, self.unit, self.peer)

    @property
    def ratios(self) -> list[float]:
        """None at all where a peer took no time that its clock could show."""
        if len(self.ours) != len(self.theirs) or not all(x > 0 for x in self.theirs):
            return []
        return [a / b for a, b in zip(self.ours, self.theirs)]

    @property
    def met(self) -> bool | None:
        """Whether the median keeps the bound; None where there is no bound, or no
        peer to measure it with."""
        if self.bound is None:
            return None
        values = self.ours if self.bound.of == "ours" else self.ratios
        return self.bound.met_by(median(values)) if values else None

    @property
    def more_is_better(self) -> bool:
        return self.bound is not None and self.bound.op == ">="

    def to_json(self) -> dict[str, object]:
        def said(values: list[float]) -> dict[str, object] | None:
            return spread(values)._asdict() | {"all": values} if values else None

        return {
            "benchmark": self.benchmark,
            "part": self.part,
            "table": self.table,
            "name": self.name,
            "unit": self.unit,
            "peer": self.peer,
            "ours": said(self.ours),
            "theirs": said(self.theirs),
            "ratio": said(self.ratios),
            "bound": self.bound._asdict() if self.bound else None,
            "met": self.met,
        }

    @staticmethod
    def from_json(x: dict) -> Row:
        def values(name: str) -> list[float]:
            return [float(v) for v in x[name]["all"]] if x[name] else []

        words = ("benchmark", "part", "table", "name", "unit", "peer")
        bound = Bound(**x["bound"]) if x["bound"] else None
        ours, theirs = values("ours"), values("theirs")
        if not ours:
            raise ValueError("it has no figures")
        return Row(*(str(x[w]) for w in words), bound, ours, theirs)


class Rows:
    """What a part of a benchmark hands its figures to, in one round."""

    def __init__(self, benchmark: str, part: str) -> None:
        self.rows: list[Row] = []
        self.notes: list[str] = []
        self._where = (benchmark, part)
        self._table = self._unit = ""

    def table(self, title: str, unit: str) -> None:
        """The rows that follow are in it, in this unit unless they say another."""
        self._table, self._unit = title, unit

    def note(self, text: str) -> None:
        """Said once, however many rounds say it: that a peer is missing."""
        self.notes.append(text)

    def row(
        self,
        name: str,
        ours: float,
        peer: str = "",
        theirs: float | None = None,
        *,
        unit: str = "",
        at_most: float | None = None,
        at_least: float | None = None,
        ours_at_most: float | None = None,
    ) -> None:
        """`theirs` is None where the peer is not installed. `at_most` and `at_least`
        are bounds of the ratio, `ours_at_most` one of `ours` in its unit."""
        bounds = [
            Bound(of, op, limit)
            for of, op, limit in (
                ("ratio", "<=", at_most),
                ("ratio", ">=", at_least),
                ("ours", "<=", ours_at_most),
            )
            if limit is not None
        ]
        assert len(bounds) <= 1, f"{name} has two bounds; make it two rows"
        self.rows.append(
            Row(
                *self._where,
                self._table,
                name,
                unit or self._unit,
                peer,
                bounds[0] if bounds else None,
                [ours],
                [] if theirs is None else [theirs],
            )
        )


def merged(rounds: Iterable[list[Row]]) -> list[Row]:
    """The rows of all rounds, each with the figures of all of them."""
    all_rows: dict[tuple[str, ...], Row] = {}
    for rows in rounds:
        for row in rows:
            known = all_rows.get(row.key)
            if known is None:
                all_rows[row.key] = row
            else:
                known.ours += row.ours
                known.theirs += row.theirs
    return list(all_rows.values())


# -- shown --------------------------------------------------------------------


def figure(x: float) -> str:
    """With three digits that tell, or all before the point."""
    for limit, digits in ((100, 0), (10, 1), (1, 2)):
        if abs(x) >= limit:
            return f"{x:.{digits}f}"
    return f"{x:.3f}"


def times(ratio: float) -> str:
    """1.46, or 1/794."""
    return f"{ratio:.2f}" if ratio >= 0.1 or ratio <= 0 else f"1/{1 / ratio:.0f}"


def ranged(values: list[float], show: Callable[[float], str]) -> str:
    """The median, and the range where there are several."""
    if not values:
        return ""
    x = spread(values)
    if len(values) == 1:
        return show(x.median)
    return f"{show(x.median)} [{show(x.least)}–{show(x.most)}]"


def verdict(row: Row) -> str:
    if row.bound is None:
        return ""
    limit = row.bound.limit
    shown = f"{limit:g}" if row.bound.of == "ours" else f"{times(limit)} x"
    met = {True: "met", False: "NOT MET", None: "no peer, not checked"}[row.met]
    return f"{row.bound.op} {shown} {met}"


def judged(row: Row) -> str:
    """What a bound is asked of."""
    if row.bound and row.bound.of == "ours":
        return f"{ranged(row.ours, figure)} {row.unit}"
    return f"{ranged(row.ratios, times)} x"


def cells(row: Row) -> list[str]:
    ratio = ranged(row.ratios, times)
    return [
        row.name,
        row.unit,
        ranged(row.ours, figure),
        row.peer if row.theirs else "",
        ranged(row.theirs, figure),
        f"{ratio} x" if ratio else "",
        verdict(row),
    ]


HEADS = ["", "unit", "ours", "beside", "theirs", "ratio", "bound"]
COMPARED = ["", "unit", "beside", "then", "now", "now/then", "ratio then", "ratio now"]
COMPARED += ["now/then", ""]


def as_text(heads: list[str], lines: list[list[str]]) -> str:
    widths = [max(len(x) for x in column) for column in zip(heads, *lines)]
    return "\n".join(
        "  ".join(f"{x:<{w}}" for x, w in zip(line, widths)).rstrip()
        for line in [heads, *lines]
    )


def as_markdown(heads: list[str], lines: list[list[str]]) -> str:
    out = [heads, ["---"] * len(heads), *lines]
    return "\n".join(
        "| " + " | ".join(x.replace("|", "\\|") for x in line) + " |" for line in out
    )


def under_titles(
    heads: list[str], lines: Iterable[tuple[Row, list[str]]], markdown: bool
) -> str:
    """A table for each title, of the lines of its rows."""
    by_title: dict[str, list[list[str]]] = {}
    for row, line in lines:
        by_title.setdefault(f"{row.benchmark}: {row.table}", []).append(line)
    return "\n\n".join(
        f"**{title}**\n\n{as_markdown(heads, some)}"
        if markdown
        else f"{title}\n{as_text(heads, some)}"
        for title, some in by_title.items()
    )


def tables(rows: list[Row], markdown: bool = False) -> str:
    return under_titles(HEADS, [(x, cells(x)) for x in rows], markdown)


def comparison(
    then: list[Row], now: list[Row], same_machine: bool, markdown: bool = False
) -> str:
    """The tables of `--compare`, with what the file alone has of the same parts."""
    stored = {x.key: x for x in then}
    lines = [(x, compared(stored.get(x.key), x, same_machine)) for x in now]
    measured, keys = {x.key[:2] for x in now}, {x.key for x in now}
    for x in then:
        if x.key[:2] in measured and x.key not in keys:
            figures = ranged(x.ours, figure), *_ratio(x)
            line = [x.name, x.unit, x.peer, figures[0], "", "", figures[1], "", ""]
            lines.append((x, [*line, "gone"]))
    return under_titles(COMPARED, lines, markdown)


# -- stored and compared ------------------------------------------------------


def read(file: Path) -> tuple[dict, list[Row]]:
    """What `--json` has written: the machine and the rest, and the rows."""
    try:
        data = json.loads(file.read_text())
    except OSError as e:
        raise BadFile(f"{file}: {e.strerror}") from None
    except ValueError as e:
        raise BadFile(f"{file} is not JSON: {e}") from None
    if not isinstance(data, dict) or "format" not in data or "rows" not in data:
        raise BadFile(f"{file} is not a file of ./dev bench --json")
    if data["format"] != FORMAT:
        raise BadFile(f"{file} has format {data['format']}, not {FORMAT}")
    where = "what it says of the machine"
    rows = []
    try:
        for what in ("cpu", "cores"):
            data["machine"][what]
        for i, x in enumerate(data["rows"]):
            where = f"row {i + 1}"
            rows.append(Row.from_json(x))
    except (AttributeError, KeyError, TypeError, ValueError) as e:
        raise BadFile(f"{file}, {where}: {type(e).__name__}: {e}") from None
    return data, rows


def check_writable(file: Path) -> None:
    """Before a long run, not after it. What is there stays until the end."""
    there = file.exists()
    try:
        with file.open("a"):
            pass
    except OSError as e:
        raise BadFile(f"{file}: {e.strerror}") from None
    if not there:
        file.unlink()


def apart(then: list[float], now: list[float]) -> bool:
    """Whether each median is outside of the other's range; a single round has no
    range, and is asked nothing."""
    a, b = spread(then), spread(now)
    if len(then) == 1 and len(now) == 1:
        return False
    return (len(then) == 1 or not a.holds(b.median)) and (
        len(now) == 1 or not b.holds(a.median)
    )


def compared(then: Row | None, now: Row, same_machine: bool) -> list[str]:
    """A line of `--compare`. Where both have a peer the ratios are judged, else the
    figures, which say nothing on another machine."""
    head = [now.name, now.unit, now.peer]
    if then is None:
        return [*head, "", ranged(now.ours, figure), "", "", *_ratio(now), "", "new"]
    figures = [ranged(then.ours, figure), ranged(now.ours, figure)]
    line = [*head, *figures, _quotient(then.ours, now.ours)]
    line += [*_ratio(then), *_ratio(now), _quotient(then.ratios, now.ratios)]
    if then.ratios and now.ratios:
        before, after = then.ratios, now.ratios
    elif same_machine:
        before, after = then.ours, now.ours
    else:
        return [*line, "another machine, no peer"]
    if not apart(before, after):
        return [*line, ""]
    better = (median(after) > median(before)) == now.more_is_better
    return [*line, f"{'BETTER' if better else 'WORSE'}, outside of the ranges"]


def _ratio(row: Row) -> list[str]:
    return [ranged(row.ratios, times)]


def _quotient(then: list[float], now: list[float]) -> str:
    if not then or not now or median(then) == 0:
        return ""
    return f"{times(median(now) / median(then))} x"
