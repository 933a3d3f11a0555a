"""Migrations: there and back again, equal to the models, one at a time."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, text

from etl.models.revision import head_revision
from etl.views.definitions import definition, latest

CHECKOUT = Path(__file__).resolve().parents[2]

SCHEMA = """
SELECT format('%s %s %s %s', c.relkind, c.relname, a.attname, format_type(a.atttypid,
              a.atttypmod)) || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
       || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
FROM pg_class AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = 'public'::regnamespace AND c.relname NOT LIKE 'alembic%'
UNION ALL
SELECT format('%s %s', conname, pg_get_constraintdef(oid)) FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND conname NOT LIKE 'alembic%'
UNION ALL
SELECT format('%s %s', viewname, definition) FROM pg_views WHERE schemaname = 'public'
ORDER BY 1
"""


def start(engine: Engine, *command: str) -> subprocess.Popen[str]:
    """Start Alembic on a database, as setup-db does."""
    url = engine.url.render_as_string(hide_password=False)
    return subprocess.Popen(
        [sys.executable, "-m", "alembic", *command],
        cwd=CHECKOUT,
        env=os.environ | {"DATABASE_URL": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def alembic(engine: Engine, *command: str) -> str:
    """Run Alembic to its end and return what it says."""
    process = start(engine, *command)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return output


def schema(engine: Engine) -> list[str]:
    """Return all columns, constraints and views of a database."""
    with engine.connect() as connection:
        return list(connection.scalars(text(SCHEMA)))


def test_base_to_head_and_back_and_again(empty_db: Engine) -> None:
    alembic(empty_db, "upgrade", "head")
    first = schema(empty_db)
    assert any("core_nass__value" in line for line in first)
    alembic(empty_db, "downgrade", "base")
    assert schema(empty_db) == []
    alembic(empty_db, "upgrade", "head")
    assert schema(empty_db) == first


def test_models_and_migrations_agree(db: Engine) -> None:
    assert "No new upgrade operations detected" in alembic(db, "check")


def test_checks_of_the_models_are_those_of_the_migrations(
    server: Any, empty_db: Engine, db: Engine
) -> None:
    """Alembic does not compare CHECK constraints; Postgres does."""
    from etl.models.registry import metadata

    metadata.create_all(empty_db)
    query = text(
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) "
        "FROM pg_constraint WHERE contype IN ('c', 'f', 'p', 'u') "
        "AND conname NOT LIKE 'alembic%' "
        "AND connamespace = 'public'::regnamespace ORDER BY 1, 2"
    )
    found = []
    for engine in (empty_db, db):
        with engine.connect() as connection:
            found.append(connection.execute(query).all())
    assert found[0] == found[1]


def test_the_head_that_is_parsed_is_the_one_that_alembic_finds() -> None:
    scripts = ScriptDirectory.from_config(Config(CHECKOUT / "alembic.ini"))
    assert scripts.get_heads() == [head_revision()]


def test_files_are_named_by_time_and_revision() -> None:
    scripts = ScriptDirectory.from_config(Config(CHECKOUT / "alembic.ini"))
    for script in scripts.walk_revisions():
        name = Path(script.path).stem
        assert re.fullmatch(r"\d{8}_\d{4}_[a-z_]+", name)
        assert name.startswith(script.revision)


def test_two_migrators_at_once(empty_db: Engine) -> None:
    migrators = [start(empty_db, "upgrade", "head") for _ in range(3)]
    outputs = [migrator.communicate()[0] for migrator in migrators]
    assert [migrator.returncode for migrator in migrators] == [0, 0, 0], outputs
    with empty_db.connect() as connection:
        versions = list(connection.scalars(text("SELECT * FROM alembic_version")))
    assert versions == [head_revision()]


def test_table_that_is_in_use_fails_soon_and_leaves_nothing(db: Engine) -> None:
    with db.connect() as reader:
        reader.execute(text("SELECT count(*) FROM out_nass__values"))
        process = start(db, "downgrade", "base")
        output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "nothing was migrated: a lock was not free in time; session" in output
    assert "Traceback" not in output
    assert "No new upgrade operations detected" in alembic(db, "check")


def test_no_database_ends_with_a_command() -> None:
    nowhere = create_engine("postgresql+psycopg://none@/none?host=/nowhere")
    output, _ = (process := start(nowhere, "upgrade", "head")).communicate()
    assert process.returncode != 0
    assert "./etl status" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("view", sorted(latest()))
def test_views_are_their_newest_files(db: Engine, view: str) -> None:
    with db.begin() as connection:
        select = definition(view, version=latest()[view])
        connection.execute(text(f"CREATE TEMP VIEW expected AS {select}"))
        query = text("SELECT pg_get_viewdef(:view ::regclass)")
        expected = connection.scalar(query, {"view": "expected"})
        assert connection.scalar(query, {"view": view}) == expected
