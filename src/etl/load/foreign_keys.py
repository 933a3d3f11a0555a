"""Spares a load the row-by-row foreign key triggers, after checking keys as a set.

Measured, those triggers are most of the time of a load into a table with foreign keys.
They can be left out safely because each key was looked up by an anti-join in the same
transaction, and the parents are locked against changes by others until its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import sql

from etl.load.stage import Cursor
from etl.specs.spec import SourceSpec

MAY_SET_ROLE = (
    "SELECT has_parameter_privilege(current_user, 'session_replication_role', 'SET')"
)


def lock_parents(cursor: Cursor, spec: SourceSpec) -> None:
    """Keep the tables that this source refers to as they are; reading goes on."""
    own = {table.name for table in spec.tables}
    parents = {parent.table for table in spec.tables for parent in table.parents}
    for parent in sorted(parents - own):
        cursor.execute(
            sql.SQL("LOCK TABLE {} IN SHARE MODE").format(sql.Identifier(parent))
        )


@contextmanager
def triggers_off(cursor: Cursor) -> Iterator[None]:
    """Switch foreign key triggers off, if the role may; CHECKs and keys stay on.

    A role that may not (a managed Postgres) loads more slowly and just as safely.
    """
    row = cursor.execute(MAY_SET_ROLE).fetchone()
    may = bool(row and row[0])
    if may:
        cursor.execute("SET LOCAL session_replication_role = replica")
    yield
    if may:
        cursor.execute("SET LOCAL session_replication_role = origin")
