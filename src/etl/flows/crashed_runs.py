"""Ends the flow runs that a dead worker left behind, so that none stays Running.

A run belongs to this worker if it carries the worker's name, or no name while no other
worker of the pool is alive. It is dead if the process that was started for it is gone.
"""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

import httpx
import psutil
from prefect import Flow, State
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, WorkPoolFilter
from prefect.client.schemas.objects import FlowRun, StateType, WorkerStatus
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import PrefectHTTPStatusError
from prefect.states import Crashed

from etl.errors import EtlError
from etl.flows.database import database, in_thread
from etl.flows.run_receipt import ledger_account
from etl.ledger.runs import sweep_dead_runs

logger = logging.getLogger(__name__)

WORKER_LABEL = "prefect.worker.name"
GONE = "its process is gone: the worker that had started it was stopped"
UNFINISHED = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]


async def sweep(pool: str, worker: str) -> list[FlowRun]:
    """Mark dead runs as crashed, in Prefect and in the ledger; return Prefect's."""
    async with get_client() as client:
        alone = not await other_workers_online(client, pool, worker)
        unfinished = await unfinished_runs(client, pool=pool)
        dead = [
            run
            for run in unfinished
            if is_ours(run, worker, alone=alone) and not process_lives(run)
        ]
        for run in dead:
            await crash(client, run)
    await sweep_ledger()
    return dead


async def sweep_ledger() -> None:
    """Do the same for the runs of the ledger."""
    try:
        async with database() as engine:
            await in_thread(sweep_dead_runs, engine)
    except EtlError as error:
        # The next run sweeps again; a worker is of use without the database too.
        logger.warning("the ledger could not be swept: %s", error)


async def other_workers_online(client: PrefectClient, pool: str, worker: str) -> bool:
    """Tell whether another worker of the pool is alive."""
    try:
        workers = await client.read_workers_for_work_pool(pool, offset=0, limit=200)
    except PrefectHTTPStatusError as error:
        if error.response.status_code == httpx.codes.NOT_FOUND:
            return False  # a new server: the pool is not there yet
        raise
    return any(
        other.name != worker and other.status == WorkerStatus.ONLINE
        for other in workers
    )


def is_ours(run: FlowRun, worker: str, *, alone: bool) -> bool:
    """Tell whether a run was started by a worker of this name."""
    return run.labels.get(WORKER_LABEL, worker if alone else None) == worker


def process_lives(run: FlowRun) -> bool:
    """Tell whether the process that was started for a run is still there.

    Its number alone proves nothing, for numbers are used again; a process of a run has
    the run's id in its environment.
    """
    try:
        environment = psutil.Process(int(run.infrastructure_pid or "")).environ()
    except (ValueError, psutil.Error):
        return False
    return environment.get("PREFECT__FLOW_RUN_ID") == str(run.id)


async def crash(client: PrefectClient, run: FlowRun) -> None:
    """Mark a run and the runs it started as crashed."""
    lost: State[Any] = Crashed(message=GONE)
    await client.set_flow_run_state(run.id, lost, force=True)
    logger.warning("flow run %s crashed: %s", run.name, GONE)
    await end_children(client, run, lost)


async def unfinished_runs(
    client: PrefectClient, *, pool: str | None = None, parent: UUID | None = None
) -> list[FlowRun]:
    """Return the runs, of a pool or started by a run, that have not ended."""
    wanted: dict[str, Any] = {"state": {"type": {"any_": UNFINISHED}}}
    if parent:
        wanted["parent_flow_run_id"] = {"any_": [parent]}
    pools = WorkPoolFilter.model_validate({"name": {"any_": [pool]}}) if pool else None
    return await client.read_flow_runs(
        flow_run_filter=FlowRunFilter.model_validate(wanted),
        work_pool_filter=pools,
        # Both are needed: what is left out is sent as null, which the server refuses.
        sort=FlowRunSort.START_TIME_DESC,
        limit=200,
    )


async def end_children(client: PrefectClient, run: FlowRun, state: State[Any]) -> None:
    """Put the unfinished runs that a dead run had started into its own state."""
    for child in await unfinished_runs(client, parent=run.id):
        same: State[Any] = State(type=state.type, message=state.message)
        await client.set_flow_run_state(child.id, same, force=True)


async def end_what_is_left(
    flow: Flow[..., Any],  # noqa: ARG001 - Prefect names it
    flow_run: FlowRun,
    state: State[Any],
) -> None:
    """Clean up after a run that crashed or was cancelled; the worker's hook."""
    async with get_client() as client:
        await end_children(client, flow_run, state)
    try:
        await in_thread(ledger_account, flow_run.id)
    except EtlError as error:
        logger.warning("the ledger could not be swept: %s", error)


async def forget_worker(pool: str, worker: str) -> None:
    """Remove a worker's entry: a dead one would look online until it expires."""
    async with get_client() as client:
        try:
            await client.request(
                "DELETE",
                "/work_pools/{work_pool_name}/workers/{name}",
                path_params={"work_pool_name": pool, "name": worker},
            )
        except PrefectHTTPStatusError as error:
            if error.response.status_code != httpx.codes.NOT_FOUND:
                raise
