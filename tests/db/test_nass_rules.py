"""Rules of NASS rows: codes, names and texts that fit nowhere or contradict others."""

from __future__ import annotations

import json
from typing import Any

import pytest

LONG = "x" * 1001
REJECTS = {
    "county without a code": ({"COUNTY_CODE": ""}, "county_code", "blank"),
    "district without a code": (
        {"AGG_LEVEL_DESC": "AGRICULTURAL DISTRICT"},
        "asd_code",
        "blank",
    ),
    "unknown level": ({"AGG_LEVEL_DESC": "PARISH"}, "agg_level", "unknown_level"),
    "level above a state": (
        {"AGG_LEVEL_DESC": "NATIONAL"},
        "agg_level",
        "unknown_level",
    ),
    "unknown program": ({"SOURCE_DESC": "GUESS"}, "source", "unknown_program"),
    "load time": ({"LOAD_TIME": "yesterday"}, "load_time", "not_a_time"),
    "day that is none": (
        {"LOAD_TIME": "2026-02-30 00:00:00"},
        "load_time",
        "not_a_time",
    ),
    "hour that is none": (
        {"LOAD_TIME": "2026-02-03 25:00:00"},
        "load_time",
        "not_a_time",
    ),
    "abbreviation of another state": (
        {"STATE_ALPHA": "OR"},
        "state_alpha",
        "state_differs",
    ),
    "name of another state": (
        {"STATE_NAME": "OREGON"},
        "state_name",
        "state_differs",
    ),
    "California under another code": (
        {"STATE_FIPS_CODE": "41"},
        "state_fips",
        "state_differs",
    ),
    "name of another county": (
        {"COUNTY_NAME": "YOLO"},
        "county_name",
        "county_differs",
    ),
    "code of another county": (
        {"COUNTY_CODE": "113"},
        "county_name",
        "county_differs",
    ),
    "long class": ({"CLASS_DESC": LONG}, "class_desc", "too_long"),
    "long data item": ({"SHORT_DESC": "x" * 513}, "short_desc", "too_long"),
    "long region": ({"REGION_DESC": "é" * 101}, "region_desc", "too_long"),
    "zero before thousands": ({"VALUE": "0,123"}, "value", "not_a_number"),
}


@pytest.mark.parametrize("case", REJECTS)
def test_row_is_rejected(lab: Any, table: Any, case: str) -> None:
    cells, column, rule = REJECTS[case]
    table.rows = table.rows[:3]
    for header, value in cells.items():
        table.set(3, header, value)
    receipt = lab.nass(table.text())
    assert receipt.rejects_by_rule == {rule: 1}, receipt.error
    (reject,) = receipt.first_rejects
    assert (reject.line, reject.column) == (3, column)
    assert receipt.counts.kept == 2


ACCEPTED: dict[str, dict[str, str]] = {
    "state code without its zero": {"STATE_FIPS_CODE": "6", "STATE_ANSI": "6"},
    "state code only": {"STATE_ALPHA": "", "STATE_NAME": "", "STATE_ANSI": ""},
    "no county name": {"COUNTY_NAME": ""},
    "county name in mixed case": {"COUNTY_NAME": "Glenn County"},
    "county name with an accent": {"COUNTY_NAME": "GLÉNN"},
    "county name cut off": {"COUNTY_NAME": "SAN LUIS OBISP", "COUNTY_CODE": "079"},
    "county name in parts": {"COUNTY_NAME": "DEL-NORTE", "COUNTY_CODE": "015"},
    "combined counties": {"COUNTY_NAME": "OTHER COUNTIES", "COUNTY_CODE": "998"},
    "milliseconds": {"LOAD_TIME": "2023-05-08 15:00:00.000"},
    "no load time": {"LOAD_TIME": ""},
    "longest class": {"CLASS_DESC": "x" * 1000},
    "longest key": {
        "SHORT_DESC": "ü" * 256,
        "DOMAIN_DESC": "é" * 128,
        "DOMAINCAT_DESC": "ö" * 256,
    },
}


def test_rows_as_nass_prints_them_are_accepted(lab: Any, table: Any) -> None:
    base = table.rows[0]
    table.rows = [list(base) for _ in ACCEPTED]
    for line, (case, cells) in enumerate(ACCEPTED.items(), 2):
        table.set(line, "DOMAINCAT_DESC", case)
        for header, value in cells.items():
            table.set(line, header, value)
    receipt = lab.nass(table.text())
    assert receipt.first_rejects == ()
    assert receipt.counts.kept == len(ACCEPTED)


def document(table: Any, **changed: Any) -> dict[str, Any]:
    """Return the first row of a table as a record of the API."""
    record = dict(zip(map(str.lower, table.header), table.rows[0], strict=True))
    record["Value"] = record.pop("value")
    record["CV (%)"] = record.pop("cv_%")
    return record | changed


CELLS: dict[str, tuple[Any, str]] = {
    "list": ([1], "not_a_cell"),
    "object": ({"a": [{}]}, "not_a_cell"),
    "boolean": (True, "not_a_cell"),
    "not a number": (float("nan"), "not_a_cell"),
    "infinite": (float("-inf"), "not_a_cell"),
    "lone surrogate": ("a\ud800b", "not_utf8"),
    "NUL": ("a\0b", "nul_byte"),
    "long": (LONG, "too_long"),
}


@pytest.mark.parametrize("case", CELLS)
def test_cell_of_a_record_that_is_none(lab: Any, table: Any, case: str) -> None:
    cell, rule = CELLS[case]
    records = [document(table), document(table, class_desc=cell, year="1999")]
    receipt = lab.nass(lab.file(json.dumps({"data": records})))
    assert receipt.rejects_by_rule == {rule: 1}, receipt.error
    assert (receipt.counts.read, receipt.counts.kept) == (2, 1)
    assert receipt.first_rejects[0].line == 2
    ((text,),) = lab.rows("SELECT raw_text FROM out_nass__rejects")
    assert '"class_desc"' in text


def test_field_that_a_record_has_twice(lab: Any, table: Any) -> None:
    twice = json.dumps(document(table))[:-1] + ', "YEAR": 1999}'
    content = f'\ufeff{{"data": [{json.dumps(document(table))}, {twice}]}}'
    receipt = lab.nass(lab.file(content))
    assert receipt.rejects_by_rule == {"repeated_field": 1}


BROKEN = {
    "deep": '{"data": [' + "[" * 100_000 + "]" * 100_000 + "]}",
    "deep object": '{"x": ' + '{"a":' * 100_000 + "1" + "}" * 100_001,
    "text after the end": '{"data": [{"year": 1}]} {}',
    "no comma": '{"data": [{"year": 1} {"year": 2}]}',
    "bare NaN": "NaN",
    "key without quotes": "{data: []}",
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_document_is_a_clear_error(lab: Any, case: str) -> None:
    receipt = lab.nass(lab.file(BROKEN[case]))
    assert receipt.status == "failed"
    assert receipt.error.code in ("DATA", "SOURCE_CHANGED")
    assert receipt.error.hint
