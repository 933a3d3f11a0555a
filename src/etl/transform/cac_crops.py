"""Lines of the reviewed mapping → crops by commodity code; a blank is null."""

from __future__ import annotations

import polars as pl

from etl.transform.cells import text_or_null
from etl.transform.tables import Tables


def to_tables(rows: pl.DataFrame) -> Tables:
    """One commodity code per line."""
    optional = ("crop", "by_product")
    return {
        "core_cac__crop": rows.with_columns(
            text_or_null(column).alias(column) for column in optional
        )
    }
