"""Rules for the rows of an input, as data; `validate/rules.py` knows how to check them.

A row that breaks a rule is rejected under the rule's name: it is stored with its line
and the reason, and not loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Required:
    """The column is never blank."""

    column: str
    rule: str = "blank"


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
class Number:
    """The column holds a decimal number or a code in parentheses.

    Thousands separators are fine where they belong: "1,234.5", not "1,23".

    Attributes:
        flags: The codes that may stand in place of a number, such as "(D)".
        low, high: What is beyond is a mistake, not a measurement.
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
        when: Only rows with one of these values in these columns are asked.
    """

    columns: tuple[str, ...]
    table: str
    key: str
    when: Mapping[str, frozenset[str]]
    rule: str
    reason: str


Rule = Required | OneOf | Year | Number | Reference
