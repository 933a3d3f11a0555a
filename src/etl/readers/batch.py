"""What reading an input gives: frames of text and the lines that could not be read."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True, slots=True)
class Batch:
    """A part of an input that fits into memory.

    Attributes:
        rows: One row per readable line: the spec's columns as text, and `raw_line`.
        rejects: One row per line that is no row at all, in REJECT_SCHEMA.
    """

    rows: pl.DataFrame
    rejects: pl.DataFrame
