"""The error of a run: the worse of Prefect's state and the ledger's receipt."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from etl.flows.run_error import run_error
from etl.ledger.receipt import (
    ErrorReceipt,
    RunReceipt,
    RunStatus,
    SourceReceipt,
)


def receipt(status: RunStatus, *errors: str) -> RunReceipt:
    """Return the receipt of a run with sources that failed with these codes."""
    sources = {
        code: SourceReceipt(
            source=code, status="failed", error=ErrorReceipt(code, "why", "do this")
        )
        for code in errors
    }
    now = datetime.now(UTC)
    return RunReceipt(UUID(int=0), status, "test", sources, "r", "l", now, now)


@pytest.mark.parametrize("status", ["succeeded", "partial"])
def test_a_completed_run_that_loaded_everything_is_a_success(status: RunStatus) -> None:
    assert run_error("COMPLETED", "", receipt(status)) is None


@pytest.mark.parametrize(
    ("state", "given", "code", "exit_code"),
    [
        ("FAILED", receipt("failed", "DATA"), "CONTRACT_BROKEN", 5),
        ("FAILED", receipt("failed", "SOURCE_CHANGED"), "CONTRACT_BROKEN", 5),
        ("FAILED", receipt("failed", "SOURCE_UNAVAILABLE"), "RUN_FAILED", 1),
        ("COMPLETED", receipt("failed", "SOURCE_UNAVAILABLE"), "RUN_FAILED", 1),
        ("FAILED", receipt("failed", "CONFIG"), "CONFIG", 2),
        ("FAILED", receipt("failed", "CONFIG", "DATA"), "CONTRACT_BROKEN", 5),
        ("FAILED", receipt("failed", "CONFIG", "SCHEMA_OUTDATED"), "RUN_FAILED", 1),
        ("COMPLETED", receipt("running"), "RUN_FAILED", 1),
        ("COMPLETED", None, "RUN_FAILED", 1),
        ("FAILED", receipt("succeeded"), "RUN_FAILED", 1),
        ("COMPLETED", receipt("crashed"), "RUN_CRASHED", 1),
        ("CRASHED", receipt("succeeded"), "RUN_CRASHED", 1),
        ("CRASHED", None, "RUN_CRASHED", 1),
        ("CANCELLED", receipt("failed"), "RUN_CANCELLED", 1),
    ],
)
def test_the_worse_of_both_is_reported(
    state: str, given: RunReceipt | None, code: str, exit_code: int
) -> None:
    error = run_error(state, "a reason", given)
    assert error is not None
    assert (error.code, error.exit_code) == (code, exit_code)


def test_a_failed_run_names_its_sources_and_the_fix() -> None:
    error = run_error("FAILED", "", receipt("failed", "DATA"))
    assert error is not None
    assert error.message == "DATA failed: why"
    assert error.hint == "do this"
