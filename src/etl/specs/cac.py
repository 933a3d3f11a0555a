"""Source `cac`: county agricultural commissioners' reports of California, by year.

USDA NASS publishes one file per year since 1980: harvested acres, yield, production,
price and value by county and commodity. Two pseudo-counties stand among the counties:
991 is the sum of counties that are not shown one by one, 999 the total of the state.
"""

from __future__ import annotations

from etl.specs.forms import Column, Delimited, InputForm
from etl.specs.rules import Number, OneOf, Required, Rule, Year
from etl.specs.spec import Parent, SourceSpec, TableSpec, Within

NO_FLAGS: frozenset[str] = frozenset()
COUNTIES = frozenset(f"{code:03}" for code in range(1, 116, 2))
"""California's 58 counties have the odd ANSI codes from 001 to 115."""
OTHERS, STATE_TOTAL = "991", "999"

COLUMNS = (
    Column("year", "Year", meaning="year of the harvest"),
    Column(
        "commodity_code",
        "Commodity Code",
        also=("commodity",),
        meaning="code of NASS California",
    ),
    Column("commodity", "Crop Name", also=("cropname",), meaning="name; may be blank"),
    Column(
        "county_code",
        "County Code",
        also=("countycode",),
        digits=3,
        meaning="ANSI code; 991 sum of other counties, 999 total of the state",
    ),
    Column("county_name", "County", meaning="name as printed"),
    Column("acres", "Harvested Acres", also=("acres",), meaning="acres harvested"),
    Column(
        "yield_per_acre",
        "Yield",
        also=("Yield (Unit/Acre)",),
        meaning="production per acre, in the unit of production",
    ),
    Column("production", "Production", meaning="in the unit of the column unit"),
    Column(
        "price_usd_per_unit",
        "Price P/U",
        also=("price_per", "Price (Dollars/Unit)"),
        meaning="US dollars per unit",
    ),
    Column("unit", "Unit", meaning="unit of production, in many spellings"),
    Column("value_usd", "Value", also=("Value (Dollars)",), meaning="US dollars"),
)
NUMBERS = ("acres", "yield_per_acre", "production", "price_usd_per_unit", "value_usd")
RULES: tuple[Rule, ...] = (
    Required("year"),
    Year("year", first=1900),
    Required("commodity_code"),
    Required("county_code"),
    OneOf(
        "county_code",
        COUNTIES | {OTHERS, STATE_TOTAL},
        rule="unknown_county",
        reason="is the code of no county of California, nor 991 or 999",
    ),
    *(Number(column, NO_FLAGS, low=0, high=1e12, optional=True) for column in NUMBERS),
)
VALUES = (
    "commodity",
    "county_name",
    "level",
    "geoid",
    "acres",
    "acres_flag",
    "yield_per_acre",
    "production",
    "production_flag",
    "unit",
    "unit_printed",
    "price_usd_per_unit",
    "value_usd",
)

SPEC = SourceSpec(
    name="cac",
    title="County agricultural commissioners' reports: acres, production, value",
    licence="Public domain",
    citation="USDA NASS, California Field Office: California Agricultural Statistics, "
    "county agricultural commissioners' data listing",
    depends_on=("geography",),
    forms=(InputForm("yearly listing", Delimited(",", quote='"'), COLUMNS),),
    rules=RULES,
    tables=(
        TableSpec(
            name="core_cac__report",
            kind="facts",
            key=("year", "commodity_code", "county_code"),
            columns=VALUES,
            compared=VALUES,
            history="core_cac__report_history",
            parents=(Parent("geoid", "core_geography__place", "geoid"),),
            complete_within=(Within("year"),),
        ),
    ),
    transform="etl.transform.cac",
    sample="cac_sample.csv",
)
