"""Runs migrations: one migrator at a time, one transaction, bounded waits.

Two migrators at once: one migrates, the others wait for its advisory lock and then find
nothing to do. A statement that cannot get its table lock fails soon, instead of
queueing in front of everybody's reads; the whole upgrade is then as if never begun.
"""

from __future__ import annotations

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from etl.db import connect, translated_errors
from etl.errors import EtlError
from etl.locks import MIGRATION_KEY
from etl.models.registry import metadata
from etl.settings import load_settings

WAIT_FOR_MIGRATOR = "120s"
LOCK_TIMEOUT = "5s"
STATEMENT_TIMEOUT = "10min"


def wait_for_other_migrator(connection: Connection) -> None:
    """Take the migration lock until the end of the transaction, or give up."""
    connection.execute(text(f"SET LOCAL lock_timeout = '{WAIT_FOR_MIGRATOR}'"))
    try:
        connection.execute(
            text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_KEY}
        )
    except OperationalError as error:
        raise CommandError(
            f"another migration has been running for over {WAIT_FOR_MIGRATOR}"
        ) from error


def migrate(connection: Connection) -> None:
    """Run what Alembic was asked for in one transaction."""
    with connection.begin():
        wait_for_other_migrator(connection)
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
        connection.execute(text(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'"))
        context.configure(
            connection=connection,
            target_metadata=metadata,
            compare_type=True,
            compare_server_default=True,
        )
        context.run_migrations()


if context.is_offline_mode():
    context.configure(
        dialect_name="postgresql", target_metadata=metadata, literal_binds=True
    )
    with context.begin_transaction():
        context.run_migrations()
else:
    try:
        with translated_errors(), connect(load_settings()).connect() as connection:
            migrate(connection)
    except EtlError as error:
        raise CommandError(f"{error}\n  fix: {error.hint}") from error
