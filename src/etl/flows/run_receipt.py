"""Reads a run's receipt, after marking crashed runs."""

from __future__ import annotations

import time
from uuid import UUID

from sqlalchemy import Engine, select

from etl.db import connect, translated_errors
from etl.ledger.read_receipt import read_receipt
from etl.ledger.receipt import RunReceipt
from etl.ledger.runs import sweep_dead_runs
from etl.models.ledger import LedgerRun
from etl.settings import load_settings

# The server notices a killed client within a second or two, and ends its session.
SESSION_ENDS_WITHIN_SECONDS = 5.0


def read_final_receipt(run_id: UUID) -> RunReceipt | None:
    """Return the receipt of a run that has ended; None if it is not in the ledger.

    A run without a process is marked as crashed first, so that it is not reported as
    running.
    """
    engine = connect(load_settings())
    deadline = time.monotonic() + SESSION_ENDS_WITHIN_SECONDS
    try:
        while is_running(engine, run_id) and time.monotonic() < deadline:
            time.sleep(0.2)
        return read_receipt(engine, run_id) if status_of(engine, run_id) else None
    finally:
        engine.dispose()


def has_running_process(run_id: UUID) -> bool:
    """Return whether the process of a run is running; connects to the database."""
    engine = connect(load_settings())
    try:
        return is_running(engine, run_id)
    finally:
        engine.dispose()


def is_running(engine: Engine, run_id: UUID) -> bool:
    """Return whether a run's process holds its lock on the ledger."""
    sweep_dead_runs(engine)
    return status_of(engine, run_id) == "running"


def status_of(engine: Engine, run_id: UUID) -> str | None:
    """Return a run's status in the ledger; None if it is not there."""
    with translated_errors(), engine.connect() as connection:
        return connection.scalar(
            select(LedgerRun.status).where(LedgerRun.run_id == run_id)
        )
