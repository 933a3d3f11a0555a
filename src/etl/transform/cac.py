"""Lines of a commissioners' report → figures by year, commodity and county."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from etl.specs.cac import NUMBERS, OTHERS, STATE_TOTAL
from etl.transform.cells import digits_or_null
from etl.transform.tables import Tables

CALIFORNIA = "06"
ZERO_NOT_REPORTED = "zero_not_reported"

UNITS: Mapping[str, str] = {
    "ACRE": "acres",
    "BALE": "bales",
    "BDFT": "board feet",
    "BF": "board feet",
    "BNCH": "bunches",
    "COL": "colonies",
    "COLN": "colonies",
    "COLO": "colonies",
    "CORD": "cords",
    "CRD": "cords",
    "CRDS": "cords",
    "CTN": "cartons",
    "CTNS": "cartons",
    "CWT": "hundredweight",
    "DOZ": "dozens",
    "EA": "each",
    "EACH": "each",
    "FLAT": "flats",
    "GALS": "gallons",
    "HIVE": "colonies",
    "LB": "pounds",
    "LBS": "pounds",
    "MBF": "thousand board feet",
    "PKG": "packages",
    "TBF": "thousand board feet",
    "THND": "thousands",
    "THOU": "thousands",
    "TON": "tons",
    "TONS": "tons",
}
"""Spellings of a unit without case, dots and blanks. Others, such as "480" or "20lb",
are kept as printed and have no unit."""


def to_tables(rows: pl.DataFrame) -> Tables:
    """One figure per line. A blank number is null; a zero stays a zero."""
    code = pl.col("county_code")
    numbers = [digits_or_null(column).alias(column) for column in NUMBERS]
    spelling = pl.col("unit").str.to_uppercase().str.replace_all(r"[. ]", "")
    figures = rows.with_columns(
        *numbers,
        level=pl.when(code == STATE_TOTAL)
        .then(pl.lit("state_total"))
        .when(code == OTHERS)
        .then(pl.lit("other_counties"))
        .otherwise(pl.lit("county")),
        geoid=pl.when(~code.is_in([OTHERS, STATE_TOTAL])).then(
            pl.concat_str(pl.lit(CALIFORNIA), code)
        ),
        acres_flag=_zero_flag("acres", beside=("production", "value_usd")),
        production_flag=_zero_flag("production", beside=("value_usd",)),
        unit=spelling.replace_strict(UNITS, default=None, return_dtype=pl.String),
        unit_printed=pl.col("unit"),
    )
    return {"core_cac__report": figures}


def _zero_flag(column: str, *, beside: tuple[str, ...]) -> pl.Expr:
    """Flag a zero that other figures of its line contradict: it was not reported.

    Some years print 0 where others leave the cell blank, mostly in state totals.
    """
    others = pl.any_horizontal(
        digits_or_null(other).cast(pl.Float64).fill_null(0) > 0 for other in beside
    )
    is_zero = (digits_or_null(column).cast(pl.Float64) == 0).fill_null(False)
    return pl.when(is_zero & others).then(pl.lit(ZERO_NOT_REPORTED))
