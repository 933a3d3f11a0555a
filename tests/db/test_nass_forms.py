"""Bulk file, API response and web download of the same figures have the same keys."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest

from etl.counts import Counts
from etl.specs.nass_forms import BULK, WEB_HEADERS

QUICKSTATS = Path(__file__).parents[3] / "shared/data/quickstats"
WEB = QUICKSTATS / "strawberries_california.csv.gz"
CORPUS = Path(__file__).parents[1] / "data/quickstats"
API = CORPUS / "api_cattle_rent.json"

KEYS = "SELECT series_id, location_id, period_id FROM core_nass__value ORDER BY 1, 2, 3"
needs_shared = pytest.mark.skipif(
    not QUICKSTATS.exists(), reason="the shared files are not here"
)


def as_web(table: Any) -> str:
    """Return a bulk table as a web download of the same figures."""
    headers = {column.name: column.header for column in BULK}
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(WEB_HEADERS.values())
    for row in table.rows:
        cells = dict(zip(table.header, row, strict=True))
        cells["STATE_FIPS_CODE"] = cells["STATE_ANSI"]
        cells["COUNTY_CODE"] = cells["COUNTY_CODE"].replace("998", "")
        writer.writerow(cells[headers[name]] for name in WEB_HEADERS)
    return text.getvalue()


def as_bulk(record: dict[str, Any]) -> str:
    """Return a record of an API response as a bulk file with one line."""
    lower = {name.lower().replace("cv (%)", "cv_%"): v for name, v in record.items()}
    headers = [column.header for column in BULK]
    cells = [str(lower[header.lower()]) for header in headers]
    return "\t".join(headers) + "\n" + "\t".join(cells) + "\n"


def test_web_download_has_the_keys_of_the_bulk_file(lab: Any, table: Any) -> None:
    """And it leaves the descriptions that it lacks as they are."""
    lab.nass(table.text())
    dimensions = ("core_nass__series", "core_nass__location", "core_nass__period")
    before = [lab.rows(f"SELECT * FROM {name} ORDER BY 1") for name in dimensions]
    receipt = lab.nass(lab.file(as_web(table), "web.csv"))
    assert receipt.counts == Counts(read=238, kept=238, unchanged=238)
    assert [
        lab.rows(f"SELECT * FROM {name} ORDER BY 1") for name in dimensions
    ] == before
    assert lab.one("SELECT count(*) FROM core_nass__series_history") == 0


def test_bulk_file_completes_what_a_web_download_left_open(
    lab: Any, table: Any
) -> None:
    lab.nass(lab.file(as_web(table), "web.csv"))
    assert lab.one("SELECT count(*) FROM out_nass__values WHERE unit IS NULL") == 238
    receipt = lab.nass(table.text())
    assert receipt.counts == Counts(read=238, kept=238, unchanged=238)
    assert lab.one("SELECT count(*) FROM out_nass__values WHERE unit IS NULL") == 0
    assert lab.one("SELECT count(*) FROM core_nass__series_history WHERE unit IS NULL")


@needs_shared
def test_strawberries_load_whole(lab: Any) -> None:
    raw = lab.store.put(WEB)
    receipt = lab.nass(raw)
    assert receipt.counts == Counts(read=2575, kept=2575, inserted=2575)
    flags = "SELECT count(*) FROM out_nass__values WHERE value_flag = :flag"
    found = {flag: lab.one(flags, flag=flag) for flag in ("(D)", "(NA)", "(Z)")}
    assert found == {"(D)": 805, "(NA)": 189, "(Z)": 3}
    cvs = "SELECT cv_flag, count(*) FROM out_nass__values GROUP BY 1 ORDER BY 1"
    assert dict(lab.rows(cvs)) == {"(D)": 60, "(L)": 10, "(H)": 4, None: 2501}
    with gzip.open(WEB, "rt", newline="") as file:
        lines = dict(enumerate(csv.DictReader(file), 2))
    for line, item, year, value in lab.rows(
        "SELECT raw_line, short_desc, year, value FROM out_nass__values "
        "WHERE value IS NOT NULL"
    ):
        assert (lines[line]["Data Item"], int(lines[line]["Year"])) == (item, year)
        assert float(lines[line]["Value"].replace(",", "")) == float(value)


def test_every_record_of_an_api_response_has_the_key_of_its_bulk_line(
    lab: Any,
) -> None:
    records = json.loads(API.read_text())["data"]
    lab.nass(lab.store.put(API))
    keys = lab.rows(KEYS)
    assert len(keys) == len(records) == 6
    for record in records:
        receipt = lab.nass(lab.file(as_bulk(record)))
        assert receipt.counts == Counts(read=1, kept=1, unchanged=1)
    assert lab.rows(KEYS) == keys


def test_codes_without_leading_zeros_are_the_same_codes(lab: Any, table: Any) -> None:
    lab.nass(table.text())
    for line in range(2, len(table.rows) + 2):
        for column in ("STATE_FIPS_CODE", "STATE_ANSI", "COUNTY_CODE", "COUNTY_ANSI"):
            table.set(line, column, table.get(line, column).lstrip("0"))
    receipt = lab.nass(table.text())
    assert receipt.counts == Counts(read=238, kept=238, unchanged=238)
