"""The master flow: every source, each as soon as the sources it depends on are loaded."""

from __future__ import annotations

from prefect import State, flow

from etl import pipeline
from etl.flows.ledger import LedgerRun, ledger_run
from etl.flows.order import run_in_order
from etl.flows.outcome import finish
from etl.flows.source import DEFAULT_INPUT, load_source
from etl.flows.sweep import end_what_is_left


@flow(
    name="master-etl",
    persist_result=False,
    on_crashed=[end_what_is_left],
    on_cancellation=[end_what_is_left],
)
async def master_flow(
    sources: list[str] | None = None,
    inputs: dict[str, str] | None = None,
    complete: list[str] | None = None,
    reload: bool = False,
) -> State[None]:
    """Load sources in the order of their dependencies; Failed if one of them fails.

    Args:
        sources: Which ones; None means all.
        inputs: Per source what to load, "sample" where nothing is said.
        complete: Sources whose input holds everything there is.
        reload: Load inputs even if they were loaded before.
    """
    graph = pipeline.plan(sources)
    given = {source: DEFAULT_INPUT for source in graph} | (inputs or {})
    pipeline.plan([*given, *(complete or [])])  # refuses names that are no source

    async with ledger_run(list(graph), given) as run:

        async def load(source: str) -> bool:
            state = await load_source(
                source,
                given[source],
                complete=source in (complete or []),
                reload=reload,
                run_id=run.run_id,
                return_state=True,
            )
            run.open_sources.discard(source)
            return state.is_completed()

        await run_in_order(graph, load=load, block=run.record_blocked)
    return await finish(run.receipt)
