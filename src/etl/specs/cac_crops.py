"""Source `cac_crops`: which crop of the residue factors a commissioner's code means.

A reviewed mapping with one line per commodity code and the reason for it. A code
without a crop has no factor; a code with a by-product is a residue that is reported.
"""

from __future__ import annotations

from etl.specs.forms import Column, Delimited, InputForm
from etl.specs.rules import Required
from etl.specs.spec import Parent, SourceSpec, TableSpec

COLUMNS = (
    Column("commodity_code", "commodity_code", meaning="code of source cac"),
    Column("commodity", "commodity", meaning="its most frequent name in the reports"),
    Column("crop", "crop", meaning="crop of the residue factors; blank: none applies"),
    Column(
        "by_product",
        "by_product",
        meaning="name of the by-product that the commodity itself is; else blank",
    ),
    Column("reason", "reason", meaning="why"),
)
VALUES = ("commodity", "crop", "by_product", "reason")

SPEC = SourceSpec(
    name="cac_crops",
    title="Commodity codes of the commissioners' reports and the crops they mean",
    licence="BSD-3-Clause",
    citation="BioCirV ETL; codes and names as USDA NASS California publishes them",
    depends_on=("residue_factors",),
    forms=(InputForm("mapping", Delimited(",", quote='"'), COLUMNS),),
    rules=(Required("commodity_code"), Required("reason")),
    tables=(
        TableSpec(
            name="core_cac__crop",
            kind="facts",
            key=("commodity_code",),
            columns=VALUES,
            compared=VALUES,
            parents=(Parent("crop", "core_residues__factor", "crop"),),
        ),
    ),
    transform="etl.transform.cac_crops",
    sample="cac_crops.csv",
    shipped="reference",
)
