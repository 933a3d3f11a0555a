"""Fixtures of all tests: one real Postgres a session, one database a test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from anyio.from_thread import start_blocking_portal
from psycopg import sql
from sqlalchemy import Engine, create_engine
from tests.everything import pytest_runtest_makereport, pytest_terminal_summary

from ci.host.home import Home
from ci.local.launch import Launcher
from ci.local.postgres import Postgres
from ci.local.supervisor import Supervisor
from ci.stack.model import Cluster, Service, SqlProbe, Stack

# Hooks: pytest finds them here.
__all__ = ["pytest_runtest_makereport", "pytest_terminal_summary"]
CHECKOUT = Path(__file__).resolve().parent.parent
ROLE, TEMPLATE = "etl_test", "etl_template"


@dataclass(frozen=True)
class Server:
    """A running Postgres; databases come and go on it."""

    postgres: Postgres

    def url(self, database: str, driver: str = "psycopg") -> str:
        """Return the SQLAlchemy URL of a database on it."""
        where = f"?host={self.postgres.sockets}&port={self.postgres.port}"
        return f"postgresql+{driver}://{ROLE}@/{database}{where}"

    def owner(self) -> psycopg.Connection[tuple[object, ...]]:
        """Connect as the superuser, autocommit on."""
        connection: psycopg.Connection[tuple[object, ...]] = (
            self.postgres.connect_as_owner()
        )
        return connection

    @contextmanager
    def database(self, template: str = "template1") -> Iterator[str]:
        """Make a database from a template, give its name, drop it."""
        name = f"test_{uuid4().hex[:12]}"
        make = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(
            sql.Identifier(name), sql.Identifier(ROLE), sql.Identifier(template)
        )
        with self.owner() as owner:
            owner.execute(make)
        try:
            yield name
        finally:
            with self.owner() as owner:
                owner.execute(
                    sql.SQL("DROP DATABASE {} WITH (FORCE)").format(
                        sql.Identifier(name)
                    )
                )


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The session's Postgres, started by the local engine itself."""
    root = Path(tempfile.mkdtemp(prefix="etl-test-"))
    root.chmod(0o755)  # Postgres runs as another user when the tests run as root
    home = Home(root)
    home.make()
    postgres = Postgres.at(home.pgdata, home.pg_sockets, 5432)
    service = Service(
        name="db",
        summary="PostgreSQL of the tests",
        command=("postgres", "-c", "fsync=off", "-c", "listen_addresses="),
        probe=SqlProbe("postgres"),
        cluster=Cluster(ROLE, (TEMPLATE,)),
    )
    supervisor = Supervisor(
        Stack({"db": service}), Launcher(CHECKOUT, home, postgres), password="unused"
    )
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(supervisor),
    ):
        portal.call(supervisor.ensure, ["db"])
        yield Server(postgres)
    shutil.rmtree(root)


@pytest.fixture(scope="session")
def template(server: Server) -> str:
    """A migrated database that tests copy."""
    migrate(server.url(TEMPLATE))
    return TEMPLATE


def migrate(url: str, revision: str = "head", *, command: str = "upgrade") -> None:
    """Run the migrations as setup-db does."""
    subprocess.run(
        [sys.executable, "-m", "alembic", command, revision],
        cwd=CHECKOUT,
        env=os.environ | {"DATABASE_URL": url},
        check=True,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def db(server: Server, template: str) -> Iterator[Engine]:
    """A migrated database of its own for one test."""
    with server.database(template) as name:
        engine = create_engine(server.url(name))
        yield engine
        engine.dispose()


@pytest.fixture
def empty_db(server: Server) -> Iterator[Engine]:
    """An empty database of its own for one test."""
    with server.database() as name:
        engine = create_engine(server.url(name))
        yield engine
        engine.dispose()
