"""Separates the rows of a batch into good ones, rejects, and those out of scope."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

import polars as pl

from etl.readers.batch import Batch
from etl.rejects import LINE
from etl.specs.rules import Named, Reference, Required, Rule, When
from etl.specs.spec import SourceSpec
from etl.validate.rules import Fault, Lookups, faults_of, matches, too_long

SHOWN_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Judged:
    """Rows of a batch, separated.

    Attributes:
        good: Rows that break no rule.
        rejects: One row for each of the others, and for lines that are no rows.
        out_of_scope: How many rows were about something else.
    """

    good: pl.DataFrame
    rejects: pl.DataFrame
    out_of_scope: int

    @property
    def read(self) -> int:
        """How many rows in scope there were."""
        return len(self.good) + len(self.rejects)


def lookups_of(spec: SourceSpec) -> list[tuple[str, ...]]:
    """Return what `judge` looks up: (table, key column), some with a label column."""
    keys = [(r.table, r.key) for r in spec.rules if isinstance(r, Reference)]
    labels = [(r.table, r.key, r.label) for r in spec.rules if isinstance(r, Named)]
    return [*keys, *labels]


def judge(spec: SourceSpec, batch: Batch, lookups: Lookups) -> Judged:
    """Separate the rows of a batch by the rules of their spec."""
    rows = batch.rows.filter(~_out_of_scope(spec, batch.rows.columns))
    out_of_scope = len(batch.rows) - len(rows)
    faults = _faults(spec, rows, lookups)
    if not faults:
        return Judged(rows, batch.rejects, out_of_scope)
    first = rows.select(
        pl.coalesce(
            pl.when(fault.broken).then(pl.lit(number, pl.Int16))
            for number, fault in enumerate(faults)
        )
    ).to_series()
    rejects = [batch.rejects, *_rejects(rows, first, faults)]
    return Judged(rows.filter(first.is_null()), pl.concat(rejects), out_of_scope)


def _faults(spec: SourceSpec, rows: pl.DataFrame, lookups: Lookups) -> list[Fault]:
    """Return what can be wrong with these rows, in the order of reporting."""
    longest = rows.select(pl.all().exclude(LINE).str.len_bytes().max()).row(
        0, named=True
    )
    long = [c for c in spec.columns if (longest.get(c.name) or 0) > c.max_bytes]
    seen = set(rows.columns)
    return [
        *map(too_long, long),
        *(fault for rule in spec.rules for fault in _faults_in(rule, seen, lookups)),
    ]


def _faults_in(rule: Rule, seen: set[str], lookups: Lookups) -> list[Fault]:
    """Return the faults of a rule in an input that has some columns."""
    columns = {rule.column} if not isinstance(rule, Reference) else set(rule.columns)
    if columns <= seen:
        return faults_of(rule, lookups)
    if isinstance(rule, Required) and rule.when:
        shown = next(iter(rule.when))
        reason = f"needs {rule.column}, which this form of the input does not have"
        return [Fault(rule.rule, shown, reason, matches(rule.when))]
    return []


def _out_of_scope(spec: SourceSpec, seen: Sequence[str]) -> pl.Expr:
    def any_of(conditions: Iterable[When]) -> pl.Expr:
        alternatives = (matches(when) for when in conditions if set(when) <= set(seen))
        return reduce(or_, alternatives, pl.lit(False))

    return any_of(spec.out_of_scope) & ~any_of(spec.in_scope)


def _rejects(
    rows: pl.DataFrame, first: pl.Series, faults: Sequence[Fault]
) -> Iterator[pl.DataFrame]:
    """Yield, for each fault that occurred, the rows it is the first fault of."""
    for number in first.drop_nulls().unique().sort():
        fault = faults[number]
        yield rows.filter(first.eq(number)).select(
            LINE,
            pl.lit(fault.column).alias("column_name"),
            pl.col(fault.column).str.slice(0, SHOWN_CHARACTERS).alias("value"),
            pl.lit(fault.rule).alias("rule"),
            pl.lit(fault.reason).alias("reason"),
        )
