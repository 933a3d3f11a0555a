"""Why a flow run that was created does not start: what is paused, missing or full."""

from __future__ import annotations

from etl.flows.prefect_api import FlowRun, PrefectApi

PREFECT = "./etl exec prefect-worker prefect"


def waiting_reason(
    api: PrefectApi, run: FlowRun, pool: str, worker_online: bool
) -> str | None:
    """Return why a run cannot start, with the command that helps; None if it can."""
    found = api.work_pool(pool)
    if found is None:
        return reason(f"the work pool {pool} does not exist", "./etl deploy")
    if found["is_paused"]:
        return reason(
            f"the work pool {pool} is paused", f"{PREFECT} work-pool resume {pool}"
        )
    if found["concurrency_limit"] == 0:
        return reason(
            f"the work pool {pool} has the concurrency limit 0",
            f"{PREFECT} work-pool clear-concurrency-limit {pool}",
        )
    queue = run.work_queue and api.work_queue(pool, run.work_queue)
    if queue and queue["is_paused"]:
        return reason(
            f"the work queue {run.work_queue} of the pool {pool} is paused",
            f"{PREFECT} work-queue resume {run.work_queue} --pool {pool}",
        )
    if not worker_online:
        return reason(
            f"the work pool {pool} has no worker online",
            "./etl logs prefect-worker; ./etl restart prefect-worker",
        )
    return None


def reason(text: str, fix: str) -> str:
    """Return the line that is reported."""
    return f"waiting: {text}; fix: {fix}"
