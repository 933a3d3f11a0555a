"""Recognises an input that was loaded before, so that it is not loaded again.

The cursor of a source says what its tables hold: the inputs of the last run that loaded
something, in order, and everything else that the result depends on. Only what was
loaded last counts: A, then B, then A again loads A. A run of A and B is recognised as a
whole, and so is the part of it with which the last one ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert as upsert

from etl.ledger.dependence import Basis
from etl.ledger.table_digest import digest_source
from etl.models.ledger import LedgerCursor, LedgerStep
from etl.specs.spec import SourceSpec


@dataclass(frozen=True, slots=True)
class Place:
    """Which input of a run a load is about.

    Attributes:
        sequence: The digests of all inputs that the run has for the source, in order.
        position: Which of them it is, from 1.
        complete: The input holds everything there is.
    """

    sequence: tuple[str, ...]
    position: int
    complete: bool


def find_same(
    connection: Connection, spec: SourceSpec, basis: Basis, place: Place
) -> Any | None:
    """Return the step that loaded the same into tables that still hold it, or None."""
    cursor = connection.execute(
        select(LedgerCursor).where(LedgerCursor.source == spec.name)
    ).one_or_none()
    if cursor is None or cursor.state.get("basis") != basis.to_dict():
        return None
    loaded = cursor.state["inputs"]
    known = overlap(loaded, place)
    if place.position > known:
        return None
    if digest_source(connection, spec) != cursor.target_digest:
        return None
    entry = loaded[len(loaded) - known + place.position - 1]
    return connection.execute(
        select(LedgerStep).where(
            LedgerStep.run_id == UUID(entry["run_id"]),
            LedgerStep.source == spec.name,
            LedgerStep.position == entry["position"],
        )
    ).one_or_none()


def overlap(loaded: list[dict[str, Any]], place: Place) -> int:
    """Return how many inputs of a run are those with which the last one ended.

    Loading them again, in the same order, ends with what the tables hold already. A
    complete load did all that an ordinary one of the same input would do.
    """
    for length in range(min(len(loaded), len(place.sequence)), 0, -1):
        pairs = zip(loaded[-length:], place.sequence, strict=False)
        if all(
            entry["sha256"] == sha256 and entry["complete"] >= place.complete
            for entry, sha256 in pairs
        ):
            return length
    return 0


def write_cursor(
    connection: Connection,
    spec: SourceSpec,
    basis: Basis,
    place: Place,
    *,
    run_id: UUID,
) -> None:
    """Remember what the tables of a source hold after a load."""
    inputs = _before(connection, spec, basis, place)
    inputs.append(
        {
            "sha256": place.sequence[place.position - 1],
            "complete": place.complete,
            "run_id": str(run_id),
            "position": place.position,
        }
    )
    values = {
        "run_id": run_id,
        "position": place.position,
        "state": {"basis": basis.to_dict(), "inputs": inputs},
        "target_digest": digest_source(connection, spec),
    }
    connection.execute(
        upsert(LedgerCursor)
        .values(source=spec.name, **values)
        .on_conflict_do_update(index_elements=["source"], set_=values)
    )


def _before(
    connection: Connection, spec: SourceSpec, basis: Basis, place: Place
) -> list[dict[str, Any]]:
    """Return the inputs of this run that are loaded already, all on the same basis."""
    state = connection.scalar(
        select(LedgerCursor.state).where(LedgerCursor.source == spec.name)
    )
    earlier = place.position - 1
    if not state or state.get("basis") != basis.to_dict() or not earlier:
        return []
    inputs: list[dict[str, Any]] = state["inputs"][-earlier:]
    same = [entry["sha256"] for entry in inputs] == list(place.sequence[:earlier])
    return inputs if same else []
