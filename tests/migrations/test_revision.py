"""New migrations: named by their time, and written only if there is a change."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from etl.models.revision import head_revision

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with Alembic's files, in which a migration may be written."""
    shutil.copytree(CHECKOUT / "alembic", tmp_path / "alembic")
    shutil.copy(CHECKOUT / "alembic.ini", tmp_path)
    return tmp_path


def alembic(checkout: Path, engine: Engine, *command: str) -> str:
    """Run Alembic and return what it writes to standard error."""
    url = engine.url.render_as_string(hide_password=False)
    done = subprocess.run(
        [sys.executable, "-m", "alembic", *command],
        cwd=checkout,
        env=os.environ | {"DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def written(checkout: Path) -> set[str]:
    """Return the names of migrations that the project does not have."""
    found = {path.name for path in (checkout / "alembic/versions").glob("*.py")}
    return found - {path.name for path in (CHECKOUT / "alembic/versions").glob("*.py")}


def test_nothing_to_change_writes_nothing_and_reports_it(
    checkout: Path, db: Engine
) -> None:
    """An empty migration is a new head: every later run fails on it."""
    output = alembic(checkout, db, "revision", "--autogenerate", "-m", "nothing")
    assert "nothing to change: the models and the schema are equal" in output
    assert written(checkout) == set()


def test_a_new_migration_has_its_time_as_name_and_revision(
    checkout: Path, db: Engine
) -> None:
    with db.begin() as connection:
        connection.execute(text("CREATE TABLE surplus (id int)"))
    alembic(checkout, db, "revision", "--autogenerate", "-m", "drop surplus")
    (name,) = written(checkout)
    found = re.fullmatch(r"(\d{8}_\d{4})_drop_surplus\.py", name)
    assert found
    source = (checkout / "alembic/versions" / name).read_text()
    assert f"revision = '{found[1]}'" in source
    assert f"down_revision = '{head_revision()}'" in source


def test_migrations_are_reported_one_line_each(
    checkout: Path, empty_db: Engine
) -> None:
    first = "20261123_1900"
    lines = alembic(checkout, empty_db, "upgrade", "head").splitlines()
    assert lines[0].startswith(f"upgrade to {first}: ")
    assert lines[-1].startswith(f"upgrade to {head_revision()}: ")
    assert alembic(checkout, empty_db, "upgrade", "head") == ""
    (undone,) = alembic(checkout, empty_db, "downgrade", "-1").splitlines()
    assert undone.startswith(f"downgrade from {head_revision()}: ")
