"""Spares a load the row-by-row foreign key triggers, after checking keys as a set.

Measured, those triggers are most of the time of a load into a table with foreign keys.
They can be left out safely because each key was looked up by an anti-join in the same
transaction, and the parents are locked against changes by others until its end. The
other direction is checked in the same way: after rows were deleted, no row of any table
may still refer to them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import sql

from etl.errors import DataError
from etl.load.stage import Cursor, count
from etl.specs.spec import SourceSpec

REFERRING = """
SELECT key.conrelid::regclass::text, array_agg(child.attname::text ORDER BY nth),
       array_agg(parent.attname::text ORDER BY nth)
FROM pg_constraint AS key
CROSS JOIN LATERAL unnest(key.conkey, key.confkey)
    WITH ORDINALITY AS pair (child_number, parent_number, nth)
JOIN pg_attribute AS child
    ON child.attrelid = key.conrelid AND child.attnum = pair.child_number
JOIN pg_attribute AS parent
    ON parent.attrelid = key.confrelid AND parent.attnum = pair.parent_number
WHERE key.contype = 'f' AND key.confrelid = %s::regclass
GROUP BY key.oid, key.conrelid
ORDER BY 1, 2
"""

ORPHANS = """
FROM {child} AS c WHERE ({columns}) IS NOT NULL AND NOT EXISTS (
    SELECT FROM {parent} AS p WHERE ({keys}) = ({columns})
)
"""

SHOWN_ORPHANS = 5

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


def require_no_orphans(cursor: Cursor, table: str) -> None:
    """Refuse deletions that leave rows which refer to a row that is gone.

    Rows that others insert meanwhile are safe: their own trigger waits for this
    transaction, because it locks the row they refer to.

    Raises:
        DataError: There are such rows; it names their tables and keys.
    """
    found = cursor.execute(REFERRING, [table]).fetchall()
    faults = [
        fault
        for child, columns, keys in found
        if (fault := _orphans(cursor, child, columns, table, keys))
    ]
    if faults:
        raise DataError(
            f"rows of {table} cannot be retracted, because other rows refer to them: "
            + "; ".join(faults),
            "pass an input that has these rows, or load it without --complete",
        )


def _orphans(
    cursor: Cursor, child: str, columns: list[str], table: str, keys: list[str]
) -> str:
    """Describe the rows of a table that lost their parent; "" if there are none."""
    referring = sql.SQL(", ").join(sql.Identifier("c", column) for column in columns)
    orphans = sql.SQL(ORPHANS).format(
        child=sql.SQL(child),  # quoted by the database itself
        columns=referring,
        parent=sql.Identifier(table),
        keys=sql.SQL(", ").join(sql.Identifier("p", key) for key in keys),
    )
    rows = count(cursor, sql.SQL("SELECT count(*) ") + orphans)
    if not rows:
        return ""
    shown = sql.SQL("SELECT DISTINCT {} ").format(referring) + orphans
    limit = sql.SQL(" ORDER BY {} LIMIT {}").format(
        sql.SQL(", ").join(sql.Literal(n) for n in range(1, len(columns) + 1)),
        sql.Literal(SHOWN_ORPHANS + 1),
    )
    values = [
        "/".join(map(str, row)) for row in cursor.execute(shown + limit).fetchall()
    ]
    more = ", …" if len(values) > SHOWN_ORPHANS else ""
    listed = ", ".join(values[:SHOWN_ORPHANS]) + more
    return f"{child} has {rows:,} with {'/'.join(columns)} {listed}"
