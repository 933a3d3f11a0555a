"""What a transform is: a function from good rows to rows of tables."""

from __future__ import annotations

from importlib import import_module
from typing import Protocol

import polars as pl

from etl.specs.spec import SourceSpec

Tables = dict[str, pl.DataFrame]
"""Rows by table: the spec's key and columns, and `raw_line` for facts."""


class Transform(Protocol):
    """Turns the good rows of one batch into rows of tables; keeps their number."""

    def __call__(self, rows: pl.DataFrame) -> Tables:
        """Return the rows of every table, one for each row of the batch."""


def find_transform(spec: SourceSpec) -> Transform:
    """Return `to_tables` of the module that the spec names.

    Specs name it instead of holding it, so that reading them does not import polars.
    """
    transform: Transform = import_module(spec.transform).to_tables
    return transform
