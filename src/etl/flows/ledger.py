"""The ledger's run of a flow: opened, held, and closed in every case.

A flow that is the outermost one (the master, or one source run by itself) has one run
in the ledger, under the id of its Prefect flow run. A run that waits for another one
waits in a thread, so that Prefect's heartbeats and cancellation keep working.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from uuid import UUID, uuid5

import anyio
import anyio.to_thread
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from sqlalchemy import Engine

from etl.errors import EtlError
from etl.flows.database import RERUN, RunCancelled, database, in_thread
from etl.flows.logs import send_logs_to_flow_run
from etl.ledger.holding import hold_run
from etl.ledger.last_inputs import resolve_inputs
from etl.ledger.receipt import RunReceipt
from etl.ledger.runs import close_run, open_run
from etl.ledger.unfinished import record_blocked, record_failure

logger = logging.getLogger(__name__)


@dataclass
class LedgerRun:
    """A run of the ledger while a flow has it open.

    Attributes:
        run_id: Its id in the ledger.
        named: The inputs that were named, by source.
        open_sources: Those that have no result in the ledger yet; the flow takes a
            source out when it has one.
    """

    run_id: UUID
    engine: Engine
    named: Mapping[str, Sequence[str]]
    open_sources: set[str]

    async def resolve_inputs(self, *, sample: bool) -> dict[str, list[str]]:
        """Return the inputs of every source, after the run before this one has ended.

        Args:
            sample: Take the sample where no input is named.
        """
        resolve = partial(resolve_inputs, sample=sample)
        sources = sorted(self.open_sources)
        return await in_thread(resolve, self.engine, self.run_id, sources, self.named)

    async def record_blocked(self, source: str, culprit: str) -> None:
        """Record a source that cannot run because `culprit` failed."""
        block = partial(record_blocked, because=culprit)
        await in_thread(block, self.engine, self.run_id, source)
        self.open_sources.discard(source)

    async def close(self) -> RunReceipt:
        """Close the run with what its sources add up to."""
        return await in_thread(close_run, self.engine, self.run_id)


@asynccontextmanager
async def ledger_run(
    sources: Sequence[str], named: Mapping[str, Sequence[str]]
) -> AsyncIterator[LedgerRun]:
    """Open and hold the ledger's run of the current flow.

    The flow closes it. If the flow is cancelled or fails before that, it is closed
    here.
    """
    send_logs_to_flow_run()
    flow_run = current_flow_run()
    run_id = ledger_run_id(flow_run)
    async with database() as engine:
        run = LedgerRun(run_id, engine, named, set(sources))
        with ExitStack() as held:
            await in_thread(
                partial(
                    open_run,
                    engine,
                    run_id=run_id,
                    sources=sources,
                    inputs=named,
                    trigger=trigger_of(flow_run),
                )
            )
            try:
                # A second run waits here; its log names the run that it waits for.
                await in_thread(held.enter_context, hold_run(engine, run_id))
                yield run
            except BaseException as error:  # also a cancellation, which is recorded
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(close_early, run, error)
                raise


def close_early(run: LedgerRun, error: BaseException) -> None:
    """Close the run of an interrupted flow; sources without a result have failed."""
    if not isinstance(error, Exception):  # CancelledError, KeyboardInterrupt …
        error = RunCancelled("cancelled before this source was loaded", RERUN)
    try:
        for source in sorted(run.open_sources):
            record_failure(run.engine, run.run_id, source, error)
        close_run(run.engine, run.run_id)
    except EtlError:
        # The run is no longer held, so the next sweep marks it as crashed.
        logger.warning("run %s could not be closed in the ledger", run.run_id)


def current_flow_run() -> FlowRun:
    """Return the Prefect flow run that this code is part of."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise RuntimeError("not inside a flow run")
    return context.flow_run


def ledger_run_id(flow_run: FlowRun) -> UUID:
    """Return the id of the flow run, or one of its own for a later attempt at it.

    A retry from Prefect's UI keeps the flow run's id; a run of the ledger is closed
    once and never opened again.
    """
    if flow_run.run_count <= 1:
        return flow_run.id
    return uuid5(flow_run.id, f"attempt {flow_run.run_count}")


def trigger_of(flow_run: FlowRun) -> str:
    """Return what started a flow run: its schedule, a request, or a call."""
    if flow_run.auto_scheduled:
        return "schedule"
    return "deployment" if flow_run.deployment_id else "direct"
