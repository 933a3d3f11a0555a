"""Finds keys that an input has more than once, and takes those lines out of the stage.

A line that says again what an earlier one said is rejected as `repeated_key`; the first
is kept. Where lines of one key say different things nobody can know which is right, so
all of them are rejected as `conflicting_key`.
"""

from __future__ import annotations

import polars as pl
from psycopg import sql

from etl.load.stage import Cursor, names, stage_name
from etl.rejects import Reject, as_rejects, no_rejects
from etl.specs.spec import TableSpec

FIND = """
CREATE TEMP TABLE repeated ON COMMIT DROP AS
SELECT raw_line, row_number() OVER key AS nth, first_value(raw_line) OVER key AS first,
       min(variant) OVER whole <> max(variant) OVER whole AS conflicting
FROM (
    SELECT {key}, raw_line, dense_rank() OVER (PARTITION BY {key} ORDER BY {compared})
        AS variant
    FROM {stage}
    WHERE ({key}) IN (SELECT {key} FROM {stage} GROUP BY {key} HAVING count(*) > 1)
) AS varied
WINDOW key AS (PARTITION BY {key} ORDER BY raw_line), whole AS (PARTITION BY {key})
"""

TAKE_OUT = """
DELETE FROM {stage} USING repeated
WHERE {stage}.raw_line = repeated.raw_line AND (conflicting OR nth > 1)
RETURNING repeated.raw_line, conflicting, first
"""


def has_repeated_keys(cursor: Cursor, table: TableSpec) -> bool:
    """Whether a key was staged more than once."""
    row = cursor.execute(
        sql.SQL(
            "SELECT EXISTS (SELECT FROM {stage} GROUP BY {key} HAVING count(*) > 1)"
        ).format(stage=stage_name(table.name), key=names(table.key))
    ).fetchone()
    return bool(row and row[0])


def take_out_repeated(cursor: Cursor, table: TableSpec) -> pl.DataFrame:
    """Delete lines with a repeated key from the stage and return them as rejects."""
    if not has_repeated_keys(cursor, table):
        return no_rejects()
    parts = {
        "stage": stage_name(table.name),
        "key": names(table.key),
        "compared": names(table.compared or table.key),
    }
    cursor.execute(sql.SQL(FIND).format(**parts))
    found = cursor.execute(sql.SQL(TAKE_OUT).format(**parts)).fetchall()
    rejects: list[Reject] = [
        (line, "", "", *_why(conflicting, first)) for line, conflicting, first in found
    ]
    return as_rejects(sorted(rejects))


def _why(conflicting: bool, first: int) -> tuple[str, str]:
    if conflicting:
        return "conflicting_key", f"lines from {first} on give this key other values"
    return "repeated_key", f"says again what line {first} says"
