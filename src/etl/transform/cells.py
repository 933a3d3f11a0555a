"""Cells of an input as the database takes them: null for blank, digits for numbers."""

from __future__ import annotations

import polars as pl


def text_or_null(column: str) -> pl.Expr:
    """Return the text of a column; a blank is null."""
    return pl.when(pl.col(column) != "").then(pl.col(column))


def digits_or_null(column: str) -> pl.Expr:
    """Return the digits without separators; a blank is null.

    It is still text: the database reads it exactly.
    """
    return text_or_null(column).str.replace_all(",", "", literal=True)
