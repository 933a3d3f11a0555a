"""What a run did, in counts: the values behind every report of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection, Engine, Row, select

from etl.counts import Check, Counts
from etl.db import translated_errors
from etl.errors import ConfigError
from etl.models.ledger import (
    LedgerCheckResult,
    LedgerRawFile,
    LedgerReject,
    LedgerRun,
    LedgerStep,
)

RunStatus = Literal["running", "succeeded", "partial", "failed", "crashed"]
SourceStatus = Literal["loaded", "failed", "blocked", "missing"]

FIRST_REJECTS = 5


@dataclass(frozen=True, slots=True)
class InputReceipt:
    """Which bytes were loaded."""

    name: str
    sha256: str
    size_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class RejectReceipt:
    """One row that was not loaded. `line` counts from 1, the header is line 1."""

    line: int
    column: str
    value: str
    rule: str
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ErrorReceipt:
    """Why a source was not loaded."""

    code: str
    message: str
    hint: str

    def to_dict(self) -> dict[str, str]:
        """Return the JSON form."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class SourceReceipt:
    """What a run did with one source.

    Attributes:
        same_input: The input was loaded before and nothing has changed since, so this
            run did not load it; the counts are those of that load, all unchanged.
        tables: Per table: inserted, updated, unchanged, retracted.
        first_rejects: At most five; the ledger has all of them.
    """

    source: str
    status: SourceStatus
    counts: Counts = field(default_factory=Counts)
    input: InputReceipt | None = None
    same_input: bool = False
    tables: dict[str, dict[str, int]] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    rejects_by_rule: dict[str, int] = field(default_factory=dict)
    first_rejects: tuple[RejectReceipt, ...] = ()
    error: ErrorReceipt | None = None
    duration_s: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "status": self.status,
            **self.counts.to_dict(),
            "input": self.input and self.input.to_dict(),
            "same_input": self.same_input,
            "tables": self.tables,
            "checks": [check.to_dict() for check in self.checks],
            "rejects_by_rule": self.rejects_by_rule,
            "first_rejects": [reject.to_dict() for reject in self.first_rejects],
            "error": self.error and self.error.to_dict(),
            "duration_s": self.duration_s,
        }


@dataclass(frozen=True, slots=True)
class RunReceipt:
    """What a run did: one receipt per planned source, in load order."""

    run_id: UUID
    status: RunStatus
    trigger: str
    sources: dict[str, SourceReceipt]
    schema_revision: str
    lock_digest: str
    started_at: datetime
    finished_at: datetime | None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form that `--json` prints as `data`."""
        return {
            "run_id": str(self.run_id),
            "status": self.status,
            "trigger": self.trigger,
            "sources": {name: one.to_dict() for name, one in self.sources.items()},
            "schema_revision": self.schema_revision,
            "lock_digest": self.lock_digest,
            "started_at": self.started_at.isoformat(),
            "finished_at": self.finished_at and self.finished_at.isoformat(),
        }


def read_receipt(engine: Engine, run_id: UUID) -> RunReceipt:
    """Read the receipt of a run from the ledger.

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
            source: read_source(connection, run_id, source) for source in run.sources
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


def read_source(connection: Connection, run_id: UUID, source: str) -> SourceReceipt:
    """Read what a run did with one source; "missing" if it did not come to it."""
    step = connection.execute(
        select(LedgerStep, LedgerRawFile.sha256, LedgerRawFile.size_bytes)
        .outerjoin(LedgerRawFile, LedgerRawFile.raw_file_id == LedgerStep.raw_file_id)
        .where(LedgerStep.run_id == run_id, LedgerStep.source == source)
    ).one_or_none()
    if step is None:
        return SourceReceipt(source, "missing")
    return SourceReceipt(
        source=source,
        status=step.status,
        counts=Counts(**{name: getattr(step, name) for name in Counts.__slots__}),
        input=_input(step),
        same_input=step.same_input,
        tables=step.tables,
        checks=_checks(connection, run_id, source),
        rejects_by_rule=step.rejects_by_rule,
        first_rejects=_first_rejects(connection, run_id, source),
        error=_error(step),
        duration_s=round((step.finished_at - step.started_at).total_seconds(), 3),
    )


def _input(step: Any) -> InputReceipt | None:
    if step.sha256 is None:
        return None
    return InputReceipt(step.input_name, step.sha256, step.size_bytes)


def _error(step: Any) -> ErrorReceipt | None:
    if step.error_code is None:
        return None
    return ErrorReceipt(step.error_code, step.error_message, step.error_hint)


def _checks(connection: Connection, run_id: UUID, source: str) -> tuple[Check, ...]:
    rows = connection.execute(
        select(LedgerCheckResult)
        .where(LedgerCheckResult.run_id == run_id, LedgerCheckResult.source == source)
        .order_by(LedgerCheckResult.passed, LedgerCheckResult.name)
    )
    return tuple(
        Check(row.name, row.expected, row.seen, row.passed, row.severity)
        for row in rows
    )


def _first_rejects(
    connection: Connection, run_id: UUID, source: str
) -> tuple[RejectReceipt, ...]:
    rows: Sequence[Row[Any]] = connection.execute(
        select(LedgerReject)
        .where(LedgerReject.run_id == run_id, LedgerReject.source == source)
        .order_by(LedgerReject.line)
        .limit(FIRST_REJECTS)
    ).all()
    return tuple(
        RejectReceipt(row.line, row.column_name, row.value, row.rule, row.reason)
        for row in rows
    )
