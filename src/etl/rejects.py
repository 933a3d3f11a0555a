"""The shape of a reject: a line that was not loaded, with its rule and reason."""

from __future__ import annotations

import polars as pl

LINE = "raw_line"
"""Column of the line number. Lines count from 1 and the header is line 1; in a JSON
input it is the number of the record, from 1."""

REJECT_SCHEMA = pl.Schema(
    {
        LINE: pl.Int64,
        "column_name": pl.String,
        "value": pl.String,
        "rule": pl.String,
        "reason": pl.String,
    }
)

Reject = tuple[int, str, str, str, str]


def as_rejects(rows: list[Reject]) -> pl.DataFrame:
    """Return rejects as a frame."""
    return pl.DataFrame(rows, schema=REJECT_SCHEMA, orient="row")


def no_rejects() -> pl.DataFrame:
    """Return an empty frame of rejects."""
    return as_rejects([])
