"""Source `nass`: USDA NASS QuickStats, from a bulk file, the API or a web download."""

from __future__ import annotations

from collections.abc import Iterable

from etl.specs.forms import Column
from etl.specs.nass_forms import COMBINED_CODE, COMBINED_NAMES, FORMS, PERIOD, SERIES
from etl.specs.nass_forms import LOCATION as LOCATION_COLUMNS
from etl.specs.rules import (
    Named,
    Number,
    OneOf,
    Reference,
    Required,
    Rule,
    Time,
    Year,
)
from etl.specs.spec import ApiSpec, Parent, SourceSpec, TableSpec, Within

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
LEVEL_CODES = {
    "STATE": None,
    "COUNTY": "county_code",
    "AGRICULTURAL DISTRICT": "asd_code",
    "ZIP CODE": "zip_5",
    "CONGRESSIONAL DISTRICT": "congr_district_code",
    "WATERSHED": "watershed_code",
    "REGION : SUB-STATE": "region_desc",
    "REGION : MULTI-STATE": "region_desc",
    "AMERICAN INDIAN RESERVATION": "region_desc",
}
"""The levels of a state's figures, and the column that identifies a location there."""

SERIES_IDENTITY = ("source", "short_desc", "domain", "domain_category")
SHORT_DESC_PARTS = (
    "commodity",
    "class_desc",
    "production_practice",
    "utilization_practice",
    "statistic",
    "unit",
)
"""NASS makes SHORT_DESC of these six. Two combinations of them that give the same text
would be two series under one key; no such case is known."""

LOCATION_IDENTITY = ("location_key",)
PERIOD_IDENTITY = ("year", "reference_period", "week_ending")


def _names(
    columns: Iterable[Column], *, without: Iterable[str] = ()
) -> tuple[str, ...]:
    return tuple(column.name for column in columns if column.name not in without)


SERIES_ATTRIBUTES = _names(SERIES, without=SERIES_IDENTITY)
PERIOD_ATTRIBUTES = _names(PERIOD, without=PERIOD_IDENTITY)
LOCATION_ATTRIBUTES = (*_names(LOCATION_COLUMNS), "geoid")

COUNTY = {"agg_level": frozenset({"COUNTY"})}

WHAT: tuple[Rule, ...] = (
    Required("source"),
    OneOf(
        "source",
        frozenset({"CENSUS", "SURVEY"}),
        rule="unknown_program",
        reason="is neither CENSUS nor SURVEY",
    ),
    Required("commodity"),
    Required("statistic"),
    Required("unit"),
    Required("short_desc"),
)
WHERE: tuple[Rule, ...] = (
    Required("agg_level"),
    OneOf(
        "state_fips",
        OTHER_STATES | {CALIFORNIA},
        rule="unknown_state",
        reason="is the FIPS code of no state",
    ),
    OneOf(
        "state_fips",
        frozenset({CALIFORNIA}),
        rule="state_differs",
        reason="is the code of another state than its name or abbreviation",
    ),
    OneOf(
        "state_alpha",
        frozenset({"CA", ""}),
        rule="state_differs",
        reason="is not the abbreviation of state 06",
    ),
    OneOf(
        "state_name",
        frozenset({"CALIFORNIA", ""}),
        rule="state_differs",
        reason="is not the name of state 06",
    ),
    OneOf(
        "state_ansi",
        frozenset({CALIFORNIA, ""}),
        rule="state_differs",
        reason="is not the ANSI code of state 06",
    ),
    OneOf(
        "agg_level",
        frozenset(LEVEL_CODES),
        rule="unknown_level",
        reason="is no level of a state: wants one of " + ", ".join(LEVEL_CODES),
    ),
    *(
        Required(code, when={"agg_level": frozenset({level})})
        for level, code in LEVEL_CODES.items()
        if code
    ),
    Reference(
        columns=("state_fips", "county_code"),
        table="core_geography__place",
        key="geoid",
        when=COUNTY,
        rule="unknown_county",
        reason="is no county of its state in core_geography__place",
    ),
    Named(
        "county_name",
        columns=("state_fips", "county_code"),
        table="core_geography__place",
        key="geoid",
        label="place_name",
        when=COUNTY,
        rule="county_differs",
        reason="is not the name of the county with this code",
        also={CALIFORNIA + COMBINED_CODE: COMBINED_NAMES},
    ),
)
FIGURE_RULES: tuple[Rule, ...] = (
    Year("year", first=1800),
    Time("load_time"),
    Number("value", FLAGS, low=-1e15, high=1e15),
    Number("cv_pct", FLAGS, low=0, high=10_000, optional=True),
)

DIMENSIONS = (
    TableSpec(
        name="core_nass__series",
        kind="dimension",
        key=("series_id",),
        columns=SERIES_IDENTITY + SERIES_ATTRIBUTES,
        attributes=SERIES_ATTRIBUTES,
        defining=SHORT_DESC_PARTS,
        history="core_nass__series_history",
    ),
    TableSpec(
        name="core_nass__location",
        kind="dimension",
        key=("location_id",),
        columns=LOCATION_IDENTITY + LOCATION_ATTRIBUTES,
        attributes=LOCATION_ATTRIBUTES,
        history="core_nass__location_history",
        parents=(Parent("geoid", "core_geography__place", "geoid"),),
    ),
    TableSpec(
        name="core_nass__period",
        kind="dimension",
        key=("period_id",),
        columns=PERIOD_IDENTITY + PERIOD_ATTRIBUTES,
        attributes=PERIOD_ATTRIBUTES,
        defining=PERIOD_ATTRIBUTES,
        history="core_nass__period_history",
    ),
)
VALUE = TableSpec(
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
        Within("source", "core_nass__series"),
        Within("sector", "core_nass__series", may_be_unknown=True),
        Within("commodity", "core_nass__series"),
        Within("agg_level", "core_nass__location"),
        Within("state_fips", "core_nass__location"),
        Within("year", "core_nass__period"),
    ),
)

SPEC = SourceSpec(
    name="nass",
    title="USDA NASS QuickStats: crops, livestock, economics, by county and year",
    licence="Public domain",
    citation="USDA National Agricultural Statistics Service, QuickStats",
    depends_on=("geography",),
    forms=FORMS,
    # Bulk files hold the whole country. A county figure "of the US" stays in scope, so
    # that the rules reject it; so does one of California under another state's code.
    out_of_scope=(
        {"state_fips": OTHER_STATES},
        {"state_fips": NO_STATE, "agg_level": LEVELS_ABOVE_STATE},
        {"state_fips": frozenset({"98"}), "agg_level": frozenset({"STATE"})},
        {"state_name": frozenset({"OTHER STATES"}), "agg_level": frozenset({"STATE"})},
    ),
    in_scope=(
        {"state_alpha": frozenset({"CA"})},
        {"state_name": frozenset({"CALIFORNIA"})},
    ),
    rules=WHAT + WHERE + FIGURE_RULES,
    tables=(*DIMENSIONS, VALUE),
    transform="etl.transform.nass",
    sample="nass_sample.tsv",
    api=ApiSpec(
        base={"state_fips_code": CALIFORNIA},
        page_limit=50_000,
        split_by=("year", "county_code", "commodity_desc"),
    ),
)
