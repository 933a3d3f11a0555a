"""The ledger's account of a flow run: its receipt, after the dead have been counted."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select

from etl import pipeline
from etl.db import connect, translated_errors
from etl.models.ledger import LedgerRun
from etl.report.receipt import RunReceipt, read_receipt
from etl.settings import load_settings


def ledger_account(run_id: UUID) -> RunReceipt | None:
    """Return what the ledger says of a run; None if the run never opened one.

    A run whose process died is marked as crashed first, so that it is not reported as
    running.
    """
    engine = connect(load_settings())
    try:
        pipeline.sweep_dead_runs(engine)
        with translated_errors(), engine.connect() as connection:
            known = connection.scalar(
                select(LedgerRun.run_id).where(LedgerRun.run_id == run_id)
            )
        return read_receipt(engine, run_id) if known else None
    finally:
        engine.dispose()


def is_at_work(run_id: UUID) -> bool:
    """Tell whether a run's process is alive, by its lock on the ledger."""
    receipt = ledger_account(run_id)
    return receipt is not None and receipt.status == "running"
