"""The shape of a source: its input, the rules for its rows, its tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from etl.specs.forms import Column, InputForm
from etl.specs.rules import Rule


@dataclass(frozen=True, slots=True)
class Parent:
    """A foreign key that a load checks as one set instead of row by row."""

    column: str
    table: str
    key: str


@dataclass(frozen=True, slots=True)
class Within:
    """A column that limits what a complete input can retract.

    A complete input retracts facts only within the combinations of these columns that
    occur in it: a file about corn in 2022 retracts nothing about wheat or 2021.

    Attributes:
        table: Where the column is: a dimension of the facts; None: the facts.
        may_be_unknown: It may be null, which matches every value.
    """

    column: str
    table: str | None = None
    may_be_unknown: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSpec:
    """One table that a source fills.

    Attributes:
        name: The table.
        kind: "dimension" rows have ids computed from their identity. They are inserted
            once; their attributes are updated. "facts" are inserted, updated and
            retracted; an input row is one of them, or has been rejected.
        key: Its primary key.
        columns: What transform gives, without key and `raw_line`.
        compared: The columns of a fact that make it another fact when they change.
        attributes: The columns of a dimension that describe and do not identify. Null
            is "not stated" and leaves the stored value as it is.
        defining: Those attributes in which two things could differ that have the same
            identity by mistake. Facts with a repeated key are rejected as
            `ambiguous_key` where the input has two values of one of these.
        history: The table that keeps what was replaced; None keeps nothing.
        parents: Its foreign keys.
        complete_within: What a complete input can retract; facts only, () is all.
    """

    name: str
    kind: Literal["dimension", "facts"]
    key: tuple[str, ...]
    columns: tuple[str, ...]
    compared: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    defining: tuple[str, ...] = ()
    history: str | None = None
    parents: tuple[Parent, ...] = ()
    complete_within: tuple[Within, ...] = ()

    @property
    def identity(self) -> tuple[str, ...]:
        """The columns of a dimension that its key is computed from."""
        return tuple(c for c in self.columns if c not in self.attributes)


MAX_STORED_REJECTS = 100_000
"""Of one load. A load with more fails, so that no row is neither loaded nor stored."""


@dataclass(frozen=True, slots=True)
class RejectLimit:
    """Maximum number of rejects of a load: max(share × read, min(rows, small × read)).

    A few rejects are allowed in a small input, too, but never more than the share
    `small` of it: by default 1 of 20 rows, 11 of 238, 20 of 400, then 1 %.
    """

    share: float = 0.01
    rows: int = 20
    small: float = 0.05

    def allowed(self, read: int) -> int:
        """Return how many of that many rows may be rejected."""
        few = min(self.rows, self.small * read)
        return math.floor(min(MAX_STORED_REJECTS, max(self.share * read, few)))


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
        depends_on: Sources that load tables which this one refers to.
        forms: The forms of its input.
        out_of_scope: Rows that match all values of one of these are about something
            else; they are counted and skipped, and no rule is checked.
        in_scope: Rows that match one of these are never out of scope.
        rules: Checked in order; a row is rejected under the first that it breaks. A
            rule about a column that the input's form lacks is not checked.
        tables: In load order: dimensions, then one table of facts.
        transform: The module with `to_tables`: good rows to rows of tables.
        sample: The input "sample", a file in `etl/data`.
        shipped: What that file is: a "sample", which real data replace and which is
            never loaded over them, or a complete "reference", which is real data.
        api: The input "api"; None: there is none.
    """

    name: str
    title: str
    licence: str
    citation: str
    depends_on: tuple[str, ...] = ()
    forms: tuple[InputForm, ...]
    out_of_scope: tuple[Mapping[str, frozenset[str]], ...] = ()
    in_scope: tuple[Mapping[str, frozenset[str]], ...] = ()
    rules: tuple[Rule, ...] = ()
    tables: tuple[TableSpec, ...]
    transform: str
    sample: str
    shipped: Literal["sample", "reference"] = "sample"
    reject_limit: RejectLimit = RejectLimit()
    api: ApiSpec | None = None

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns of all forms, each as the first form that has it describes it."""
        columns: dict[str, Column] = {}
        for form in self.forms:
            for column in form.columns:
                columns.setdefault(column.name, column)
        return tuple(columns.values())

    @property
    def facts(self) -> TableSpec:
        """The table that has one row per good row of the input."""
        return self.tables[-1]
