"""The run, step by step: what flows and programs call, and nothing else.

    plan → open_run → hold_run: for each source fetch, load_source → close_run

Order, parallelism and retries are the caller's; truth about what happened is kept here.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Engine

from etl.db import translated_errors
from etl.ledger.holding import hold_run
from etl.ledger.runs import close_run, open_run, sweep_dead_runs
from etl.ledger.steps import error_columns, write_unstarted
from etl.loading import load_source
from etl.specs.registry import dependencies

__all__ = [
    "close_run",
    "hold_run",
    "load_source",
    "open_run",
    "plan",
    "record_blocked",
    "record_failure",
    "sweep_dead_runs",
]


def plan(sources: Sequence[str] | None) -> dict[str, set[str]]:
    """Return the chosen sources (None: all), in load order, with what each waits for.

    Raises:
        ConfigError: A name is no source.
    """
    return dependencies(sources)


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
