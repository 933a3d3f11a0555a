"""The flow that loads one source: extract, then load; each a task with its retries."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import ParamSpec, TypeVar
from uuid import UUID

from prefect import State, Task, flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import TaskRun
from sqlalchemy import Engine

from etl.errors import EtlError
from etl.extract import inputs
from etl.extract.raw_store import RawFile
from etl.flows.crashed_runs import end_children_of_run
from etl.flows.database import database, in_thread
from etl.flows.ledger import ledger_run
from etl.flows.run_result import finish
from etl.ledger.receipt import SourceReceipt
from etl.ledger.steps import record_failure
from etl.run.load_source import load_source
from etl.run.plan import plan
from etl.settings import load_settings
from etl.specs.registry import SOURCES

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

RETRY_DELAYS_SECONDS = [2.0, 10.0, 60.0]


def is_retryable(_task: object, run: TaskRun, state: State[object]) -> bool:
    """Return whether a failed task may succeed later without any change."""
    error = state.data
    if not isinstance(error, EtlError) or not error.retryable:
        return False
    if run.run_count <= len(RETRY_DELAYS_SECONDS):
        logger.warning("%s; trying again in a while", error)
    return True


def step(function: Callable[P, R]) -> Task[P, R]:
    """Make a task of a function: retried where that may help, no result stored.

    What a step leaves is in the raw store and the database, never in Prefect.
    """
    return task(
        retries=len(RETRY_DELAYS_SECONDS),
        retry_delay_seconds=RETRY_DELAYS_SECONDS,
        retry_jitter_factor=0.5,
        retry_condition_fn=is_retryable,
        cache_policy=NO_CACHE,
        persist_result=False,
    )(function)


@step
def extract(source: str, input_text: str) -> RawFile:
    """Bring the input of a source into the raw store."""
    return inputs.fetch(SOURCES[source], input_text, load_settings())


@step
def load(
    engine: Engine,
    source: str,
    run_id: UUID,
    raw: RawFile,
    complete: bool,
    reload: bool,
) -> SourceReceipt:
    """Validate, transform and load one raw file, all or nothing."""
    return load_source(
        engine, source, run_id=run_id, raw=raw, complete=complete, reload=reload
    )


@flow(
    name="load-source",
    flow_run_name="{source}",
    persist_result=False,
    on_crashed=[end_children_of_run],
    on_cancellation=[end_children_of_run],
)
async def source_flow(
    source: str,
    input: str = inputs.SAMPLE,
    complete: bool = False,
    reload: bool = False,
    run_id: UUID | None = None,
) -> State[None] | None:
    """Load one source.

    Args:
        source: Its name in the registry.
        input: "sample", "api", "api:…" or "raw:<sha256>:<file name>".
        complete: The input holds everything there is: what it lacks is retracted.
        reload: Load it even if the same input was loaded before.
        run_id: The ledger's run that this is a part of. None: it is a run by itself.
    """
    if run_id is not None:
        await extract_and_load(run_id, source, input, complete=complete, reload=reload)
        return None
    plan([source])  # refuses a name that the registry does not have
    async with ledger_run([source], {source: input}) as run:
        with suppress(Exception):  # it is in the ledger, which decides how the run ends
            await extract_and_load(
                run.run_id, source, input, complete=complete, reload=reload
            )
        run.open_sources.discard(source)
        receipt = await run.close()
    return await finish(receipt)


async def extract_and_load(
    run_id: UUID, source: str, input_text: str, *, complete: bool, reload: bool
) -> None:
    """Run the two tasks in threads; a failure is in the ledger before it is raised."""
    async with database() as engine:
        try:
            raw = await in_thread(extract, source, input_text)
            await in_thread(load, engine, source, run_id, raw, complete, reload)
        except Exception as error:
            await in_thread(record_failure, engine, run_id, source, error)
            raise
