"""Runs migrations: one migrator at a time, one transaction, bounded waits.

Two migrators at once: one migrates, the others wait for its advisory lock and then find
nothing to do. A statement that cannot get its table lock fails soon, instead of
queueing in front of everybody's reads; the whole upgrade is then as if never begun.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from alembic import context
from alembic.operations.ops import MigrationScript
from alembic.runtime.migration import MigrationContext, MigrationInfo
from alembic.script import Script
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
            on_version_apply=report_step,
            process_revision_directives=name_by_time,
        )
        context.run_migrations()


def report(line: str) -> None:
    """Write a line to standard error: Alembic logs nothing unless logging is set up."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def report_step(
    ctx: MigrationContext,  # noqa: ARG001  # the names are Alembic's
    step: MigrationInfo,
    heads: Collection[Any],  # noqa: ARG001
    run_args: Mapping[str, Any],  # noqa: ARG001
) -> None:
    """Report a migration that is being applied or undone."""
    verb = "upgrade to" if step.is_upgrade else "downgrade from"
    script = step.up_revision
    title = script.doc.rstrip(".") if isinstance(script, Script) else ""
    report(f"{verb} {step.up_revision_id}: {title}")


def name_by_time(
    context: MigrationContext, revision: Any, directives: list[MigrationScript]
) -> None:
    """Name a new migration by its time, and write none when there is nothing to change.

    An empty migration would be a new head, and every run fails until the code has its
    revision.
    """
    del context, revision
    for script in directives:
        if script.upgrade_ops and script.upgrade_ops.is_empty():
            report("nothing to change: the models and the schema are equal")
            directives.clear()
            return
        script.rev_id = f"{datetime.now(UTC):%Y%m%d_%H%M}"


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
