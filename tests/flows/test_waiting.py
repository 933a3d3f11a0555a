"""Runs that cannot start: the reason is reported; what is missing is made again."""

from __future__ import annotations

import subprocess

from tests.flows.conftest import POOL, Prefect, result

MASTER = "master-etl/master-etl-deployment"


def pause(prefect: Prefect, path: str, *, paused: bool) -> None:
    """Pause or resume a work pool or a queue."""
    prefect.api("PATCH", path, {"is_paused": paused})


def line_with(running: subprocess.Popen[str], text: str) -> str:
    """Return the first line of a job's progress that holds a text."""
    for line in running.stderr or ():
        if text in line:
            return line
    raise AssertionError(f"no line with {text!r}")


def test_a_paused_pool_and_a_paused_queue_are_reported_while_a_run_waits(
    chain: Prefect,
) -> None:
    pool, queue = f"/work_pools/{POOL}", f"/work_pools/{POOL}/queues/default"
    pause(chain, pool, paused=True)
    pause(chain, queue, paused=True)
    running = chain.start("etl.flows.run", "--json", "--source", "geography")
    try:
        line = line_with(running, "waiting:")
        assert f"the work pool {POOL} is paused; fix: " in line
        assert f"prefect work-pool resume {POOL}" in line
        pause(chain, pool, paused=False)
        line = line_with(running, "waiting:")
        assert f"the work queue default of the pool {POOL} is paused; fix: " in line
        assert f"prefect work-queue resume default --pool {POOL}" in line
    finally:
        pause(chain, pool, paused=False)
        pause(chain, queue, paused=False)
    run = result(running)
    assert run.code == 0, run.err


def test_deleted_deployments_are_made_again(chain: Prefect) -> None:
    found = chain.api("GET", f"/deployments/name/{MASTER}")
    chain.api("DELETE", f"/deployments/{found['id']}")
    run = chain.run("--source", "geography")
    assert run.code == 0, run.err
    assert f"the deployment {MASTER} was deleted: deploying" in run.err
