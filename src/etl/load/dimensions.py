"""Brings dimensions up to date: new rows are inserted, changed attributes updated.

One row of a dimension can be described in several ways within an input: in some lines
and not in others, or in two spellings. The last line that states an attribute wins; a
check reports that there were two.
"""

from __future__ import annotations

from uuid import UUID

from psycopg import sql

from etl.counts import Check, Merged
from etl.load.stage import Cursor, count, names, stage_name
from etl.specs.spec import TableSpec

DESCRIBE = """
CREATE TEMP TABLE {described} ON COMMIT DROP AS
SELECT {key}, {identity}{attributes} FROM {stage}{referred} GROUP BY {key}, {identity}
"""

REFERRED = " WHERE {key} IN (SELECT {referring} FROM {facts})"

LAST_STATED = """
(array_agg({column} ORDER BY raw_line DESC) FILTER (WHERE {column} IS NOT NULL))[1]
    AS {column}
"""

MERGE = """
WITH merged AS (
    MERGE INTO {target} AS t USING {described} AS s ON t.{key} = s.{key}
    {update}
    WHEN NOT MATCHED THEN INSERT ({columns}) VALUES ({incoming})
    RETURNING merge_action() AS action, old.*
){history}
SELECT action, count(*) FROM merged GROUP BY action
"""

UPDATE = """WHEN MATCHED AND ({known}) IS DISTINCT FROM ({stored}) THEN
    UPDATE SET ({assigned}) = ROW ({known})"""

KEEP_HISTORY = """, history AS (
    INSERT INTO {history} ({columns}, replaced_by_run_id)
    SELECT {columns}, {run_id} FROM merged WHERE action = 'UPDATE'
)"""


def merge_dimension(
    cursor: Cursor, table: TableSpec, facts: TableSpec, run_id: UUID, *, dropped: bool
) -> Merged:
    """Insert and update the rows of a dimension that staged facts refer to.

    An attribute that the input does not state keeps its value. What is replaced goes
    into the table's history in the same statement.

    Args:
        dropped: Facts were deleted from the stage, so some rows may have none.
    """
    described = _describe(cursor, table, facts if dropped else None)
    columns = (*table.key, *table.columns)
    (key,) = table.key
    parts = {
        "target": sql.Identifier(table.name),
        "described": described,
        "key": sql.Identifier(key),
        "columns": names(columns),
        "incoming": names(columns, of="s"),
        "update": _update(table),
        "history": _history(table, run_id),
    }
    rows = cursor.execute(sql.SQL(MERGE).format(**parts)).fetchall()
    done: dict[str, int] = dict(rows)
    inserted, updated = done.get("INSERT", 0), done.get("UPDATE", 0)
    staged = count(cursor, sql.SQL("SELECT count(*) FROM {}").format(described))
    return Merged(inserted, updated, staged - inserted - updated)


def _describe(
    cursor: Cursor, table: TableSpec, facts: TableSpec | None
) -> sql.Identifier:
    """Make a table with one row per key; with `facts`, per key that they have."""
    described = sql.Identifier(f"described_{table.name}")
    (key,) = table.key
    attributes = [
        sql.SQL(LAST_STATED).format(column=sql.Identifier(attribute))
        for attribute in table.attributes
    ]
    cursor.execute(
        sql.SQL(DESCRIBE).format(
            described=described,
            key=sql.Identifier(key),
            identity=names(table.identity),
            attributes=sql.SQL("").join(sql.SQL(", ") + part for part in attributes),
            stage=stage_name(table.name),
            referred=_referred(table, facts) if facts else sql.SQL(""),
        )
    )
    return described


def _referred(table: TableSpec, facts: TableSpec) -> sql.Composed:
    (key,) = table.key
    return sql.SQL(REFERRED).format(
        key=sql.Identifier(key),
        referring=sql.Identifier(referring_column(table, facts)),
        facts=stage_name(facts.name),
    )


def referring_column(table: TableSpec, facts: TableSpec) -> str:
    """Return the column of the facts that refers to a dimension."""
    return next(p.column for p in facts.parents if p.table == table.name)


def _update(table: TableSpec) -> sql.Composable:
    if not table.attributes:
        return sql.SQL("")
    known = [
        sql.SQL("coalesce({}, {})").format(
            sql.Identifier("s", attribute), sql.Identifier("t", attribute)
        )
        for attribute in table.attributes
    ]
    return sql.SQL(UPDATE).format(
        known=sql.SQL(", ").join(known),
        stored=names(table.attributes, of="t"),
        assigned=names(table.attributes),
    )


def _history(table: TableSpec, run_id: UUID) -> sql.Composable:
    if table.history is None:
        return sql.SQL("")
    return sql.SQL(KEEP_HISTORY).format(
        history=sql.Identifier(table.history),
        columns=names((*table.key, *table.columns)),
        run_id=sql.Literal(run_id),
    )


def check_descriptions(cursor: Cursor, table: TableSpec) -> list[Check]:
    """Expect that an input describes each row of a dimension in one way."""
    if not table.attributes:
        return []
    (key,) = table.key
    varying = sql.SQL(", ").join(
        sql.SQL("count(*) FILTER (WHERE {})").format(sql.Identifier(attribute))
        for attribute in table.attributes
    )
    differing = sql.SQL(", ").join(
        sql.SQL("count(DISTINCT {column}) > 1 AS {column}").format(
            column=sql.Identifier(attribute)
        )
        for attribute in table.attributes
    )
    query = sql.SQL(
        "SELECT {varying} FROM (SELECT {differing} FROM {stage} GROUP BY {key}) AS rows"
    ).format(
        varying=varying,
        differing=differing,
        stage=stage_name(table.name),
        key=sql.Identifier(key),
    )
    found = cursor.execute(query).fetchone() or ()
    seen = {
        attribute: rows
        for attribute, rows in zip(table.attributes, found, strict=True)
        if rows
    }
    text = ", ".join(f"{attribute} {rows:,}" for attribute, rows in seen.items())
    return [
        Check(
            f"rows of {table.name} that the input describes in two ways",
            expected="none",
            seen=text or "none",
            passed=not seen,
            severity="warning",
        )
    ]
