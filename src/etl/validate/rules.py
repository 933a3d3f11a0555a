"""Turns rules into expressions over whole columns: which rows break them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce, singledispatch
from operator import and_

import polars as pl

from etl.specs.forms import Column
from etl.specs.rules import (
    Named,
    Number,
    OneOf,
    Reference,
    Required,
    Rule,
    Time,
    When,
    Year,
)

NUMBER = r"^-?(?:[1-9][0-9]{0,2}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?$|^-?\.[0-9]+$"
"""Digits of the ASCII kind only; thousands separators only where they belong."""

CODE = r"^\(.*\)$"
MAX_DIGITS = 40
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T][0-9:.]+)?\Z")
MIN_NAME = 4
"""A shorter start of a name could be that of another place."""

Lookups = Mapping[tuple[str, ...], Mapping[str, str]]
"""What rules look up: by (table, key column, label column), the label of each key."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One way in which a row can break a rule. `broken` is null-free."""

    rule: str
    column: str
    reason: str
    broken: pl.Expr


def matches(wanted: When) -> pl.Expr:
    """Return which rows have one of the values in each of the columns."""
    return reduce(
        and_,
        (pl.col(column).is_in(sorted(values)) for column, values in wanted.items()),
        pl.lit(True),
    )


def too_long(column: Column) -> Fault:
    """Return the fault of a text that is longer than its column allows."""
    return Fault(
        "too_long",
        column.name,
        f"is longer than {column.max_bytes:,} bytes",
        pl.col(column.name).str.len_bytes() > column.max_bytes,
    )


@singledispatch
def faults_of(rule: Rule, lookups: Lookups) -> list[Fault]:
    """Return the ways to break a rule, in the order in which they are reported."""
    raise NotImplementedError(type(rule))


@faults_of.register
def _required(rule: Required, _lookups: Lookups) -> list[Fault]:
    broken = matches(rule.when) & (pl.col(rule.column) == "")
    return [Fault(rule.rule, rule.column, "is blank", broken)]


@faults_of.register
def _one_of(rule: OneOf, _lookups: Lookups) -> list[Fault]:
    broken = ~pl.col(rule.column).is_in(sorted(rule.values))
    return [Fault(rule.rule, rule.column, rule.reason, broken)]


@faults_of.register
def _year(rule: Year, _lookups: Lookups) -> list[Fault]:
    last = datetime.now(UTC).year + 1
    number = pl.col(rule.column).str.extract("^([0-9]{4})$").cast(pl.Int16)
    broken = ~number.is_between(rule.first, last).fill_null(False)
    return [
        Fault(
            rule.rule, rule.column, f"wants a year from {rule.first} to {last}", broken
        )
    ]


@faults_of.register
def _time(rule: Time, _lookups: Lookups) -> list[Fault]:
    def is_none(seen: pl.Series) -> pl.Series:
        # Few times occur: each is read once.
        distinct = seen.unique()
        bad = [text for text in distinct if not _is_time(text)]
        return seen.is_in(bad) if bad else pl.repeat(False, len(seen), eager=True)

    broken = pl.col(rule.column).map_batches(is_none, return_dtype=pl.Boolean)
    return [
        Fault(
            rule.rule, rule.column, "wants a time such as 2026-06-27 15:00:00", broken
        )
    ]


def _is_time(text: str) -> bool:
    """Whether a text is blank or a time as QuickStats prints it."""
    if not text:
        return True
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return TIME.match(text) is not None


@faults_of.register
def _number(rule: Number, _lookups: Lookups) -> list[Fault]:
    column = pl.col(rule.column)
    is_blank, is_code = column == "", column.str.contains(CODE)
    is_number = column.str.contains(NUMBER)
    codes = " ".join(sorted(rule.flags))
    amount = (
        pl.when(is_number)
        .then(column.str.replace_all(",", "", literal=True))
        .cast(pl.Float64, strict=False)
    )
    out_of_range = (
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
            out_of_range,
        ),
    ]
    if not rule.optional:
        faults.append(Fault("blank", rule.column, "is blank", is_blank))
    return faults


@faults_of.register
def _reference(rule: Reference, lookups: Lookups) -> list[Fault]:
    known = lookups[rule.table, rule.key]
    joined = pl.concat_str(rule.columns)
    broken = matches(rule.when) & ~joined.is_in(sorted(known))
    return [Fault(rule.rule, rule.columns[-1], rule.reason, broken)]


@faults_of.register
def _named(rule: Named, lookups: Lookups) -> list[Fault]:
    labels = lookups[rule.table, rule.key, rule.label]
    key = pl.concat_str(rule.columns)
    pairs = pl.struct(key.alias("key"), pl.col(rule.column).alias("name"))

    def differs(seen: pl.Series) -> pl.Series:
        # Few pairs of key and name occur: each is compared once.
        frame = seen.struct.unnest()
        distinct = frame.unique()
        flags = [_differs(rule, labels, *pair) for pair in distinct.iter_rows()]
        flagged = distinct.with_columns(differs=pl.Series(flags, dtype=pl.Boolean))
        joined = frame.join(
            flagged, on=["key", "name"], how="left", maintain_order="left"
        )
        return joined["differs"]

    broken = matches(rule.when) & pairs.map_batches(differs, return_dtype=pl.Boolean)
    return [Fault(rule.rule, rule.column, rule.reason, broken)]


def _differs(rule: Named, labels: Mapping[str, str], key: str, name: str) -> bool:
    """Whether a name is another one than those that the key has."""
    if not name or key not in labels:
        return False
    seen = plain_name(name)
    names = {plain_name(known) for known in (labels[key], *rule.also.get(key, ()))}
    return not any(_same_name(seen, known) for known in names)


def _same_name(left: str, right: str) -> bool:
    short, long = sorted((left, right), key=len)
    return left == right or (len(short) >= MIN_NAME and long.startswith(short))


def plain_name(name: str) -> str:
    """Return the letters and digits of a name, without case and accents."""
    decomposed = unicodedata.normalize("NFKD", name).casefold()
    return "".join(character for character in decomposed if character.isalnum())
