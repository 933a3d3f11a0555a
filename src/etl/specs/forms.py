"""The forms in which the input of a source occurs: format, columns, fills, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MAX_BYTES = 1000
"""Maximum length of a text in bytes of UTF-8, unless its column says otherwise."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an input.

    Attributes:
        name: Its name in this program.
        header: Its name in the input; letter case does not count.
        also: Other names of it in inputs of the same form.
        meaning: One line for the reader of `etl sources`; unit included.
        digits: A code of digits with this many places: "6" is read as "06".
        max_bytes: A longer text is rejected.
    """

    name: str
    header: str
    also: tuple[str, ...] = ()
    meaning: str = ""
    digits: int = 0
    max_bytes: int = MAX_BYTES


@dataclass(frozen=True, slots=True)
class Delimited:
    """Delimited text in UTF-8 with a header line.

    Attributes:
        quote: The character that encloses fields as RFC 4180 has it; None: there is
            none, and quotation marks are ordinary characters.
    """

    delimiter: str
    quote: str | None = None


@dataclass(frozen=True, slots=True)
class JsonRecords:
    """A JSON object with a list of records, each an object of texts and numbers.

    Attributes:
        path: The key of the list.
    """

    path: str


@dataclass(frozen=True, slots=True)
class Fill:
    """A value for a blank cell of rows that have some values in other columns."""

    column: str
    value: str
    when: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class InputForm:
    """One form in which the input of a source occurs; its header identifies it.

    Attributes:
        name: What messages call it.
        columns: All its columns. A column of another form that this one lacks leaves
            what is known of it as it is.
        fills: Applied in order, before any rule is checked.
    """

    name: str
    format: Delimited | JsonRecords
    columns: tuple[Column, ...]
    fills: tuple[Fill, ...] = ()
