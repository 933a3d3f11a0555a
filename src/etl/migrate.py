"""The job setup-db: brings the application database to the newest revision.

    python -m etl.migrate [--json]

A database that has it already is left alone, and found to be so without importing
Alembic. Standard output holds the revisions that were applied.
"""

from __future__ import annotations

from pathlib import Path

import click
from sqlalchemy import Engine

from etl.command import output_options
from etl.console import Result, report_progress, run_program
from etl.db import check_not_ahead, connect, schema_revision, translated_errors
from etl.errors import ConfigError
from etl.lock_wait import lock_waits_reported
from etl.models.revision import head_revision
from etl.settings import ROOT, load_settings

ALEMBIC_FILE = Path(ROOT) / "alembic.ini"


@click.command("migrate", params=output_options())
def migrate() -> Result:
    """Migrate, and report the revisions that were applied."""
    head = head_revision()
    engine = connect(load_settings())
    try:
        applied = apply_missing(engine, head)
    finally:
        engine.dispose()
    lines = [f"applied {revision}" for revision in applied]
    summary = f"the schema is at revision {head}"
    return Result(
        {"revision": head, "applied": applied, "count": len(applied)},
        "\n".join([*lines, summary]),
    )


def apply_missing(engine: Engine, head: str) -> list[str]:
    """Apply the revisions that the database lacks; return them in order.

    Raises:
        SchemaAhead: The database has a revision that this checkout does not know.
        DatabaseBusy: A table is in use; nothing was changed.
    """
    with (
        translated_errors(),
        engine.connect() as connection,
        lock_waits_reported(engine, connection, report_progress),
    ):
        seen = schema_revision(connection)
    if seen == head:
        return []
    check_not_ahead(seen)

    from alembic import command as alembic
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config(ALEMBIC_FILE)
    applied: list[str] = []
    config.attributes["applied"] = applied
    try:
        alembic.upgrade(config, "head")
    except CommandError as error:
        raise ConfigError(
            str(error), "./etl exec prefect-worker alembic heads"
        ) from None
    return applied


if __name__ == "__main__":
    raise SystemExit(run_program(migrate, name="./etl migrate"))
