"""The key of a figure is its codes, level, period and series; the rest describes it."""

from __future__ import annotations

from typing import Any

import pytest

from etl.counts import Counts

KEY = {
    "SOURCE_DESC": "CENSUS",
    "SHORT_DESC": "OTHER",
    "DOMAIN_DESC": "OTHER",
    "DOMAINCAT_DESC": "OTHER",
    "YEAR": "1999",
    "REFERENCE_PERIOD_DESC": "OTHER",
    "WEEK_ENDING": "1999-01-02",
}
LEVELS = {
    "COUNTY": ("COUNTY_CODE", "001", "003"),
    "AGRICULTURAL DISTRICT": ("ASD_CODE", "10", "20"),
    "ZIP CODE": ("ZIP_5", "94501", "94502"),
    "CONGRESSIONAL DISTRICT": ("CONGR_DISTRICT_CODE", "01", "02"),
    "WATERSHED": ("WATERSHED_CODE", "18010101", "18010102"),
    "REGION : SUB-STATE": ("REGION_DESC", "DELTA", "COAST"),
}
SERIES, LOCATION, PERIOD = (
    "core_nass__series",
    "core_nass__location",
    "core_nass__period",
)
DESCRIPTIONS = {
    "GROUP_DESC": (SERIES, "group_desc", "GRAINS"),
    "CLASS_DESC": (SERIES, "class_desc", "ALL"),
    "UNIT_DESC": (SERIES, "unit", "ACRE"),
    "ASD_CODE": (LOCATION, "asd_code", "51"),
    "ASD_DESC": (LOCATION, "asd_desc", "SAN JOAQUIN VALLEY"),
    "LOCATION_DESC": (LOCATION, "location_desc", "CALIFORNIA, ELSEWHERE"),
    "FREQ_DESC": (PERIOD, "freq", "YEARLY"),
    "BEGIN_CODE": (PERIOD, "begin_code", "01"),
}
TWO_WAYS = "rows of {} that the input describes in two ways"


def test_column_of_the_key_makes_another_figure(lab: Any, table: Any) -> None:
    table.rows = [list(table.rows[0]) for _ in range(len(KEY) + 1)]
    for line, (column, value) in enumerate(KEY.items(), 3):
        table.set(line, column, value)
    receipt = lab.nass(table.text())
    assert receipt.counts == Counts(read=8, kept=8, inserted=8)


def test_code_of_the_level_makes_another_figure(lab: Any, table: Any) -> None:
    """And the same code is the same figure; without it there is none."""
    base, sound, table.rows = table.rows[0], table.rows, []
    for level, (column, *codes) in LEVELS.items():
        for code in (*codes, codes[0], ""):
            table.rows.append(list(base))
            line = len(table.rows) + 1
            table.set(line, "AGG_LEVEL_DESC", level).set(line, "COUNTY_NAME", "")
            table.set(line, column, code)
    place = table.header.index("SHORT_DESC")
    # Other figures, so that the rejects are within the limit of a small file.
    table.rows += [[*r[:place], f"OTHER {r[place]}", *r[place + 1 :]] for r in sound]
    receipt = lab.nass(table.text())
    assert receipt.counts.inserted == 2 * len(LEVELS) + len(sound)
    assert receipt.rejects_by_rule == {
        "repeated_key": len(LEVELS),
        "blank": len(LEVELS),
    }


def test_combined_counties_are_one_per_district(lab: Any, table: Any) -> None:
    combined = next(row for row in table.rows if "998" in row)
    table.rows = [list(combined), list(combined)]
    table.set(2, "ASD_CODE", "40").set(3, "ASD_CODE", "51")
    assert lab.nass(table.text()).counts.inserted == 2
    assert lab.rows(
        "SELECT location_key, geoid FROM core_nass__location ORDER BY 1"
    ) == [("COUNTY|06|998|40", "06998"), ("COUNTY|06|998|51", "06998")]


@pytest.mark.parametrize("column", DESCRIPTIONS)
def test_other_description_is_the_same_figure(
    lab: Any, table: Any, column: str
) -> None:
    """It replaces the former description, which stays in the history."""
    for line in range(2, len(table.rows) + 2):
        if table.get(line, "COUNTY_CODE") == "998":
            table.set(line, "COUNTY_CODE", "115").set(line, "COUNTY_NAME", "YUBA")
    lab.nass(table.text())
    dimension, name, text = DESCRIPTIONS[column]
    known = lab.rows(f"SELECT {name} FROM {dimension} WHERE {name} IS NOT NULL")
    for line in range(2, len(table.rows) + 2):
        table.set(line, column, text)
    receipt = lab.nass(table.text())
    assert receipt.counts == Counts(read=238, kept=238, unchanged=238)
    assert lab.rows(f"SELECT DISTINCT {name} FROM {dimension}") == [(text,)]
    history = lab.rows(f"SELECT {name} FROM {dimension}_history")
    assert receipt.tables[dimension]["updated"] == len(history) > 0
    assert set(known) <= set(history)
    again = lab.nass(table.text(), reload=True)
    assert [merged["updated"] for merged in again.tables.values()] == [0, 0, 0, 0]


def test_blank_description_leaves_what_is_known(lab: Any, table: Any) -> None:
    lab.nass(table.text())
    known = lab.rows("SELECT * FROM core_nass__location ORDER BY 1")
    for line in range(2, len(table.rows) + 2):
        for column in ("COUNTY_NAME", "COUNTY_ANSI", "LOCATION_DESC", "STATE_ALPHA"):
            table.set(line, column, "")
    receipt = lab.nass(table.text())
    assert receipt.tables["core_nass__location"]["updated"] == 0
    assert lab.rows("SELECT * FROM core_nass__location ORDER BY 1") == known


def test_two_descriptions_in_an_input_are_reported(lab: Any, table: Any) -> None:
    table.set(2, "LOCATION_DESC", "ELSEWHERE").set(3, "UNIT_DESC", "ACRE")
    receipt = lab.nass(table.text())
    assert receipt.counts.kept == 238
    warnings = [(c.name, c.seen) for c in receipt.checks if not c.passed]
    assert sorted(warnings) == [
        (TWO_WAYS.format(LOCATION), "location_desc 1"),
        (TWO_WAYS.format(SERIES), "unit 1"),
    ]


@pytest.mark.parametrize("column", ["CLASS_DESC", "UNIT_DESC", "FREQ_DESC"])
@pytest.mark.parametrize("value", [None, "77"])
def test_two_series_under_one_key_are_not_merged(
    lab: Any, table: Any, column: str, value: str | None
) -> None:
    table.rows.append(list(table.rows[0]))
    table.set(240, column, "OTHER")
    if value:
        table.set(240, "VALUE", value)
    receipt = lab.nass(table.text())
    assert receipt.rejects_by_rule == {"ambiguous_key": 2}
    assert [r.line for r in receipt.first_rejects] == [2, 240]
    assert DESCRIPTIONS[column][1] in receipt.first_rejects[0].reason
