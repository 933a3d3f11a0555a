"""kill -9 of every part in the middle of a load: the next run ends as if undisturbed.

"In the middle" is made certain, not timed: another session holds a lock that the load
needs, so its transaction is open and waiting when the victim is killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import closing

import psutil
import psycopg
import pytest
from tests.stack.conftest import Program
from tests.waiting import eventually

from ci.host.home import Home

# What a load leaves, without what differs from run to run.
FINGERPRINT = """
SELECT count(*), md5(string_agg(t::text, E'\\n' ORDER BY t::text)) FROM (
    SELECT state_fips, county_code, short_desc, year, period, value, value_flag, cv_pct
    FROM out_nass__values
) AS t
"""
# As after the migrations; what earlier runs did stays in the ledger.
EMPTY = """TRUNCATE core_nass__value, core_nass__value_history, core_nass__series,
    core_nass__location, core_nass__period, core_geography__place, ledger_cursor
    CASCADE"""
BLOCKED_WITHIN_S = 90


@pytest.fixture(scope="module")
def undisturbed(running: Program) -> str:
    """The fingerprint of an undisturbed load."""
    document = running.json("run")
    assert document["data"]["status"] == "succeeded"
    return fingerprint(running)


def fingerprint(program: Program) -> str:
    """Return what is in the database."""
    return program("psql", "--", "-AtXc", FINGERPRINT).stdout


def lock_the_figures(
    etl: Program, run: subprocess.Popen[str]
) -> psycopg.Connection[tuple[object, ...]]:
    """Hold a lock on the table of figures, so that a load waits in its transaction.

    The lock is taken as soon as the run's Postgres answers, long before its load.
    """
    deadline = time.monotonic() + 60
    while True:
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < deadline, "Postgres did not start"
        try:
            socket = next(etl.home.pg_sockets.glob(".s.PGSQL.*[0-9]"))
            connection = psycopg.connect(
                host=str(socket.parent),
                port=socket.name.rsplit(".", 1)[1],
                user="postgres",
                dbname="biocirv_db",
            )
        except (StopIteration, psycopg.OperationalError):
            time.sleep(0.02)
        else:
            connection.execute("LOCK TABLE core_nass__value IN EXCLUSIVE MODE")
            return connection


def wait_until_blocked(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """Return once a load waits for the lock that we hold."""
    waiting = (
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation'"
    )
    eventually(
        lambda: connection.execute(waiting).fetchone() != (0,),
        within_s=BLOCKED_WITHIN_S,
    )


def by_command(home: Home, words: str) -> Callable[[], int]:
    """Find a process of a home by words of its command line."""

    def find() -> int:
        for process in psutil.process_iter(["cmdline", "environ"]):
            line = " ".join(process.info["cmdline"] or [])
            ours = (process.info["environ"] or {}).get("ETL_STACK") == home.key
            if words in line and (ours or str(home.root) in line):
                return int(process.pid)
        raise AssertionError(f"no process of {words!r}")

    return find


def postmaster(home: Home) -> int:
    """Return the pid of a home's Postgres."""
    return int((home.pgdata / "postmaster.pid").read_text().split("\n")[0])


def kill(victim: str, etl: Program, run: subprocess.Popen[str]) -> None:
    """Kill one part of the running stack, outright."""
    if victim == "command line":
        pid = run.pid
    elif victim == "postgres":
        pid = postmaster(etl.home)
    else:
        words = {
            "server": "prefect server start",
            "worker": "etl.flows.worker",
            "flow": "etl.flows.engine",
            "supervisor": "ci.local.daemon",
        }[victim]
        pid = by_command(etl.home, words)()
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("victim", ["postgres", "server", "worker", "flow"])
def test_the_run_after_a_kill_ends_as_an_undisturbed_one(
    victim: str, running: Program, undisturbed: str
) -> None:
    running("psql", "--", "-qc", EMPTY)
    disturb(victim, running, undisturbed)


@pytest.mark.parametrize("victim", ["supervisor", "command line"])
def test_the_run_after_the_stack_itself_was_killed_ends_as_an_undisturbed_one(
    victim: str, etl: Program, undisturbed: str
) -> None:
    disturb(victim, etl, undisturbed)


def disturb(victim: str, etl: Program, undisturbed: str) -> None:
    """Kill one part in the middle of a load, run again, and compare."""
    run = etl.start("run", start_new_session=True)
    with closing(lock_the_figures(etl, run)) as connection:
        wait_until_blocked(connection)
        kill(victim, etl, run)
    out, err = run.communicate(timeout=150)
    assert "Traceback" not in err, err
    if run.returncode == 0:  # what was killed was started again, and the load retried
        assert victim in ("postgres", "server"), out + err
    assert etl.json("run")["data"]["status"] == "succeeded"
    assert fingerprint(etl) == undisturbed
    assert unfinished(etl) == "0\n"


def unfinished(etl: Program) -> str:
    """Count the runs that still claim to be running."""
    query = "SELECT count(*) FROM ledger_run WHERE status = 'running'"
    return etl("psql", "--", "-AtXc", query).stdout


def test_two_runs_at_the_same_time_never_mix(etl: Program, undisturbed: str) -> None:
    first, second = etl.start("run", "--json"), etl.start("run", "--json")
    for process in (first, second):
        out, err = process.communicate(timeout=170)
        assert process.returncode == 0, out + err
    assert fingerprint(etl) == undisturbed
    overlap = """SELECT count(*) FROM ledger_step a JOIN ledger_step b
        ON a.run_id < b.run_id AND a.started_at < b.finished_at
        AND b.started_at < a.finished_at"""
    assert etl("psql", "--", "-AtXc", overlap).stdout == "0\n"
