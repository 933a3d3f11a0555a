"""The flow that loads one source: extract, then load; each a task with its retries."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import ParamSpec, TypeVar
from uuid import UUID

from prefect import State, Task, flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import TaskRun
from sqlalchemy import Engine

from etl.errors import EtlError
from etl.extract.inputs import fetch, input_name
from etl.extract.raw_store import RawFile
from etl.flows.crashed_runs import end_children_of_run
from etl.flows.database import database, in_thread
from etl.flows.ledger import ledger_run
from etl.flows.run_result import finish
from etl.ledger.unfinished import record_input_failure
from etl.run.load_source import load_source
from etl.run.plan import as_lists, check_complete, check_percent, plan
from etl.run.request import LoadChoices
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
    """Bring one input of a source into the raw store."""
    return fetch(SOURCES[source], input_text, load_settings())


@step
def load(
    engine: Engine,
    source: str,
    run_id: UUID,
    raws: Sequence[RawFile],
    position: int,
    choices: LoadChoices,
) -> None:
    """Validate, transform and load one of a source's raw files, all or nothing."""
    load_source(
        engine,
        source,
        run_id=run_id,
        raw=raws[position - 1],
        position=position,
        sequence=tuple(raw.sha256 for raw in raws),
        **choices,
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
    input: str | list[str] | None = None,
    complete: bool = False,
    retract_up_to: float | None = None,
    reload: bool = False,
    sample: bool = False,
    replace_real: bool = False,
    run_id: UUID | None = None,
) -> State[None] | None:
    """Load one source.

    Args:
        source: Its name in the registry.
        input: "sample", "api", "api:…" or "raw:<sha256>:<file name>", or a list. None:
            the real inputs that were loaded last; without any, the sample.
        complete: The input holds everything there is: what it lacks is retracted.
        retract_up_to: Percent of the source's rows that this may retract (5).
        reload: Load it even if the same input was loaded before.
        sample: Load the sample if no input is named.
        replace_real: Let the sample replace real data, which are retracted.
        run_id: The ledger's run that this is a part of. None: it is a run by itself.
    """
    named = as_lists({} if input is None else {source: input})
    choices = LoadChoices(complete=complete, reload=reload, replace_real=replace_real)
    if retract_up_to is not None:
        choices["retract_limit"] = retract_up_to / 100
    if run_id is not None:
        await extract_and_load(run_id, source, named[source], choices)
        return None
    plan([source])  # refuses a name that the registry does not have
    check_complete(named, [source] if complete else [])
    check_percent(retract_up_to)
    async with ledger_run([source], named) as run:
        chosen = await run.resolve_inputs(sample=sample)
        with suppress(Exception):  # it is in the ledger, which decides how the run ends
            await extract_and_load(run.run_id, source, chosen[source], choices)
        run.open_sources.discard(source)
        receipt = await run.close()
    return await finish(receipt)


async def extract_and_load(
    run_id: UUID, source: str, inputs: Sequence[str], choices: LoadChoices
) -> None:
    """Extract every input, then load each in order; stop at the first that fails.

    The tasks run in threads. A failure is in the ledger before it is raised.
    """
    position = 0
    async with database() as engine:
        try:
            raws = []
            for text in inputs:
                position += 1
                raws.append(await in_thread(extract, source, text))
            for position in range(1, len(raws) + 1):
                await in_thread(load, engine, source, run_id, raws, position, choices)
        except Exception as error:
            names = [input_name(text) for text in inputs]
            record = partial(record_input_failure, position=position, names=names)
            await in_thread(record, engine, run_id, source, error)
            raise
