"""Lines of the factor table → residue factors by crop."""

from __future__ import annotations

import polars as pl

from etl.specs.residue_names import RESIDUE_NAMES
from etl.transform.cells import text_or_null
from etl.transform.tables import Tables


def to_tables(rows: pl.DataFrame) -> Tables:
    """One factor per line; the months become an array, a blank type null."""
    crop, kind = pl.col("crop"), pl.col("residue_type")
    plain = pl.concat_str(crop, kind.str.to_lowercase(), separator=" ")
    factors = rows.with_columns(
        residue_type=text_or_null("residue_type"),
        residue=crop.replace_strict(
            RESIDUE_NAMES, default=None, return_dtype=pl.String
        ).fill_null(plain.str.strip_chars(" ")),
        available_months=pl.concat_str(
            pl.lit("{"),
            pl.col("available_months").str.replace_all(";", ",", literal=True),
            pl.lit("}"),
        ),
    )
    return {"core_residues__factor": factors}
