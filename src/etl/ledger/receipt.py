"""Receipts: what a run did with each source and each of its inputs, in counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from etl.counts import Check, Counts, total

RunStatus = Literal["running", "succeeded", "partial", "failed", "crashed"]
SourceStatus = Literal["loaded", "failed", "blocked", "missing"]

FIRST_REJECTS = 5


@dataclass(frozen=True, slots=True)
class InputReceipt:
    """Which bytes were loaded.

    Attributes:
        kind: "file", "api", "filtered_api" (an answer to a part of what the API has),
            "sample" (the small file of the package) or "reference" (a complete list
            that the package carries).
    """

    name: str
    sha256: str
    size_bytes: int
    kind: str = "file"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class RejectReceipt:
    """One row that was rejected. `line` counts from 1, the header is line 1.

    Attributes:
        input_name: The input of the line.
    """

    line: int
    column: str
    value: str
    rule: str
    reason: str
    input_name: str = ""

    @property
    def place(self) -> str:
        """Where the rejected value is: input, line, column."""
        parts = (self.input_name, f"line {self.line:,}", self.column)
        return ", ".join(part for part in parts if part)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ErrorReceipt:
    """Why a source was not loaded."""

    code: str
    message: str
    hint: str

    def to_dict(self) -> dict[str, str]:
        """Return the JSON form."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReceipt:
    """What is known of one load, and of all loads of a source together.

    Attributes:
        same_input: The input was loaded before and nothing has changed since, so this
            run did not load it; the counts are those of that load, all unchanged.
        rows_before, rows_after: Rows of the source's main table; None if unknown.
        sample_rows_replaced: Rows of the sample that the first real input replaced.
        tables: Per table: inserted, updated, unchanged, retracted.
        rejects_stored: How many of the rejects the ledger has with line and reason.
        first_rejects: At most five.
    """

    status: SourceStatus
    counts: Counts = field(default_factory=Counts)
    input: InputReceipt | None = None
    same_input: bool = False
    rows_before: int | None = None
    rows_after: int | None = None
    sample_rows_replaced: int = 0
    tables: dict[str, dict[str, int]] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    rejects_by_rule: dict[str, int] = field(default_factory=dict)
    rejects_stored: int = 0
    first_rejects: tuple[RejectReceipt, ...] = ()
    error: ErrorReceipt | None = None
    duration_s: float = 0.0

    def load_dict(self) -> dict[str, Any]:
        """Return the JSON form of what every load has."""
        return {
            "status": self.status,
            **self.counts.to_dict(),
            "input": self.input and self.input.to_dict(),
            "same_input": self.same_input,
            "rows_before": self.rows_before,
            "rows_after": self.rows_after,
            "sample_rows_replaced": self.sample_rows_replaced,
            "tables": self.tables,
            "checks": [check.to_dict() for check in self.checks],
            "rejects_by_rule": self.rejects_by_rule,
            "rejects_stored": self.rejects_stored,
            "first_rejects": [reject.to_dict() for reject in self.first_rejects],
            "error": self.error and self.error.to_dict(),
            "duration_s": self.duration_s,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReceipt(LoadReceipt):
    """What a run did with one input of a source; `position` counts from 1.

    Attributes:
        input_name: What the input is called, also if it was never read.
        rejects_of: The earlier run that stored the rejects; None if this one did.
    """

    position: int = 1
    input_name: str = ""
    rejects_of: UUID | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        earlier = self.rejects_of and str(self.rejects_of)
        return {
            "position": self.position,
            "name": self.input_name,
            **self.load_dict(),
            "rejects_of": earlier,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceReceipt(LoadReceipt):
    """What a run did with one source: the totals, and a receipt per input.

    `input` is the only input; None if there were several.
    """

    source: str
    inputs: tuple[StepReceipt, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {**self.load_dict(), "inputs": [step.to_dict() for step in self.inputs]}


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
            "sources": {name: each.to_dict() for name, each in self.sources.items()},
            "schema_revision": self.schema_revision,
            "lock_digest": self.lock_digest,
            "started_at": self.started_at.isoformat(),
            "finished_at": self.finished_at and self.finished_at.isoformat(),
        }


def add_up(source: str, steps: Sequence[StepReceipt], *, planned: int) -> SourceReceipt:
    """Return the receipt of a source from those of its inputs.

    Args:
        planned: How many inputs it should have; a source with fewer was not loaded.
    """
    if not steps:
        return SourceReceipt(source=source, status="missing")
    return SourceReceipt(
        source=source,
        status=_status(steps, planned),
        counts=total(step.counts for step in steps),
        input=steps[0].input if len(steps) == 1 else None,
        same_input=all(step.same_input for step in steps),
        rows_before=steps[0].rows_before,
        rows_after=steps[-1].rows_after,
        sample_rows_replaced=sum(step.sample_rows_replaced for step in steps),
        tables=_add_tables(steps),
        checks=tuple(check for step in steps for check in step.checks),
        rejects_by_rule=_add_rules(steps),
        rejects_stored=sum(step.rejects_stored for step in steps),
        first_rejects=tuple(r for step in steps for r in step.first_rejects)[
            :FIRST_REJECTS
        ],
        error=next((step.error for step in steps if step.error), None),
        duration_s=round(sum(step.duration_s for step in steps), 3),
        inputs=tuple(steps),
    )


def _status(steps: Sequence[StepReceipt], planned: int) -> SourceStatus:
    """Return the status of the first input that was not loaded, if there is any."""
    for step in steps:
        if step.status != "loaded":
            return step.status
    return "loaded" if len(steps) >= planned else "missing"


def _add_rules(steps: Sequence[StepReceipt]) -> dict[str, int]:
    added: Counter[str] = Counter()
    for step in steps:
        added.update(step.rejects_by_rule)
    return dict(added)


def _add_tables(steps: Sequence[StepReceipt]) -> dict[str, dict[str, int]]:
    added: dict[str, Counter[str]] = {}
    for step in steps:
        for table, counts in step.tables.items():
            added.setdefault(table, Counter()).update(counts)
    return {table: dict(counts) for table, counts in added.items()}
