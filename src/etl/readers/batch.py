"""What reading an input gives: frames of text and the lines that could not be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from etl.readers.header import Layout
from etl.readers.normalise import normalise
from etl.rejects import LINE, Reject, as_rejects

SHOWN_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Batch:
    """A part of an input that fits into memory.

    Attributes:
        rows: One row per readable line: the columns of the input's form as text, and
            `raw_line`.
        rejects: One row per line that is no row, in REJECT_SCHEMA.
    """

    rows: pl.DataFrame
    rejects: pl.DataFrame


def batch_of(
    layout: Layout,
    rows: Sequence[Sequence[str]],
    numbers: Sequence[int],
    rejects: Sequence[Reject],
) -> Batch:
    """Return a batch of rows that were read one by one."""
    schema = dict.fromkeys(layout.columns, pl.String)
    frame = normalise(layout.form, pl.DataFrame(rows, schema=schema, orient="row"))
    return Batch(
        frame.with_columns(pl.Series(LINE, numbers, dtype=pl.Int64)),
        as_rejects(list(rejects)),
    )
