"""Which input a source takes when none is named: the last real one, or the sample."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Engine, select, update

from etl.db import translated_errors
from etl.extract.inputs import SAMPLE
from etl.models.ledger import LedgerRawFile, LedgerRun, LedgerStep


def resolve_inputs(
    engine: Engine,
    run_id: UUID,
    sources: Iterable[str],
    named: Mapping[str, Sequence[str]],
    *,
    sample: bool = False,
) -> dict[str, list[str]]:
    """Return the inputs of each source, and write them into the ledger's run.

    Named inputs; or the sample, if that was asked for; or the real inputs that were
    loaded last; or, if there never was any, the sample.
    """
    with translated_errors(), engine.begin() as connection:
        resolved = {
            source: list(named.get(source, ()))
            or ([SAMPLE] if sample else last_inputs(connection, source))
            for source in sources
        }
        connection.execute(
            update(LedgerRun).where(LedgerRun.run_id == run_id).values(inputs=resolved)
        )
    return resolved


def last_inputs(connection: Connection, source: str) -> list[str]:
    """Return the real inputs of a source that were loaded last, else the sample.

    They are the inputs of the last run that loaded any, in order. If one of them had
    failed, they are those that were loaded: an older run would undo them. An input
    without a row in scope does not count.
    """
    steps = connection.execute(
        select(LedgerStep.input_name, LedgerStep.input_kind, LedgerRawFile.sha256)
        .join(LedgerRawFile, LedgerRawFile.raw_file_id == LedgerStep.raw_file_id)
        .where(
            *_loaded_real_rows(source),
            LedgerStep.run_id == last_real_run(connection, source),
        )
        .order_by(LedgerStep.position)
    ).all()
    # A complete list that the package ships may be newer than the one loaded last.
    return [
        SAMPLE
        if step.input_kind == "reference"
        else f"raw:{step.sha256}:{step.input_name}"
        for step in steps
    ] or [SAMPLE]


def last_real_run(connection: Connection, source: str) -> UUID | None:
    """Return the last run that loaded rows of the source from a real input."""
    run_id: UUID | None = connection.scalar(
        select(LedgerStep.run_id)
        .where(*_loaded_real_rows(source))
        .order_by(LedgerStep.started_at.desc(), LedgerStep.position.desc())
        .limit(1)
    )
    return run_id


def _loaded_real_rows(source: str) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of a step that loaded rows of a real input."""
    return (
        LedgerStep.source == source,
        LedgerStep.status == "loaded",
        LedgerStep.input_kind != "sample",
        LedgerStep.read > 0,
    )


def all_last_inputs(connection: Connection) -> list[tuple[UUID, str]]:
    """Return the run and the digest of each last real input, of every source."""
    sources = connection.scalars(select(LedgerStep.source).distinct()).all()
    return [
        (step.run_id, step.sha256)
        for source in sources
        for step in connection.execute(
            select(LedgerStep.run_id, LedgerRawFile.sha256)
            .join(LedgerRawFile, LedgerRawFile.raw_file_id == LedgerStep.raw_file_id)
            .where(
                LedgerStep.source == source,
                LedgerStep.run_id == last_real_run(connection, source),
                LedgerStep.status == "loaded",
            )
        )
    ]
