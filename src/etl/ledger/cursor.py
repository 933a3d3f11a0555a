"""Recognises an input that was loaded before, so that it is not loaded again.

The cursor of a source says what its tables hold, by everything that the result of a
load depends on: the input's bytes, the code, the schema, the sources it refers to. Only
the last load counts: A, then B, then A again loads A.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, insert, literal, select
from sqlalchemy import table as sql_table
from sqlalchemy.dialects.postgresql import insert as upsert

from etl.counts import Check, Counts
from etl.ledger.steps import StepKey, write_loaded
from etl.models.ledger import LedgerCursor, LedgerReject, LedgerStep
from etl.models.revision import head_revision
from etl.run.findings import Findings
from etl.specs.spec import SourceSpec

CODE = ("specs", "readers", "validate", "transform", "load", "run")

State = dict[str, Any]


@cache
def code_digest() -> str:
    """Return a digest of the code that decides what a load does.

    Any change there, even of a comment, makes the next run load again: that costs
    seconds, while a version number that somebody forgets to raise costs trust.
    """
    digest = hashlib.sha256()
    for folder in CODE:
        for file in sorted(_sources(files("etl").joinpath(folder)), key=str):
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _sources(folder: Traversable) -> list[Traversable]:
    return [file for file in folder.iterdir() if file.name.endswith(".py")]


def current_state(
    connection: Connection, spec: SourceSpec, *, sha256: str, complete: bool
) -> State:
    """Return what the result of a load of that input would depend on now."""
    needs = connection.execute(
        select(LedgerCursor.source, LedgerCursor.state).where(
            LedgerCursor.source.in_(spec.depends_on)
        )
    )
    return {
        "input": sha256,
        "complete": complete,
        "code": code_digest(),
        "schema": head_revision(),
        "needs": {need.source: need.state["input"] for need in needs},
    }


def find_same(connection: Connection, spec: SourceSpec, state: State) -> UUID | None:
    """Return the run that loaded the same into tables that still hold it."""
    cursor = connection.execute(
        select(LedgerCursor).where(LedgerCursor.source == spec.name)
    ).one_or_none()
    if cursor is None:
        return None
    # A complete load did all that an ordinary one of the same input would do.
    covered = {**cursor.state, "complete": state["complete"]}
    if covered != state or state["complete"] > cursor.state["complete"]:
        return None
    if count_target(connection, spec) != cursor.target_rows:
        return None
    run_id: UUID = cursor.run_id
    return run_id


def count_target(connection: Connection, spec: SourceSpec) -> int:
    """Return how many facts the source has."""
    query = select(func.count()).select_from(sql_table(spec.facts.name))
    return connection.execute(query).scalar_one()


def write_cursor(
    connection: Connection, source: str, *, run_id: UUID, state: State, rows: int
) -> None:
    """Remember what the tables of a source hold."""
    values = {"run_id": run_id, "state": state, "target_rows": rows}
    connection.execute(
        upsert(LedgerCursor)
        .values(source=source, **values)
        .on_conflict_do_update(index_elements=["source"], set_=values)
    )


def write_same(connection: Connection, key: StepKey, earlier: UUID) -> None:
    """Record a source whose input was recognised: the earlier load's counts, unchanged.

    Its rejects are copied, because they were not loaded in this run either.
    """
    step = connection.execute(
        select(LedgerStep).where(
            LedgerStep.run_id == earlier, LedgerStep.source == key.source
        )
    ).one()
    counts = Counts(
        read=step.read,
        kept=step.kept,
        rejected=step.rejected,
        unchanged=step.kept,
        out_of_scope=step.out_of_scope,
    )
    recognised = Check("the input is that of run", str(earlier), str(earlier), True)
    findings = Findings(checks=[recognised])
    findings.by_rule.update(step.rejects_by_rule)
    write_loaded(connection, key, findings, counts, same_input=True)
    _copy_rejects(connection, key, earlier)


def _copy_rejects(connection: Connection, key: StepKey, earlier: UUID) -> None:
    rejects = LedgerReject.__table__
    own = {"reject_id", "run_id"}
    copied = [column for column in rejects.c if column.name not in own]
    connection.execute(
        insert(LedgerReject).from_select(
            ["run_id", *(column.name for column in copied)],
            select(literal(key.run_id), *copied)
            .where(LedgerReject.run_id == earlier, LedgerReject.source == key.source)
            .order_by(LedgerReject.line),
        )
    )
