"""Gives dimension rows ids computed from their identity, equal on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import polars as pl

from etl.rejects import LINE

SEPARATOR = "\0"
"""The one character that no field holds, because a reader rejects lines that have it:
so different cells never join to the same text."""


def describe(
    rows: pl.DataFrame, columns: Sequence[str], place: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Take the columns of a dimension out of the rows.

    Args:
        rows: Rows of the input; `columns` of them are text without nulls.
        columns: What identifies and describes a row of the dimension.
        place: The name of a column that says which description a row has.

    Returns:
        The rows with `place` instead of `columns`, in the same order; and the distinct
        descriptions, each with its `place` and the first line that has it.
    """
    keyed = rows.with_columns(pl.concat_str(columns, separator=SEPARATOR).alias(place))
    distinct = keyed.select(place, LINE, *columns).unique(
        subset=place, keep="first", maintain_order=True
    )
    return keyed.drop(columns), distinct


def identify(
    rows: pl.DataFrame,
    descriptions: pl.DataFrame,
    identity: Sequence[str],
    *,
    place: str,
    id_column: str,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Replace `place` by an id computed from the identity, in rows and descriptions.

    Rows of different descriptions have the same id if their identity is the same.
    """
    keys = descriptions.select(pl.concat_str(identity, separator=SEPARATOR)).to_series()
    ids = {key: content_id(key) for key in keys.unique()}
    numbers = pl.Series(id_column, [ids[key] for key in keys], dtype=pl.Int64)
    descriptions = descriptions.with_columns(numbers)
    rows = rows.join(
        descriptions.select(place, id_column),
        on=place,
        how="left",
        maintain_order="left",
    )
    return rows.drop(place), descriptions.drop(place)


def content_id(key: str) -> int:
    """Return 63 bits of a text's SHA-256. Positive, so that people can type it."""
    digest = hashlib.sha256(key.encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
