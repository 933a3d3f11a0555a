"""Lists the rejects of a run, and what of them is not stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Engine, func, select

from etl.console import with_command
from etl.db import translated_errors
from etl.models.ledger import LedgerRawFile, LedgerReject, LedgerStep
from etl.report.listing import Listing, find_run
from etl.specs.registry import require_source

SHOWN = ("source", "line", "column_name", "value", "rule", "reason")


def list_rejects(
    engine: Engine, *, run: str | None, source: str | None, limit: int
) -> Listing:
    """Return rejected lines of a run (without one: the latest), in line order.

    A step that recognised its input shows the rejects of the step that had loaded it.
    The summary says how many rows were rejected, how many of them are stored, and by
    which rule.
    """
    if source is not None:
        require_source(source)
    run_id = find_run(engine, run)
    chosen = [LedgerStep.run_id == run_id]
    if source is not None:
        chosen.append(LedgerStep.source == source)
    with translated_errors(), engine.connect() as connection:
        steps = _steps(connection, chosen)
        rows = _rejects(connection, chosen, limit)
    stored, rejected = (
        sum(step[name] for step in steps) for name in ("stored", "rejected")
    )
    note = f"{len(rows):,} of {stored:,} stored rejects of run {run_id}"
    if stored > len(rows):
        every = with_command(f"./etl rejects --run {run_id} --limit {stored}")
        note += f"; all: {every}"
    for step in steps:
        note += _left_out(step)
    summary = {"rejected": rejected, "stored": stored, "inputs": steps}
    return Listing("rejects", rows, SHOWN, note, summary=summary)


def _steps(connection: Connection, chosen: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the inputs that had rejects, with the counts of each."""
    found = connection.execute(
        select(
            LedgerStep.source,
            LedgerStep.position,
            LedgerStep.input_name,
            LedgerStep.rejected,
            LedgerStep.rejects_stored.label("stored"),
            LedgerStep.rejects_by_rule.label("by_rule"),
            LedgerStep.rejects_run_id.label("stored_by_run"),
            LedgerRawFile.sha256,
            LedgerRawFile.pruned_at,
        )
        .outerjoin(LedgerRawFile, LedgerRawFile.raw_file_id == LedgerStep.raw_file_id)
        .where(*chosen, LedgerStep.rejected > 0)
        .order_by(LedgerStep.source, LedgerStep.position)
    )
    return [dict(row) for row in found.mappings()]


def _rejects(
    connection: Connection, chosen: Sequence[Any], limit: int
) -> list[dict[str, Any]]:
    stored_by = (
        (
            LedgerReject.run_id
            == func.coalesce(LedgerStep.rejects_run_id, LedgerStep.run_id)
        )
        & (LedgerReject.source == LedgerStep.source)
        & (
            LedgerReject.position
            == func.coalesce(LedgerStep.rejects_position, LedgerStep.position)
        )
    )
    columns = [
        c for c in LedgerReject.__table__.c if c.name not in ("run_id", "position")
    ]
    found = connection.execute(
        select(LedgerStep.run_id, LedgerStep.position, *columns)
        .join(LedgerReject, stored_by)
        .where(*chosen)
        .order_by(LedgerStep.source, LedgerStep.position, LedgerReject.line)
        .limit(limit)
    )
    return [dict(row) for row in found.mappings()]


def _left_out(step: dict[str, Any]) -> str:
    """Return a sentence on the rejects of an input that are not stored, if any."""
    rest = step["rejected"] - step["stored"]
    if not rest:
        return ""
    rules = ", ".join(
        f"{rule} {count:,}"
        for rule, count in sorted(step["by_rule"].items(), key=lambda item: -item[1])
    )
    kept = "has been pruned" if step["pruned_at"] else "is kept in the raw store"
    return (
        f"\n{step['source']}: {step['stored']:,} of {step['rejected']:,} rejects of "
        f"{step['input_name']} are stored; the other {rest:,} are counted by rule only "
        f"({rules}). The raw file {kept}: {step['sha256']}"
    )
