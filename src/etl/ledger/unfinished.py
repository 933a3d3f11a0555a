"""Records inputs that did not come to their load: failed before it, or blocked."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, Engine
from sqlalchemy.dialects.postgresql import insert as upsert

from etl.db import translated_errors
from etl.ledger.steps import error_columns
from etl.models.ledger import LedgerStep


def record_failure(
    engine: Engine, run_id: UUID, source: str, error: BaseException
) -> None:
    """Record a source that failed outside its load; what its load recorded stays."""
    record_input_failure(engine, run_id, source, error, position=1, names=())


def record_input_failure(
    engine: Engine,
    run_id: UUID,
    source: str,
    error: BaseException,
    *,
    position: int,
    names: Sequence[str],
) -> None:
    """Record an input that failed, and the later ones, which it blocks.

    Args:
        position: Which input failed, from 1.
        names: The names of all inputs, in load order.
    """
    with translated_errors(), engine.begin() as connection:
        columns = error_columns(error)
        if names:
            columns["input_name"] = names[position - 1]
        _write(connection, run_id, source, position, "failed", **columns)
        for later, name in enumerate(names[position:], start=position + 1):
            _write(
                connection,
                run_id,
                source,
                later,
                "blocked",
                input_name=name,
                blocked_by=source,
                error_code="BLOCKED",
                error_message=f"input {position} of {source} failed before this one",
                error_hint="correct that input, then run again with all of them",
            )


def record_blocked(engine: Engine, run_id: UUID, source: str, *, because: str) -> None:
    """Record a source that did not start because an ancestor failed."""
    with translated_errors(), engine.begin() as connection:
        _write(
            connection,
            run_id,
            source,
            1,
            "blocked",
            blocked_by=because,
            error_code="BLOCKED",
            error_message=f"it needs {because}, which was not loaded",
            error_hint=f"correct {because}, then run again",
        )


def _write(
    connection: Connection,
    run_id: UUID,
    source: str,
    position: int,
    status: str,
    **columns: str,
) -> None:
    """Record a step, unless more is known of it."""
    connection.execute(
        upsert(LedgerStep)
        .values(
            run_id=run_id, source=source, position=position, status=status, **columns
        )
        .on_conflict_do_nothing()
    )
