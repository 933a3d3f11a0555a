"""The shape of a source: what its input looks like, which rows hold, where they go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from etl.specs.rules import Rule


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the input.

    Attributes:
        name: What we call it.
        header: What the input calls it; letter case does not count.
        also: Other names of it, in other forms of the same input.
        meaning: One line for the reader of `etl sources`; unit included.
    """

    name: str
    header: str
    also: tuple[str, ...] = ()
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Parent:
    """A foreign key that a load checks as one set instead of row by row."""

    column: str
    table: str
    key: str


@dataclass(frozen=True, slots=True)
class CompleteWithin:
    """How far a complete input reaches: facts whose parent shares these with the input.

    A complete input of California says nothing about Oregon, nor one of the survey
    about the census.
    """

    column: str
    table: str
    key: str
    shared: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSpec:
    """One table that a source fills.

    Attributes:
        name: The table.
        kind: "dimension" rows have ids made from their contents, so they are inserted
            once and never change. "facts" are inserted, updated and retracted; an
            input row is one of them, or has been rejected.
        key: Its primary key.
        columns: What transform gives, without key and `raw_line`.
        compared: The columns of a fact that make it another fact when they change.
        history: The table that keeps what was replaced; None keeps nothing.
        parents: Its foreign keys.
        complete_within: What "absent from a complete input" means; facts only.
    """

    name: str
    kind: Literal["dimension", "facts"]
    key: tuple[str, ...]
    columns: tuple[str, ...]
    compared: tuple[str, ...] = ()
    history: str | None = None
    parents: tuple[Parent, ...] = ()
    complete_within: tuple[CompleteWithin, ...] = ()


MAX_STORED_REJECTS = 100_000
"""Of one load. A load with more fails, so that no row is neither loaded nor stored."""


@dataclass(frozen=True, slots=True)
class RejectLimit:
    """How many rejects a load bears: the larger of the two."""

    rows: int = 20
    share: float = 0.01

    def allows(self, rejected: int, read: int) -> bool:
        """Whether a load with that many rejects goes on."""
        return rejected <= min(MAX_STORED_REJECTS, max(self.rows, self.share * read))


@dataclass(frozen=True, slots=True)
class ApiSpec:
    """A paged record API: ask how many, split until a page fits, fetch.

    Attributes:
        base: Conditions of every request.
        page_limit: A request for this many records or more is refused.
        split_by: Columns (as the API names them) to split a request by, in turn.
    """

    base: Mapping[str, str]
    page_limit: int
    split_by: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpec:
    """Everything that is particular to a source.

    Attributes:
        title, licence, citation: For readers and for publications.
        depends_on: Sources whose tables this one refers to.
        delimiter: Between the fields of a line.
        columns: All columns of the input, in order of the documentation.
        out_of_scope: Rows that match all values of one of these are about something
            else; they are counted and passed over, no rule is asked.
        rules: Asked in order; a row is rejected under the first it breaks.
        tables: In load order: dimensions, then one table of facts.
        transform: The module whose `to_tables` turns good rows into rows of tables.
        sample: The input "sample", a file in `etl/data`.
        api: The input "api"; None: there is none.
    """

    name: str
    title: str
    licence: str
    citation: str
    depends_on: tuple[str, ...] = ()
    delimiter: str
    columns: tuple[Column, ...]
    out_of_scope: tuple[Mapping[str, frozenset[str]], ...] = ()
    rules: tuple[Rule, ...] = ()
    tables: tuple[TableSpec, ...]
    transform: str
    sample: str
    reject_limit: RejectLimit = RejectLimit()
    api: ApiSpec | None = None

    @property
    def facts(self) -> TableSpec:
        """The table that has one row per good row of the input."""
        return self.tables[-1]
