"""Rows of QuickStats → series, locations, periods, and the values that join them."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from etl.specs.nass import (
    DIMENSIONS,
    LEVEL_CODES,
    LOCATION_IDENTITY,
    PERIOD_IDENTITY,
    SERIES_IDENTITY,
)
from etl.specs.nass_forms import COMBINED_CODE
from etl.specs.spec import TableSpec
from etl.transform.cells import text_or_null
from etl.transform.identity import describe, identify
from etl.transform.tables import Tables

SERIES, LOCATION, PERIOD = DIMENSIONS
PLACE = "place"
KEY_SEPARATOR = "|"


def to_tables(rows: pl.DataFrame) -> Tables:
    """Split good rows of QuickStats; columns that their form lacks are null."""
    rows, series = _dimension(rows, SERIES, SERIES_IDENTITY)
    rows, location = _dimension(rows, LOCATION, LOCATION_IDENTITY)
    rows, period = _dimension(rows, PERIOD, PERIOD_IDENTITY)
    return {
        SERIES.name: series,
        LOCATION.name: location,
        PERIOD.name: period,
        "core_nass__value": rows.with_columns(
            value=_number("value"),
            value_flag=_flag("value"),
            cv_pct=_number("cv_pct"),
            cv_flag=_flag("cv_pct"),
            load_time=_blank_as_null("load_time", rows.columns),
        ),
    }


def _dimension(
    rows: pl.DataFrame, table: TableSpec, identity: Sequence[str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Take a dimension out of the rows: the rows with its id, and its descriptions."""
    present = [column for column in table.columns if column in rows.columns]
    rows, descriptions = describe(rows, present, PLACE)
    if table is LOCATION:
        descriptions = descriptions.with_columns(
            location_key=location_key(descriptions.columns), geoid=_geoid()
        )
    (id_column,) = table.key
    rows, descriptions = identify(
        rows, descriptions, identity, place=PLACE, id_column=id_column
    )
    return rows, descriptions.with_columns(
        _blank_as_null(attribute, descriptions.columns).alias(attribute)
        for attribute in table.attributes
    )


def _blank_as_null(column: str, present: Sequence[str]) -> pl.Expr:
    """A cell that states nothing: blank, or of a column that the form lacks."""
    if column not in present:
        return pl.lit(None, pl.String)
    return text_or_null(column)


def location_key(present: Sequence[str]) -> pl.Expr:
    """What identifies a location: its level, its state, and its code at that level.

    NASS publishes the combined counties once per district, all under one county code,
    so their key has the district's code too.
    """
    level, county = pl.col("agg_level"), pl.col("county_code")
    code = pl.lit("")
    for name, column in LEVEL_CODES.items():
        if column is not None and column in present:
            code = pl.when(level == name).then(pl.col(column)).otherwise(code)
    combined = (level == "COUNTY") & (county == COMBINED_CODE)
    district = pl.concat_str(county, "asd_code", separator=KEY_SEPARATOR)
    code = pl.when(combined).then(district).otherwise(code)
    return pl.concat_str(level, "state_fips", code, separator=KEY_SEPARATOR)


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
