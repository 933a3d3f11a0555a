"""The order of a run: derived, as early as possible, and what a failure stops."""

from __future__ import annotations

from collections.abc import Mapping, Set

import anyio
import pytest

from etl.flows.order import run_in_order

Graph = Mapping[str, Set[str]]

DIAMOND: dict[str, set[str]] = {
    "a": set(),
    "b": {"a"},
    "c": {"a"},
    "d": {"b", "c"},
    "alone": set(),
}


class Recorder:
    """Loads nothing; remembers what was started, ended and blocked, in order."""

    def __init__(self, failing: Set[str] = frozenset()) -> None:
        self.failing = failing
        self.events: list[str] = []
        self.at_work: set[str] = set()
        self.together: set[frozenset[str]] = set()

    async def load(self, source: str) -> bool:
        self.at_work.add(source)
        self.events.append(f"start {source}")
        await anyio.wait_all_tasks_blocked()
        self.together.add(frozenset(self.at_work))
        self.at_work.discard(source)
        self.events.append(f"end {source}")
        return source not in self.failing

    async def block(self, source: str, culprit: str) -> None:
        self.events.append(f"block {source} for {culprit}")

    def of(self, graph: Graph) -> list[str]:
        async def run() -> None:
            await run_in_order(graph, load=self.load, block=self.block)

        anyio.run(run)
        return self.events


def test_a_source_starts_after_all_that_it_depends_on() -> None:
    events = Recorder().of(DIAMOND)
    for source, needs in DIAMOND.items():
        assert events.count(f"start {source}") == 1
        for need in needs:
            assert events.index(f"end {need}") < events.index(f"start {source}")


def test_independent_sources_are_at_work_at_the_same_time() -> None:
    recorder = Recorder()
    recorder.of(DIAMOND)
    assert any({"a", "alone"} <= group for group in recorder.together)
    assert any({"b", "c"} <= group for group in recorder.together)


def test_a_source_does_not_wait_for_sources_that_it_does_not_depend_on() -> None:
    """`slow` ends only after `b`, so the run would hang if `b` waited for it."""
    ended: list[str] = []

    async def run() -> None:
        last = anyio.Event()

        async def load(source: str) -> bool:
            if source == "slow":
                await last.wait()
            ended.append(source)
            if source == "b":
                last.set()
            return True

        graph: Graph = {"slow": set(), "a": set(), "b": {"a"}}
        with anyio.fail_after(30):
            await run_in_order(graph, load=load, block=Recorder().block)

    anyio.run(run)
    assert ended == ["a", "b", "slow"]


def test_a_failure_blocks_its_descendants_and_no_other_source() -> None:
    events = Recorder(failing={"b"}).of(DIAMOND | {"e": {"d"}})
    assert [event for event in events if event.startswith("block")] == [
        "block d for b",
        "block e for b",
    ]
    assert {"end c", "end alone"} <= set(events)


def test_an_interruption_arrives_as_itself_not_as_a_group() -> None:
    class Stop(BaseException):
        pass

    async def stop(source: str) -> bool:
        raise Stop

    async def run() -> None:
        await run_in_order({"a": set(), "b": set()}, load=stop, block=Recorder().block)

    with pytest.raises(Stop):
        anyio.run(run)
