"""The ledger: runs, steps, raw files, rejects and checks."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from etl.models.base import Base


class LedgerRun(Base):
    """One row per run of the pipeline; closed exactly once.

    `inputs` has the inputs of each source as text, in load order. `held_at` is when the
    run took its lock; a running run that has it but that holds its lock no more has
    crashed.
    """

    __tablename__ = "ledger_run"
    __table_args__ = (
        CheckConstraint(
            "status IN ('running', 'succeeded', 'partial', 'failed', 'crashed')",
            name="status",
        ),
        CheckConstraint(
            "(status = 'running') = (finished_at IS NULL)", name="closed_once"
        ),
        Index("ix_ledger_run__started_at", "started_at"),
    )

    run_id: Mapped[UUID] = mapped_column(primary_key=True)
    status: Mapped[str]
    trigger: Mapped[str]
    sources: Mapped[list[str]] = mapped_column(ARRAY(Text))
    inputs: Mapped[dict[str, list[str]]] = mapped_column(JSONB)
    schema_revision: Mapped[str]
    lock_digest: Mapped[str]
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    held_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class LedgerRawFile(Base):
    """One row per distinct content that was ever loaded or refused.

    `pruned_at` is when its bytes were removed from the raw store.
    """

    __tablename__ = "ledger_raw_file"

    raw_file_id: Mapped[int] = mapped_column(
        Identity(always=True), primary_key=True, autoincrement=True
    )
    sha256: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    first_seen_at: Mapped[datetime] = mapped_column(server_default=func.now())
    pruned_at: Mapped[datetime | None]


class LedgerStep(Base):
    """One row per input of a source in a run: loaded, failed, or blocked by another.

    `position` counts the inputs of a source from 1, in load order. `rows_before` and
    `rows_after` count the source's main table. A step that recognised its input refers
    by `rejects_run_id` and `rejects_position` to the step that stored the rejects.
    """

    __tablename__ = "ledger_step"
    __table_args__ = (
        CheckConstraint("status IN ('loaded', 'failed', 'blocked')", name="status"),
        CheckConstraint("read = kept + rejected", name="every_row_counted"),
        CheckConstraint(
            "status <> 'loaded' OR kept = inserted + updated + unchanged",
            name="every_kept_row_counted",
        ),
        CheckConstraint(
            "(status = 'loaded') = (error_code IS NULL)", name="error_told"
        ),
        CheckConstraint(
            "input_kind IN ('file', 'api', 'filtered_api', 'sample', 'reference')",
            name="input_kind",
        ),
        CheckConstraint("position >= 1", name="position"),
        CheckConstraint(
            "(rejects_run_id IS NULL) = (rejects_position IS NULL)", name="rejects_of"
        ),
        ForeignKeyConstraint(
            ["rejects_run_id", "source", "rejects_position"],
            ["ledger_step.run_id", "ledger_step.source", "ledger_step.position"],
        ),
    )

    run_id: Mapped[UUID] = mapped_column(
        ForeignKey("ledger_run.run_id", ondelete="CASCADE"), primary_key=True
    )
    source: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, server_default=text("1"))
    status: Mapped[str]
    raw_file_id: Mapped[int | None] = mapped_column(
        ForeignKey("ledger_raw_file.raw_file_id")
    )
    input_name: Mapped[str | None]
    input_kind: Mapped[str | None]
    same_input: Mapped[bool] = mapped_column(server_default=text("false"))
    read: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    kept: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    rejected: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    inserted: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    updated: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    unchanged: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    retracted: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    out_of_scope: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    sample_rows_replaced: Mapped[int] = mapped_column(
        BigInteger, server_default=text("0")
    )
    rows_before: Mapped[int | None] = mapped_column(BigInteger)
    rows_after: Mapped[int | None] = mapped_column(BigInteger)
    tables: Mapped[dict[str, dict[str, int]]] = mapped_column(
        JSONB, server_default=text("'{}'")
    )
    rejects_stored: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    rejects_run_id: Mapped[UUID | None]
    rejects_position: Mapped[int | None]
    rejects_by_rule: Mapped[dict[str, int]] = mapped_column(
        JSONB, server_default=text("'{}'")
    )
    error_code: Mapped[str | None]
    error_message: Mapped[str | None]
    error_hint: Mapped[str | None]
    blocked_by: Mapped[str | None]
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


def _step_key() -> ForeignKeyConstraint:
    """Rejects and checks go when a retry replaces the step that they belong to."""
    return ForeignKeyConstraint(
        ["run_id", "source", "position"],
        ["ledger_step.run_id", "ledger_step.source", "ledger_step.position"],
        ondelete="CASCADE",
    )


class LedgerReject(Base):
    """One row per line of an input that was rejected. A line is rejected once."""

    __tablename__ = "ledger_reject"
    __table_args__ = (
        _step_key(),
        Index(
            "ix_ledger_reject__run_id_source_position", "run_id", "source", "position"
        ),
    )

    reject_id: Mapped[int] = mapped_column(
        BigInteger, Identity(always=True), primary_key=True
    )
    run_id: Mapped[UUID]
    source: Mapped[str]
    position: Mapped[int] = mapped_column(server_default=text("1"))
    raw_file_id: Mapped[int] = mapped_column(ForeignKey("ledger_raw_file.raw_file_id"))
    line: Mapped[int] = mapped_column(BigInteger)
    column_name: Mapped[str]
    value: Mapped[str]
    rule: Mapped[str]
    reason: Mapped[str]
    raw_text: Mapped[str]


class LedgerCheckResult(Base):
    """One row per named expectation over a whole load."""

    __tablename__ = "ledger_check_result"
    __table_args__ = (
        _step_key(),
        CheckConstraint("severity IN ('error', 'warning')", name="severity"),
    )

    run_id: Mapped[UUID] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, server_default=text("1"))
    name: Mapped[str] = mapped_column(primary_key=True)
    severity: Mapped[str]
    expected: Mapped[str]
    seen: Mapped[str]
    passed: Mapped[bool]


class LedgerCursor(Base):
    """One row per source: what its tables hold, so that the same input is recognised.

    `state` is everything that the result of a load depends on besides the tables
    themselves; `target_digest` notices tables that something else has changed. The step
    is the last one that loaded something.
    """

    __tablename__ = "ledger_cursor"
    __table_args__ = (
        ForeignKeyConstraint(
            ["run_id", "source", "position"],
            ["ledger_step.run_id", "ledger_step.source", "ledger_step.position"],
        ),
    )

    source: Mapped[str] = mapped_column(primary_key=True)
    run_id: Mapped[UUID]
    position: Mapped[int] = mapped_column(server_default=text("1"))
    state: Mapped[dict[str, Any]] = mapped_column(JSONB)
    target_digest: Mapped[str] = mapped_column(server_default=text("''"))
