"""What is known of a load so far: counts, rejects, checks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import polars as pl

from etl.counts import Check, Counts, Merged
from etl.rejects import LINE, no_rejects
from etl.specs.spec import MAX_STORED_REJECTS


@dataclass
class Findings:
    """What is known of a load so far; it outlives a load that fails.

    Attributes:
        rejects: The first rejects, at most MAX_STORED_REJECTS.
        by_rule: How many rows each rule rejected; all of them.
        quotes: The text of the rejected lines, by line.
        rows_before, rows_after: Rows of the source's main table; None until counted.
        sample_rows_replaced: Rows of the sample that this load took away.
    """

    read: int = 0
    out_of_scope: int = 0
    rejects: pl.DataFrame = field(default_factory=no_rejects)
    by_rule: Counter[str] = field(default_factory=Counter)
    quotes: dict[int, str] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    tables: dict[str, Merged] = field(default_factory=dict)
    rows_before: int | None = None
    rows_after: int | None = None
    sample_rows_replaced: int = 0

    @property
    def rejected(self) -> int:
        """How many rows were rejected."""
        return self.by_rule.total()

    def reject(self, rejects: pl.DataFrame) -> None:
        """Add rejects."""
        if rejects.is_empty():
            return
        self.by_rule.update(dict(rejects["rule"].value_counts().iter_rows()))
        room = MAX_STORED_REJECTS - len(self.rejects)
        self.rejects = pl.concat([self.rejects, rejects.head(room)]).sort(LINE)

    def counts(self, facts: Merged) -> Counts:
        """Return the numbers of rows."""
        return Counts(
            read=self.read,
            kept=self.read - self.rejected,
            rejected=self.rejected,
            inserted=facts.inserted,
            updated=facts.updated,
            unchanged=facts.unchanged,
            retracted=facts.retracted,
            out_of_scope=self.out_of_scope,
        )
