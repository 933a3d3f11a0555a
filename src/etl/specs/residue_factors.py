"""Source `residue_factors`: residue per acre of 67 crops, and when it is available."""

from __future__ import annotations

from etl.specs.forms import Column, Delimited, InputForm
from etl.specs.rules import Number, Required, Rule
from etl.specs.spec import SourceSpec, TableSpec

NO_FLAGS: frozenset[str] = frozenset()

COLUMNS = (
    Column("crop", "crop", meaning="crop, or group of crops, that the factor is for"),
    Column("category", "category", meaning="Orchard and Vineyard, Row Crop, …"),
    Column("residue_type", "residue_type", meaning="Prunings, Straw, …; may be blank"),
    Column(
        "wet_tons_per_acre",
        "wet_tons_per_acre",
        meaning="residue as it lies in the field, short tons per acre and year",
    ),
    Column(
        "moisture_fraction",
        "moisture_fraction",
        meaning="water, as a fraction of the wet weight",
    ),
    Column(
        "dry_tons_per_acre",
        "dry_tons_per_acre",
        meaning="dry matter, short tons per acre and year",
    ),
    Column(
        "available_months",
        "available_months",
        meaning="months (1 to 12) in which the residue is available, as 1;2;12",
    ),
)
RULES: tuple[Rule, ...] = (
    Required("crop"),
    Required("category"),
    Number("wet_tons_per_acre", NO_FLAGS, low=0, high=100),
    Number("moisture_fraction", NO_FLAGS, low=0, high=1),
    Number("dry_tons_per_acre", NO_FLAGS, low=0, high=100),
    Required("available_months"),
)
VALUES = (
    "category",
    "residue_type",
    "residue",
    "wet_tons_per_acre",
    "moisture_fraction",
    "dry_tons_per_acre",
    "available_months",
)

SPEC = SourceSpec(
    name="residue_factors",
    title="Crop residue per acre: wet, dry, and the months in which it is available",
    licence="BSD-3-Clause-LBNL",
    citation="cal-bioscape-frontend, CROP_RESIDUE_FACTORS v1.2, Lawrence Berkeley "
    "National Laboratory; months as numbers",
    forms=(InputForm("factor table", Delimited(",", quote='"'), COLUMNS),),
    rules=RULES,
    tables=(
        TableSpec(
            name="core_residues__factor",
            kind="facts",
            key=("crop",),
            columns=VALUES,
            compared=VALUES,
        ),
    ),
    transform="etl.transform.residue_factors",
    sample="residue_factors.csv",
    shipped="reference",
)
