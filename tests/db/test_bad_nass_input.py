"""Bad input loses nothing: a clear error, or counted rejects with line and reason."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Edit = Callable[[Any], str | bytes]


def with_cell(line: int, column: str, value: str) -> Edit:
    """Return an edit that changes one cell."""
    return lambda table: table.set(line, column, value).text()


def with_line(line: int, change: Callable[[bytes], bytes]) -> Edit:
    """Return an edit that changes the bytes of one line."""

    def edit(table: Any) -> bytes:
        lines = [text.encode() for text in table.lines()]
        lines[line - 1] = change(lines[line - 1])
        return b"\n".join(lines) + b"\n"

    return edit


REJECTS: dict[str, tuple[Edit, tuple[int, str, str]]] = {
    "no number": (with_cell(5, "VALUE", "12 acres"), (5, "value", "not_a_number")),
    "separator misplaced": (
        with_cell(5, "VALUE", "1,23"),
        (5, "value", "not_a_number"),
    ),
    "other digits": (with_cell(5, "VALUE", "١٢٣"), (5, "value", "not_a_number")),
    "exponent": (with_cell(5, "VALUE", "1e5"), (5, "value", "not_a_number")),
    "not finite": (with_cell(5, "VALUE", "NaN"), (5, "value", "not_a_number")),
    "huge": (with_cell(5, "VALUE", "9" * 20), (5, "value", "number_out_of_range")),
    "unknown code": (with_cell(5, "VALUE", "(Q)"), (5, "value", "unknown_flag")),
    "blank value": (with_cell(5, "VALUE", ""), (5, "value", "blank")),
    "negative cv": (with_cell(5, "CV_%", "-1"), (5, "cv_pct", "number_out_of_range")),
    "no year": (with_cell(5, "YEAR", "20x2"), (5, "year", "not_a_year")),
    "far year": (with_cell(5, "YEAR", "2999"), (5, "year", "not_a_year")),
    "no such county": (
        with_cell(5, "COUNTY_CODE", "002"),
        (5, "county_code", "unknown_county"),
    ),
    "county of no state": (
        with_cell(5, "STATE_FIPS_CODE", "99"),
        (5, "state_fips", "unknown_state"),
    ),
    "no such state": (
        with_cell(5, "STATE_FIPS_CODE", "03"),
        (5, "state_fips", "unknown_state"),
    ),
    "no commodity": (with_cell(5, "COMMODITY_DESC", "  "), (5, "commodity", "blank")),
    "bad UTF-8": (with_line(5, lambda line: line + b"\xff"), (5, "", "not_utf8")),
    "NUL byte": (with_line(5, lambda line: b"\0" + line), (5, "", "nul_byte")),
    "field too many": (
        with_line(5, lambda line: line + b"\tx"),
        (5, "", "wrong_number_of_fields"),
    ),
    "field too few": (
        with_line(239, lambda line: line.rpartition(b"\t")[0]),
        (239, "", "wrong_number_of_fields"),
    ),
}


@pytest.mark.parametrize("case", REJECTS)
def test_a_bad_line_is_rejected_and_reported(lab: Any, table: Any, case: str) -> None:
    edit, (line, column, rule) = REJECTS[case]
    content = edit(table)
    receipt = lab.nass(content)
    assert receipt.status == "loaded"
    assert (receipt.counts.read, receipt.counts.kept) == (238, 237)
    assert receipt.rejects_by_rule == {rule: 1}
    stored = lab.rows("SELECT line, column_name, rule, raw_text FROM out_nass__rejects")
    assert [row[:3] for row in stored] == [(line, column, rule)]
    raw = content.encode() if isinstance(content, str) else content
    quoted = raw.split(b"\n")[line - 1].decode(errors="replace").replace("\0", "␀")
    assert stored[0][3] == quoted
    lines = {row[0] for row in lab.rows("SELECT raw_line FROM core_nass__value")}
    assert lines == set(range(2, 240)) - {line}


def test_fields_that_make_up_for_each_other(lab: Any, table: Any) -> None:
    lines = table.lines()
    lines[4], lines[5] = lines[4] + "\tx", lines[5].rpartition("\t")[0]
    receipt = lab.nass("\n".join(lines))
    assert receipt.rejects_by_rule == {"wrong_number_of_fields": 2}


def test_repeated_line_is_rejected_and_the_first_kept(lab: Any, table: Any) -> None:
    table.rows.append(list(table.rows[0]))
    receipt = lab.nass(table.text())
    assert (receipt.counts.read, receipt.counts.kept) == (239, 238)
    assert [(r.line, r.rule) for r in receipt.first_rejects] == [(240, "repeated_key")]


def test_every_line_of_a_conflicting_key_is_rejected(lab: Any, table: Any) -> None:
    table.rows += [list(table.rows[0]), list(table.rows[0])]
    table.set(240, "VALUE", "1")
    receipt = lab.nass(table.text())
    assert receipt.rejects_by_rule == {"conflicting_key": 3}
    assert [r.line for r in receipt.first_rejects] == [2, 240, 241]
    assert receipt.counts.kept == 237


def test_rejected_revision_leaves_the_stored_value(lab: Any, table: Any) -> None:
    lab.nass(table.text())
    before = lab.contents()
    lab.nass(table.set(5, "VALUE", "oops").text())
    assert lab.contents() == before


def test_too_many_rejects_fail_the_source_and_are_stored(lab: Any, table: Any) -> None:
    for line in range(2, 23):
        table.set(line, "VALUE", "oops")
    receipt = lab.nass(table.text())
    assert receipt.status == "failed"
    assert receipt.error.code == "DATA"
    assert "21 of 238 rows rejected (not_a_number 21)" in receipt.error.message
    assert "more than the 11 allowed" in receipt.error.message
    assert "line 2, value, 'oops'" in receipt.error.message
    assert receipt.error.hint.startswith("./etl rejects --run")
    assert lab.one("SELECT count(*) FROM core_nass__value") == 0
    assert lab.one("SELECT count(*) FROM out_nass__rejects") == 21


def column_missing(table: Any) -> str:
    return "\n".join(line.rpartition("\t")[0] for line in table.lines())


def column_unknown(table: Any) -> str:
    changed: str = table.text().replace("VALUE", "VALEU")
    return changed


def column_twice(table: Any) -> str:
    changed: str = table.text().replace("ZIP_5", "VALUE")
    return changed


def comma_separated(table: Any) -> str:
    changed: str = table.text().replace("\t", ",")
    return changed


def truncated(table: Any) -> bytes:
    return gzip.compress(table.text().encode())[:-300]


def corrupt(table: Any) -> bytes:
    packed = bytearray(gzip.compress(table.text().encode()))
    packed[len(packed) // 2] ^= 0xFF
    return bytes(packed)


ERRORS: dict[str, tuple[Edit, str, str]] = {
    "column missing": (column_missing, "SOURCE_CHANGED", "missing CV_%"),
    "column unknown": (column_unknown, "SOURCE_CHANGED", "VALEU (is it VALUE?)"),
    "column twice": (column_twice, "SOURCE_CHANGED", "twice VALUE"),
    "comma separated": (comma_separated, "SOURCE_CHANGED", "has no '\\t' between"),
    "empty": (lambda table: b"", "DATA", "is empty"),
    "empty gzip": (lambda table: gzip.compress(b""), "DATA", "is empty"),
    "header only": (lambda table: table.lines()[0], "DATA", "it has no rows"),
    "truncated gzip": (truncated, "DATA", "truncated or corrupt"),
    "corrupt gzip": (corrupt, "DATA", "truncated or corrupt"),
    "workbook": (lambda table: b"PK\x03\x04" + b"x" * 99, "DATA", "a workbook"),
    "UTF-16": (lambda table: table.text().encode("utf-16"), "DATA", "UTF-16"),
    "binary": (lambda table: bytes(range(256)), "DATA", "no UTF-8 text"),
    "JSON cut off": (lambda table: '{"data": [{"year":', "DATA", "cut off or broken"),
    "JSON of another shape": (lambda table: "[1, 2]", "SOURCE_CHANGED", "wants"),
    "JSON without records": (lambda table: '{"data": []}', "DATA", "no records"),
    "JSON of other fields": (
        lambda table: json.dumps({"data": [{"year": 2020}]}),
        "SOURCE_CHANGED",
        "missing SOURCE_DESC",
    ),
    "error message": (
        lambda table: '{"error": ["exceeds limit=50000"]}',
        "SOURCE_CHANGED",
        "exceeds limit=50000",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_unreadable_input_fails_with_a_reason(lab: Any, table: Any, case: str) -> None:
    lab.nass(table.text())
    before = lab.contents()
    edit, code, message = ERRORS[case]
    receipt = lab.nass(edit(table))
    assert receipt.status == "failed"
    assert receipt.error.code == code
    assert message in receipt.error.message
    assert receipt.error.hint
    assert lab.contents() == before


def elsewhere(table: Any) -> list[str]:
    """Return the lines of the table, without header, about figures of another class."""
    for line in range(2, len(table.rows) + 2):
        table.set(line, "SHORT_DESC", f"SOUND {table.get(line, 'SHORT_DESC')}")
    lines: list[str] = table.lines()[1:]
    return lines


def test_file_with_every_kind_of_mess(lab: Any, table: Any) -> None:
    messy = (Path(__file__).parents[1] / "data/nass_mess.tsv").read_bytes()
    sound = [line.encode() + b"\n" for line in elsewhere(table)]
    receipt = lab.nass(messy.rstrip(b"\n") + b"\n" + b"".join(sound))
    assert (receipt.counts.read, receipt.counts.kept) == (254, 245)
    found = lab.rows("SELECT line, rule FROM out_nass__rejects ORDER BY line")
    assert found == [
        (3, "conflicting_key"),
        (9, "not_a_number"),
        (10, "unknown_flag"),
        (11, "not_a_year"),
        (12, "unknown_county"),
        (13, "unknown_state"),
        (14, "repeated_key"),
        (15, "conflicting_key"),
        (16, "wrong_number_of_fields"),
    ]
    flags = lab.rows(
        "SELECT raw_line, value_flag, cv_flag FROM out_nass__values "
        "WHERE coalesce(value_flag, cv_flag) IS NOT NULL AND raw_line < 18 "
        "ORDER BY raw_line"
    )
    assert flags == [
        (2, "(D)", None),
        (4, "(NA)", None),
        (7, None, "(H)"),
        (8, None, "(L)"),
    ]


ODD = [
    *(
        b"\t",
        b"\n",
        b"\r",
        b'"',
        b"\0",
        b"\xff",
        b"\\N",
        b"\\.",
        b"(D)",
        b"0,123",
        b"6",
    ),
    *("é".encode(), b"9" * 30, b"x" * 3000, b"-", b"1990", b"STATE", b"COUNTY", b"998"),
]


def test_mess_in_any_place_is_counted(lab: Any, table: Any) -> None:
    """Whatever the mess, the load ends with counts that add up or a clear error."""
    chance = random.Random(7)
    header, *lines = table.text().encode().splitlines()
    for _ in range(25):
        cells = [line.split(b"\t") for line in chance.sample(lines, 60)]
        for row in chance.choices(cells, k=5):
            row[chance.randrange(len(row))] = chance.choice(ODD)
        content = b"\n".join([header, *(b"\t".join(row) for row in cells)])
        receipt = lab.nass(content, complete=chance.random() < 0.3)
        assert receipt.error is None or receipt.error.code == "DATA", receipt.error
        counts = receipt.counts
        assert counts.read == counts.kept + counts.rejected
        assert counts.read + counts.out_of_scope >= 55


@pytest.mark.parametrize(
    ("rows", "bad", "status"),
    [(238, 11, "loaded"), (238, 12, "failed"), (73, 3, "loaded"), (73, 4, "failed"),
     (19, 1, "failed")],
)  # fmt: skip
def test_a_few_rejects_are_few_in_a_small_file_too(
    lab: Any, table: Any, rows: int, bad: int, status: str
) -> None:
    """Twenty rows once excused 27 % of a file of 73 rows."""
    del table.rows[rows:]
    for line in range(2, 2 + bad):
        table.set(line, "VALUE", "oops")
    assert lab.nass(table.text()).status == status
