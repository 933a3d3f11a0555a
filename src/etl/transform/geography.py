"""Rows of the place list → places."""

from __future__ import annotations

import polars as pl

from etl.transform.cells import text_or_null
from etl.transform.tables import Tables


def to_tables(rows: pl.DataFrame) -> Tables:
    """One place per row; a blank county code is null."""
    places = rows.with_columns(text_or_null("county_code").alias("county_code"))
    return {"core_geography__place": places}
