"""Real QuickStats lines in all three forms: every figure is loaded as it is printed."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from etl.counts import Counts

CORPUS = Path(__file__).parents[1] / "data/quickstats"
ROWS = {
    "bulk_corn_wheat.tsv": 320,
    "web_strawberries.csv": 261,
    "api_cattle_rent.json": 6,
}
VALUE = ("VALUE", "Value")
CV = ("CV_%", "CV (%)")
ITEM = ("SHORT_DESC", "Data Item", "short_desc")
YEAR = ("YEAR", "Year", "year")
COUNTY = ("COUNTY_CODE", "County ANSI", "county_code")


def records(name: str) -> dict[int, Mapping[str, Any]]:
    """Return the records of a file by line, read without our own code."""
    path = CORPUS / name
    if path.suffix == ".json":
        return dict(enumerate(json.loads(path.read_text())["data"], 1))
    with path.open(newline="") as file:
        if path.suffix == ".csv":
            return dict(enumerate(csv.DictReader(file), 2))
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return dict(enumerate(rows, 2))


def cell(record: Mapping[str, Any], headers: tuple[str, ...]) -> str:
    """Return the cell of the first header that a record has."""
    return str(next(record[h] for h in headers if h in record)).strip()


def printed(number: Decimal | None, flag: str | None) -> Decimal | str:
    """Return a stored number or its code."""
    return flag or ("" if number is None else number)


def as_printed(text: str) -> Decimal | str:
    """Return a published cell as a number, if it is one."""
    return text if not text or text[0] == "(" else Decimal(text.replace(",", ""))


@pytest.mark.parametrize("name", ROWS)
def test_every_figure_is_that_of_its_line(lab: Any, name: str) -> None:
    receipt = lab.nass(lab.store.put(CORPUS / name))
    count = ROWS[name]
    assert receipt.counts == Counts(read=count, kept=count, inserted=count)
    assert all(check.passed for check in receipt.checks)
    lines = records(name)
    stored = lab.rows(
        "SELECT raw_line, value, value_flag, cv_pct, cv_flag, short_desc, year, "
        "coalesce(county_code, '') FROM out_nass__values"
    )
    assert {row[0] for row in stored} == set(lines)
    for line, value, flag, cv, cv_flag, item, year, county in stored:
        record = lines[line]
        assert printed(value, flag) == as_printed(cell(record, VALUE))
        assert printed(cv, cv_flag) == as_printed(cell(record, CV))
        assert (item, str(year)) == (cell(record, ITEM), cell(record, YEAR))
        assert county == cell(record, COUNTY)


def test_the_forms_do_not_disturb_each_other(lab: Any) -> None:
    """They describe Alameda in two ways, and that is all that changes."""
    raw = {name: lab.store.put(CORPUS / name) for name in ROWS}
    for name, count in ROWS.items():
        assert lab.nass(raw[name]).counts.inserted == count
    for name, count in ROWS.items():
        receipt = lab.nass(raw[name], reload=True)
        assert receipt.counts == Counts(read=count, kept=count, unchanged=count)
        updated = {table: n["updated"] for table, n in receipt.tables.items()}
        assert updated.pop("core_nass__location") <= 1
        assert set(updated.values()) == {0}
    history = lab.rows(
        "SELECT DISTINCT location_desc FROM core_nass__location_history "
        "WHERE location_key = 'COUNTY|06|001'"
    )
    assert {name for (name,) in history} == {
        "CALIFORNIA, ALAMEDA",
        "CALIFORNIA, CENTRAL COAST, ALAMEDA",
    }
