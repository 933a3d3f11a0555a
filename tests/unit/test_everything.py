"""Skipped tests: one line for each reason, and failures where none may be skipped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.everything import EVERYTHING

CHECKOUT = Path(__file__).resolve().parents[2]
TESTS = """\
import pytest

@pytest.mark.parametrize("number", range(3))
def test_that_lacks_something(number):
    pytest.skip("no tool")

@pytest.mark.skipif(True, reason="no root")
def test_that_lacks_rights(): ...

@pytest.mark.optional
def test_that_no_machine_of_ours_can_run():
    pytest.skip("no engine")

@pytest.mark.xfail
def test_that_is_expected_to_fail():
    assert False
"""


@pytest.mark.parametrize(
    ("asked", "code", "summary"),
    [
        ("", 0, "5 skipped, 1 xfailed"),
        ("1", 1, "3 failed, 1 skipped, 1 xfailed, 1 error"),
    ],
)
def test_what_is_left_out_fails_only_if_asked_for(
    asked: str, code: int, summary: str, tmp_path: Path
) -> None:
    (tmp_path / "test_lacking.py").write_text(TESTS)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-c", os.devnull, "-rf"),
            *("-p", "tests.everything", "-W", "ignore", tmp_path),
        ],
        cwd=CHECKOUT,
        env=os.environ | {EVERYTHING: asked, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, summary in done.stdout) == (code, True), done.stdout
    assert "no tool" in done.stdout
    assert "no root" in done.stdout
    assert ("skipped 3: no tool\n" in done.stdout) is (not asked)
    assert "skipped 1: no engine\n" in done.stdout
