"""The worker: what it leaves behind when it is stopped, and when it is killed."""

from __future__ import annotations

import signal

from tests.flows.conftest import Prefect, result
from tests.flows.gate import (
    assert_crashed,
    assert_reported_as_crashed,
    flow_process,
    gate_held,
    run_at_the_gate,
)


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
