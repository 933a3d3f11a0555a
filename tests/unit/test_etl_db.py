"""Errors of the database driver, translated by what the reader does next."""

from __future__ import annotations

import psycopg
import pytest

from etl.db import meaning
from etl.errors import ConfigError, DatabaseBusy, DatabaseUnavailable

SERVER = 'connection failed: connection to server at "127.0.0.1", port 5432 failed: '


@pytest.mark.parametrize(
    "refusal",
    [
        'password authentication failed for user "reader"',
        'no pg_hba.conf entry for host "10.0.0.1", user "reader", database "etl"',
        'role "reader" does not exist',
        'database "etl" does not exist',
    ],
)
def test_a_refused_login_names_the_settings_to_correct(refusal: str) -> None:
    error = meaning(psycopg.OperationalError(f"{SERVER}FATAL:  {refusal}"))
    assert isinstance(error, ConfigError)
    assert refusal in error.message
    assert "POSTGRES_PASSWORD" in error.hint
    assert not error.retryable


def test_an_unreachable_server_is_tried_again() -> None:
    error = meaning(psycopg.OperationalError(f"{SERVER}Connection refused"))
    assert isinstance(error, DatabaseUnavailable)
    assert error.retryable


def test_a_lock_that_is_not_free_in_time_is_tried_again() -> None:
    error = meaning(psycopg.errors.LockNotAvailable("canceling statement"))
    assert isinstance(error, DatabaseBusy)
    assert (error.exit_code, error.retryable) == (1, True)
