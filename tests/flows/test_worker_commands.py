"""What the worker executes, where it listens, and how it stops a cancelled run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.flows.conftest import Prefect, result
from tests.flows.gate import flow_process, gate_held, run_at_the_gate
from tests.waiting import eventually


def create_run(prefect: Prefect, **fields: Any) -> str:
    """Start a run of the master deployment with fields of its own; return its id."""
    found = prefect.api("GET", "/deployments/name/master-etl/master-etl-deployment")
    path = f"/deployments/{found['id']}/create_flow_run"
    body = {"state": {"type": "SCHEDULED"}} | fields
    run_id: str = prefect.api("POST", path, body)["id"]
    return run_id


@pytest.mark.parametrize("name", ["command", "env", "working_dir"])
def test_what_is_executed_comes_from_the_deployment_alone(
    chain: Prefect, tmp_path: Path, name: str
) -> None:
    made = tmp_path / "made"
    values = {
        "command": f"touch {made}",
        "env": {"PATH": str(tmp_path)},
        "working_dir": str(tmp_path),
    }
    run_id = create_run(chain, job_variables={name: values[name]})
    run = f"/flow_runs/{run_id}"
    eventually(lambda: chain.api("GET", run)["state_type"] == "CRASHED", within_s=30)
    message = chain.api("GET", run)["state"]["message"]
    assert f"this run sets the job variables {name};" in message
    assert not made.exists()


def test_neither_worker_nor_run_listens_on_a_port(chain: Prefect) -> None:
    with gate_held(chain):
        running, run_id = run_at_the_gate(chain)
        flow = flow_process(run_id)
        worker = flow.parent()
        assert worker is not None
        assert "etl.flows.worker" in worker.cmdline()
        listening = [
            found.laddr
            for found in psutil.net_connections("inet")
            if found.pid in (worker.pid, flow.pid)
            and found.status == psutil.CONN_LISTEN
        ]
        assert listening == []
    assert result(running).code == 0


def test_a_run_that_is_cancelled_in_the_ui_ends(chain: Prefect) -> None:
    with gate_held(chain):
        running, run_id = run_at_the_gate(chain)
        flow = flow_process(run_id)
        body = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
        chain.api("POST", f"/flow_runs/{run_id}/set_state", body)
        run = result(running)
    assert run.code != 0
    assert chain.api("GET", f"/flow_runs/{run_id}")["state_type"] == "CANCELLED"
    eventually(lambda: not psutil.pid_exists(flow.pid))
