"""The job setup-db: what it reports, and how it fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text
from tests.migrations.test_migrations import alembic

from etl.db import connect, require_head, translated_errors
from etl.errors import ConfigError, SchemaAhead
from etl.locks import MIGRATION_KEY
from etl.models.revision import head_revision, known_revisions
from etl.settings import Settings

CHECKOUT = Path(__file__).resolve().parents[2]


def start(engine: Engine, *arguments: str) -> subprocess.Popen[str]:
    """Start the job on a database."""
    url = engine.url.render_as_string(hide_password=False)
    return subprocess.Popen(
        [sys.executable, "-m", "etl.migrate", *arguments],
        cwd=CHECKOUT, env=os.environ | {"DATABASE_URL": url}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def document(process: subprocess.Popen[str], *, code: int) -> dict[str, Any]:
    """Wait for the job; return the one document that it printed."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, out + err
    assert "Traceback" not in err
    parsed: dict[str, Any] = json.loads(out)
    return parsed


def session_of(connection: Connection) -> str:
    """Return how reports name a connection's session."""
    return f"session {connection.scalar(text('SELECT pg_backend_pid()'))} "


def test_the_revisions_that_were_applied_are_reported_with_their_count(
    empty_db: Engine,
) -> None:
    first = document(start(empty_db, "--json"), code=0)["data"]
    assert set(first["applied"]) == set(known_revisions())
    assert first["applied"][-1] == first["revision"] == head_revision()
    assert first["count"] == len(first["applied"])
    again = document(start(empty_db, "--json"), code=0)["data"]
    assert (again["applied"], again["count"]) == ([], 0)


def test_a_database_that_is_up_to_date_needs_no_import_of_alembic(db: Engine) -> None:
    code = (
        "import sys, etl.console, etl.migrate; "
        "etl.console.run_program(etl.migrate.migrate, []); "
        "print('alembic' in sys.modules)"
    )
    url = db.url.render_as_string(hide_password=False)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True,
        env=os.environ | {"DATABASE_URL": url}, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "False"


def test_a_table_in_use_is_reported_with_the_session_that_uses_it(db: Engine) -> None:
    alembic(db, "downgrade", "-1")
    with db.connect() as other:
        other.execute(text("LOCK TABLE alembic_version IN SHARE MODE"))
        holder = session_of(other)
        process = start(db, "--json")
        assert process.stderr
        line = process.stderr.readline()  # printed while it waits
        error = document(process, code=1)["error"]
    assert f"waiting for a lock of the database, held by {holder}" in line
    assert error["code"] == "DATABASE_BUSY"
    assert (
        f"nothing was migrated: a lock was not free in time; {holder}"
        in (error["message"])
    )
    assert "run it again" in error["hint"]


def test_waiting_for_another_migrator_is_reported(empty_db: Engine) -> None:
    with empty_db.connect() as other:
        lock = {"key": MIGRATION_KEY}
        other.execute(text("SELECT pg_advisory_xact_lock(:key)"), lock)
        holder = session_of(other)
        process = start(empty_db, "--json")
        assert process.stderr
        assert f"held by {holder}" in process.stderr.readline()
        other.rollback()
        assert document(process, code=0)["data"]["revision"] == head_revision()


def test_a_database_ahead_of_the_checkout_exits_4_with_what_to_do(db: Engine) -> None:
    with db.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '2999'"))
        with pytest.raises(SchemaAhead, match="this checkout is older"):
            require_head(connection)
    error = document(start(db, "--json"), code=4)["error"]
    assert error["code"] == "SCHEMA_AHEAD"
    assert "2999" in error["message"]
    assert error["hint"].startswith("git pull; or")
    assert "./etl migrate" not in error["hint"]


def write_revision(folder: Path, name: str, down: str | None) -> None:
    """Write a migration's header."""
    text = f"revision: str = {name!r}\ndown_revision: str | None = {down!r}\n"
    (folder / f"{name}_x.py").write_text(text)


def test_a_revision_that_a_user_adds_is_the_new_head(tmp_path: Path) -> None:
    write_revision(tmp_path, "first", None)
    write_revision(tmp_path, "second", "first")
    assert head_revision(tmp_path) == "second"


def test_two_heads_are_reported(tmp_path: Path) -> None:
    write_revision(tmp_path, "first", None)
    write_revision(tmp_path, "second", None)
    with pytest.raises(ConfigError, match="2 heads: first, second"):
        head_revision(tmp_path)


@pytest.mark.parametrize(
    ("user", "database"), [("etl_test", "nowhere"), ("no_role", "postgres")]
)
def test_a_refused_login_is_a_setting_to_correct(
    server: Any, user: str, database: str
) -> None:
    url = server.url(database).replace("etl_test@", f"{user}@")
    engine = connect(Settings.model_validate({"database_url": url}))
    with (
        pytest.raises(ConfigError, match="refused the connection") as failure,
        translated_errors(),
    ):
        engine.connect()
    assert "DATABASE_URL" in failure.value.hint
    engine.dispose()
