"""A plug-in of pytest for `./dev test`: each test that fails leaves a file with all
that is known of it in the folder `HORNBEAM_TEST_OUTPUT`."""

import os
import re
from pathlib import Path

import pytest

FOLDER = Path(os.environ["HORNBEAM_TEST_OUTPUT"])


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Adds what the programs printed that the test started."""
    report = (yield).get_result()
    if report.failed:
        from launched import programs

        report.sections += [(f"Output of {name}", text) for name, text in programs()]


def file_of(nodeid):
    return FOLDER / (re.sub(r"[^\w.\[\]=-]+", "_", nodeid)[-200:] + ".txt")


def pytest_runtest_logreport(report):
    if not report.failed or "PYTEST_XDIST_WORKER" in os.environ:
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    with open(file_of(report.nodeid), "a", errors="backslashreplace") as out:
        out.write(f"{report.nodeid} ({report.when})\n\n{report.longreprtext}\n")
        for title, text in report.sections:
            out.write(f"\n--- {title}\n{text}\n")


def pytest_terminal_summary(terminalreporter, config):
    # The line of each that failed shall have room for the reason.
    config.get_terminal_writer().fullwidth = 200
    stats = terminalreporter.stats
    if stats.get("failed") or stats.get("error"):
        terminalreporter.write_line(f"The output of each is kept in {FOLDER}")
