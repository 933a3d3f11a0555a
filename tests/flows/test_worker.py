"""The worker: its limit, what it leaves behind when it ends, runs without one."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from tests.flows.conftest import POOL, Prefect, result
from tests.flows.gate import (
    assert_crashed,
    assert_reported_as_crashed,
    flow_process,
    gate_held,
    run_at_the_gate,
)
from tests.waiting import eventually

from etl.flows.follow import Follower
from etl.flows.prefect_api import PrefectApi

MASTER = "master-etl/master-etl-deployment"


def test_a_stopped_worker_leaves_no_run_behind(prefect: Prefect) -> None:
    with prefect.worker() as worker, gate_held(prefect):
        running, run_id = run_at_the_gate(prefect)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0
        assert_reported_as_crashed(result(running))
    assert_crashed(prefect, run_id)
    assert prefect.workers_online() == []


def test_a_killed_workers_run_is_ended_by_the_next_worker(prefect: Prefect) -> None:
    with prefect.worker() as worker, gate_held(prefect):
        running, run_id = run_at_the_gate(prefect)
        flow = flow_process(run_id)
        worker.kill()
        worker.wait()
        flow.kill()
        with prefect.worker():
            assert_reported_as_crashed(result(running))
    assert_crashed(prefect, run_id)


@pytest.fixture
def api(prefect: Prefect, monkeypatch: pytest.MonkeyPatch) -> Iterator[PrefectApi]:
    """A client of the server, logged in as a job is."""
    login = prefect.environment["PREFECT_API_AUTH_STRING"]
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", login)
    api = PrefectApi(prefect.environment["PREFECT_API_URL"])
    yield api
    api.close()


def test_more_runs_than_the_limit_wait_and_all_of_them_finish(
    prefect: Prefect, api: PrefectApi
) -> None:
    limited = replace(
        prefect, environment=prefect.environment | {"PREFECT_WORKER_LIMIT": "2"}
    )
    created = {api.create_run(MASTER, {"sources": ["geography"]}).id for _ in range(6)}

    def completed() -> list[dict[str, Any]] | None:
        wanted = {"flow_runs": {"id": {"any_": sorted(created)}}}
        runs: list[dict[str, Any]] = prefect.api("POST", "/flow_runs/filter", wanted)
        return runs if {r["state_type"] for r in runs} == {"COMPLETED"} else None

    with limited.worker():
        runs = eventually(completed, within_s=150)
    assert len(runs) == len(created)
    times = [
        (datetime.fromisoformat(r["start_time"]), datetime.fromisoformat(r["end_time"]))
        for r in runs
    ]
    for begun, _ in times:
        assert sum(start <= begun < end for start, end in times) <= 2


@pytest.mark.parametrize(
    ("state", "ended"), [("SCHEDULED", "CANCELLED"), ("RUNNING", "CRASHED")]
)
def test_a_run_without_a_worker_and_without_a_process_is_ended(
    api: PrefectApi, state: str, ended: str
) -> None:
    run = api.create_run(MASTER, {})
    api.set_state(run.id, state, "", force=True)
    lines: list[str] = []
    follower = Follower(
        api,
        run,
        POOL,
        process_is_alive=lambda: False,
        report=lines.append,
        no_worker_seconds=1.0,
    )
    last = follower.to_the_end()
    assert last.state == ended
    assert "no worker of pool test-pool has been online for 1 s" in last.message
    waited = any("has no worker online; fix: ./etl logs" in line for line in lines)
    assert waited is (state == "SCHEDULED")
