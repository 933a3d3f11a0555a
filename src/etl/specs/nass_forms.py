"""QuickStats inputs: the columns of a bulk file, an API response, a web download.

Key columns have the maximum length that NASS documents; the others have room to spare.
"""

from __future__ import annotations

from etl.specs.forms import Column, Delimited, Fill, InputForm, JsonRecords

SERIES = (
    Column("source", "SOURCE_DESC", meaning="program: CENSUS or SURVEY", max_bytes=60),
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
    Column(
        "short_desc",
        "SHORT_DESC",
        meaning="data item: the name that NASS gives the series",
        max_bytes=512,
    ),
    Column(
        "domain",
        "DOMAIN_DESC",
        meaning="what figures are broken down by",
        max_bytes=256,
    ),
    Column(
        "domain_category",
        "DOMAINCAT_DESC",
        meaning="category within the domain",
        max_bytes=512,
    ),
)
LOCATION = (
    Column("agg_level", "AGG_LEVEL_DESC", meaning="COUNTY, STATE, …", max_bytes=60),
    Column("state_ansi", "STATE_ANSI", meaning="ANSI code of the state", digits=2),
    Column(
        "state_fips",
        "STATE_FIPS_CODE",
        meaning="99 is the US, 98 other states",
        digits=2,
        max_bytes=20,
    ),
    Column("state_alpha", "STATE_ALPHA", meaning="postal code of the state"),
    Column("state_name", "STATE_NAME", meaning="name of the state"),
    Column(
        "asd_code",
        "ASD_CODE",
        meaning="agricultural statistics district",
        digits=2,
        max_bytes=20,
    ),
    Column("asd_desc", "ASD_DESC", meaning="name of the district"),
    Column(
        "county_ansi",
        "COUNTY_ANSI",
        meaning="ANSI code of the county in its state",
        digits=3,
    ),
    Column(
        "county_code",
        "COUNTY_CODE",
        meaning="998 is other (combined) counties",
        digits=3,
        max_bytes=20,
    ),
    Column("county_name", "COUNTY_NAME", meaning="name of the county"),
    Column(
        "region_desc",
        "REGION_DESC",
        meaning="region that is no state or county",
        max_bytes=200,
    ),
    Column(
        "zip_5", "ZIP_5", meaning="postal code, five digits", digits=5, max_bytes=20
    ),
    Column(
        "watershed_code",
        "WATERSHED_CODE",
        meaning="hydrologic unit code",
        digits=8,
        max_bytes=20,
    ),
    Column("watershed_desc", "WATERSHED_DESC", meaning="name of the watershed"),
    Column(
        "congr_district_code",
        "CONGR_DISTRICT_CODE",
        meaning="congressional district",
        digits=2,
        max_bytes=20,
    ),
    Column("country_code", "COUNTRY_CODE", meaning="US Census code of the country"),
    Column("country_name", "COUNTRY_NAME", meaning="name of the country"),
    Column("location_desc", "LOCATION_DESC", meaning="the whole location in words"),
)
PERIOD = (
    Column("year", "YEAR", meaning="year of the value"),
    Column("freq", "FREQ_DESC", meaning="ANNUAL, MONTHLY, WEEKLY, POINT IN TIME, …"),
    Column(
        "begin_code",
        "BEGIN_CODE",
        meaning="first month or week of the period",
        digits=2,
    ),
    Column(
        "end_code", "END_CODE", meaning="last month or week of the period", digits=2
    ),
    Column(
        "reference_period",
        "REFERENCE_PERIOD_DESC",
        meaning="the period within the year in words",
        max_bytes=200,
    ),
    Column("week_ending", "WEEK_ENDING", meaning="last day of the week", max_bytes=60),
)
FIGURE = (
    Column("load_time", "LOAD_TIME", meaning="when NASS loaded it; no revision alone"),
    Column("value", "VALUE", meaning="the figure in `unit`, or a code such as (D)"),
    Column("cv_pct", "CV_%", also=("CV (%)",), meaning="in percent, or a code"),
)
BULK = SERIES + LOCATION + PERIOD + FIGURE

COMBINED_CODE = "998"
COMBINED_NAMES = frozenset({"OTHER (COMBINED) COUNTIES", "OTHER COUNTIES"})

WEB_HEADERS = {
    "source": "Program",
    "year": "Year",
    "reference_period": "Period",
    "week_ending": "Week Ending",
    "agg_level": "Geo Level",
    "state_name": "State",
    "state_fips": "State ANSI",
    "asd_desc": "Ag District",
    "asd_code": "Ag District Code",
    "county_name": "County",
    "county_code": "County ANSI",
    "zip_5": "Zip Code",
    "region_desc": "Region",
    "watershed_code": "watershed_code",
    "watershed_desc": "Watershed",
    "commodity": "Commodity",
    "short_desc": "Data Item",
    "domain": "Domain",
    "domain_category": "Domain Category",
    "value": "Value",
    "cv_pct": "CV (%)",
}


def _web_columns() -> tuple[Column, ...]:
    """Return the columns of a web download, which has other headers."""
    known = {column.name: column for column in BULK}
    return tuple(
        Column(
            name,
            header,
            meaning=known[name].meaning,
            digits=known[name].digits,
            max_bytes=known[name].max_bytes,
        )
        for name, header in WEB_HEADERS.items()
    )


FORMS = (
    InputForm("bulk file", Delimited("\t"), BULK),
    InputForm("API response", JsonRecords("data"), BULK),
    InputForm(
        "web download",
        Delimited(",", quote='"'),
        _web_columns(),
        # It prints ANSI codes, and the combined counties have none.
        fills=(
            Fill(
                "county_code",
                COMBINED_CODE,
                when={
                    "agg_level": frozenset({"COUNTY"}),
                    "county_name": COMBINED_NAMES,
                },
            ),
        ),
    ),
)
