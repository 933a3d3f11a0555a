"""Rules for the rows of an input, as data; `validate/rules.py` checks them.

A row that breaks a rule is rejected under the rule's name: it is stored with its line
and the reason, and not loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

When = Mapping[str, frozenset[str]]
"""Rows that have one of these values in each of these columns; {} is every row."""


@dataclass(frozen=True, slots=True)
class Required:
    """The column is never blank.

    With `when`, a form of the input that lacks the column cannot have such rows at all.
    """

    column: str
    rule: str = "blank"
    when: When = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OneOf:
    """The column holds one of some values."""

    column: str
    values: frozenset[str]
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Year:
    """The column holds a year from `first` to next year."""

    column: str
    first: int
    rule: str = "not_a_year"


@dataclass(frozen=True, slots=True)
class Time:
    """The column is blank or holds a time such as 2026-06-27 15:00:00."""

    column: str
    rule: str = "not_a_time"


@dataclass(frozen=True, slots=True)
class Number:
    """The column holds a decimal number or a code in parentheses.

    Thousands separators are allowed where they belong: "1,234.5", not "1,23".

    Attributes:
        flags: The codes that may stand in place of a number, such as "(D)".
        low, high: A number outside of this range is a mistake.
        optional: Whether it may be blank.
    """

    column: str
    flags: frozenset[str]
    low: float
    high: float
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Reference:
    """The columns, joined, are a key of a table that another source loads.

    Attributes:
        columns: What is joined; the last one is reported.
        when: Only such rows are checked.
    """

    columns: tuple[str, ...]
    table: str
    key: str
    when: When
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Named:
    """The column is blank or holds the name of the row that other columns refer to.

    Only letters and digits are compared, without case and accents. A name may be cut
    short, or lack the end of the other: "SAN LUIS OBISP" is San Luis Obispo County.

    Attributes:
        column: The name in the input.
        columns: The key, joined.
        label: The column of `table` with the name.
        also: Other names, by key.
        when: Only such rows are checked.
    """

    column: str
    columns: tuple[str, ...]
    table: str
    key: str
    label: str
    when: When
    rule: str
    reason: str
    also: Mapping[str, frozenset[str]] = field(default_factory=dict)


Rule = Required | OneOf | Year | Time | Number | Reference | Named
