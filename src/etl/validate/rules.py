"""Asks the rules of a spec of every row, all at once, column by column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce, singledispatch
from operator import and_, or_

import polars as pl

from etl.readers.batch import Batch
from etl.rejects import LINE
from etl.specs.rules import Number, OneOf, Reference, Required, Rule, Year
from etl.specs.spec import SourceSpec

NUMBER = r"^-?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?$|^-?\.[0-9]+$"
"""Digits of the ASCII kind only; thousands separators only where they belong."""

CODE = r"^\(.*\)$"
MAX_DIGITS = 40

Keys = Mapping[tuple[str, str], frozenset[str]]
"""The keys that a table holds, by (table, key column); what References are asked of."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One way in which a row can break a rule. `broken` is null-free."""

    rule: str
    column: str
    reason: str
    broken: pl.Expr


@dataclass(frozen=True, slots=True)
class Judged:
    """Rows of a batch, parted.

    Attributes:
        good: Rows that break no rule.
        rejects: One row for each of the others, and those that were none.
        out_of_scope: How many rows were about something else.
    """

    good: pl.DataFrame
    rejects: pl.DataFrame
    out_of_scope: int

    @property
    def read(self) -> int:
        """How many rows in scope there were."""
        return len(self.good) + len(self.rejects)


def references(spec: SourceSpec) -> list[tuple[str, str]]:
    """Return the (table, key column) pairs whose keys `judge` needs."""
    return [
        (rule.table, rule.key) for rule in spec.rules if isinstance(rule, Reference)
    ]


def judge(spec: SourceSpec, batch: Batch, keys: Keys) -> Judged:
    """Part the rows of a batch into good ones, rejects, and those out of scope."""
    rows = batch.rows.filter(~_out_of_scope(spec))
    out_of_scope = len(batch.rows) - len(rows)
    faults = [fault for rule in spec.rules for fault in faults_of(rule, keys)]
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


def _out_of_scope(spec: SourceSpec) -> pl.Expr:
    alternatives = (_matches(one) for one in spec.out_of_scope)
    return reduce(or_, alternatives, pl.lit(False))


def _matches(wanted: Mapping[str, frozenset[str]]) -> pl.Expr:
    return reduce(
        and_,
        (pl.col(column).is_in(sorted(values)) for column, values in wanted.items()),
    )


def _rejects(
    rows: pl.DataFrame, first: pl.Series, faults: Sequence[Fault]
) -> Iterator[pl.DataFrame]:
    """Yield, for each fault that occurred, the rows it is the first fault of."""
    for number in first.drop_nulls().unique().sort():
        fault = faults[number]
        yield rows.filter(first.eq(number)).select(
            LINE,
            pl.lit(fault.column).alias("column_name"),
            pl.col(fault.column).alias("value"),
            pl.lit(fault.rule).alias("rule"),
            pl.lit(fault.reason).alias("reason"),
        )


@singledispatch
def faults_of(rule: Rule, keys: Keys) -> list[Fault]:
    """Return the ways to break a rule, in the order in which they are reported."""
    raise NotImplementedError(type(rule))


@faults_of.register
def _required(rule: Required, _keys: Keys) -> list[Fault]:
    return [Fault(rule.rule, rule.column, "is blank", pl.col(rule.column) == "")]


@faults_of.register
def _one_of(rule: OneOf, _keys: Keys) -> list[Fault]:
    broken = ~pl.col(rule.column).is_in(sorted(rule.values))
    return [Fault(rule.rule, rule.column, rule.reason, broken)]


@faults_of.register
def _year(rule: Year, _keys: Keys) -> list[Fault]:
    last = datetime.now(UTC).year + 1
    number = pl.col(rule.column).str.extract("^([0-9]{4})$").cast(pl.Int16)
    broken = ~number.is_between(rule.first, last).fill_null(False)
    return [
        Fault(
            rule.rule, rule.column, f"wants a year from {rule.first} to {last}", broken
        )
    ]


@faults_of.register
def _number(rule: Number, _keys: Keys) -> list[Fault]:
    column = pl.col(rule.column)
    is_blank, is_code = column == "", column.str.contains(CODE)
    is_number = column.str.contains(NUMBER)
    codes = " ".join(sorted(rule.flags))
    amount = (
        pl.when(is_number)
        .then(column.str.replace_all(",", "", literal=True))
        .cast(pl.Float64, strict=False)
    )
    is_beyond = (
        ~amount.is_between(rule.low, rule.high) | (column.str.len_bytes() > MAX_DIGITS)
    ).fill_null(False)
    faults = [
        Fault(
            "unknown_flag",
            rule.column,
            f"is none of the codes {codes}",
            is_code & ~column.is_in(sorted(rule.flags)),
        ),
        Fault(
            "not_a_number",
            rule.column,
            f"wants a number such as 1,234.5 or one of {codes}",
            ~(is_number | is_code | is_blank),
        ),
        Fault(
            "number_out_of_range",
            rule.column,
            f"wants a number from {rule.low:,.15g} to {rule.high:,.15g}, in at most "
            f"{MAX_DIGITS} characters",
            is_beyond,
        ),
    ]
    if not rule.optional:
        faults.append(Fault("blank", rule.column, "is blank", is_blank))
    return faults


@faults_of.register
def _reference(rule: Reference, keys: Keys) -> list[Fault]:
    known = keys[rule.table, rule.key]
    joined = pl.concat_str(rule.columns)
    broken = _matches(rule.when) & ~joined.is_in(sorted(known))
    return [Fault(rule.rule, rule.columns[-1], rule.reason, broken)]
