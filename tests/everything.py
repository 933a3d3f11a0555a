"""Skipped tests: summed up by reason, and failed where `ETL_TEST_ALL` is set.

CI sets it, so that a tool that is missing there is noticed. A test that is marked
`optional` needs what no machine has to have; it is skipped there too.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator

import pytest

EVERYTHING = "ETL_TEST_ALL"


def everything_is_asked_for() -> bool:
    """Whether no test may be skipped."""
    return bool(os.environ.get(EVERYTHING))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that is skipped. One that is expected to fail has run."""
    report = yield
    is_left_out = report.skipped and not hasattr(report, "wasxfail")
    is_optional = item.get_closest_marker("optional") is not None
    if is_left_out and not is_optional and everything_is_asked_for():
        report.outcome = "failed"
        report.longrepr = f"skipped, but {EVERYTHING} is set: {reason(report)}"
    return report


def reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Return why a test was skipped."""
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    return text.removeprefix("Skipped: ")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print one line for each reason to skip, with the number of tests."""
    skipped = terminalreporter.stats.get("skipped", [])
    for text, count in Counter(reason(report) for report in skipped).most_common():
        terminalreporter.write_line(f"skipped {count}: {text}")
