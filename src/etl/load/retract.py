"""Retracts the facts that a complete input lacks, within the combinations it has."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from psycopg import sql

from etl.load.foreign_keys import require_no_orphans
from etl.load.stage import Cursor, names, stage_name, staged_columns
from etl.specs.spec import Parent, TableSpec, Within

RETRACT = """
WITH reach AS (
    SELECT DISTINCT {reaching} FROM {stage} AS f{staged_parents}
), gone AS (
    DELETE FROM {target} AS f USING {parents}reach
    WHERE {joined} AND NOT EXISTS (
        SELECT FROM {stage} AS s WHERE ({staged_key}) = ({stored_key})
    )
    RETURNING f.*
){history}
SELECT count(*) FROM gone
"""

KEEP_HISTORY = """, history AS (
    INSERT INTO {history} ({columns}, change, replaced_by_run_id)
    SELECT {columns}, 'retracted', {run_id} FROM gone
)"""


def retract(cursor: Cursor, table: TableSpec, run_id: UUID) -> int:
    """Retract what the stage lacks of the facts within its reach; return how many.

    The reach is the set of combinations of the spec's `complete_within` that occur in
    the stage. Dimensions have to be merged before.

    Raises:
        DataError: Rows of another table refer to a fact that would be retracted.
    """
    used = {within.table for within in table.complete_within}
    parents = [parent for parent in table.parents if parent.table in used]
    statement = sql.SQL(RETRACT).format(
        target=sql.Identifier(table.name),
        stage=stage_name(table.name),
        reaching=_reaching(table.complete_within),
        staged_parents=sql.SQL("").join(_join(parent) for parent in parents),
        parents=sql.SQL("").join(
            sql.SQL("{}, ").format(sql.Identifier(parent.table)) for parent in parents
        ),
        joined=_joined(parents, table.complete_within),
        staged_key=names(table.key, of="s"),
        stored_key=names(table.key, of="f"),
        history=_history(table, run_id),
    )
    row = cursor.execute(statement).fetchone()
    retracted = int(row[0]) if row else 0
    if retracted:
        require_no_orphans(cursor, table.name)
    return retracted


def _reaching(reach: Sequence[Within]) -> sql.Composable:
    parts = [
        sql.SQL("{} AS {}").format(_column(within), sql.Identifier(within.column))
        for within in reach
    ]
    return sql.SQL(", ").join(parts) if parts else sql.SQL("true AS all_of_them")


def _column(within: Within) -> sql.Identifier:
    return sql.Identifier(within.table or "f", within.column)


def _on(parent: Parent) -> sql.Composed:
    return sql.SQL("{} = {}").format(
        sql.Identifier(parent.table, parent.key), sql.Identifier("f", parent.column)
    )


def _join(parent: Parent) -> sql.Composed:
    return sql.SQL(" JOIN {} ON {}").format(sql.Identifier(parent.table), _on(parent))


def _joined(parents: Sequence[Parent], reach: Sequence[Within]) -> sql.Composable:
    """Return the conditions that a fact within reach fulfils."""
    conditions = [_on(parent) for parent in parents]
    for within in reach:
        stored, reached = _column(within), sql.Identifier("reach", within.column)
        equal = sql.SQL("{} = {}").format(stored, reached)
        if within.may_be_unknown:
            equal = sql.SQL("({0} = {1} OR {0} IS NULL OR {1} IS NULL)").format(
                stored, reached
            )
        conditions.append(equal)
    return sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("true")


def _history(table: TableSpec, run_id: UUID) -> sql.Composable:
    if table.history is None:
        return sql.SQL("")
    return sql.SQL(KEEP_HISTORY).format(
        history=sql.Identifier(table.history),
        columns=names((*staged_columns(table), "load_run_id", "raw_file_id")),
        run_id=sql.Literal(run_id),
    )
