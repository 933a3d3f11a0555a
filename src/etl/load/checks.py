"""Checks over a whole load: expected counts against those in the stage and tables."""

from __future__ import annotations

from psycopg import sql

from etl.counts import Check, equal
from etl.load.stage import Cursor, count, names, stage_name
from etl.specs.spec import Parent, SourceSpec, TableSpec


def count_rows(cursor: Cursor, table: str) -> int:
    """Return how many rows a table has."""
    return count(
        cursor, sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
    )


def count_staged(cursor: Cursor, table: TableSpec) -> int:
    """Return how many rows were staged for a table."""
    return count(
        cursor, sql.SQL("SELECT count(*) FROM {}").format(stage_name(table.name))
    )


def check_stage(
    cursor: Cursor, spec: SourceSpec, *, read: int, rejected: int
) -> list[Check]:
    """Expect that the stage holds each row that was read and not rejected, once."""
    facts = spec.facts
    return [
        equal(
            "every row read is staged or rejected",
            expected=read - rejected,
            seen=count_staged(cursor, facts),
        ),
        *(
            _orphans(cursor, table, parent)
            for table in spec.tables
            for parent in table.parents
        ),
    ]


def _orphans(cursor: Cursor, table: TableSpec, parent: Parent) -> Check:
    """Expect that every staged key of a parent exists there."""
    query = sql.SQL(
        "SELECT count(*) FROM {stage} AS s WHERE s.{column} IS NOT NULL AND NOT EXISTS "
        "(SELECT FROM {parent} AS p WHERE p.{key} = s.{column})"
    ).format(
        stage=stage_name(table.name),
        column=sql.Identifier(parent.column),
        parent=sql.Identifier(parent.table),
        key=sql.Identifier(parent.key),
    )
    name = f"{table.name}.{parent.column} is in {parent.table}"
    return equal(f"every {name}", expected=0, seen=count(cursor, query))


def check_dimension(cursor: Cursor, table: TableSpec) -> Check:
    """Expect that stored rows have the identity of the staged rows of the same id.

    They differ only if two identities had one id, or if a stored row was edited.
    """
    query = sql.SQL(
        "SELECT count(*) FROM {stage} AS s JOIN {target} AS t USING ({key}) "
        "WHERE ({staged}) IS DISTINCT FROM ({stored})"
    ).format(
        stage=stage_name(table.name),
        target=sql.Identifier(table.name),
        key=names(table.key),
        staged=names(table.identity, of="s"),
        stored=names(table.identity, of="t"),
    )
    name = f"stored rows of {table.name} agree with the input"
    return equal(name, expected=0, seen=count(cursor, query))
