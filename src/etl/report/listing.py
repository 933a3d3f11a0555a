"""Lists runs, rejects and sources, from the ledger and the registry."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, Text, cast, func, select, text

from etl.db import require_head, translated_errors
from etl.errors import ConfigError
from etl.models.ledger import LedgerRun
from etl.specs.registry import load_order, require_source
from etl.specs.spec import SourceSpec

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Listing:
    """Rows for a reader.

    Attributes:
        name: What the rows are, and their key in the JSON form.
        rows: One dictionary per row, all with the same keys.
        shown: The columns of the table; JSON has them all.
        optional: The columns that a narrow terminal leaves out, from the first.
        note: Sentences after the table.
        lines: What a terminal shows in place of `rows`, if that is not the same.
        summary: What the JSON form has beside the rows.
    """

    name: str
    rows: list[Row]
    shown: tuple[str, ...]
    note: str = ""
    lines: list[Row] | None = None
    summary: Row = field(default_factory=dict)
    optional: tuple[str, ...] = ()


def list_runs(engine: Engine, *, limit: int) -> Listing:
    """Return the latest runs, the newest first; one row per run, source and input."""
    query = text(
        "SELECT * FROM out_etl__runs WHERE run_id IN (SELECT run_id FROM ledger_run "
        "ORDER BY started_at DESC LIMIT :limit) "
        "ORDER BY run_started_at DESC, source, position"
    )
    with translated_errors(), engine.connect() as connection:
        require_head(connection)
        found = connection.execute(query, {"limit": limit}).mappings()
        rows = [dict(row) for row in found]
    shown = ("run_started_at", "run_id", "run_status", "source", "source_status")
    counts = ("input_name", "input_kind", "read", "rejected", "inserted", "updated")
    optional = ("input_name", "input_kind", "updated", "inserted", "rejected")
    return Listing("runs", rows, (*shown, *counts), optional=optional)


def find_run(engine: Engine, run: str | None) -> UUID:
    """Return a run by its id or the start of it; without one, the latest.

    Raises:
        ConfigError: No run, or more than one, is called so.
    """
    start = (run or "").lower()
    with translated_errors(), engine.connect() as connection:
        require_head(connection)
        matching = connection.scalars(
            select(LedgerRun.run_id)
            .where(func.starts_with(cast(LedgerRun.run_id, Text), start))
            .order_by(LedgerRun.started_at.desc())
            .limit(2)
        ).all()
    if not matching:
        missing = f"no run {run}" if run else "no run yet"
        raise ConfigError(
            f"the ledger has {missing}", "./etl runs" if run else "./etl run"
        )
    if run and len(matching) > 1:
        raise ConfigError(f"several runs start with {run}", "write more of its id")
    return matching[0]


def list_sources(name: str | None) -> Listing:
    """Return all sources, or the columns of one."""
    if name is None:
        return Listing(
            "sources", _sources(), ("name", "title", "depends_on", "licence")
        )
    spec = require_source(name)
    note = f"{spec.title}. {spec.licence}. Cite: {spec.citation}"
    return Listing("columns", _columns(spec), ("header", "name", "meaning"), note)


def _sources() -> list[Row]:
    return [
        {
            "name": spec.name,
            "title": spec.title,
            "licence": spec.licence,
            "citation": spec.citation,
            "depends_on": list(spec.depends_on),
            "tables": [table.name for table in spec.tables],
            "inputs": ["sample", "FILE", *(["api"] if spec.api else [])],
            "columns": _columns(spec),
        }
        for spec in map(require_source, load_order())
    ]


def _columns(spec: SourceSpec) -> list[Row]:
    return [
        {"header": column.header, "name": column.name, "meaning": column.meaning}
        for column in spec.columns
    ]
