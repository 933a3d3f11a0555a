"""Brings the cells of a form to their common spelling: blanks, digits, fills."""

from __future__ import annotations

from functools import reduce
from operator import and_

import polars as pl

from etl.specs.forms import Fill, InputForm


def normalise(form: InputForm, rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows without blanks around cells, codes with all digits, blanks filled."""
    rows = _with_all_digits(form, without_padding(rows))
    return rows.with_columns(_filled(fill) for fill in form.fills)


def without_padding(rows: pl.DataFrame) -> pl.DataFrame:
    """Strip blanks around fields in the columns that have any: looking is cheaper."""
    padded = rows.select(
        (pl.all().str.starts_with(" ") | pl.all().str.ends_with(" ")).any()
    ).row(0, named=True)
    return rows.with_columns(
        pl.col(column).str.strip_chars(" ")
        for column, is_padded in padded.items()
        if is_padded
    )


def _with_all_digits(form: InputForm, rows: pl.DataFrame) -> pl.DataFrame:
    """Restore leading zeros, which spreadsheets remove from codes."""
    digits = {column.name: column.digits for column in form.columns if column.digits}
    if not digits:
        return rows
    short = {
        name: pl.col(name).str.len_bytes().is_between(1, places - 1)
        for name, places in digits.items()
    }
    found = rows.select(**{name: is_short.any() for name, is_short in short.items()})
    return rows.with_columns(
        pl.when(short[name] & pl.col(name).str.contains("^[0-9]+$"))
        .then(pl.col(name).str.zfill(digits[name]))
        .otherwise(pl.col(name))
        .alias(name)
        for name, has_short in found.row(0, named=True).items()
        if has_short
    )


def _filled(fill: Fill) -> pl.Expr:
    """Put the value where the column is blank and the condition holds."""
    conditions = (
        pl.col(column).is_in(sorted(values)) for column, values in fill.when.items()
    )
    applies = reduce(and_, conditions, pl.col(fill.column) == "")
    return (
        pl.when(applies)
        .then(pl.lit(fill.value))
        .otherwise(pl.col(fill.column))
        .alias(fill.column)
    )
