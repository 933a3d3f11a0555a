"""Rows of QuickStats → series, locations, periods, and the values that join them."""

from __future__ import annotations

import polars as pl

from etl.specs.nass import LOCATION, PERIOD, SERIES
from etl.specs.spec import Column
from etl.transform.identity import identify
from etl.transform.tables import Tables


def to_tables(rows: pl.DataFrame) -> Tables:
    """Split good rows of QuickStats; all 36 identifying columns make the key."""
    rows, series = identify(rows, _names(SERIES), "series_id")
    rows, location = identify(rows, _names(LOCATION), "location_id")
    rows, period = identify(rows, _names(PERIOD), "period_id")
    return {
        "core_nass__series": series,
        "core_nass__location": location.with_columns(geoid=_geoid()),
        "core_nass__period": period,
        "core_nass__value": rows.with_columns(
            value=_number("value"),
            value_flag=_flag("value"),
            cv_pct=_number("cv_pct"),
            cv_flag=_flag("cv_pct"),
        ),
    }


def _names(columns: tuple[Column, ...]) -> list[str]:
    return [column.name for column in columns]


def _geoid() -> pl.Expr:
    """The place of a location; null for levels that are no place, such as districts."""
    level = pl.col("agg_level")
    return (
        pl.when(level == "COUNTY")
        .then(pl.concat_str("state_fips", "county_code"))
        .when(level == "STATE")
        .then(pl.col("state_fips"))
    )


def _number(column: str) -> pl.Expr:
    """Digits without separators, still text: the database reads it exactly."""
    text = pl.col(column)
    is_number = (text != "") & ~text.str.starts_with("(")
    return pl.when(is_number).then(text.str.replace_all(",", "", literal=True))


def _flag(column: str) -> pl.Expr:
    """The code that stands in place of a number."""
    return pl.when(pl.col(column).str.starts_with("(")).then(pl.col(column))
