"""Connects to the application database and translates the driver's errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy import Connection, Engine, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError

from etl.errors import (
    ConfigError,
    DatabaseBusy,
    DatabaseUnavailable,
    DataError,
    EtlError,
    SchemaAhead,
    SchemaOutdated,
)
from etl.models.revision import head_revision, known_revisions
from etl.settings import Settings

CONNECT_TIMEOUT_S = 10
KEEPALIVES = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
"""A server that has vanished is noticed after a minute, not after two hours."""


def connect(settings: Settings) -> Engine:
    """Return an engine; it connects when it is first used.

    Raises:
        ConfigError: DATABASE_URL is not an address.
    """
    try:
        url = make_url(settings.database_url.get_secret_value())
    except ArgumentError:
        raise ConfigError(
            "DATABASE_URL is not an address",
            "write it as postgresql+psycopg://user:password@host:port/name",
        ) from None
    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=5,
        max_overflow=10,
        pool_pre_ping=True,
        connect_args={
            "application_name": "biocirv-etl",
            "connect_timeout": CONNECT_TIMEOUT_S,
            **KEEPALIVES,
        },
    )


def schema_revision(connection: Connection) -> str | None:
    """Return the revision that the database is at; None if it was never migrated."""
    if not connection.scalar(text("SELECT to_regclass('alembic_version')")):
        return None
    revision: str | None = connection.scalar(
        text("SELECT version_num FROM alembic_version")
    )
    return revision


def check_not_ahead(revision: str | None) -> None:
    """Check that this code knows a database's revision.

    Raises:
        SchemaAhead: It does not: a newer checkout has migrated the database.
    """
    if revision is not None and revision not in known_revisions():
        raise SchemaAhead(
            f"this checkout is older than the database: the schema is at revision "
            f"{revision}, the newest that this checkout knows is {head_revision()}",
            "git pull; or, in the checkout that has that revision: "
            f"./etl exec prefect-worker alembic downgrade {head_revision()}",
        )


def require_head(connection: Connection) -> None:
    """Check that the schema is the one that this code is written for.

    Raises:
        SchemaOutdated: It is older, or the database was never migrated.
        SchemaAhead: It is newer.
    """
    seen = schema_revision(connection)
    if seen == head_revision():
        return
    check_not_ahead(seen)
    raise SchemaOutdated(
        f"the database is at schema revision {seen or 'none'}, "
        f"this code needs {head_revision()}",
        "./etl migrate",
    )


@contextmanager
def translated_errors() -> Iterator[None]:
    """Raise driver errors as ours, by what the reader does next."""
    try:
        yield
    except DBAPIError as error:
        raise meaning(error.orig or error) from error
    except psycopg.Error as error:
        raise meaning(error) from error


def refusal(message: str) -> str | None:
    """Return the line by which a server refuses a login; None if it did not.

    The driver has no error code for a connection that was never made.
    """
    signs = ("password", "authentication", "does not exist", "no pg_hba.conf entry")
    for line in message.splitlines():
        if "FATAL:" in line and any(sign in line for sign in signs):
            return line.partition("FATAL:")[2].strip()
    return None


def meaning(error: BaseException) -> EtlError:
    """Return our error for a driver's."""
    what = next(iter(str(error).strip().splitlines()), repr(error))
    match error:
        case psycopg.errors.DiskFull():
            return DatabaseUnavailable(
                f"the database has no space left: {what}", "df -h; then run again"
            )
        case psycopg.errors.LockNotAvailable() | psycopg.errors.DeadlockDetected():
            return DatabaseBusy(
                f"another session is using the same tables: {what}",
                "run again; who it is: ./etl psql -- -c 'TABLE pg_stat_activity'",
            )
        case psycopg.OperationalError() if refused := refusal(str(error)):
            return ConfigError(
                f"the database refused the connection: {refused}",
                "correct user, password and database name in DATABASE_URL (or "
                "POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB), then ./etl restart",
            )
        case psycopg.OperationalError() | psycopg.InterfaceError():
            return DatabaseUnavailable(
                f"the database is not available: {what}", "./etl status"
            )
        case psycopg.IntegrityError() | psycopg.DataError():
            return DataError(
                f"the rows break a rule of the database: {what}",
                "a rule that validation missed: report it with the input",
            )
        case psycopg.errors.UndefinedTable() | psycopg.errors.UndefinedColumn():
            return SchemaOutdated(
                f"the schema is not that of this code: {what}", "./etl migrate"
            )
        case psycopg.errors.InsufficientPrivilege():
            return ConfigError(
                f"the database role may not do this: {what}",
                "let the role of DATABASE_URL own the database",
            )
        case _:
            return EtlError(f"the database refuses a statement: {what}", "report it")
