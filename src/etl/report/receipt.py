"""What a run did, in counts: the values behind every report of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

RunStatus = Literal["running", "succeeded", "partial", "failed", "crashed"]
SourceStatus = Literal["loaded", "failed", "blocked", "missing"]


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the rows: read = kept + rejected, kept = the three after it.

    Attributes:
        read: Rows of the input within the source's scope.
        deleted: Rows that a complete input no longer has; they are in the history.
        out_of_scope: Rows of the input about what the source does not cover.
    """

    read: int = 0
    kept: int = 0
    rejected: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    out_of_scope: int = 0

    def to_dict(self) -> dict[str, int]:
        """Return the counts by name."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class InputReceipt:
    """Which bytes were loaded."""

    name: str
    sha256: str
    size_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"name": self.name, "sha256": self.sha256, "size_bytes": self.size_bytes}


@dataclass(frozen=True, slots=True)
class CheckReceipt:
    """One named expectation: what was wanted, what was seen."""

    name: str
    expected: str
    seen: str
    passed: bool
    severity: Literal["error", "warning"] = "error"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class RejectReceipt:
    """One row that was not loaded. `line` counts from 1, the header is line 1."""

    line: int
    column: str
    value: str
    rule: str
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class ErrorReceipt:
    """Why a source was not loaded."""

    code: str
    message: str
    hint: str

    def to_dict(self) -> dict[str, str]:
        """Return the JSON form."""
        return {"code": self.code, "message": self.message, "hint": self.hint}


@dataclass(frozen=True, slots=True)
class SourceReceipt:
    """What a run did with one source.

    Attributes:
        same_input: The input was loaded before and nothing has changed since, so this
            run did not load it; the counts are those of that load, all unchanged.
        tables: Per table: inserted, updated, unchanged, deleted.
        first_rejects: At most five; the ledger has all of them.
    """

    source: str
    status: SourceStatus
    counts: Counts = Counts()
    input: InputReceipt | None = None
    same_input: bool = False
    tables: dict[str, dict[str, int]] = field(default_factory=dict)
    checks: tuple[CheckReceipt, ...] = ()
    rejects_by_rule: dict[str, int] = field(default_factory=dict)
    first_rejects: tuple[RejectReceipt, ...] = ()
    error: ErrorReceipt | None = None
    duration_s: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "status": self.status,
            **self.counts.to_dict(),
            "input": self.input and self.input.to_dict(),
            "same_input": self.same_input,
            "tables": self.tables,
            "checks": [check.to_dict() for check in self.checks],
            "rejects_by_rule": self.rejects_by_rule,
            "first_rejects": [reject.to_dict() for reject in self.first_rejects],
            "error": self.error and self.error.to_dict(),
            "duration_s": self.duration_s,
        }


@dataclass(frozen=True, slots=True)
class RunReceipt:
    """What a run did: one receipt per planned source, in load order."""

    run_id: UUID
    status: RunStatus
    trigger: str
    sources: dict[str, SourceReceipt]
    schema_revision: str
    lock_digest: str
    started_at: datetime
    finished_at: datetime | None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form that `--json` prints as `data`."""
        return {
            "run_id": str(self.run_id),
            "status": self.status,
            "trigger": self.trigger,
            "sources": {name: one.to_dict() for name, one in self.sources.items()},
            "schema_revision": self.schema_revision,
            "lock_digest": self.lock_digest,
            "started_at": self.started_at.isoformat(),
            "finished_at": self.finished_at and self.finished_at.isoformat(),
        }
