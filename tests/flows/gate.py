"""Runs that wait for a lock, so that a test can interrupt them, and their outcome."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
from sqlalchemy import Connection, func, select, text
from tests.flows.conftest import Prefect, Run
from tests.waiting import eventually

from etl.locks import RUN_GATE_KEY


@contextmanager
def gate_held(prefect: Prefect) -> Iterator[Connection]:
    """Hold the gate that a run passes before it loads, as a run at work does."""
    with prefect.engine.connect() as connection:
        connection.execute(select(func.pg_advisory_lock(RUN_GATE_KEY)))
        try:
            yield connection
        finally:
            connection.execute(select(func.pg_advisory_unlock(RUN_GATE_KEY)))


def run_at_the_gate(prefect: Prefect) -> tuple[subprocess.Popen[str], str]:
    """Start a run and return it, with its id, once it waits at the gate."""
    waiting = text("SELECT run_id FROM ledger_run WHERE status = 'running'")
    running = prefect.start("etl.flows.run", "--json")

    def held() -> str | None:
        with prefect.engine.connect() as connection:
            if connection.scalar(text("SELECT 1 FROM pg_locks WHERE NOT granted")):
                return str(connection.scalar(waiting))
        return None

    return running, eventually(held)


def ledger_status(prefect: Prefect, run_id: str) -> str | None:
    """Return what the ledger says of a run."""
    query = text("SELECT status FROM ledger_run WHERE run_id = :run_id")
    with prefect.engine.connect() as connection:
        status: str | None = connection.scalar(query, {"run_id": run_id})
        return status


def flow_process(run_id: str) -> psutil.Process:
    """Return the process of a run: the one that has its id in its environment."""
    for process in psutil.process_iter():
        try:
            if process.environ().get("PREFECT__FLOW_RUN_ID") == run_id:
                return process
        except psutil.Error:
            continue
    raise AssertionError(f"run {run_id} has no process")


def assert_crashed(prefect: Prefect, run_id: str) -> None:
    """Check that a run is Crashed in Prefect and crashed in the ledger."""

    def state() -> bool:
        seen = prefect.api("GET", f"/flow_runs/{run_id}")["state_type"]
        return bool(seen == "CRASHED")

    eventually(state, within_s=20)
    eventually(lambda: ledger_status(prefect, run_id) == "crashed", within_s=20)


def assert_reported_as_crashed(run: Run) -> None:
    """Check what the job reports of a run with a killed process."""
    assert run.code == 1
    assert run.document["error"]["code"] == "RUN_CRASHED"
    assert "Traceback" not in run.err
