"""The stage: one temporary table per target, filled by COPY.

Temporary tables are unlogged, invisible to others, and leave nothing after a crash.
Their columns have the types of their targets, so what does not fit fails here.
"""

from __future__ import annotations

from typing import Any

import polars as pl
import psycopg
from psycopg import sql

from etl.rejects import LINE
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


def count(cursor: Cursor, query: sql.Composed) -> int:
    """Return the number that a query gives."""
    row = cursor.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def staged_columns(table: TableSpec) -> tuple[str, ...]:
    """Return the columns of a stage: the table's, and the line they came from."""
    return (*table.key, *table.columns, LINE)


def create_stage(cursor: Cursor, table: TableSpec) -> None:
    """Make an empty stage that is dropped at the end of the transaction."""
    cursor.execute(
        sql.SQL(
            "CREATE TEMP TABLE {stage} ON COMMIT DROP AS "
            "SELECT {columns}, 0::bigint AS {line} FROM {target} WITH NO DATA"
        ).format(
            stage=stage_name(table.name),
            columns=names((*table.key, *table.columns)),
            line=sql.Identifier(LINE),
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
