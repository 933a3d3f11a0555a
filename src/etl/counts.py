"""The numbers of a load: counts of rows, and checks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of rows: read = kept + rejected, kept = the three after it.

    Attributes:
        read: Rows of the input within the source's scope.
        retracted: Facts that a complete input no longer has; they are in the history.
        out_of_scope: Rows of the input about what the source does not cover.
    """

    read: int = 0
    kept: int = 0
    rejected: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    retracted: int = 0
    out_of_scope: int = 0

    def to_dict(self) -> dict[str, int]:
        """Return the counts by name."""
        return asdict(self)


def total(counts: Iterable[Counts]) -> Counts:
    """Add up the counts of several loads."""
    added = [each.to_dict() for each in counts]
    return Counts(**{n: sum(each[n] for each in added) for n in Counts.__slots__})


@dataclass(frozen=True, slots=True)
class Merged:
    """Numbers of rows written to one table, and retracted from it."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    retracted: int = 0

    def to_dict(self) -> dict[str, int]:
        """Return the counts by name."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Check:
    """One named expectation. A failed "error" fails the load, a "warning" does not."""

    name: str
    expected: str
    seen: str
    passed: bool
    severity: Literal["error", "warning"] = "error"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


def equal(name: str, *, expected: int, seen: int) -> Check:
    """Expect a count."""
    return Check(name, f"{expected:,}", f"{seen:,}", expected == seen)
