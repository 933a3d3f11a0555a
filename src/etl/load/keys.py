"""Finds keys that an input uses more than once, and deletes those lines from the stage.

A line that repeats an earlier one is rejected as `repeated_key`; the first is kept.
Where lines with the same key have different values, it is unknown which is right: all
of them are rejected as `conflicting_key`. Where the input also defines the row of a
dimension that they share in two ways, they may be two things under one name: all of
them are rejected as `ambiguous_key`, whatever their values.
"""

from __future__ import annotations

import polars as pl
from psycopg import sql

from etl.load.dimensions import referring_column
from etl.load.stage import Cursor, names, stage_name
from etl.rejects import Reject, as_rejects, no_rejects
from etl.specs.spec import SourceSpec, TableSpec

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


KEY_RULES = ("repeated_key", "conflicting_key", "ambiguous_key")

DEFINED_TWICE = """
SELECT {key}, {differing} FROM {stage} GROUP BY {key} HAVING {any_differs}
"""

TAKE_OUT_AMBIGUOUS = """
DELETE FROM {facts} WHERE {column} = ANY (%s) AND ({key}) IN (
    SELECT {key} FROM {facts} GROUP BY {key} HAVING count(*) > 1
)
RETURNING raw_line, {column}
"""


def take_out_unclear(cursor: Cursor, spec: SourceSpec) -> pl.DataFrame:
    """Delete lines that share a key from the stage; return them as rejects."""
    facts = spec.facts
    if not has_repeated_keys(cursor, facts):
        return no_rejects()
    ambiguous = [
        take_out_ambiguous(cursor, table, facts)
        for table in spec.tables
        if table.defining
    ]
    return pl.concat([*ambiguous, take_out_repeated(cursor, facts)])


def take_out_ambiguous(
    cursor: Cursor, table: TableSpec, facts: TableSpec
) -> pl.DataFrame:
    """Delete lines with a repeated key if the input defines their parent twice."""
    (key,) = table.key
    differs = [
        sql.SQL("count(DISTINCT {}) > 1").format(sql.Identifier(column))
        for column in table.defining
    ]
    found = cursor.execute(
        sql.SQL(DEFINED_TWICE).format(
            key=sql.Identifier(key),
            differing=sql.SQL(", ").join(differs),
            stage=stage_name(table.name),
            any_differs=sql.SQL(" OR ").join(differs),
        )
    ).fetchall()
    if not found:
        return no_rejects()
    reasons = {row[0]: _why_ambiguous(table, differing=row[1:]) for row in found}
    lines = cursor.execute(
        sql.SQL(TAKE_OUT_AMBIGUOUS).format(
            facts=stage_name(facts.name),
            column=sql.Identifier(referring_column(table, facts)),
            key=names(facts.key),
        ),
        [list(reasons)],
    ).fetchall()
    rejects: list[Reject] = [
        (line, "", "", "ambiguous_key", reasons[key]) for line, key in lines
    ]
    return as_rejects(sorted(rejects))


def _why_ambiguous(table: TableSpec, *, differing: tuple[bool, ...]) -> str:
    pairs = zip(table.defining, differing, strict=True)
    columns = tuple(column for column, differs in pairs if differs)
    identity = ", ".join(table.identity)
    return (
        "shares its key with another line, and lines with its "
        f"{identity} differ in {', '.join(columns)}"
    )


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
        return (
            "conflicting_key",
            f"lines from {first} on have other values for this key",
        )
    return "repeated_key", f"repeats line {first}"
