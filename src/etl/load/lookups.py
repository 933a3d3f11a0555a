"""Reads what the rules of a source look up in tables of other sources."""

from __future__ import annotations

from collections.abc import Iterable

from psycopg import sql

from etl.load.stage import Cursor, names

Lookups = dict[tuple[str, ...], dict[str, str]]


def read_lookups(cursor: Cursor, wanted: Iterable[tuple[str, ...]]) -> Lookups:
    """Return the label of each key, by (table, key column, label column).

    Without a label column the key is its own label. Such tables are small.
    """
    return {lookup: _read(cursor, *lookup) for lookup in wanted}


def _read(cursor: Cursor, table: str, key: str, label: str = "") -> dict[str, str]:
    query = sql.SQL("SELECT {columns} FROM {table}").format(
        columns=names((key, label or key)), table=sql.Identifier(table)
    )
    return dict(cursor.execute(query).fetchall())
