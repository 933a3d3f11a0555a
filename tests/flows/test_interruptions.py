"""Runs that queue, are cancelled or killed: no false state anywhere."""

from __future__ import annotations

import signal

from tests.flows.conftest import Prefect, result, run_id_in
from tests.flows.gate import (
    assert_crashed,
    assert_reported_as_crashed,
    flow_process,
    gate_held,
    ledger_status,
    run_at_the_gate,
)


def test_a_second_run_waits_for_the_first_and_says_so(chain: Prefect) -> None:
    with gate_held(chain):
        running, _ = run_at_the_gate(chain)
    run = result(running)
    assert run.code == 0, run.err
    assert "waiting for another run to end" in run.err


def test_ctrl_c_cancels_the_run_and_says_so(chain: Prefect) -> None:
    with gate_held(chain):
        running, run_id = run_at_the_gate(chain)
        running.send_signal(signal.SIGINT)
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
