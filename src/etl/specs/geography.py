"""Source `geography`: California, its 58 counties, and NASS's combined counties."""

from __future__ import annotations

from etl.specs.forms import Column, Delimited, InputForm
from etl.specs.rules import OneOf, Required
from etl.specs.spec import SourceSpec, TableSpec, Within

LEVELS = frozenset({"state", "county", "combined_counties"})

COLUMNS = (
    Column("geoid", "geoid", meaning="FIPS code of the state, then of the county"),
    Column("level", "level", meaning="state, county or combined_counties"),
    Column("place_name", "place_name", meaning="name as people write it"),
    Column("state_fips", "state_fips", meaning="FIPS code of the state"),
    Column("state_name", "state_name", meaning="name of the state"),
    Column("county_code", "county_code", meaning="code in the state; no state has"),
)

SPEC = SourceSpec(
    name="geography",
    title="Places of California by ANSI/FIPS code",
    licence="Public domain",
    citation="US Census Bureau, ANSI codes for states and counties; "
    "USDA NASS for the code 998",
    forms=(InputForm("place list", Delimited(",", quote='"'), COLUMNS),),
    rules=(
        Required("geoid"),
        Required("place_name"),
        Required("state_fips"),
        Required("state_name"),
        OneOf(
            "level",
            LEVELS,
            rule="unknown_level",
            reason=f"wants one of {', '.join(sorted(LEVELS))}",
        ),
    ),
    tables=(
        TableSpec(
            name="core_geography__place",
            kind="facts",
            key=("geoid",),
            columns=("level", "place_name", "state_fips", "state_name", "county_code"),
            compared=("level", "place_name", "state_fips", "state_name", "county_code"),
            complete_within=(Within("state_fips"), Within("level")),
        ),
    ),
    transform="etl.transform.geography",
    sample="california_places.csv",
    shipped="reference",
)
