"""Reads receipts from the ledger."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, select

from etl.counts import Check, Counts
from etl.db import translated_errors
from etl.errors import ConfigError
from etl.ledger.receipt import (
    FIRST_REJECTS,
    ErrorReceipt,
    InputReceipt,
    RejectReceipt,
    RunReceipt,
    SourceReceipt,
    StepReceipt,
    add_up,
)
from etl.models.ledger import (
    LedgerCheckResult,
    LedgerRawFile,
    LedgerReject,
    LedgerRun,
    LedgerStep,
)


def read_receipt(engine: Engine, run_id: UUID) -> RunReceipt:
    """Read the receipt of a run.

    Raises:
        ConfigError: The ledger has no such run.
    """
    with translated_errors(), engine.connect() as connection:
        run = connection.execute(
            select(LedgerRun).where(LedgerRun.run_id == run_id)
        ).one_or_none()
        if run is None:
            raise ConfigError(f"the ledger has no run {run_id}", "./etl runs")
        sources = {
            source: read_source(
                connection, run_id, source, planned=len(run.inputs.get(source, ()))
            )
            for source in run.sources
        }
    return RunReceipt(
        run_id=run_id,
        status=run.status,
        trigger=run.trigger,
        sources=sources,
        schema_revision=run.schema_revision,
        lock_digest=run.lock_digest,
        started_at=run.started_at,
        finished_at=run.finished_at,
    )


def read_source(
    connection: Connection, run_id: UUID, source: str, *, planned: int
) -> SourceReceipt:
    """Read what a run did with one source; "missing" if it has not come to it."""
    positions = connection.scalars(
        select(LedgerStep.position)
        .where(LedgerStep.run_id == run_id, LedgerStep.source == source)
        .order_by(LedgerStep.position)
    ).all()
    steps = [read_step(connection, run_id, source, number) for number in positions]
    return add_up(source, steps, planned=planned)


def read_step(
    connection: Connection, run_id: UUID, source: str, position: int
) -> StepReceipt:
    """Read what a run did with one input; "missing" if it has not come to it."""
    step = connection.execute(
        select(LedgerStep, LedgerRawFile.sha256, LedgerRawFile.size_bytes)
        .outerjoin(LedgerRawFile, LedgerRawFile.raw_file_id == LedgerStep.raw_file_id)
        .where(
            LedgerStep.run_id == run_id,
            LedgerStep.source == source,
            LedgerStep.position == position,
        )
    ).one_or_none()
    if step is None:
        return StepReceipt(position=position, status="missing")
    return StepReceipt(
        position=position,
        input_name=step.input_name or "",
        status=step.status,
        counts=Counts(**{name: getattr(step, name) for name in Counts.__slots__}),
        input=_input(step),
        same_input=step.same_input,
        rows_before=step.rows_before,
        rows_after=step.rows_after,
        sample_rows_replaced=step.sample_rows_replaced,
        tables=step.tables,
        checks=_checks(connection, step),
        rejects_by_rule=step.rejects_by_rule,
        rejects_stored=step.rejects_stored,
        first_rejects=_first_rejects(connection, step),
        rejects_of=step.rejects_run_id,
        error=_error(step),
        duration_s=round((step.finished_at - step.started_at).total_seconds(), 3),
    )


def _input(step: Any) -> InputReceipt | None:
    if step.sha256 is None:
        return None
    kind = step.input_kind or "file"
    return InputReceipt(step.input_name, step.sha256, step.size_bytes, kind)


def _error(step: Any) -> ErrorReceipt | None:
    if step.error_code is None:
        return None
    return ErrorReceipt(step.error_code, step.error_message, step.error_hint)


def _checks(connection: Connection, step: Any) -> tuple[Check, ...]:
    rows = connection.execute(
        select(LedgerCheckResult)
        .where(
            LedgerCheckResult.run_id == step.run_id,
            LedgerCheckResult.source == step.source,
            LedgerCheckResult.position == step.position,
        )
        .order_by(LedgerCheckResult.passed, LedgerCheckResult.name)
    )
    return tuple(
        Check(row.name, row.expected, row.seen, row.passed, row.severity)
        for row in rows
    )


def _first_rejects(connection: Connection, step: Any) -> tuple[RejectReceipt, ...]:
    """Read the first rejects, from the step that has stored them."""
    rows = connection.execute(
        select(LedgerReject)
        .where(
            LedgerReject.run_id == (step.rejects_run_id or step.run_id),
            LedgerReject.source == step.source,
            LedgerReject.position == (step.rejects_position or step.position),
        )
        .order_by(LedgerReject.line)
        .limit(FIRST_REJECTS)
    )
    return tuple(
        RejectReceipt(
            row.line,
            row.column_name,
            row.value,
            row.rule,
            row.reason,
            step.input_name or "",
        )
        for row in rows
    )
