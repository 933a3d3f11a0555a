"""Keeps rows of the shipped sample and real rows apart.

A row is one of the sample if the step that loaded it had the sample as its input. A
figure of the sample was never published as data of its source, so it leaves no history
when real data replace it; a real figure does.
"""

from __future__ import annotations

from uuid import UUID

from psycopg import sql

from etl.load.stage import Cursor, names, staged_columns
from etl.specs.spec import SourceSpec

IS_SAMPLE = """(t.load_run_id, t.raw_file_id) IN (
    SELECT run_id, raw_file_id FROM ledger_step
    WHERE source = {source} AND input_kind = 'sample'
)"""

HAS_REAL = "SELECT EXISTS (SELECT FROM {table} AS t WHERE NOT {is_sample})"

DELETE_SAMPLE = "DELETE FROM {table} AS t WHERE {is_sample}"

RETRACT_REAL = """
WITH retracted AS (DELETE FROM {table} AS t WHERE NOT {is_sample} RETURNING t.*)
INSERT INTO {history} ({columns}, change, replaced_by_run_id)
SELECT {columns}, 'retracted', {run_id} FROM retracted
"""

DELETE_REAL = "DELETE FROM {table} AS t WHERE NOT {is_sample}"


def has_real_rows(cursor: Cursor, spec: SourceSpec) -> bool:
    """Whether the source's main table has rows that are not of the sample."""
    row = cursor.execute(_fill(HAS_REAL, spec, spec.facts.name)).fetchone()
    return bool(row and row[0])


def delete_sample_rows(cursor: Cursor, spec: SourceSpec) -> int:
    """Delete the rows of the sample and their history; return how many rows.

    Foreign key triggers are on, so a row that another source refers to stays and the
    load fails.
    """
    deleted = cursor.execute(_fill(DELETE_SAMPLE, spec, spec.facts.name)).rowcount
    if spec.facts.history is not None:
        cursor.execute(_fill(DELETE_SAMPLE, spec, spec.facts.history))
    return deleted


def retract_real_rows(cursor: Cursor, spec: SourceSpec, run_id: UUID) -> int:
    """Retract every row that is not of the sample; return how many."""
    facts = spec.facts
    if facts.history is None:
        return cursor.execute(_fill(DELETE_REAL, spec, facts.name)).rowcount
    statement = _fill(
        RETRACT_REAL,
        spec,
        facts.name,
        history=sql.Identifier(facts.history),
        columns=names((*staged_columns(facts), "load_run_id", "raw_file_id")),
        run_id=sql.Literal(run_id),
    )
    return cursor.execute(statement).rowcount


def _fill(
    query: str, spec: SourceSpec, table: str, **parts: sql.Composable
) -> sql.Composed:
    is_sample = sql.SQL(IS_SAMPLE).format(source=sql.Literal(spec.name))
    return sql.SQL(query).format(
        table=sql.Identifier(table), is_sample=is_sample, **parts
    )
