"""The description of the stack: complete, ordered, and secrets only where needed."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from ci.stack.errors import UsageError
from ci.stack.model import Condition, Endpoints, Service, Stack
from ci.stack.services import describe
from ci.stack.settings import Secret, StackSettings

AT = Endpoints(
    database_host="/run/etl",
    database_port=5432,
    server_host="127.0.0.1",
    server_bind="127.0.0.1",
    server_port=4200,
    browser_api_url="http://127.0.0.1:4200/api",
    raw_dir="/data/raw",
    prefect_home="/data/prefect",
)


def stack(settings: StackSettings | None = None, at: Endpoints = AT) -> Stack:
    return describe(settings or StackSettings(), at)


def test_it_has_the_services_and_jobs_of_the_seed_document() -> None:
    assert list(stack().services) == ["db", "prefect-server", "prefect-worker"]
    assert {"setup-db", "deploy", "run-etl", "test", "psql"} <= set(stack().units)


def test_every_need_is_a_unit_that_can_meet_it() -> None:
    units = stack().units
    for unit in units.values():
        for need, condition in unit.needs.items():
            lives_on = isinstance(units[need], Service)
            assert (condition is Condition.COMPLETED) is not lives_on, (unit.name, need)


def test_the_migrations_are_a_gate_before_everything_that_needs_the_schema() -> None:
    order = stack().closure(["run-etl"])
    assert order.index("db") < order.index("setup-db") < order.index("prefect-worker")
    assert order[-1] == "run-etl"
    assert stack().units["prefect-worker"].needs["setup-db"] is Condition.COMPLETED


def test_an_unknown_unit_is_a_usage_error_that_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="db, setup-db, prefect-server"):
        stack().closure(["postgres"])


def test_inside_a_stack_of_containers_the_port_of_the_host_never_appears() -> None:
    """POSTGRES_PORT is the host's port; inside, the database is always on its own."""
    inside = replace(AT, database_host="db", password="p@ss/word")
    units = stack(StackSettings(postgres_port=5433), inside).units
    url = "postgresql+psycopg://biocirv_user:p%40ss%2Fword@db:5432/biocirv_db"
    assert units["setup-db"].environment["DATABASE_URL"] == url
    assert "5433" not in str(units["prefect-server"].environment)


def test_a_socket_needs_no_password_in_any_url() -> None:
    units = stack(StackSettings(postgres_password=Secret("canary-7f3a"))).units
    assert "canary-7f3a" not in str(units)
    url = "postgresql+asyncpg://biocirv_user@/prefect_db?host=/run/etl&port=5432"
    server = units["prefect-server"].environment
    assert server["PREFECT_API_DATABASE_CONNECTION_URL"] == url


def test_the_key_of_a_source_reaches_the_worker_alone() -> None:
    units = stack(StackSettings(usda_nass_api_key=Secret("canary-7f3a"))).units
    given = [u.name for u in units.values() if "canary-7f3a" in str(u.environment)]
    assert given == ["prefect-worker"]


def test_no_secret_is_in_any_command_line() -> None:
    settings = StackSettings(
        usda_nass_api_key=Secret("canary-7f3a"), postgres_password=Secret("canary-7f3a")
    )
    for unit in stack(settings, replace(AT, password="canary-7f3a")).units.values():
        assert "canary-7f3a" not in " ".join(unit.command)


def test_a_database_brought_in_takes_the_place_of_our_own() -> None:
    url = Secret("postgresql+psycopg://reader:word@warehouse.example.org/figures")
    prefect = Secret("postgresql+asyncpg://reader:word@warehouse.example.org/prefect")
    brought = stack(
        StackSettings(database_url=url, prefect_api_database_connection_url=prefect)
    )
    assert "db" not in brought.units
    assert all("db" not in unit.needs for unit in brought.units.values())
    assert brought.units["setup-db"].environment["DATABASE_URL"] == url.reveal()


def test_postgres_own_programs_reach_a_database_brought_in() -> None:
    url = Secret(
        "postgresql+psycopg://me:p%40ss@pond.example.org:6/figures?sslmode=require"
    )
    prefect = Secret("postgresql+asyncpg://me:p%40ss@pond.example.org:6/prefect")
    settings = StackSettings(
        database_url=url, prefect_api_database_connection_url=prefect
    )
    brought = stack(settings).units
    assert brought["dump"].environment == {
        "PGHOST": "pond.example.org",
        "PGPORT": "6",
        "PGUSER": "me",
        "PGDATABASE": "figures",
        "PGPASSWORD": "p@ss",
        "PGSSLMODE": "require",
    }


def test_a_login_of_the_api_reaches_the_server_and_all_that_ask_it() -> None:
    units = stack(at=replace(AT, api_login="admin:canary-7f3a")).units
    given = [u.name for u in units.values() if "canary-7f3a" in str(u.environment)]
    assert {"prefect-server", "prefect-worker", "deploy", "run-etl"} <= set(given)
    server = units["prefect-server"].environment
    assert server["PREFECT_SERVER_API_AUTH_STRING"] == "admin:canary-7f3a"
    assert "AUTH_STRING" not in str(stack())


@pytest.mark.parametrize(
    ("url", "origins"),
    [
        (
            "http://127.0.0.1:4200/api",
            "http://127.0.0.1:4200,http://localhost:4200",
        ),
        ("https://etl.example.org/api", "https://etl.example.org"),
        ("http://[fd00::1]:4200/api", "http://[fd00::1]:4200"),
    ],
)
def test_only_the_uis_own_pages_may_read_the_api(url: str, origins: str) -> None:
    server = stack(at=replace(AT, browser_api_url=url)).units["prefect-server"]
    assert server.environment["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] == origins


def test_whoever_reads_or_stores_raw_files_shares_one_volume() -> None:
    units = stack().units
    share = {u.name for u in units.values() if "rawdata" in u.volumes}
    assert share == {"prefect-worker", "run-etl", "data"}


def test_changed_names_reach_every_place_that_uses_them() -> None:
    settings = StackSettings(
        postgres_user="someone", postgres_db="figures", prefect_work_pool_name="pond"
    )
    units = stack(settings).units
    assert units["psql"].environment["PGUSER"] == "someone"
    assert units["psql"].environment["PGDATABASE"] == "figures"
    assert "someone@/figures" in units["setup-db"].environment["DATABASE_URL"]
    assert units["deploy"].environment["PREFECT_WORK_POOL_NAME"] == "pond"
    assert "pool='pond'" in str(units["prefect-worker"])
    text = str(units)
    assert "biocirv_user" not in text
    assert "biocirv_db" not in text


def test_the_description_imports_the_standard_library_alone() -> None:
    """A Dagger call imports it in a fresh interpreter, twice or more."""
    code = (
        "import sys; before = set(sys.modules); import ci.stack.services\n"
        "new = {m.split('.')[0] for m in set(sys.modules) - before}\n"
        "print(sorted(new - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['ci']"
