"""The ledger: what ran, what it read, what became of each row, what was checked."""

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

    `held_at` is when the run took its lock; a running run that has it but whose lock
    nobody holds is dead.
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
    inputs: Mapped[dict[str, str]] = mapped_column(JSONB)
    schema_revision: Mapped[str]
    lock_digest: Mapped[str]
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    held_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class LedgerRawFile(Base):
    """One row per distinct content that was ever loaded or refused."""

    __tablename__ = "ledger_raw_file"

    raw_file_id: Mapped[int] = mapped_column(
        Identity(always=True), primary_key=True, autoincrement=True
    )
    sha256: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    first_seen_at: Mapped[datetime] = mapped_column(server_default=func.now())


class LedgerStep(Base):
    """One row per source of a run that ended: loaded, failed, or blocked by another."""

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
    )

    run_id: Mapped[UUID] = mapped_column(
        ForeignKey("ledger_run.run_id", ondelete="CASCADE"), primary_key=True
    )
    source: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str]
    raw_file_id: Mapped[int | None] = mapped_column(
        ForeignKey("ledger_raw_file.raw_file_id")
    )
    input_name: Mapped[str | None]
    same_input: Mapped[bool] = mapped_column(server_default=text("false"))
    read: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    kept: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    rejected: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    inserted: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    updated: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    unchanged: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    retracted: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    out_of_scope: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    tables: Mapped[dict[str, dict[str, int]]] = mapped_column(
        JSONB, server_default=text("'{}'")
    )
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
        ["run_id", "source"],
        ["ledger_step.run_id", "ledger_step.source"],
        ondelete="CASCADE",
    )


class LedgerReject(Base):
    """One row per line of an input that was not loaded. A line is rejected once."""

    __tablename__ = "ledger_reject"
    __table_args__ = (
        _step_key(),
        Index("ix_ledger_reject__run_id_source", "run_id", "source"),
    )

    reject_id: Mapped[int] = mapped_column(
        BigInteger, Identity(always=True), primary_key=True
    )
    run_id: Mapped[UUID]
    source: Mapped[str]
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
    name: Mapped[str] = mapped_column(primary_key=True)
    severity: Mapped[str]
    expected: Mapped[str]
    seen: Mapped[str]
    passed: Mapped[bool]


class LedgerCursor(Base):
    """One row per source: what its tables hold, so that the same input is recognised.

    `state` is everything the result of a load depends on besides the tables
    themselves; `target_rows` notices tables that were changed by other hands.
    """

    __tablename__ = "ledger_cursor"
    __table_args__ = (
        ForeignKeyConstraint(
            ["run_id", "source"], ["ledger_step.run_id", "ledger_step.source"]
        ),
    )

    source: Mapped[str] = mapped_column(primary_key=True)
    run_id: Mapped[UUID]
    state: Mapped[dict[str, Any]] = mapped_column(JSONB)
    target_rows: Mapped[int] = mapped_column(BigInteger)
