"""Moves staged rows into their table: one statement, touching only what changed."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from psycopg import sql

from etl.counts import Merged
from etl.load.stage import Cursor, names, stage_name, staged_columns
from etl.specs.spec import CompleteWithin, TableSpec

INSERT_DIMENSION = """
INSERT INTO {target} ({columns})
SELECT DISTINCT ON ({key}) {columns} FROM {stage} AS s
WHERE NOT EXISTS (SELECT FROM {target} AS t WHERE ({stored_key}) = ({staged_key}))
"""

MERGE = """
MERGE INTO {target} AS t USING {stage} AS s ON ({stored_key}) = ({staged_key})
WHEN MATCHED AND ({stored}) IS DISTINCT FROM ({staged}) THEN
    UPDATE SET ({assigned}, load_run_id, raw_file_id)
             = ({incoming}, {run_id}, {raw_file_id})
WHEN NOT MATCHED THEN
    INSERT ({columns}, load_run_id, raw_file_id)
    VALUES ({all_incoming}, {run_id}, {raw_file_id})
{retract}
RETURNING merge_action() AS action, old.*
"""

RETRACT = "WHEN NOT MATCHED BY SOURCE AND {within} THEN DELETE"

WITHIN = """t.{column} IN (
    SELECT d.{key} FROM {dimension} AS d
    WHERE ({shared}) IN (SELECT {shared} FROM {stage})
)"""

KEEP_HISTORY = """, history AS (
    INSERT INTO {history} ({columns}, change, replaced_by_run_id)
    SELECT {columns},
           CASE action WHEN 'DELETE' THEN 'retracted' ELSE 'updated' END, {run_id}
    FROM merged WHERE action <> 'INSERT'
)"""

COUNT_ACTIONS = """
WITH merged AS ({merge}){history} SELECT action, count(*) FROM merged GROUP BY action
"""


@dataclass(frozen=True, slots=True)
class Origin:
    """What is written beside every row that changes: the run and the raw file."""

    run_id: UUID
    raw_file_id: int


def insert_dimension(cursor: Cursor, table: TableSpec) -> Merged:
    """Insert the staged dimension rows that are not there yet.

    A batch stages its own dimension rows, so one id may be staged several times.
    """
    columns = staged_columns(table)
    cursor.execute(
        sql.SQL(INSERT_DIMENSION).format(
            target=sql.Identifier(table.name),
            stage=stage_name(table.name),
            columns=names(columns),
            key=names(table.key),
            stored_key=names(table.key, of="t"),
            staged_key=names(table.key, of="s"),
        )
    )
    inserted = cursor.rowcount
    staged = cursor.execute(
        sql.SQL("SELECT count(DISTINCT ({key})) FROM {stage}").format(
            key=names(table.key), stage=stage_name(table.name)
        )
    ).fetchone()
    assert staged is not None
    return Merged(inserted=inserted, unchanged=staged[0] - inserted)


def merge_facts(
    cursor: Cursor, table: TableSpec, origin: Origin, *, staged: int, complete: bool
) -> Merged:
    """Insert, update and, if the input is complete, retract facts.

    What is replaced goes into the table's history in the same statement.

    Args:
        staged: How many rows the stage holds; what is neither inserted nor updated
            of them was there already.
        complete: Facts within the input's reach that it lacks are retracted.
    """
    statement = sql.SQL(COUNT_ACTIONS).format(
        merge=_merge(table, origin, complete=complete), history=_history(table, origin)
    )
    done: dict[str, int] = dict(cursor.execute(statement).fetchall())
    inserted, updated = done.get("INSERT", 0), done.get("UPDATE", 0)
    return Merged(inserted, updated, staged - inserted - updated, done.get("DELETE", 0))


def _merge(table: TableSpec, origin: Origin, *, complete: bool) -> sql.Composed:
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
        retract=_retract(table) if complete else sql.SQL(""),
    )


def _retract(table: TableSpec) -> sql.Composed:
    """Delete what a complete input lacks within its reach."""
    within = [_within(reach) for reach in table.complete_within]
    return sql.SQL(RETRACT).format(
        within=sql.SQL(" AND ").join(within) if within else sql.SQL("true")
    )


def _within(reach: CompleteWithin) -> sql.Composed:
    return sql.SQL(WITHIN).format(
        column=sql.Identifier(reach.column),
        key=sql.Identifier(reach.key),
        dimension=sql.Identifier(reach.table),
        shared=names(reach.shared),
        stage=stage_name(reach.table),
    )


def _history(table: TableSpec, origin: Origin) -> sql.Composable:
    if table.history is None:
        return sql.SQL("")
    return sql.SQL(KEEP_HISTORY).format(
        history=sql.Identifier(table.history),
        columns=names((*staged_columns(table), "load_run_id", "raw_file_id")),
        run_id=sql.Literal(origin.run_id),
    )
