"""The stack: its services, and the description that puts them and the jobs together.

Standard library only. An engine starts services and runs jobs from this description
and knows none of them by name: adding a service touches this file alone, adding a job
only `jobs.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from signal import SIGINT
from typing import TYPE_CHECKING

from ci.stack import jobs
from ci.stack.model import (
    Cluster,
    Condition,
    Endpoints,
    HttpProbe,
    Job,
    Port,
    Runtime,
    Service,
    SqlProbe,
    Stack,
    WorkerProbe,
)

if TYPE_CHECKING:
    from ci.stack.settings import StackSettings

# The same options in every engine. JIT costs more than it gives for queries of
# milliseconds; the log stays short enough to read.
POSTGRES_OPTIONS: Mapping[str, str] = {
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %u@%d ",
    "log_checkpoints": "off",
    "jit": "off",
    "shared_buffers": "256MB",
    "work_mem": "32MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
}


def describe(settings: StackSettings, at: Endpoints) -> Stack:
    """Describe the whole stack for one user's settings and one engine's places."""
    pipeline = pipeline_environment(settings, at)
    client = jobs.login(settings, at)
    units: list[Service | Job] = [
        database(settings, client),
        jobs.setup_db(pipeline),
        prefect_server(settings, at),
        prefect_worker(settings, at, pipeline),
        jobs.deploy(pipeline),
        jobs.run_etl(at, pipeline),
        jobs.data(at, pipeline),
        *jobs.migrations(pipeline),
        *jobs.database_tools(settings, client),
        jobs.test(),
    ]
    if settings.external_database:
        units = [without(unit, "db") for unit in units if unit.name != "db"]
    return Stack({unit.name: unit for unit in units})


def pipeline_environment(settings: StackSettings, at: Endpoints) -> dict[str, str]:
    """What every process that touches data or the API is given."""
    database_url = (
        settings.database_url.reveal()
        if settings.database_url and settings.external_database
        else at.sql_url("psycopg", settings.postgres_user, settings.postgres_db)
    )
    return {
        "DATABASE_URL": database_url,
        "ETL_RAW_DIR": at.raw_dir,
        "ETL_COMMAND": at.command,  # messages name it in their hints
        "PREFECT_WORK_POOL_NAME": settings.prefect_work_pool_name,
        "PREFECT_UI_URL": at.browser_api_url.removesuffix("/api"),
        **(
            {"ETL_KEEP_DAYS": str(settings.etl_keep_days)}
            if settings.etl_keep_days
            else {}
        ),
    } | prefect_client(settings, at)


def prefect_client(settings: StackSettings, at: Endpoints) -> dict[str, str]:
    """What every process that uses Prefect is given."""
    return {
        "PREFECT_API_URL": at.api_url,
        "PREFECT_HOME": at.prefect_home,
        "PREFECT_LOGGING_LEVEL": settings.prefect_logging_level,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "TZ": settings.tz,
    } | ({"PREFECT_API_AUTH_STRING": at.api_login} if at.api_login else {})


def database(settings: StackSettings, client: dict[str, str]) -> Service:
    """PostgreSQL with the application's and Prefect's database."""
    options = [w for k, v in POSTGRES_OPTIONS.items() for w in ("-c", f"{k}={v}")]
    return Service(
        name="db",
        summary="PostgreSQL 18: application and Prefect databases",
        runtime=Runtime.POSTGRES,
        command=("postgres", *options),
        environment=client,
        ports=(Port("sql", 5432, settings.database_port),),
        volumes={"pgdata": "/var/lib/postgresql"},
        probe=SqlProbe(settings.postgres_db),
        cluster=Cluster(
            settings.postgres_user, (settings.postgres_db, settings.prefect_database)
        ),
        # INT is Postgres's fast stop; TERM would wait for every client to leave.
        stop_signal=SIGINT,
        stop_within_s=30.0,
    )


def prefect_server(settings: StackSettings, at: Endpoints) -> Service:
    """Prefect's API and UI; its metadata in the stack's own Postgres."""
    url = settings.prefect_api_database_connection_url
    return Service(
        name="prefect-server",
        summary="Prefect API and UI",
        command=(
            "prefect",
            "server",
            "start",
            "--host",
            at.server_bind,
            "--port",
            str(at.server_port),
        ),
        environment=prefect_client(settings, at)
        | {
            "PREFECT_API_DATABASE_CONNECTION_URL": url.reveal()
            if url and settings.external_prefect_database
            else at.sql_url(
                "asyncpg", settings.postgres_user, settings.prefect_database
            ),
            "PREFECT_UI_API_URL": at.browser_api_url,
            "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": ",".join(at.ui_origins),
        }
        | ({"PREFECT_SERVER_API_AUTH_STRING": at.api_login} if at.api_login else {}),
        ports=(Port("http", 4200, settings.server_port),),
        volumes={"prefectdata": at.prefect_home},
        needs={"db": Condition.HEALTHY},
        probe=HttpProbe(f"{at.api_url}/health"),
        within_s=120.0,
    )


def prefect_worker(
    settings: StackSettings, at: Endpoints, pipeline: Mapping[str, str]
) -> Service:
    """Runs flows as processes. Imports while the server starts, then waits for it."""
    sources = {
        "USDA_NASS_API_KEY": settings.usda_nass_api_key,
        "NASS_API_URL": settings.nass_api_url,
        "LANDIQ_SHAPEFILE_URL": settings.landiq_shapefile_url,
        "CREDENTIALS_PATH": settings.credentials_path,
    }
    given = {
        name: value if isinstance(value, str) else value.reveal()
        for name, value in sources.items()
        if value is not None
    }
    if settings.prefect_worker_limit:
        given["PREFECT_WORKER_LIMIT"] = str(settings.prefect_worker_limit)
    return Service(
        name="prefect-worker",
        summary="runs scheduled and triggered flows, each in its own process",
        command=("python", "-m", "etl.flows.worker"),
        environment={
            **pipeline,
            **given,
            "PREFECT_WORKER_QUERY_SECONDS": str(settings.prefect_worker_query_seconds),
            "PREFECT_WORKER_HEARTBEAT_SECONDS": "3",
            "PREFECT_LOGGING_TO_API_BATCH_INTERVAL": "0.3",
            # The worker logs outside of runs too; that is no reason to warn.
            "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        },
        needs={"setup-db": Condition.COMPLETED, "prefect-server": Condition.STARTED},
        volumes={"rawdata": at.raw_dir, "prefectdata": at.prefect_home},
        probe=WorkerProbe(at.api_url, settings.prefect_work_pool_name, at.api_login),
        within_s=120.0,
        stop_within_s=20.0,
    )


def without(unit: Service | Job, name: str) -> Service | Job:
    """Return the unit without its need of another one (a database brought in)."""
    return replace(unit, needs={n: c for n, c in unit.needs.items() if n != name})
