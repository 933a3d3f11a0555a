"""Keeps the engines' reports: as files, and in a few lines at the end of the tests."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from tests.docker.conftest import machine
from tests.docker.site import CHECKOUT

__all__ = ["machine"]
MADE_OF = "made of"  # what cannot be the same
FOLDER = CHECKOUT / ".etl" / "parity"
REPORTS = pytest.StashKey[dict[str, dict[str, Any]]]()


def keep(config: pytest.Config, engine: str, report: dict[str, Any]) -> dict[str, Any]:
    """Write an engine's report to a file, and return it."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{engine}.json").write_text(json.dumps(report, indent=1) + "\n")
    config.stash.setdefault(REPORTS, {})[engine] = report
    return report


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Report what was compared for each engine, and what its stack was made of."""
    reports = config.stash.get(REPORTS, {})
    if reports:
        terminalreporter.section(f"parity ({FOLDER})")
    for engine, report in reports.items():
        parts = [f"{part} {digest(report[part])}" for part in report if part != MADE_OF]
        terminalreporter.line(f"{engine:<7} {', '.join(parts)}")
        for name, what in report[MADE_OF].items():
            terminalreporter.line(f"        {name}: {what}")


def digest(part: object) -> str:
    """Return a short hash of a part: the same where the part is the same."""
    return hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()[:12]
