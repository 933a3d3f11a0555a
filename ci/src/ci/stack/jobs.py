"""The jobs of the stack: what runs to its end.

Standard library only, as the whole description.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from ci.stack.model import Condition, Endpoints, Job, Runtime

if TYPE_CHECKING:
    from ci.stack.settings import StackSettings

DUMP = ("pg_dump", "--format=custom", "--no-owner")


def setup_db(pipeline: Mapping[str, str]) -> Job:
    """The gate: nothing that needs the schema starts before it has completed."""
    return Job(
        name="setup-db",
        summary="migrate the application database to the newest revision",
        command=("python", "-m", "etl.migrate"),
        environment=pipeline,
        needs={"db": Condition.HEALTHY},
        within_s=1800.0,
    )


def deploy(pipeline: Mapping[str, str]) -> Job:
    """The work pool and the deployments. Imports while the server starts."""
    return Job(
        name="deploy",
        summary="make the work pool and the deployments of prefect.yaml",
        command=("python", "-m", "etl.flows.deploy"),
        environment=pipeline,
        needs={"prefect-server": Condition.STARTED},
        within_s=180.0,
    )


def run_etl(at: Endpoints, pipeline: Mapping[str, str]) -> Job:
    """The master flow, triggered and followed to its receipt. It stages input files."""
    return Job(
        name="run-etl",
        summary="run the master flow through its deployment, to its receipt",
        command=("python", "-m", "etl.flows.run"),
        environment=pipeline,
        needs={
            "deploy": Condition.COMPLETED,
            "prefect-worker": Condition.HEALTHY,
            "prefect-server": Condition.HEALTHY,
        },
        volumes={"rawdata": at.raw_dir},
        within_s=24 * 3600,
    )


def data(at: Endpoints, pipeline: Mapping[str, str]) -> Job:
    """The verbs of the data; they need the schema and nothing else."""
    return Job(
        name="data",
        summary="a verb of the data: rejects, runs, report …",
        command=("python", "-m", "etl.cli"),
        environment=pipeline,
        needs={"setup-db": Condition.COMPLETED},
        volumes={"rawdata": at.raw_dir},
        within_s=3600.0,
    )


def test() -> Job:
    """The tests; they start what they need themselves."""
    return Job(
        name="test",
        summary="run the tests",
        command=("python", "-m", "pytest"),
        within_s=3600,
    )


def migrations(pipeline: Mapping[str, str]) -> list[Job]:
    """What people do with migrations besides applying them."""
    migrated, healthy = {"setup-db": Condition.COMPLETED}, {"db": Condition.HEALTHY}
    return [
        alembic("history", "list the migrations", pipeline, {}),
        alembic("downgrade", "undo migrations: -1 is one", pipeline, healthy),
        replace(
            alembic(
                "revision",
                "write the migration from the schema to the models",
                pipeline,
                migrated,
                "--autogenerate",
            ),
            writes=("alembic",),
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


def login(settings: StackSettings, at: Endpoints) -> dict[str, str]:
    """What PostgreSQL's own programs read to reach the application database."""
    if settings.database_url and settings.external_database:
        url = urlsplit(settings.database_url.reveal())
        options = parse_qs(url.query)
        given = {
            "PGHOST": url.hostname or options.get("host", [None])[0],
            "PGPORT": str(url.port or options.get("port", [5432])[0]),
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


def database_tools(settings: StackSettings, client: dict[str, str]) -> list[Job]:
    """PostgreSQL's own programs on the stack's databases."""
    own = settings.postgres_db
    prefect = client | {"PGDATABASE": settings.prefect_database}
    replace_all = ("--clean", "--if-exists", "--no-owner", "--single-transaction")
    return [
        *(
            replace(
                tool(name, f"SQL shell on {database}", variables, "psql"),
                interactive=True,
            )
            for name, database, variables in (
                ("psql", own, client),
                ("psql-prefect", settings.prefect_database, prefect),
            )
        ),
        tool(
            "check-db-health",
            "ask whether the server answers",
            client,
            "pg_isready",
            within_s=60.0,
        ),
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


def tool(
    name: str,
    summary: str,
    client: dict[str, str],
    *command: str,
    within_s: float = 24 * 3600.0,  # a dump takes as long as its data are large
) -> Job:
    """One of PostgreSQL's client programs, logged in.

    Without a bound: psql waits for its user, and a dump may be large.
    """
    return Job(
        name=name,
        summary=summary,
        command=command,
        runtime=Runtime.POSTGRES,
        environment=client,
        needs={"db": Condition.HEALTHY},
        within_s=within_s,
    )
