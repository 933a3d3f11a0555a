"""The step of one source in a run, with its rejects and checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, delete, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from etl.counts import Check, Counts, Merged
from etl.db import translated_errors
from etl.errors import EtlError
from etl.extract.raw_store import RawFile
from etl.models.ledger import (
    LedgerCheckResult,
    LedgerRawFile,
    LedgerReject,
    LedgerStep,
)
from etl.rejects import LINE
from etl.run.findings import Findings


def raw_file_id(connection: Connection, raw: RawFile) -> int:
    """Return the number of a raw file, which is new or was seen before."""
    connection.execute(
        upsert(LedgerRawFile)
        .values(sha256=raw.sha256, name=raw.name, size_bytes=raw.size_bytes)
        .on_conflict_do_nothing()
    )
    return connection.execute(
        select(LedgerRawFile.raw_file_id).where(LedgerRawFile.sha256 == raw.sha256)
    ).scalar_one()


@dataclass(frozen=True, slots=True)
class StepKey:
    """Which step, on which raw file, since when."""

    run_id: UUID
    source: str
    raw_file_id: int
    input_name: str
    started_at: datetime

    def columns(self) -> dict[str, Any]:
        """Return the key as columns of the step."""
        return {
            "run_id": self.run_id,
            "source": self.source,
            "raw_file_id": self.raw_file_id,
            "input_name": self.input_name,
            "started_at": self.started_at,
        }


def write_loaded(
    connection: Connection,
    key: StepKey,
    findings: Findings,
    counts: Counts,
    *,
    same_input: bool = False,
) -> None:
    """Record a source that was loaded, or did not need to be."""
    _replace_step(
        connection,
        **key.columns(),
        status="loaded",
        same_input=same_input,
        tables={name: merged.to_dict() for name, merged in findings.tables.items()},
        rejects_by_rule=dict(findings.by_rule),
        **counts.to_dict(),
    )
    _write_findings(connection, key, findings)


def write_failed(
    connection: Connection, key: StepKey, findings: Findings, error: BaseException
) -> None:
    """Record a source whose load was rolled back, and what was found until then."""
    _replace_step(
        connection,
        **key.columns(),
        status="failed",
        rejects_by_rule=dict(findings.by_rule),
        **findings.counts(Merged()).to_dict(),
        **error_columns(error),
    )
    _write_findings(connection, key, findings)


def error_columns(error: BaseException) -> dict[str, str]:
    """Return an error as the ledger stores it; one that is not ours is a bug."""
    if isinstance(error, EtlError):
        code, message, hint = error.code, error.message, error.hint
    else:
        code, message, hint = "INTERNAL", f"{type(error).__name__}: {error}", "--debug"
    return {"error_code": code, "error_message": message, "error_hint": hint}


def write_unstarted(
    connection: Connection, run_id: UUID, source: str, status: str, **columns: str
) -> None:
    """Record a source that did not come to its load, unless more is known of it."""
    connection.execute(
        upsert(LedgerStep)
        .values(run_id=run_id, source=source, status=status, **columns)
        .on_conflict_do_nothing()
    )


def _replace_step(connection: Connection, **columns: Any) -> None:
    """Write a step; an earlier attempt's goes, with its rejects and checks."""
    connection.execute(
        delete(LedgerStep).where(
            LedgerStep.run_id == columns["run_id"],
            LedgerStep.source == columns["source"],
        )
    )
    connection.execute(insert(LedgerStep).values(**columns))


def _write_findings(connection: Connection, key: StepKey, findings: Findings) -> None:
    _write_checks(connection, key, findings.checks)
    if findings.rejects.is_empty():
        return
    connection.execute(
        insert(LedgerReject),
        [
            {
                "run_id": key.run_id,
                "source": key.source,
                "raw_file_id": key.raw_file_id,
                "line": reject.pop(LINE),
                "raw_text": findings.quotes.get(line, ""),
                **reject,
            }
            for reject in findings.rejects.iter_rows(named=True)
            for line in (reject[LINE],)
        ],
    )


def _write_checks(
    connection: Connection, key: StepKey, checks: Sequence[Check]
) -> None:
    if checks:
        connection.execute(
            insert(LedgerCheckResult),
            [
                {"run_id": key.run_id, "source": key.source, **check.to_dict()}
                for check in checks
            ],
        )


def record_failure(
    engine: Engine, run_id: UUID, source: str, error: BaseException
) -> None:
    """Record a source that failed outside its load; what its load recorded stays."""
    with translated_errors(), engine.begin() as connection:
        write_unstarted(connection, run_id, source, "failed", **error_columns(error))


def record_blocked(engine: Engine, run_id: UUID, source: str, *, because: str) -> None:
    """Record a source that did not start because an ancestor failed."""
    with translated_errors(), engine.begin() as connection:
        write_unstarted(
            connection,
            run_id,
            source,
            "blocked",
            blocked_by=because,
            error_code="BLOCKED",
            error_message=f"it needs {because}, which was not loaded",
            error_hint=f"correct {because}, then run again",
        )
