"""The master flow: every source, each as soon as those it depends on are loaded."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from prefect import State, flow

from etl.errors import ConfigError
from etl.extract.inputs import SAMPLE
from etl.flows.crashed_runs import end_children_of_run
from etl.flows.ledger import ledger_run
from etl.flows.order import run_in_order
from etl.flows.run_result import finish
from etl.flows.source import source_flow
from etl.run.plan import plan


@flow(
    name="master-etl",
    persist_result=False,
    on_crashed=[end_children_of_run],
    on_cancellation=[end_children_of_run],
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
        inputs: The input of each source; "sample" for the others.
        complete: Sources with a complete input, which retracts what it lacks.
        reload: Load inputs even if they were loaded before.
    """
    graph = plan(sources)
    given = dict.fromkeys(graph, SAMPLE) | (inputs or {})
    check_known_sources([*given, *(complete or [])], graph)

    async with ledger_run(list(graph), given) as run:

        async def load(source: str) -> bool:
            state = await source_flow(
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
        receipt = await run.close()
    return await finish(receipt)


def check_known_sources(named: Iterable[str], chosen: Collection[str]) -> None:
    """Raise ConfigError for an input of a source that the run does not load."""
    unknown = sorted(set(named) - set(chosen))
    if unknown:
        plan(unknown)  # raises the error for a name that is no source
        raise ConfigError(
            f"there is an input for {', '.join(unknown)}, "
            f"but the run loads {', '.join(chosen)} only",
            "name it as a source too, or leave its input out",
        )
