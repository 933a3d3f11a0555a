"""NASS files end to end: what is in the database after a load, and after the next."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from etl.counts import Counts

CALIFORNIA = Path(__file__).parents[3] / "shared/data/nass_california.tsv.gz"


def test_sample_is_loaded_whole(lab: Any, table: Any) -> None:
    receipt = lab.nass(table.text())
    assert receipt.counts == Counts(read=238, kept=238, inserted=238)
    assert lab.one("SELECT count(*) FROM out_nass__values WHERE value = 0") == 37
    assert all(check.passed for check in receipt.checks)


def test_second_load_changes_nothing(lab: Any, table: Any) -> None:
    lab.nass(table.text())
    before = lab.rows("SELECT * FROM core_nass__value ORDER BY 1, 2, 3")
    again = lab.nass(table.text(), reload=True)
    assert not again.same_input
    assert again.counts == Counts(read=238, kept=238, unchanged=238)
    assert lab.rows("SELECT * FROM core_nass__value ORDER BY 1, 2, 3") == before


@pytest.mark.parametrize(
    ("published", "value", "flag"),
    [
        ("0", Decimal(0), None),
        ("11,400", Decimal(11400), None),
        ("1,234,567.890", Decimal("1234567.890"), None),
        ("-3.5", Decimal("-3.5"), None),
        (".5", Decimal("0.5"), None),
        ("                 (D)", None, "(D)"),
        (" (Z) ", None, "(Z)"),
        ("(NA)", None, "(NA)"),
        ("(S)", None, "(S)"),
        ("(X)", None, "(X)"),
    ],
)
def test_value_as_published(
    lab: Any, table: Any, published: str, value: Decimal | None, flag: str | None
) -> None:
    receipt = lab.nass(table.set(2, "VALUE", published).text())
    assert receipt.counts.rejected == 0
    stored = lab.rows(
        "SELECT value, value_flag FROM out_nass__values WHERE raw_line = 2"
    )
    assert stored == [(value, flag)]


def test_cv_is_kept_with_its_codes(lab: Any, table: Any) -> None:
    table.set(2, "CV_%", "12.3").set(3, "CV_%", "(H)").set(4, "CV_%", "")
    lab.nass(table.text())
    assert lab.rows(
        "SELECT cv_pct, cv_flag FROM out_nass__values WHERE raw_line < 5 "
        "ORDER BY raw_line"
    ) == [(Decimal("12.3"), None), (None, "(H)"), (None, None)]


def test_revised_value_updates_and_leaves_its_history(lab: Any, table: Any) -> None:
    lab.nass(table.text())
    for line in range(2, 12):
        table.set(line, "VALUE", "123,456")
    receipt = lab.nass(table.text())
    assert (receipt.counts.updated, receipt.counts.unchanged) == (10, 228)
    history = lab.rows("SELECT change, value FROM core_nass__value_history")
    assert [change for change, _ in history] == ["updated"] * 10
    assert Decimal(123456) not in {value for _, value in history}
    assert lab.one("SELECT count(*) FROM out_nass__values WHERE value = 123456") == 10


def test_suppressed_later_and_published_again(lab: Any, table: Any) -> None:
    first = table.get(2, "VALUE")
    for published in (first, "(D)", first):
        lab.nass(table.set(2, "VALUE", published).text())
    assert lab.rows(
        "SELECT value IS NULL, value_flag FROM core_nass__value_history ORDER BY 1"
    ) == [(False, None), (True, "(D)")]


def test_new_load_time_alone_is_no_revision(lab: Any, table: Any) -> None:
    lab.nass(table.text())
    table.set(2, "LOAD_TIME", "2027-01-01 00:00:00")
    assert lab.nass(table.text()).counts.updated == 0


def test_absent_values_stay_unless_the_input_is_complete(lab: Any, table: Any) -> None:
    lab.nass(table.text())
    del table.rows[:10]
    assert lab.nass(table.text()).counts.retracted == 0
    receipt = lab.nass(table.text(), complete=True)
    assert receipt.counts.retracted == 10
    assert lab.one("SELECT count(*) FROM out_nass__values") == 228
    assert (
        lab.one(
            "SELECT count(*) FROM out_nass__value_history WHERE change = 'retracted'"
        )
        == 10
    )


def test_complete_input_reaches_its_own_program_only(lab: Any, table: Any) -> None:
    lab.nass(table.text())
    for line in range(2, len(table.rows) + 2):
        table.set(line, "SOURCE_DESC", "CENSUS")
    receipt = lab.nass(table.text(), complete=True)
    assert (receipt.counts.retracted, receipt.counts.inserted) == (0, 238)


def test_nothing_is_retracted_by_an_input_with_rejects(lab: Any, table: Any) -> None:
    lab.nass(table.text())
    table.set(2, "VALUE", "unreadable")
    receipt = lab.nass(table.text(), complete=True)
    assert (receipt.counts.rejected, receipt.counts.retracted) == (1, 0)
    assert [check.severity for check in receipt.checks if not check.passed] == [
        "warning"
    ]


def test_api_response_is_the_same_as_the_bulk_file(lab: Any, table: Any) -> None:
    lab.nass(table.text())
    names = [
        {"VALUE": "Value", "CV_%": "CV (%)"}.get(name, name.lower())
        for name in table.header
    ]
    records = [dict(zip(names, row, strict=True)) for row in table.rows]
    for record in records:
        record["year"] = int(record["year"])
    receipt = lab.nass(lab.file(json.dumps({"data": records}), "answer.json"))
    assert receipt.counts == Counts(read=238, kept=238, unchanged=238)


@pytest.mark.parametrize("form", ["gzip", "crlf", "bom", "no last line end", "blanks"])
def test_form_of_the_file_does_not_matter(lab: Any, table: Any, form: str) -> None:
    plain = table.text().encode()
    content = {
        "gzip": gzip.compress(plain),
        "crlf": plain.replace(b"\n", b"\r\n"),
        "bom": b"\xef\xbb\xbf" + plain,
        "no last line end": plain.rstrip(b"\n"),
        "blanks": plain + b"\n\n   \n",
    }[form]
    lab.nass(plain)
    receipt = lab.nass(content)
    assert receipt.counts == Counts(read=238, kept=238, unchanged=238)


def test_other_states_are_counted_and_passed_over(lab: Any, table: Any) -> None:
    for line in (2, 3, 4):
        table.set(line, "STATE_FIPS_CODE", "41").set(line, "STATE_ALPHA", "OR")
        table.set(line, "STATE_NAME", "OREGON")
    table.set(5, "STATE_ALPHA", "US").set(5, "STATE_NAME", "US TOTAL")
    table.set(6, "STATE_FIPS_CODE", "98").set(6, "AGG_LEVEL_DESC", "STATE")
    table.set(6, "STATE_ALPHA", "OT").set(6, "STATE_NAME", "OTHER STATES")
    table.set(5, "STATE_FIPS_CODE", "99").set(5, "AGG_LEVEL_DESC", "NATIONAL")
    receipt = lab.nass(table.text())
    assert receipt.counts.out_of_scope == 5
    assert (receipt.counts.read, receipt.counts.rejected) == (233, 0)


def test_combined_counties_and_districts(lab: Any, table: Any) -> None:
    table.set(2, "AGG_LEVEL_DESC", "AGRICULTURAL DISTRICT").set(2, "COUNTY_CODE", "")
    table.set(2, "ASD_CODE", "40")
    lab.nass(table.text())
    assert lab.one("SELECT geoid FROM out_nass__values WHERE raw_line = 2") is None
    combined = "SELECT count(*) FROM out_nass__values WHERE geoid = '06998'"
    assert lab.one(combined) == 96


@pytest.mark.skipif(not CALIFORNIA.exists(), reason="the shared file is not here")
def test_california_file(lab: Any) -> None:
    raw = lab.store.put(CALIFORNIA)
    assert lab.nass(raw).counts == Counts(read=66_984, kept=66_984, inserted=66_984)
    assert lab.rows(
        "SELECT count(*), count(DISTINCT short_desc), "
        "count(*) FILTER (WHERE value = 0), count(cv_pct) FROM out_nass__values"
    ) == [(66_984, 69, 207, 386)]
    same = lab.nass(raw)
    assert same.same_input
    assert same.counts == Counts(read=66_984, kept=66_984, unchanged=66_984)
    again = lab.nass(raw, reload=True)
    assert again.counts == Counts(read=66_984, kept=66_984, unchanged=66_984)


@pytest.mark.parametrize(
    "odd",
    ['say "x"', "a,b", "a\rb", "\\.", "\\N", "NULL", "", "é – ½", "a\x1fb", "\x01"],
)
def test_text_arrives_as_it_was(lab: Any, table: Any, odd: str) -> None:
    receipt = lab.nass(table.set(5, "DOMAINCAT_DESC", odd).text())
    assert receipt.counts.kept == 238
    stored = lab.one("SELECT domain_category FROM out_nass__values WHERE raw_line = 5")
    assert stored == (odd or None)


def test_json_may_hold_what_a_line_cannot(lab: Any, table: Any) -> None:
    record = dict(zip(map(str.lower, table.header), table.rows[0], strict=True))
    record |= {"Value": "(D)", "CV (%)": None, "domaincat_desc": "a\tb\nc"}
    del record["value"], record["cv_%"]
    receipt = lab.nass(lab.file(json.dumps({"data": [record]})))
    assert receipt.counts.inserted == 1
    assert lab.rows("SELECT domain_category, value_flag FROM out_nass__values") == [
        ("a\tb\nc", "(D)")
    ]


def test_cells_that_would_join_to_one_key_stay_apart(lab: Any, table: Any) -> None:
    """Ids are made of joined cells; where the joint falls has to matter."""
    table.rows = [table.rows[0], list(table.rows[0])]
    table.set(2, "DOMAIN_DESC", "a\x1fb").set(2, "DOMAINCAT_DESC", "c")
    table.set(3, "DOMAIN_DESC", "a").set(3, "DOMAINCAT_DESC", "b\x1fc")
    receipt = lab.nass(table.text())
    assert receipt.counts.inserted == 2
