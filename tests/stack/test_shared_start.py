"""Commands that start together share one supervisor; a lost stack ends or is found."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from tests.stack.conftest import Program, processes, wait_gone
from tests.waiting import eventually

from ci.host.home import Home
from ci.local.client import connect
from ci.local.processes import Identity, running_module, working_in

SUPERVISOR, GUARD = "ci.local.daemon", "ci.local.guard"
STOPS_WITHIN_S = 20.0


def supervisors(home: Home) -> list[Identity]:
    """Return the supervisor processes of a home."""
    return running_module([SUPERVISOR], str(home.root))


def leases(home: Home) -> int:
    """Return how many clients hold the stack."""
    client = connect(home)
    if client is None:
        return 0
    with client:
        return int(client.account()["leases"])


@contextmanager
def migration_blocked(home: Home) -> Iterator[None]:
    """Hold the version table in a lock, so that setup-db waits and with it the start.

    Taken as soon as the home's Postgres answers.
    """

    def locked() -> psycopg.Connection[tuple[object, ...]] | None:
        for socket in home.pg_sockets.glob(".s.PGSQL.*[0-9]"):
            try:
                connection = psycopg.connect(
                    host=str(socket.parent),
                    port=socket.name.rsplit(".", 1)[1],
                    user="postgres",
                    dbname="biocirv_db",
                )
            except psycopg.OperationalError:
                return None
            connection.execute("LOCK TABLE alembic_version")
            return connection
        return None

    connection = eventually(locked)
    try:
        yield
    finally:
        connection.close()


def results(*commands: subprocess.Popen[str]) -> list[tuple[int, str]]:
    """Wait for commands; return their exit codes and what they printed as errors."""
    ended = []
    for command in commands:
        _, err = command.communicate(timeout=170)
        ended.append((command.returncode, err))
    return ended


def test_two_cold_commands_at_once_share_one_supervisor(etl: Program) -> None:
    """Neither waits for a supervisor of its own, which could never get the lock."""
    first, second = etl.start("up"), etl.start("up")
    ended = results(first, second)
    assert [code for code, _ in ended] == [0, 0], ended
    assert len(supervisors(etl.home)) == 1
    etl("down")
    assert not wait_gone(etl.home)


def test_a_command_attaches_to_a_start_that_is_not_finished(etl: Program) -> None:
    """However long it takes: here its migration waits until both are attached."""
    first = etl.start("up")
    with migration_blocked(etl.home):
        second = etl.start("up")
        eventually(lambda: leases(etl.home) == 2)
        assert (first.poll(), second.poll()) == (None, None)
    ended = results(first, second)
    assert [code for code, _ in ended] == [0, 0], ended
    assert len(supervisors(etl.home)) == 1


def test_a_supervisor_with_a_deleted_home_ends_with_its_children(
    etl: Program,
) -> None:
    etl("up")
    assert len(processes(etl.home)) >= 4

    def deleted() -> bool:  # Postgres may write while we delete
        shutil.rmtree(etl.home.root, ignore_errors=True)
        return not etl.home.root.exists()

    eventually(deleted)
    assert not wait_gone(etl.home, STOPS_WITHIN_S)
    assert not etl.json("status")["data"]["running"]


def test_commands_report_a_stack_that_lost_its_supervisor_and_guard(
    etl: Program,
) -> None:
    etl("up")
    kill_supervisor_and_guard(etl.home)
    assert len(processes(etl.home)) >= 3
    error = etl.json("status", code=1)["error"]
    assert error["code"] == "ORPHANS_FOUND"
    assert "processes of its stack are still running" in error["message"]
    assert "./etl down" in error["hint"]
    assert etl.json("down")["data"]["stopped"]
    assert not wait_gone(etl.home)
    assert not etl.json("down")["data"]["stopped"]


def test_the_next_command_ends_what_a_killed_supervisor_and_guard_left(
    etl: Program,
) -> None:
    job = etl.start("psql", "--", "-c", "SELECT pg_sleep(600)")
    eventually(lambda: list(working_in(etl.home.pgdata, "postgres")))
    kill_supervisor_and_guard(etl.home)
    orphans = list(working_in(etl.home.pgdata, "postgres"))
    assert orphans
    assert results(job)[0][0] == 1
    assert etl("psql", "--", "-Atc", "SELECT 1").stdout == "1\n"
    assert not [process for process in orphans if process.alive()]
    assert not wait_gone(etl.home)


def kill_supervisor_and_guard(home: Home) -> list[Identity]:
    """Kill both outright; return the processes that they leave."""
    guard = eventually(lambda: running_module([GUARD], str(home.root)))[0]
    guard.signal(signal.SIGSTOP)  # it must not act between the two kills
    for process in supervisors(home):
        os.kill(process.pid, signal.SIGKILL)
    guard.signal(signal.SIGKILL)
    eventually(lambda: not running_module([SUPERVISOR, GUARD], str(home.root)))
    return processes(home)


@pytest.mark.parametrize("kind", ["file", "below a file"])
def test_a_file_in_place_of_the_home_is_reported(home: Home, kind: str) -> None:
    path = home.root / "file"
    path.write_text("")
    program = Program(Home(path if kind == "file" else path / "below"))
    for verb in ("status", "up", "down"):
        error = program.json(verb, code=4)["error"]
        assert error["code"] == "PREREQUISITE_MISSING"
        assert str(path) in error["message"]
        assert "ETL_HOME=" in error["hint"]
