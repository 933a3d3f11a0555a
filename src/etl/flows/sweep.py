"""Ends the flow runs that a dead worker left behind, so that none stays Running for ever.

A run belongs to this worker if it carries the worker's name, or no name while no other
worker of the pool is alive. It is dead if the process that was started for it is gone.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, StateType, WorkerStatus
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound
from prefect.states import Crashed

from etl import pipeline
from etl.errors import EtlError
from etl.flows.database import database, in_thread

logger = logging.getLogger(__name__)

WORKER_LABEL = "prefect.worker.name"
# The client sends null for what it is not given, and the server refuses that.
ALL_ROWS: Final = {"sort": FlowRunSort.START_TIME_DESC, "limit": 200}
UNFINISHED = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]


async def sweep(pool: str, worker: str) -> list[FlowRun]:
    """Mark dead runs as crashed, in Prefect and in the ledger; return Prefect's."""
    async with get_client() as client:
        alone = not await other_workers_online(client, pool, worker)
        unfinished = await client.read_flow_runs(
            work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[pool])),
            flow_run_filter=FlowRunFilter(
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=UNFINISHED))
            ),
            **ALL_ROWS,
        )
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
            await in_thread(pipeline.sweep_dead_runs, engine)
    except EtlError as error:
        # The next run sweeps again; a worker is of use without the database too.
        logger.warning("the ledger could not be swept: %s", error)


async def other_workers_online(client: PrefectClient, pool: str, worker: str) -> bool:
    """Tell whether another worker of the pool is alive."""
    try:
        workers = await client.read_workers_for_work_pool(pool, offset=0, limit=200)
    except ObjectNotFound:  # a new server: the pool is not there yet
        return False
    return any(
        other.name != worker and other.status == WorkerStatus.ONLINE for other in workers
    )


def is_ours(run: FlowRun, worker: str, *, alone: bool) -> bool:
    """Tell whether a run was started by a worker of this name."""
    return run.labels.get(WORKER_LABEL, worker if alone else None) == worker


def process_lives(run: FlowRun) -> bool:
    """Tell whether the process that was started for a run is still there.

    Its number alone proves nothing, for numbers are used again; a process of a run has
    the run's id in its environment. Where that cannot be read (no /proc), a run counts
    as dead: the worker that could watch it is gone.
    """
    environment = Path(f"/proc/{run.infrastructure_pid}/environ")
    try:
        return f"PREFECT__FLOW_RUN_ID={run.id}".encode() in environment.read_bytes()
    except OSError:
        return False


async def crash(client: PrefectClient, run: FlowRun) -> None:
    """Mark a run and the runs it started as crashed."""
    children = await client.read_flow_runs(
        flow_run_filter=FlowRunFilter.model_validate(
            {"parent_flow_run_id": {"any_": [run.id]}}
        ),
        **ALL_ROWS,
    )
    message = "its process is gone: the worker that had started it was killed"
    for lost in (*children, run):
        if lost.state is None or not lost.state.is_final():
            await client.set_flow_run_state(lost.id, Crashed(message=message), force=True)
            logger.warning("flow run %s crashed: %s", lost.name, message)
