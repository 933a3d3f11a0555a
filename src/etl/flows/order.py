"""Runs sources as early as their dependencies allow; without Prefect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Set
from graphlib import TopologicalSorter

import anyio


async def run_in_order(
    graph: Mapping[str, Set[str]],
    *,
    load: Callable[[str], Awaitable[bool]],
    block: Callable[[str, str], Awaitable[None]],
) -> None:
    """Start every source as soon as the sources it depends on have ended.

    Args:
        graph: The sources to run, each with those it depends on.
        load: Runs one source; returns whether it succeeded. Independent ones overlap.
        block: Called instead of `load` for a source and the failed ancestor that
            keeps it from running. Sources that do not descend from it go on.
    """
    culprits: dict[
        str, str
    ] = {}  # a source that failed or was blocked → the source that failed
    sorter = TopologicalSorter(graph)
    sorter.prepare()
    ended, receive = anyio.create_memory_object_stream[str](len(graph))

    async def turn(source: str) -> None:
        blocked_by = sorted(culprits[s] for s in graph[source] if s in culprits)
        if blocked_by:
            culprits[source] = blocked_by[0]
            await block(source, blocked_by[0])
        elif not await load(source):
            culprits[source] = source
        await ended.send(source)

    try:
        async with ended, receive, anyio.create_task_group() as group:
            while sorter.is_active():
                for source in sorter.get_ready():
                    group.start_soon(turn, source, name=source)
                sorter.done(await receive.receive())
    except BaseExceptionGroup as failures:
        raise first(failures) from failures


def first(failure: BaseException) -> BaseException:
    """Return a group's first exception: Prefect needs a cancellation's class."""
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure
