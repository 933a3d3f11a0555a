"""Turns a test that is left out into a failure, where all of them are asked for.

For CI: what a machine lacks is to be noticed there, not passed over. A test that is
marked `optional` wants what no machine has to have; it is left out and named.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

EVERYTHING = "ETL_TEST_ALL"


def everything_is_asked_for() -> bool:
    """Whether no test may be left out."""
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
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        report.outcome = "failed"
        report.longrepr = f"left out, but {EVERYTHING} asks for every test: {reason}"
    return report
