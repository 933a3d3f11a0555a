"""The jobs that people run by hand on the databases: part of the stack's description.

Standard library only, as the description itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from ci.units import Condition, Endpoints, Job, Runtime

if TYPE_CHECKING:
    from ci.settings import Settings

DUMP = ("pg_dump", "--format=custom", "--no-owner")


def migrations(pipeline: Mapping[str, str]) -> list[Job]:
    """What people do with migrations besides applying them."""
    migrated, healthy = {"setup-db": Condition.COMPLETED}, {"db": Condition.HEALTHY}
    return [
        alembic("history", "list the migrations", pipeline, {}),
        alembic("downgrade", "undo migrations: -1 is one", pipeline, healthy),
        alembic(
            "revision",
            "write the migration from the schema to the models",
            pipeline,
            migrated,
            "--autogenerate",
        ),
        replace(
            alembic(
                "check", "models and migrated schema are equal", pipeline, migrated
            ),
            name="check-migrations",
        ),
    ]


def alembic(
    name: str,
    summary: str,
    pipeline: Mapping[str, str],
    needs: Mapping[str, Condition],
    *options: str,
) -> Job:
    """One of Alembic's commands, under its own name."""
    return Job(
        name=name,
        summary=summary,
        command=("alembic", name, *options),
        environment=pipeline,
        needs=needs,
        within_s=300.0,
    )


def login(settings: Settings, at: Endpoints) -> dict[str, str]:
    """What PostgreSQL's own programs read to reach the application database."""
    if settings.database_url and settings.external_database:
        url = urlsplit(settings.database_url.reveal())
        options = parse_qs(url.query)
        given = {
            "PGHOST": url.hostname,
            "PGPORT": str(url.port or 5432),
            "PGUSER": url.username and unquote(url.username),
            "PGDATABASE": url.path.lstrip("/"),
            "PGPASSWORD": url.password and unquote(url.password),
            "PGSSLMODE": options.get("sslmode", [None])[0],
        }
    else:
        given = {
            "PGHOST": at.database_host,
            "PGPORT": str(at.database_port),
            "PGUSER": settings.postgres_user,
            "PGDATABASE": settings.postgres_db,
            "PGPASSWORD": at.password,
        }
    return {name: value for name, value in given.items() if value}


def database_tools(settings: Settings, client: dict[str, str]) -> list[Job]:
    """PostgreSQL's own programs on the stack's databases."""
    own = settings.postgres_db
    prefect = client | {"PGDATABASE": settings.prefect_database}
    replace_all = ("--clean", "--if-exists", "--no-owner", "--single-transaction")
    return [
        tool("psql", f"SQL shell on {own}", client, "psql"),
        tool(
            "psql-prefect", f"SQL shell on {settings.prefect_database}", prefect, "psql"
        ),
        tool("check-db-health", "ask whether the server answers", client, "pg_isready"),
        tool("dump", f"write {own} to standard output", client, *DUMP),
        tool(
            "restore",
            f"put a dump in the place of {own}",
            client,
            "pg_restore",
            *replace_all,
            f"--dbname={own}",
        ),
    ]


def tool(name: str, summary: str, client: dict[str, str], *command: str) -> Job:
    """One of PostgreSQL's client programs, logged in."""
    return Job(
        name=name,
        summary=summary,
        command=command,
        runtime=Runtime.POSTGRES,
        environment=client,
        needs={"db": Condition.HEALTHY},
        within_s=3600.0,
    )
