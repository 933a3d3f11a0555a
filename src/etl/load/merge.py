"""Merges staged facts into their table, in one statement that writes only changes."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from psycopg import sql

from etl.counts import Merged
from etl.load.retract import retract
from etl.load.stage import Cursor, names, stage_name, staged_columns
from etl.specs.spec import TableSpec

MERGE = """
MERGE INTO {target} AS t USING {stage} AS s ON ({stored_key}) = ({staged_key})
WHEN MATCHED AND ({stored}) IS DISTINCT FROM ({staged}) THEN
    UPDATE SET ({assigned}, load_run_id, raw_file_id)
             = ({incoming}, {run_id}, {raw_file_id})
WHEN NOT MATCHED THEN
    INSERT ({columns}, load_run_id, raw_file_id)
    VALUES ({all_incoming}, {run_id}, {raw_file_id})
RETURNING merge_action() AS action, old.*
"""

KEEP_HISTORY = """, history AS (
    INSERT INTO {history} ({columns}, change, replaced_by_run_id)
    SELECT {columns}, 'updated', {run_id} FROM merged WHERE action = 'UPDATE'
)"""

COUNT_ACTIONS = """
WITH merged AS ({merge}){history} SELECT action, count(*) FROM merged GROUP BY action
"""


@dataclass(frozen=True, slots=True)
class Origin:
    """What is written beside every row that changes: the run and the raw file."""

    run_id: UUID
    raw_file_id: int


def merge_facts(
    cursor: Cursor, table: TableSpec, origin: Origin, *, staged: int, complete: bool
) -> Merged:
    """Insert, update and, if the input is complete, retract facts.

    What is replaced goes into the table's history in the same statement.

    Args:
        staged: How many rows the stage holds; what is neither inserted nor updated
            of them was there already.
        complete: Facts within the input's reach that it lacks are retracted.

    Raises:
        DataError: Rows of another table refer to a fact that would be retracted.
    """
    statement = sql.SQL(COUNT_ACTIONS).format(
        merge=_merge(table, origin), history=_history(table, origin)
    )
    done: dict[str, int] = dict(cursor.execute(statement).fetchall())
    inserted, updated = done.get("INSERT", 0), done.get("UPDATE", 0)
    retracted = retract(cursor, table, origin.run_id) if complete else 0
    return Merged(inserted, updated, staged - inserted - updated, retracted)


def _merge(table: TableSpec, origin: Origin) -> sql.Composed:
    columns = staged_columns(table)
    changing = tuple(c for c in columns if c not in table.key)
    return sql.SQL(MERGE).format(
        target=sql.Identifier(table.name),
        stage=stage_name(table.name),
        stored_key=names(table.key, of="t"),
        staged_key=names(table.key, of="s"),
        stored=names(table.compared, of="t"),
        staged=names(table.compared, of="s"),
        assigned=names(changing),
        incoming=names(changing, of="s"),
        columns=names(columns),
        all_incoming=names(columns, of="s"),
        run_id=sql.Literal(origin.run_id),
        raw_file_id=sql.Literal(origin.raw_file_id),
    )


def _history(table: TableSpec, origin: Origin) -> sql.Composable:
    if table.history is None:
        return sql.SQL("")
    return sql.SQL(KEEP_HISTORY).format(
        history=sql.Identifier(table.history),
        columns=names((*staged_columns(table), "load_run_id", "raw_file_id")),
        run_id=sql.Literal(origin.run_id),
    )
