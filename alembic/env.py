"""Runs migrations: one migrator at a time, one transaction, bounded waits.

Two migrators at once: one migrates, the others wait for its advisory lock and then find
nothing to do. A statement that cannot get its table lock fails soon, instead of
blocking every reader behind it; the whole upgrade is then rolled back.

`etl.migrate` passes a list as the attribute "applied", which the revisions are added
to; it gets errors as they are. Alembic's own command line prints them.
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

from etl.db import connect, translated_errors
from etl.errors import DatabaseBusy, EtlError
from etl.lock_wait import lock_waits_reported
from etl.locks import MIGRATION_KEY
from etl.models.registry import metadata
from etl.settings import load_settings

MIGRATOR_TIMEOUT = "120s"
LOCK_TIMEOUT = "5s"
STATEMENT_TIMEOUT = "10min"


def migrate(connection: Connection) -> None:
    """Run what Alembic was asked for in one transaction."""
    with connection.begin():
        connection.execute(text(f"SET LOCAL lock_timeout = '{MIGRATOR_TIMEOUT}'"))
        connection.execute(
            text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_KEY}
        )
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


def run_online() -> None:
    """Connect, migrate, and report the session that a lock is waited for.

    Raises:
        DatabaseBusy: A lock was not free in time; nothing was changed.
    """
    engine = connect(load_settings())
    holder = None
    try:
        with (
            translated_errors(),
            engine.connect() as connection,
            lock_waits_reported(engine, connection, report) as wait,
        ):
            try:
                migrate(connection)
            finally:
                holder = wait.holder
    except DatabaseBusy as error:
        if holder is None:
            raise
        raise DatabaseBusy(
            f"nothing was migrated: a lock was not free in time; {holder} holds it",
            "wait for it to end, then run it again; who it is: "
            "./etl psql -- -c 'TABLE pg_stat_activity'",
        ) from error
    finally:
        engine.dispose()


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
    """Report a migration that was applied or undone, and note one that was applied."""
    verb = "upgrade to" if step.is_upgrade else "downgrade from"
    script = step.up_revision
    title = script.doc.rstrip(".") if isinstance(script, Script) else ""
    report(f"{verb} {step.up_revision_id}: {title}")
    if step.is_upgrade:
        context.config.attributes.get("applied", []).append(step.up_revision_id)


def name_by_time(
    context: MigrationContext, revision: Any, directives: list[MigrationScript]
) -> None:
    """Name a new migration by its time, and write none when there is nothing to change.

    An empty migration would be a new head for no reason.
    """
    del revision
    config = context.config
    if config is None or not hasattr(config.cmd_opts, "rev_id"):
        return  # the command `check`, which needs the directives as they are
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
        run_online()
    except EtlError as error:
        if "applied" in context.config.attributes:
            raise
        raise CommandError(f"{error}\n  fix: {error.hint}") from error
