"""A run in the ledger: opened, closed once, or found dead."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import Connection, Engine, func, insert, select, text, update

from etl.db import require_head, translated_errors
from etl.errors import EtlError
from etl.ledger.read_receipt import read_receipt, read_source
from etl.ledger.receipt import RunReceipt, RunStatus
from etl.locks import alive_key
from etl.models.ledger import LedgerRun
from etl.models.revision import head_revision
from etl.settings import lock_digest

logger = logging.getLogger(__name__)

GRACE = text("interval '60 seconds'")
"""How long a run may take from its opening until it holds its lock."""

RERUN = "./etl run"


def open_run(
    engine: Engine,
    *,
    run_id: UUID,
    sources: Sequence[str],
    inputs: Mapping[str, Sequence[str]],
    trigger: str,
) -> None:
    """Write the run into the ledger as running, after sweeping dead ones.

    Args:
        sources: What it is going to load, in load order.
        inputs: The inputs of each that were named, as text; never with a secret in it.
        trigger: What started it: a schedule, a deployment, a call.

    Raises:
        SchemaOutdated: The database is not at the revision of this code.
    """
    sweep_dead_runs(engine)
    with translated_errors(), engine.begin() as connection:
        require_head(connection)
        connection.execute(
            insert(LedgerRun).values(
                run_id=run_id,
                status="running",
                trigger=trigger,
                sources=list(sources),
                inputs={source: list(named) for source, named in inputs.items()},
                schema_revision=head_revision(),
                lock_digest=lock_digest(),
            )
        )
    logger.info("run %s opened: %s", run_id, ", ".join(sources))


def require_open(connection: Connection, run_id: UUID) -> None:
    """Refuse to work for a run that has ended; keep it open until the transaction ends.

    Raises:
        EtlError: It ended, or never was.
    """
    status = connection.scalar(
        select(LedgerRun.status)
        .where(LedgerRun.run_id == run_id)
        .with_for_update(read=True)
    )
    if status != "running":
        raise EtlError(
            f"run {run_id} is {status or 'not in the ledger'}: nothing may be loaded",
            RERUN,
        )


def close_run(engine: Engine, run_id: UUID) -> RunReceipt:
    """End the run with the status that its steps add up to, and return its receipt.

    A run that has ended already stays as it is.
    """
    with translated_errors(), engine.begin() as connection:
        closed = connection.execute(
            update(LedgerRun)
            .where(LedgerRun.run_id == run_id, LedgerRun.status == "running")
            .values(
                status=_status(connection, run_id), finished_at=func.clock_timestamp()
            )
            .returning(LedgerRun.status)
        ).scalar()
    logger.info("run %s ended: %s", run_id, closed or "it had been closed before")
    return read_receipt(engine, run_id)


def _status(connection: Connection, run_id: UUID) -> RunStatus:
    """Failed unless every planned input is loaded; partial if any row was rejected."""
    run = connection.execute(
        select(LedgerRun.sources, LedgerRun.inputs).where(LedgerRun.run_id == run_id)
    ).one_or_none()
    if run is None:
        return "failed"
    rejected = 0
    for source in run.sources:
        planned = len(run.inputs.get(source, ()))
        receipt = read_source(connection, run_id, source, planned=planned)
        if receipt.status != "loaded":
            return "failed"
        rejected += receipt.counts.rejected
    return "partial" if rejected else "succeeded"


def sweep_dead_runs(engine: Engine) -> list[UUID]:
    """Mark running runs without a process as crashed; return them.

    A process has ended when the run's lock is free. A run that a load is just
    writing for has its row locked and is passed over.
    """
    with translated_errors(), engine.begin() as connection:
        require_head(connection)
        running = connection.scalars(
            select(LedgerRun.run_id)
            .where(
                LedgerRun.status == "running",
                LedgerRun.held_at.is_not(None)
                | (LedgerRun.started_at < func.now() - GRACE),
            )
            .with_for_update(skip_locked=True)
        ).all()
        dead = [run_id for run_id in running if _is_unheld(connection, run_id)]
        connection.execute(
            update(LedgerRun)
            .where(LedgerRun.run_id.in_(dead))
            .values(status="crashed", finished_at=func.clock_timestamp())
        )
    for run_id in dead:
        logger.warning("run %s was left by a process that is gone: crashed", run_id)
    return dead


def _is_unheld(connection: Connection, run_id: UUID) -> bool:
    """Whether the run's lock was free; takes it until the transaction ends."""
    got = connection.scalar(select(func.pg_try_advisory_xact_lock(alive_key(run_id))))
    return bool(got)
