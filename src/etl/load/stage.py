"""The stage: one temporary table per target, filled by COPY.

Temporary tables are unlogged, seen by nobody else, and leave nothing after a crash.
Their columns have the types of their targets, so what does not fit fails here.
"""

from __future__ import annotations

from typing import Any

import polars as pl
import psycopg
from psycopg import sql

from etl.specs.spec import TableSpec

Cursor = psycopg.Cursor[tuple[Any, ...]]

BLOCK_BYTES = 1 << 20
WORK_MEM = "256MB"
"""For the sorts and hashes of a load, which has its connection to itself."""


def stage_name(table: str) -> sql.Identifier:
    """Return the name of a table's stage."""
    return sql.Identifier(f"stage_{table}")


def names(columns: tuple[str, ...], *, of: str | None = None) -> sql.Composed:
    """Return columns as a list for SQL, each of the table or alias `of`."""
    parts = [sql.Identifier(of, c) if of else sql.Identifier(c) for c in columns]
    return sql.SQL(", ").join(parts)


def staged_columns(table: TableSpec) -> tuple[str, ...]:
    """Return what a stage holds; facts also have the line that they came from."""
    line = ("raw_line",) if table.kind == "facts" else ()
    return (*table.key, *table.columns, *line)


def create_stage(cursor: Cursor, table: TableSpec) -> None:
    """Make an empty stage that goes at the end of the transaction."""
    cursor.execute(
        sql.SQL(
            "CREATE TEMP TABLE {stage} ON COMMIT DROP AS "
            "SELECT {columns} FROM {target} WITH NO DATA"
        ).format(
            stage=stage_name(table.name),
            columns=names(staged_columns(table)),
            target=sql.Identifier(table.name),
        )
    )


def copy_rows(cursor: Cursor, table: TableSpec, rows: pl.DataFrame) -> None:
    """Append rows to a stage. Text that is empty and null stay apart."""
    columns = staged_columns(table)
    text = rows.select(columns).write_csv(include_header=False).encode()
    statement = sql.SQL("COPY {stage} ({columns}) FROM STDIN (FORMAT csv)").format(
        stage=stage_name(table.name), columns=names(columns)
    )
    with cursor.copy(statement) as copy:
        for start in range(0, len(text), BLOCK_BYTES):
            copy.write(text[start : start + BLOCK_BYTES])


def analyze_keys(cursor: Cursor, table: TableSpec) -> None:
    """Let the planner know how many rows and keys were staged."""
    cursor.execute(
        sql.SQL("ANALYZE {stage} ({key})").format(
            stage=stage_name(table.name), key=names(table.key)
        )
    )
