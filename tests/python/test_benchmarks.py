"""The mechanism of the benchmarks, with benchmarks that measure nothing."""

import json
import os
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import _bench  # noqa: E402
import _peers  # noqa: E402
import _rows  # noqa: E402

# What else lies there has names that other tests give their modules.
sys.path.remove(str(BENCHMARKS))

#: Its figures are those of a file, one line for each round: ours and the peer's,
#: which may be missing.
FAKE = """
'''A fake benchmark.'''
import os, sys
from pathlib import Path
sys.path.insert(0, {benchmarks!r})
from _bench import main

def part(out):
    lines = Path({figures!r})
    first, *rest = lines.read_text().splitlines()
    lines.write_text("\\n".join(rest) + "\\n")
    ours, *theirs = [float(x) for x in first.split()]
    out.table("a table", "µs")
    theirs = theirs[0] if theirs else None
    if theirs is None:
        out.note("the peer is not installed")
    out.row("bounded", ours, "peer", theirs, at_most=1.5)
    out.row("free", ours)

def broken(out):
    raise RuntimeError("it broke")

def pid(out):
    out.table("a process", "")
    out.row("pid", os.getpid())

PARTS = {{"part": part, "pid": pid, "broken": broken}}
if __name__ == "__main__":
    raise SystemExit(main(__file__))
"""


class Fake:
    def __init__(self, folder):
        self.file = folder / "fake.py"
        self.figures = folder / "figures"
        self.file.write_text(
            FAKE.format(benchmarks=str(BENCHMARKS), figures=str(self.figures))
        )

    def run(self, rounds, *options, part="part"):
        """Its code, what it prints and what it complains of."""
        lines = [" ".join(map(str, x)) for x in rounds]
        self.figures.write_text("\n".join(lines) + "\n")
        command = [sys.executable, self.file, "--only", part, *options]
        if "--quick" not in options and "--runs" not in options:
            command += ["--runs", str(len(rounds))]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout, done.stderr

    def untouched(self, rounds):
        return self.figures.read_text().count("\n") == len(rounds)


@pytest.fixture
def fake(tmp_path):
    return Fake(tmp_path)


def row(ours, theirs=(), bound=None, name="a"):
    return _rows.Row(
        "bench", "part", "table", name, "µs", "peer", bound, list(ours), list(theirs)
    )


# -- statistics ---------------------------------------------------------------


def test_a_ratio_is_that_of_one_round_and_its_median_that_of_the_ratios():
    x = row([1, 4, 9], [1, 2, 3])
    assert x.ratios == [1, 2, 3]
    assert _rows.spread(x.ratios) == (2, 1, 3)


def test_a_median_of_an_even_number_of_rounds_lies_between_the_middle_ones():
    assert _rows.spread([1, 2, 4, 100]) == (3, 1, 100)


def test_a_peer_that_took_no_time_gives_no_ratio_and_checks_no_bound():
    x = row([1, 1], [1, 0], _rows.Bound("ratio", "<=", 2))
    assert x.ratios == []
    assert x.met is None


@pytest.mark.parametrize(
    "bound, met",
    [
        (("ratio", "<=", 2), True),
        (("ratio", "<=", 1.9), False),
        (("ratio", ">=", 2), True),
        (("ratio", ">=", 2.1), False),
        (("ours", "<=", 4), True),
        (("ours", "<=", 3), False),
    ],
)
def test_a_bound_is_asked_of_the_median_and_an_outlier_changes_nothing(bound, met):
    x = row([4, 4, 4, 4, 400], [2, 2, 2, 2, 2], _rows.Bound(*bound))
    assert x.met is met


def test_rows_of_several_rounds_become_one_of_all_rounds():
    rounds = [[row([1], [2]), row([3], name="b")], [row([5], [6])]]
    a, b = _rows.merged(rounds)
    assert (a.ours, a.theirs, b.ours) == ([1, 5], [2, 6], [3])


def test_a_row_survives_the_way_through_a_file():
    x = row([1, 2], [3, 4], _rows.Bound("ratio", "<=", 1.5))
    assert _rows.Row.from_json(json.loads(json.dumps(x.to_json()))) == x


# -- how it is shown ----------------------------------------------------------


def test_figures_show_three_digits_and_ratios_of_a_hundredth_a_fraction():
    assert [_rows.figure(x) for x in (0.0523, 5.234, 52.34, 52345.6)] == [
        "0.052",
        "5.23",
        "52.3",
        "52346",
    ]
    assert (_rows.times(1.456), _rows.times(1 / 794)) == ("1.46", "1/794")


def test_a_row_shows_its_median_and_its_range():
    cells = _rows.cells(row([2, 3, 4], [1, 1, 1], _rows.Bound("ratio", "<=", 2.5)))
    assert cells[2] == "3.00 [2.00–4.00]"
    assert cells[5] == "3.00 [2.00–4.00] x"
    assert cells[6] == "<= 2.50 x NOT MET"


def test_markdown_tables_have_the_same_cells(fake):
    _, text, _ = fake.run([(2, 1), (4, 2)], "--markdown")
    assert "| bounded | µs | 3.00 [2.00–4.00] | peer | 1.50 [1.00–2.00] |" in text


# -- comparing ----------------------------------------------------------------


@pytest.mark.parametrize(
    "then, now, apart",
    [
        ([1, 2, 3], [4, 5, 6], True),
        ([1, 2, 3], [2, 3, 4], False),
        ([1, 2, 9], [4, 5, 6], False),  # 5 lies in 1 to 9
        ([1, 2, 3], [5], True),
        ([1, 2, 3], [2], False),
        ([1], [5], False),  # nobody knows what they range over
    ],
)
def test_rows_are_apart_when_each_median_is_outside_of_the_others_range(
    then, now, apart
):
    assert _rows.apart(then, now) is apart
    assert _rows.apart(now, then) is apart


def test_a_row_with_a_peer_is_judged_by_its_ratio_not_by_the_machines_speed():
    then, now = row([1, 1], [1, 1]), row([2, 2], [2, 2])
    *_, quotient, said = _rows.compared(then, now, same_machine=True)
    assert (quotient, said) == ("1.00 x", "")


def test_a_row_without_a_peer_compares_on_the_same_machine_only():
    then, now = row([1, 1]), row([2, 2])
    assert "WORSE" in _rows.compared(then, now, same_machine=True)[-1]
    assert _rows.compared(then, now, same_machine=False)[-1] == (
        "another machine, no peer"
    )


def test_more_is_better_where_the_bound_is_a_least():
    bound = _rows.Bound("ratio", ">=", 0.5)
    then, now = row([1, 1], [1, 1], bound), row([2, 2], [1, 1], bound)
    assert "BETTER" in _rows.compared(then, now, same_machine=True)[-1]


def test_a_row_that_the_file_does_not_have_is_new():
    assert _rows.compared(None, row([1]), same_machine=True)[-1] == "new"


def test_a_row_that_only_the_file_has_is_gone_if_its_part_was_measured():
    then = [row([1], name="old"), row([1], name="elsewhere")]
    then[1].part = "another part"
    text = _rows.comparison(then, [row([1])], same_machine=True)
    assert [x.split()[-1] for x in text.splitlines() if x.startswith("old")] == ["gone"]
    assert "elsewhere" not in text


def test_every_line_of_a_comparison_has_all_columns():
    x = row([1, 1], [1, 1])
    for then in (None, x, row([1])):
        for same in (True, False):
            assert len(_rows.compared(then, x, same)) == len(_rows.COMPARED)


# -- how quiet the machine was ------------------------------------------------


def moment(*ticks, ours=0.0):
    x = _bench.Moment()
    x.ticks, x.ours = list(ticks), ours
    return x


def test_what_neither_we_nor_idleness_took_is_that_of_others_or_stolen():
    begin = moment(100, 0, 50, 1000, 0, 0, 0, 0, ours=20)
    # Busy 50 + 10, of which 40 are ours; idle 30 and waiting 5; stolen 5.
    end = moment(150, 0, 60, 1030, 5, 0, 0, 5, ours=60)
    assert begin.until(end) == {
        "idle": 0.35,
        "stolen": 0.05,
        "ours": 0.4,
        "others": 0.2,
    }


def test_where_no_time_is_counted_nothing_is_said_of_it():
    x = moment(*[0] * 8)
    assert x.until(x) is None
    assert "not known" in _bench.quiet_line(None)


def test_a_machine_is_not_quiet_when_others_took_a_twentieth():
    quiet = {"idle": 0.5, "stolen": 0.02, "ours": 0.46, "others": 0.02}
    assert "NOT QUIET" not in _bench.quiet_line(quiet)
    assert "NOT QUIET" in _bench.quiet_line(quiet | {"stolen": 0.04})


# -- the command --------------------------------------------------------------


def test_met_bounds_give_0_and_a_missed_one_1(fake):
    code, text, _ = fake.run([(1, 1), (1, 1), (9, 1)])
    assert code == 0
    assert "<= 1.50 x met" in text
    code, text, errors = fake.run([(1, 1), (9, 1), (9, 1)])
    assert code == 1
    assert "<= 1.50 x NOT MET" in text
    assert "NOT MET: fake, a table: bounded, beside peer" in errors


def test_a_missing_peer_is_said_once_and_fails_nothing(fake):
    code, text, _ = fake.run([(1,), (1,)])
    assert code == 0
    assert text.count("the peer is not installed") == 1
    assert "no peer, not checked" in text


def test_quick_is_one_round(fake):
    rounds = [(1, 1), (1, 1)]
    code, text, _ = fake.run(rounds, "--quick")
    assert code == 0
    assert "one round" in text
    assert fake.figures.read_text().count("\n") == 1


def test_a_part_that_breaks_fails_the_command_and_the_others_are_measured(fake):
    fake.figures.write_text("1 1\n")
    command = [sys.executable, fake.file, "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "FAILED: fake broken" in done.stderr
    assert "RuntimeError: it broke" in done.stderr
    assert "bounded" in done.stdout


def test_each_round_has_a_process_of_its_own(fake, tmp_path):
    file = tmp_path / "out.json"
    code, _, errors = fake.run([], "--runs", "3", "--json", file, part="pid")
    assert code == 0, errors
    (x,) = json.loads(file.read_text())["rows"]
    assert len(set(x["ours"]["all"])) == 3


@pytest.mark.parametrize(
    "options, complaint",
    [
        (("--runs", "0"), "--runs 0: there is at least one"),
        (("--runs", "many"), "invalid int value: 'many'"),
        (("--only", "nobody"), "invalid choice: 'nobody'"),
    ],
)
def test_bad_options_give_2_and_say_what_is_wrong(fake, options, complaint):
    code, _, errors = fake.run([(1, 1)], *options)
    assert code == 2
    assert complaint in errors


# -- its files ----------------------------------------------------------------


def test_the_file_tells_the_rows_the_machine_and_how_quiet_it_was(fake, tmp_path):
    file = tmp_path / "out.json"
    code, _, errors = fake.run([(1, 2), (3, 2), (2, 2)], "--json", file)
    assert code == 0, errors
    x = json.loads(file.read_text())
    assert x["machine"]["cores"] >= 1
    assert x["machine"]["cpu"]
    assert x["versions"]["hornbeam"]
    assert x["runs"] == 3
    assert len(x["load_before"]) == 3
    shares = x["quiet"][0]["processors"]
    assert shares is None or sum(shares.values()) == pytest.approx(1, abs=0.01)
    bounded, free = x["rows"]
    assert bounded["ratio"] == {
        "median": 1,
        "least": 0.5,
        "most": 1.5,
        "all": [0.5, 1.5, 1],
    }
    assert bounded["bound"] == {"of": "ratio", "op": "<=", "limit": 1.5}
    assert bounded["met"] is True
    assert (free["met"], free["ratio"], free["theirs"]) == (None, None, None)


def test_a_run_is_shown_beside_a_stored_one(fake, tmp_path):
    file = tmp_path / "out.json"
    fake.run([(1.0, 1), (1.1, 1), (1.2, 1)], "--json", file)
    # The same file can be read and written.
    options = ("--compare", file, "--json", file)
    code, text, errors = fake.run([(1.3, 1), (1.4, 1), (1.4, 1)], *options)
    assert code == 0, errors
    line = [x for x in text.splitlines() if x.startswith("bounded")][-1]
    assert "1.10 [1.00–1.20]" in line
    assert "1.40 [1.30–1.40]" in line
    assert line.endswith("1.27 x    WORSE, outside of the ranges")
    assert _rows.read(file)[1][0].ours == [1.3, 1.4, 1.4]


def test_a_comparison_with_a_worse_figure_fails_no_command_a_bound_does(
    fake, tmp_path
):
    file = tmp_path / "out.json"
    fake.run([(0.1, 1), (0.1, 1)], "--json", file)
    assert fake.run([(1.4, 1), (1.4, 1)], "--compare", file)[0] == 0
    assert fake.run([(1.6, 1), (1.6, 1)], "--compare", file)[0] == 1


def test_a_file_of_another_machine_compares_ratios_and_says_so(fake, tmp_path):
    file = tmp_path / "out.json"
    fake.run([(1, 1), (1, 1)], "--json", file)
    x = json.loads(file.read_text())
    x["machine"] |= {"cpu": "Another CPU", "cores": 999}
    file.write_text(json.dumps(x))
    code, text, _ = fake.run([(1.4, 1), (1.4, 1)], "--compare", file)
    assert code == 0
    assert "another machine (Another CPU, 999 cores): only the ratios" in text
    free = [x for x in text.splitlines() if x.startswith("free")][-1]
    assert free.endswith("another machine, no peer")
    assert "WORSE" in text  # the ratio


GOOD_ROW = row([1]).to_json()
BAD_FILES = {
    "": "is not JSON",
    "[1, 2]": "is not a file of ./dev bench --json",
    '{"rows": []}': "is not a file of ./dev bench --json",
    '{"format": 99, "rows": []}': "has format 99, not 1",
    '{"format": 1, "rows": []}': "what it says of the machine: KeyError: 'machine'",
    '{"format": 1, "rows": 5, "machine": {"cpu": "x", "cores": 1}}': "TypeError",
}
for number, bad in enumerate(
    [{}, 5, GOOD_ROW | {"ours": None}, GOOD_ROW | {"ours": {"all": ["x"]}}], 1
):
    whole = {"format": 1, "machine": {"cpu": "x", "cores": 1}}
    rows = [GOOD_ROW] * number + [bad]
    BAD_FILES[json.dumps(whole | {"rows": rows})] = f"row {number + 1}: "


@pytest.mark.parametrize("text", BAD_FILES)
def test_a_file_that_is_none_of_ours_is_refused_by_its_name(tmp_path, text):
    file = tmp_path / "bad.json"
    file.write_text(text)
    with pytest.raises(_rows.BadFile) as raised:
        _rows.read(file)
    assert "bad.json" in str(raised.value)
    assert BAD_FILES[text] in str(raised.value)


def test_a_bad_file_is_refused_before_anything_is_measured(fake, tmp_path):
    rounds = [(1, 1)]
    for file in (tmp_path, tmp_path / "missing.json", BENCHMARKS / "README.md"):
        code, _, errors = fake.run(rounds, "--compare", file)
        assert code == 2
        assert str(file) in errors
        assert fake.untouched(rounds)


def test_a_file_that_cannot_be_written_is_said_before_anything_is_measured(
    fake, tmp_path
):
    rounds = [(1, 1)]
    for file in (tmp_path, tmp_path / "no folder" / "out.json", fake.file / "x"):
        code, _, errors = fake.run(rounds, "--json", file)
        assert code == 2
        assert str(file) in errors
        assert fake.untouched(rounds)


def test_a_bad_option_leaves_an_old_file_and_makes_no_new_one(fake, tmp_path):
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text("something")
    _rows.check_writable(old)
    _rows.check_writable(new)
    assert old.read_text() == "something"
    assert not new.exists()


# -- all benchmarks together --------------------------------------------------


def test_several_benchmarks_write_one_file_and_take_no_part(tmp_path, capsys):
    files = []
    for name in ("one", "two"):
        file = tmp_path / f"{name}.py"
        file.write_text(
            textwrap.dedent(
                f"""\
                def part(out):
                    out.table("{name} table", "µs")
                    out.row("x", 1.0, "peer", 2.0, at_most=1)
                PARTS = {{"part": part}}
                """
            )
        )
        files.append(str(file))
    out = tmp_path / "out.json"
    assert _bench.main(*files, argv=["--quick", "--json", str(out)]) == 0
    names = [(x["benchmark"], x["name"]) for x in json.loads(out.read_text())["rows"]]
    assert names == [("one", "x"), ("two", "x")]
    with pytest.raises(SystemExit) as raised:
        _bench.main(*files, argv=["--only", "part"])
    assert raised.value.code == 2
    assert "--only" in capsys.readouterr().err


def test_every_benchmark_has_parts_that_take_rows():
    for file in sorted(BENCHMARKS.glob("[!_]*.py")):
        module = _bench.load(file)
        assert module.PARTS, file
        assert all(callable(x) for x in module.PARTS.values()), file


def test_redis_of_a_benchmark_ends_with_it(tmp_path):
    try:
        with _peers.redis_server(tmp_path) as at:
            with socket.create_connection(("127.0.0.1", at.port)):
                assert os.path.exists(at.socket)
    except _peers.Missing as e:
        pytest.skip(str(e))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", at.port))
