"""Rows of the place list → places."""

from __future__ import annotations

import polars as pl

from etl.transform.tables import Tables


def to_tables(rows: pl.DataFrame) -> Tables:
    """One place per row; a blank county code is null."""
    code = pl.col("county_code")
    places = rows.with_columns(pl.when(code != "").then(code).alias("county_code"))
    return {"core_geography__place": places}
