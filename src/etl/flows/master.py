"""The master flow: every source, each as soon as those it depends on are loaded."""

from __future__ import annotations

from typing import Any

from prefect import State, flow

from etl.flows.crashed_runs import end_children_of_run
from etl.flows.ledger import LedgerRun, ledger_run
from etl.flows.order import run_in_order
from etl.flows.run_result import finish
from etl.flows.source import source_flow
from etl.run.plan import as_lists, check_request, plan


@flow(
    name="master-etl",
    persist_result=False,
    on_crashed=[end_children_of_run],
    on_cancellation=[end_children_of_run],
)
async def master_flow(
    sources: list[str] | None = None,
    inputs: dict[str, str | list[str]] | None = None,
    complete: list[str] | None = None,
    retract_up_to: float | None = None,
    reload: bool = False,
    sample: bool = False,
    replace_real: bool = False,
) -> State[None]:
    """Load sources in the order of their dependencies; Failed if one of them fails.

    Args:
        sources: Which ones; None means all.
        inputs: Per source one or several, in load order. None: the real inputs that
            were loaded last; without any, the sample.
        complete: Sources with an input that holds everything there is.
        retract_up_to: Percent of a source's rows that a complete input may retract (5).
        reload: Load inputs even if they were loaded before.
        sample: Load the sample of each source for which no input is named.
        replace_real: Let the sample replace real data, which are retracted.
    """
    graph = plan(sources)
    named, complete = as_lists(inputs), complete or []
    check_request(graph, named, complete, retract_up_to)
    shared: dict[str, Any] = {"reload": reload, "replace_real": replace_real}
    shared["retract_up_to"] = retract_up_to
    async with ledger_run(list(graph), named) as run:
        chosen = await run.resolve_inputs(sample=sample)

        async def load(source: str) -> bool:
            this: dict[str, Any] = {
                "input": chosen[source],
                "complete": source in complete,
            }
            return await load_part(run, source, **this, **shared)

        await run_in_order(graph, load=load, block=run.record_blocked)
        receipt = await run.close()
    return await finish(receipt)


async def load_part(run: LedgerRun, source: str, **parameters: Any) -> bool:
    """Run the flow of one source as a part of a run; return whether it succeeded."""
    state = await source_flow(
        source, **parameters, run_id=run.run_id, return_state=True
    )
    run.open_sources.discard(source)
    return state.is_completed()
