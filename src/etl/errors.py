"""Errors by what the reader does next: correct a setting, wait, look at data, migrate.

A message says what, where, seen and wanted; the hint is the command or the act that
helps. Both are positional, because Prefect pickles errors and pickle calls
`cls(*args)`.
"""

from __future__ import annotations

from typing import ClassVar


class EtlError(Exception):
    """Base of every error that this package raises on purpose.

    Attributes:
        code: Stable name for programs.
        exit_code: What a command that fails with it ends with.
        retryable: Whether the same call may succeed later without any change.
    """

    code: ClassVar[str] = "ETL_ERROR"
    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message


class ConfigError(EtlError):
    """A setting, an argument or a path is wrong: correct it."""

    code = "CONFIG"
    exit_code = 2


class SourceUnavailable(EtlError):
    """The far side did not answer: try again later."""

    code = "SOURCE_UNAVAILABLE"
    retryable = True


class DatabaseUnavailable(EtlError):
    """The database did not answer or dropped the connection: try again later."""

    code = "DATABASE_UNAVAILABLE"
    retryable = True


class DatabaseBusy(DatabaseUnavailable):
    """Another session holds a lock for too long: try again when it has ended."""

    code = "DATABASE_BUSY"


class SchemaOutdated(EtlError):
    """The database is at an older revision than this code: migrate."""

    code = "SCHEMA_OUTDATED"
    exit_code = 4


class SchemaAhead(EtlError):
    """The database is at a revision that this code does not know: update the code."""

    code = "SCHEMA_AHEAD"
    exit_code = 4


class SourceChanged(EtlError):
    """The input has another shape than its spec describes: compare the two."""

    code = "SOURCE_CHANGED"
    exit_code = 5


class DataError(EtlError):
    """The input's contents break the contract: look at its rejects and checks."""

    code = "DATA"
    exit_code = 5
