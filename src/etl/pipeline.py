"""The run: plans sources, opens, holds and closes a run, loads one source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from etl.extract.raw_store import RawFile
    from etl.report.receipt import RunReceipt, SourceReceipt


def plan(sources: Sequence[str] | None) -> dict[str, set[str]]:
    """Return the chosen sources (None: all) and their dependencies among them."""
    raise NotImplementedError


def open_run(
    engine: Engine,
    *,
    run_id: UUID,
    sources: Sequence[str],
    inputs: Mapping[str, str],
    trigger: str,
) -> None:
    """Write the run into the ledger as running, after sweeping dead ones."""
    raise NotImplementedError


@contextmanager
def hold_run(engine: Engine, run_id: UUID) -> Iterator[None]:
    """Wait for the run before this one, then prove this one alive until the end."""
    raise NotImplementedError
    yield


def load_source(
    engine: Engine,
    source: str,
    *,
    run_id: UUID,
    raw: RawFile,
    complete: bool = False,
    reload: bool = False,
) -> SourceReceipt:
    """Validate, transform and load one raw file in one transaction."""
    raise NotImplementedError


def record_failure(
    engine: Engine, run_id: UUID, source: str, error: BaseException
) -> None:
    """Record that a source failed before or outside its load."""
    raise NotImplementedError


def record_blocked(engine: Engine, run_id: UUID, source: str, *, because: str) -> None:
    """Record that a source did not start because an ancestor failed."""
    raise NotImplementedError


def close_run(engine: Engine, run_id: UUID) -> RunReceipt:
    """End the run with the status that its steps add up to, and return its receipt."""
    raise NotImplementedError


def sweep_dead_runs(engine: Engine) -> list[UUID]:
    """Mark running runs whose lock nobody holds as crashed; return them."""
    raise NotImplementedError
