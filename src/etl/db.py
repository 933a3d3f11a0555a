"""Connects to the application database and translates its errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy import Connection, Engine, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError

from etl.errors import (
    ConfigError,
    DatabaseUnavailable,
    DataError,
    EtlError,
    SchemaOutdated,
)
from etl.models.revision import REVISION
from etl.settings import Settings

CONNECT_TIMEOUT_S = 10
KEEPALIVES = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
"""A far side that vanished is noticed after a minute, not after two hours."""


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


def require_head(connection: Connection) -> None:
    """Refuse a database with another schema than this code has.

    Raises:
        SchemaOutdated: It is older, newer, or was never migrated.
    """
    migrated = connection.scalar(text("SELECT to_regclass('alembic_version')"))
    seen = migrated and connection.scalar(
        text("SELECT version_num FROM alembic_version")
    )
    if seen != REVISION:
        raise SchemaOutdated(
            f"the database is at schema revision {seen or 'none'}, "
            f"this code wants {REVISION}",
            "./etl migrate",
        )


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn driver errors into ours, by what the reader does next."""
    try:
        yield
    except DBAPIError as error:
        raise meaning(error.orig or error) from error
    except psycopg.Error as error:
        raise meaning(error) from error


def meaning(error: BaseException) -> EtlError:
    """Return what a driver's error means for the reader."""
    what = next(iter(str(error).strip().splitlines()), repr(error))
    match error:
        case psycopg.errors.DiskFull():
            return DatabaseUnavailable(
                f"the database has no space left: {what}", "df -h; then run again"
            )
        case psycopg.errors.LockNotAvailable() | psycopg.errors.DeadlockDetected():
            return DatabaseUnavailable(
                f"another session uses the same tables: {what}",
                "run again; who it is: ./etl psql -- -c 'TABLE pg_stat_activity'",
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
