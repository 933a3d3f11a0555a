"""Gives dimension rows ids made from their contents, equal on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import polars as pl

SEPARATOR = "\0"
"""The one character that no field holds, because a reader rejects lines that have it:
so different cells never join to the same text."""


def identify(
    rows: pl.DataFrame, columns: Sequence[str], id_column: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Take a dimension out of the rows.

    Args:
        rows: Rows of the input; `columns` of them are text without nulls.
        columns: What identifies a row of the dimension.
        id_column: The name of its id.

    Returns:
        The rows with `id_column` instead of `columns`, in the same order, and the
        dimension: one row per distinct combination, with its id.
    """
    keyed = rows.with_columns(
        pl.concat_str(columns, separator=SEPARATOR).alias(id_column)
    )
    distinct = keyed.select(id_column, *columns).unique(
        subset=id_column, maintain_order=True
    )
    ids = pl.Series([content_id(key) for key in distinct[id_column]], dtype=pl.Int64)
    numbered = distinct.select(id_column, ids.alias("id"))
    rows = (
        keyed.drop(columns)
        .join(numbered, on=id_column, how="left", maintain_order="left")
        .drop(id_column)
        .rename({"id": id_column})
    )
    return rows, distinct.with_columns(ids.alias(id_column))


def content_id(key: str) -> int:
    """Return 63 bits of a text's SHA-256. Positive, so that people can type it."""
    digest = hashlib.sha256(key.encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
