"""The step of one input in a run, with its rejects and checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from etl.counts import Check, Counts, Merged
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
    values = {"sha256": raw.sha256, "name": raw.name, "size_bytes": raw.size_bytes}
    connection.execute(
        upsert(LedgerRawFile)
        .values(**values)
        .on_conflict_do_update(
            index_elements=["sha256"],
            set_={"pruned_at": None},
            where=LedgerRawFile.pruned_at.is_not(None),
        )
    )
    return connection.execute(
        select(LedgerRawFile.raw_file_id).where(LedgerRawFile.sha256 == raw.sha256)
    ).scalar_one()


def input_kind(connection: Connection, raw: RawFile, file_id: int) -> str:
    """Return how an input was received, also when its bytes are loaded a second time.

    An API answer that comes out of the raw store is an API answer, not a file; the
    kind that allows less wins.
    """
    if raw.kind != "file":
        return raw.kind
    earlier = connection.scalars(
        select(LedgerStep.input_kind)
        .where(
            LedgerStep.raw_file_id == file_id,
            LedgerStep.input_kind.in_(["api", "filtered_api"]),
        )
        .order_by(LedgerStep.input_kind.desc())
    ).first()
    return earlier or "file"


@dataclass(frozen=True, slots=True)
class StepKey:
    """Which step, on which raw file, since when."""

    run_id: UUID
    source: str
    position: int
    raw_file_id: int
    input_name: str
    input_kind: str
    started_at: datetime

    def columns(self) -> dict[str, Any]:
        """Return the key as columns of the step."""
        return {name: getattr(self, name) for name in self.__slots__}

    def reference(self) -> dict[str, Any]:
        """Return the columns by which rejects and checks refer to the step."""
        return {
            "run_id": self.run_id,
            "source": self.source,
            "position": self.position,
        }


def write_loaded(
    connection: Connection, key: StepKey, findings: Findings, counts: Counts
) -> None:
    """Record an input that was loaded."""
    _replace_step(
        connection,
        **key.columns(),
        status="loaded",
        tables={name: merged.to_dict() for name, merged in findings.tables.items()},
        **_found(findings),
        **counts.to_dict(),
    )
    _write_findings(connection, key, findings)


def write_same(connection: Connection, key: StepKey, earlier: Any) -> None:
    """Record an input that was recognised: the earlier step's counts, all unchanged.

    Its rejects are not copied: the step refers to the one that stored them.

    Args:
        earlier: The row of the ledger's step that loaded the same input.
    """
    counts = Counts(
        read=earlier.read,
        kept=earlier.kept,
        rejected=earlier.rejected,
        unchanged=earlier.kept,
        out_of_scope=earlier.out_of_scope,
    )
    _replace_step(
        connection,
        **key.columns(),
        status="loaded",
        same_input=True,
        rows_before=earlier.rows_after,
        rows_after=earlier.rows_after,
        rejects_by_rule=earlier.rejects_by_rule,
        rejects_stored=earlier.rejects_stored,
        rejects_run_id=earlier.rejects_run_id or earlier.run_id,
        rejects_position=earlier.rejects_position or earlier.position,
        **counts.to_dict(),
    )
    run = str(earlier.run_id)
    _write_checks(connection, key, [Check("the input is that of run", run, run, True)])


def write_failed(
    connection: Connection, key: StepKey, findings: Findings, error: BaseException
) -> None:
    """Record an input with a rolled-back load, and what was found until then."""
    _replace_step(
        connection,
        **key.columns(),
        status="failed",
        **_found(findings),
        **findings.counts(Merged()).to_dict(),
        **error_columns(error),
    )
    _write_findings(connection, key, findings)


def _found(findings: Findings) -> dict[str, Any]:
    return {
        "rows_before": findings.rows_before,
        "rows_after": findings.rows_after,
        "sample_rows_replaced": findings.sample_rows_replaced,
        "rejects_by_rule": dict(findings.by_rule),
        "rejects_stored": len(findings.rejects),
    }


def error_columns(error: BaseException) -> dict[str, str]:
    """Return an error as the ledger stores it; one that is not ours is a bug."""
    if isinstance(error, EtlError):
        code, message, hint = error.code, error.message, error.hint
    else:
        code, message, hint = "INTERNAL", f"{type(error).__name__}: {error}", "--debug"
    return {"error_code": code, "error_message": message, "error_hint": hint}


def _replace_step(connection: Connection, **columns: Any) -> None:
    """Write a step; an earlier attempt's goes, with its rejects and checks."""
    connection.execute(
        delete(LedgerStep).where(
            LedgerStep.run_id == columns["run_id"],
            LedgerStep.source == columns["source"],
            LedgerStep.position == columns["position"],
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
                **key.reference(),
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
            [{**key.reference(), **check.to_dict()} for check in checks],
        )
