"""Runs that queue, are cancelled or killed: no false state anywhere."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from sqlalchemy import text
from tests.flows.conftest import Prefect, result, run_id_in
from tests.flows.gate import (
    assert_crashed,
    assert_reported_as_crashed,
    flow_process,
    gate_held,
    ledger_status,
    run_at_the_gate,
)
from tests.waiting import eventually


def test_a_second_run_waits_for_the_first_and_says_so(chain: Prefect) -> None:
    with gate_held(chain):
        running, _ = run_at_the_gate(chain)
    run = result(running)
    assert run.code == 0, run.err
    assert "waiting for another run to end" in run.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_ctrl_c_and_a_closed_terminal_cancel_the_run(
    chain: Prefect, number: signal.Signals
) -> None:
    with gate_held(chain):
        running, run_id = run_at_the_gate(chain)
        running.send_signal(number)
        run = result(running)
    assert run.code == 130
    assert f"run {run_id} is Cancelled" in run.err
    assert run_id_in(run.err) == run_id
    assert ledger_status(chain, run_id) == "failed"
    assert chain.api("GET", f"/flow_runs/{run_id}")["state_type"] == "CANCELLED"


def test_a_killed_flow_process_is_a_crashed_run(chain: Prefect) -> None:
    with gate_held(chain):
        running, run_id = run_at_the_gate(chain)
        flow_process(run_id).kill()
        run = result(running)
    assert_reported_as_crashed(run)
    assert_crashed(chain, run_id)


def task_states(prefect: Prefect, run_id: str) -> set[str]:
    """Return the states of the task runs of a run and of the runs it started."""
    wanted = {"flow_runs": {"parent_flow_run_id": {"any_": [run_id]}}}
    children = prefect.api("POST", "/flow_runs/filter", wanted)
    ids = [run_id, *(child["id"] for child in children)]
    wanted = {"flow_runs": {"id": {"any_": ids}}}
    tasks: list[dict[str, Any]] = prefect.api("POST", "/task_runs/filter", wanted)
    return {task["state_type"] for task in tasks}


def test_the_tasks_of_a_killed_flow_process_do_not_stay_running(
    chain: Prefect,
) -> None:
    with chain.engine.begin() as connection:  # the load's task waits for this lock
        connection.execute(text("LOCK TABLE core_geography__place"))
        running = chain.start("etl.flows.run", "--json", "--reload")
        assert running.stderr
        run_id = running.stderr.readline().split()[1]
        eventually(lambda: "RUNNING" in task_states(chain, run_id))
        flow_process(run_id).kill()
        assert_reported_as_crashed(result(running))
    assert_crashed(chain, run_id)
    eventually(lambda: task_states(chain, run_id) <= {"COMPLETED", "CRASHED"})
