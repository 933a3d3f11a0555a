"""Source `nass`: USDA NASS QuickStats, from a bulk file, an API response or the API."""

from __future__ import annotations

from etl.specs.rules import Number, OneOf, Reference, Required, Year
from etl.specs.spec import (
    ApiSpec,
    Column,
    CompleteWithin,
    Parent,
    SourceSpec,
    TableSpec,
)

SERIES = (
    Column("source", "SOURCE_DESC", meaning="program: CENSUS or SURVEY"),
    Column("sector", "SECTOR_DESC", meaning="CROPS, ANIMALS & PRODUCTS, …"),
    Column(
        "group_desc", "GROUP_DESC", meaning="group of commodities within the sector"
    ),
    Column("commodity", "COMMODITY_DESC", meaning="CORN, ALMONDS, …"),
    Column("class_desc", "CLASS_DESC", meaning="variety, colour, …"),
    Column("production_practice", "PRODN_PRACTICE_DESC", meaning="irrigated, …"),
    Column("utilization_practice", "UTIL_PRACTICE_DESC", meaning="grain, silage, …"),
    Column("statistic", "STATISTICCAT_DESC", meaning="what is measured"),
    Column("unit", "UNIT_DESC", meaning="unit of value"),
    Column("short_desc", "SHORT_DESC", meaning="the name NASS gives the series"),
    Column("domain", "DOMAIN_DESC", meaning="by what figures are broken down"),
    Column("domain_category", "DOMAINCAT_DESC", meaning="category within the domain"),
)
LOCATION = (
    Column("agg_level", "AGG_LEVEL_DESC", meaning="COUNTY, STATE, …"),
    Column("state_ansi", "STATE_ANSI", meaning="ANSI code of the state"),
    Column("state_fips", "STATE_FIPS_CODE", meaning="99 is the US, 98 other states"),
    Column("state_alpha", "STATE_ALPHA", meaning="postal code of the state"),
    Column("state_name", "STATE_NAME", meaning="name of the state"),
    Column("asd_code", "ASD_CODE", meaning="agricultural statistics district"),
    Column("asd_desc", "ASD_DESC", meaning="name of the district"),
    Column(
        "county_ansi", "COUNTY_ANSI", meaning="ANSI code of the county in its state"
    ),
    Column("county_code", "COUNTY_CODE", meaning="998 is other (combined) counties"),
    Column("county_name", "COUNTY_NAME", meaning="name of the county"),
    Column("region_desc", "REGION_DESC", meaning="region that is no state or county"),
    Column("zip_5", "ZIP_5", meaning="postal code, five digits"),
    Column("watershed_code", "WATERSHED_CODE", meaning="hydrologic unit code"),
    Column("watershed_desc", "WATERSHED_DESC", meaning="name of the watershed"),
    Column(
        "congr_district_code", "CONGR_DISTRICT_CODE", meaning="congressional district"
    ),
    Column("country_code", "COUNTRY_CODE", meaning="US Census code of the country"),
    Column("country_name", "COUNTRY_NAME", meaning="name of the country"),
    Column("location_desc", "LOCATION_DESC", meaning="the whole location in words"),
)
PERIOD = (
    Column("year", "YEAR", meaning="year of the value"),
    Column("freq", "FREQ_DESC", meaning="ANNUAL, MONTHLY, WEEKLY, POINT IN TIME, …"),
    Column("begin_code", "BEGIN_CODE", meaning="first month or week of the period"),
    Column("end_code", "END_CODE", meaning="last month or week of the period"),
    Column(
        "reference_period",
        "REFERENCE_PERIOD_DESC",
        meaning="the period within the year in words",
    ),
    Column("week_ending", "WEEK_ENDING", meaning="last day of the week"),
)
FIGURE = (
    Column("load_time", "LOAD_TIME", meaning="when NASS loaded it; no revision alone"),
    Column("value", "VALUE", meaning="the figure in `unit`, or a code such as (D)"),
    Column("cv_pct", "CV_%", also=("CV (%)",), meaning="in percent, or a code"),
)

FLAGS = frozenset({"(D)", "(Z)", "(NA)", "(S)", "(X)", "(H)", "(L)"})
"""(D) withheld, (Z) less than half the unit, (NA) not available, (S) insufficient
reports, (X) not applicable, (H) CV of 99.95 % or more, (L) CV below 0.05 %."""

CALIFORNIA = "06"
NEVER_GIVEN = frozenset({"03", "07", "14", "43", "52"})
OTHER_STATES = (
    frozenset(f"{number:02}" for number in (*range(1, 57), 60, 66, 69, 72, 78))
    - NEVER_GIVEN
    - {CALIFORNIA}
)
NO_STATE = frozenset({"98", "99", ""})
LEVELS_ABOVE_STATE = frozenset(
    {
        "AMERICAN INDIAN RESERVATION",
        "INTERNATIONAL",
        "NATIONAL",
        "PUERTO RICO & OUTLYING AREAS",
        "REGION : MULTI-STATE",
        "WATERSHED",
    }
)


def _names(columns: tuple[Column, ...]) -> tuple[str, ...]:
    return tuple(column.name for column in columns)


SPEC = SourceSpec(
    name="nass",
    title="USDA NASS QuickStats: crops, livestock, economics, by county and year",
    licence="Public domain",
    citation="USDA National Agricultural Statistics Service, QuickStats",
    depends_on=("geography",),
    delimiter="\t",
    columns=SERIES + LOCATION + PERIOD + FIGURE,
    # Bulk files hold the whole country. A county figure "of the US" stays in scope, so
    # that the rules below reject it instead of passing over it.
    out_of_scope=(
        {"state_fips": OTHER_STATES},
        {"state_fips": NO_STATE, "agg_level": LEVELS_ABOVE_STATE},
    ),
    rules=(
        Required("source"),
        Required("commodity"),
        Required("statistic"),
        Required("unit"),
        Required("short_desc"),
        Required("agg_level"),
        OneOf(
            "state_fips",
            frozenset({CALIFORNIA}),
            rule="unknown_state",
            reason="is the FIPS code of no state",
        ),
        Reference(
            columns=("state_fips", "county_code"),
            table="core_geography__place",
            key="geoid",
            when={"agg_level": frozenset({"COUNTY"})},
            rule="unknown_county",
            reason="is no county of its state in core_geography__place",
        ),
        Year("year", first=1800),
        Number("value", FLAGS, low=-1e15, high=1e15),
        Number("cv_pct", FLAGS, low=0, high=10_000, optional=True),
    ),
    tables=(
        TableSpec(
            name="core_nass__series",
            kind="dimension",
            key=("series_id",),
            columns=_names(SERIES),
        ),
        TableSpec(
            name="core_nass__location",
            kind="dimension",
            key=("location_id",),
            columns=(*_names(LOCATION), "geoid"),
            parents=(Parent("geoid", "core_geography__place", "geoid"),),
        ),
        TableSpec(
            name="core_nass__period",
            kind="dimension",
            key=("period_id",),
            columns=_names(PERIOD),
        ),
        TableSpec(
            name="core_nass__value",
            kind="facts",
            key=("series_id", "location_id", "period_id"),
            columns=("value", "value_flag", "cv_pct", "cv_flag", "load_time"),
            compared=("value", "value_flag", "cv_pct", "cv_flag"),
            history="core_nass__value_history",
            parents=(
                Parent("series_id", "core_nass__series", "series_id"),
                Parent("location_id", "core_nass__location", "location_id"),
                Parent("period_id", "core_nass__period", "period_id"),
            ),
            complete_within=(
                CompleteWithin(
                    "series_id", "core_nass__series", "series_id", ("source", "sector")
                ),
                CompleteWithin(
                    "location_id",
                    "core_nass__location",
                    "location_id",
                    ("state_fips", "agg_level"),
                ),
            ),
        ),
    ),
    transform="etl.transform.nass",
    sample="nass_sample.tsv",
    api=ApiSpec(
        base={"state_fips_code": CALIFORNIA},
        page_limit=50_000,
        split_by=("year", "county_code", "commodity_desc"),
    ),
)
