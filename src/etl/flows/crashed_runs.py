"""Marks runs without a process as crashed, so that none stays Running.

Flow runs, the runs they have started, and the task runs of all of these. A flow run
belongs to this worker if it has the worker's name, or none while no other worker of the
pool is online.
"""

from __future__ import annotations

import logging
from typing import Any

import httpx
import psutil
from prefect import Flow, State
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, TaskRunFilter, WorkPoolFilter
from prefect.client.schemas.objects import FlowRun, StateType, WorkerStatus
from prefect.client.schemas.sorting import FlowRunSort, TaskRunSort
from prefect.exceptions import PrefectHTTPStatusError
from prefect.states import Crashed

from etl.errors import EtlError
from etl.flows.database import database, in_thread
from etl.flows.run_receipt import read_final_receipt
from etl.ledger.runs import sweep_dead_runs

logger = logging.getLogger(__name__)

WORKER_LABEL = "prefect.worker.name"
GONE = "its process no longer exists: the worker that started it was stopped"
UNFINISHED = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]


async def sweep(pool: str, worker: str) -> list[FlowRun]:
    """Mark this worker's runs without a process as crashed, also in the ledger.

    Return Prefect's runs that were marked.
    """
    async with get_client() as client:
        alone = not await other_workers_online(client, pool, worker)
        unfinished = await unfinished_runs(client, pool)
        crashed = [
            run
            for run in unfinished
            if is_ours(run, worker, alone=alone) and not process_exists(run)
        ]
        for run in crashed:
            await crash(client, run)
    await sweep_ledger()
    return crashed


async def sweep_ledger() -> None:
    """Mark runs of the ledger without a session as crashed."""
    try:
        async with database() as engine:
            await in_thread(sweep_dead_runs, engine)
    except EtlError as error:
        # The next run sweeps again; a worker is of use without the database too.
        logger.warning("the ledger could not be swept: %s", error)


async def other_workers_online(client: PrefectClient, pool: str, worker: str) -> bool:
    """Return whether another worker of the pool is online."""
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
    """Return whether a run was started by a worker of this name."""
    return run.labels.get(WORKER_LABEL, worker if alone else None) == worker


def process_exists(run: FlowRun) -> bool:
    """Return whether the process that was started for a run still exists.

    Process ids are reused, so the process must also have the run's id in its
    environment.
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
    await end_parts(client, run, lost)


async def unfinished_runs(client: PrefectClient, pool: str) -> list[FlowRun]:
    """Return the runs of a pool that have not ended."""
    wanted = {"state": {"type": {"any_": UNFINISHED}}}
    return await client.read_flow_runs(
        flow_run_filter=FlowRunFilter.model_validate(wanted),
        work_pool_filter=WorkPoolFilter.model_validate({"name": {"any_": [pool]}}),
        # Both are needed: what is left out is sent as null, which the server refuses.
        sort=FlowRunSort.START_TIME_DESC,
        limit=200,
    )


async def end_parts(client: PrefectClient, run: FlowRun, state: State[Any]) -> None:
    """Put the flow runs and task runs that a run had started into its own state."""
    parents = {"parent_flow_run_id": {"any_": [run.id]}}
    children = await client.read_flow_runs(
        flow_run_filter=FlowRunFilter.model_validate(parents),
        sort=FlowRunSort.START_TIME_DESC,
        limit=200,
    )
    for child in children:
        if child.state_type in UNFINISHED:
            await client.set_flow_run_state(child.id, copied(state), force=True)
    flow_runs = {"id": {"any_": [run.id, *(child.id for child in children)]}}
    tasks = await client.read_task_runs(
        flow_run_filter=FlowRunFilter.model_validate(flow_runs),
        task_run_filter=TaskRunFilter.model_validate(
            {"state": {"type": {"any_": UNFINISHED}}}
        ),
        sort=TaskRunSort.END_TIME_DESC,
        limit=200,
    )
    for task in tasks:
        await client.set_task_run_state(task.id, copied(state), force=True)


def copied(state: State[Any]) -> State[Any]:
    """Return a state of the same type and message, with an id of its own."""
    return State(type=state.type, message=state.message)


async def end_children_of_run(
    flow: Flow[..., Any],  # noqa: ARG001 - Prefect names it
    flow_run: FlowRun,
    state: State[Any],
) -> None:
    """End the child runs of a crashed or cancelled run; a hook of the worker."""
    async with get_client() as client:
        await end_parts(client, flow_run, state)
    try:
        await in_thread(read_final_receipt, flow_run.id)
    except EtlError as error:
        logger.warning("the ledger could not be swept: %s", error)


async def delete_worker(pool: str, worker: str) -> None:
    """Remove a worker's entry: it would look online until it expires."""
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
