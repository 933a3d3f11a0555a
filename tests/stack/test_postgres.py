"""The embedded server's lifecycle: crashes, stale pid files, whom it runs as."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import psycopg
import pytest
from tests.stack.conftest import CHECKOUT

from ci.host.home import Home
from ci.local.launch import Launcher
from ci.local.layout import settle
from ci.local.postgres import Postgres
from ci.local.processes import working_in
from ci.local.programs import find_binaries
from ci.local.supervisor import Supervisor
from ci.stack.errors import PrerequisiteMissing
from ci.stack.services import describe
from ci.stack.settings import Secret, StackSettings

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def database(
    home: Home, settings: StackSettings | None = None
) -> AsyncIterator[Supervisor]:
    """The stack's own database service, alone."""
    settings = settings or StackSettings()
    place = settle(home, settings)
    stack = describe(settings, place.endpoints)
    launcher = Launcher(CHECKOUT, home, place.postgres)
    async with Supervisor(stack, launcher, password=place.password) as supervisor:
        await supervisor.ensure(["db"])
        yield supervisor


def connect(postgres: Postgres) -> psycopg.Connection[tuple[object, ...]]:
    """Connect as the application's role through the socket."""
    return psycopg.connect(
        host=str(postgres.sockets),
        port=postgres.port,
        user="biocirv_user",
        dbname="biocirv_db",
    )


async def test_both_databases_exist_and_belong_to_a_plain_role(home: Home) -> None:
    async with database(home) as supervisor:
        with connect(supervisor.launcher.postgres) as connection:
            names = connection.execute(
                "SELECT datname FROM pg_database JOIN pg_roles r ON r.oid = datdba"
                " WHERE rolname = 'biocirv_user' AND NOT rolsuper ORDER BY 1"
            ).fetchall()
    assert names == [("biocirv_db",), ("prefect_db",)]


async def test_tcp_wants_the_password_and_only_loopback_listens(home: Home) -> None:
    async with database(
        home, StackSettings(postgres_password=Secret("right"))
    ) as supervisor:
        port = supervisor.launcher.postgres.port
        login: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": port,
            "user": "biocirv_user",
        }
        with psycopg.connect(
            dbname="biocirv_db", password="right", **login
        ) as connection:
            row = connection.execute("SHOW listen_addresses").fetchone()
        with pytest.raises(
            psycopg.OperationalError, match="password authentication failed"
        ):
            psycopg.connect(dbname="biocirv_db", password="wrong", **login)
    assert row == ("127.0.0.1",)


async def test_a_changed_password_is_applied_at_the_next_start(home: Home) -> None:
    for word in ("first", "second"):
        async with database(
            home, StackSettings(postgres_password=Secret(word))
        ) as supervisor:
            psycopg.connect(
                host="127.0.0.1",
                port=supervisor.launcher.postgres.port,
                user="biocirv_user",
                dbname="biocirv_db",
                password=word,
            ).close()


async def test_committed_rows_survive_kill_9_of_the_server(home: Home) -> None:
    async with database(home) as supervisor:
        postgres = supervisor.launcher.postgres
        with connect(postgres) as connection:
            connection.execute(
                "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n"
            )
        state = supervisor.running["db"].state
        first = state.pid
        assert first is not None
        with connect(postgres) as busy:
            busy.execute("INSERT INTO kept SELECT generate_series(1, 100000)")
            os.kill(first, signal.SIGKILL)
            with anyio.fail_after(30):
                while state.pid in (first, None) or state.status != "ready":
                    await anyio.sleep(0.02)
            busy.close()
        with connect(postgres) as connection:
            row = connection.execute("SELECT count(*) FROM kept").fetchone()
    assert row == (1000,)


async def test_a_pid_file_that_names_another_program_does_not_end_that_program(
    home: Home,
) -> None:
    """After a reboot the recorded pid may be any program's."""
    async with database(home):
        pass
    other = await anyio.open_process(["sleep", "60"])
    path = home.pgdata / "postmaster.pid"
    path.write_text(f"{other.pid}\n{home.pgdata}\n1\n5432\n\n\n\nready\n")
    try:
        async with database(home) as supervisor:
            connect(supervisor.launcher.postgres).close()
        assert other.returncode is None
    finally:
        other.kill()
        await other.wait()


async def test_a_server_left_by_a_killed_supervisor_is_ended_first(home: Home) -> None:
    place = settle(home, StackSettings())
    async with database(home):
        pass
    launch = Launcher(CHECKOUT, home, place.postgres).service(
        describe(StackSettings(), place.endpoints).services["db"]
    )
    orphan = await anyio.open_process(
        launch.command,
        cwd=launch.folder,
        env=launch.environment,
        stderr=None,
        **launch.options,
    )
    with anyio.fail_after(20):
        while not place.postgres.is_ready():
            await anyio.sleep(0.01)
        async with database(home) as supervisor:
            connect(supervisor.launcher.postgres).close()
        await orphan.wait()
    assert not list(working_in(home.pgdata, "postgres"))


async def test_initdb_that_was_cut_short_leaves_no_half_made_directory(
    home: Home,
) -> None:
    half = home.pgdata.with_name(home.pgdata.name + ".making")
    half.mkdir()
    (half / "PG_VERSION").write_text("18")
    async with database(home) as supervisor:
        connect(supervisor.launcher.postgres).close()
    assert not half.exists()


def test_binaries_are_searched_in_pg_bindir_alone_when_it_is_set(
    tmp_path: Path,
) -> None:
    with pytest.raises(PrerequisiteMissing, match="PG_BINDIR: none in"):
        find_binaries({"PG_BINDIR": str(tmp_path)})
    assert (find_binaries({}) / "initdb").exists()
