"""Rejects: stored once, referred to by later runs, and what is not stored is named."""

from __future__ import annotations

import json
from typing import Any

from etl.specs.spec import MAX_STORED_REJECTS


def test_a_repeated_run_refers_to_the_rejects_of_the_first(
    lab: Any,
    table: Any,
    etl: Any,
) -> None:
    table.set(5, "VALUE", "oops")
    lab.nass(table.text())
    for _ in range(2):
        same = lab.nass(table.text())
    assert same.same_input
    assert (same.counts.rejected, same.rejects_stored) == (1, 1)
    assert [reject.line for reject in same.first_rejects] == [5]
    assert lab.one("SELECT count(*) FROM ledger_reject") == 1
    assert lab.one("SELECT count(DISTINCT rejects_run_id) FROM ledger_step") == 1
    listed = json.loads(etl("rejects", "--json")[1])["data"]
    assert [reject["line"] for reject in listed["rejects"]] == [5]
    assert listed["rejects"][0]["run_id"] == lab.one(
        "SELECT run_id::text FROM ledger_run ORDER BY started_at DESC LIMIT 1"
    )
    assert lab.one("SELECT count(*) FROM out_nass__rejects") == 3


def test_rejects_that_are_not_stored_are_counted_everywhere(
    lab: Any,
    table: Any,
    etl: Any,
) -> None:
    bad = 100_500
    line = table.set(2, "VALUE", "oops").lines()[1]
    raw = lab.file("\n".join([table.lines()[0], *[line] * bad]), "bad.tsv")
    receipt = lab.nass(raw)
    assert receipt.status == "failed"
    assert (receipt.counts.rejected, receipt.rejects_stored) == (bad, 100_000)
    assert lab.one("SELECT count(*) FROM ledger_reject") == MAX_STORED_REJECTS
    assert lab.one(
        "SELECT rejects_stored FROM out_etl__runs WHERE source = 'nass'"
    ) == (MAX_STORED_REJECTS)
    expected = "100,000 of 100,500 rejects of bad.tsv are stored; the other 500"
    out = etl("rejects", "--limit", "1")[1]
    assert "1 of 100,000 stored rejects" in out
    assert expected in out.replace("\n", " ")
    assert raw.sha256 in out.replace("\n", "")
    data = json.loads(etl("rejects", "--limit", "1", "--json")[1])["data"]
    assert (data["rejected"], data["stored"]) == (bad, MAX_STORED_REJECTS)
    assert data["inputs"][0]["by_rule"] == {"not_a_number": bad}
    assert "the first 100,000 of them stored" in etl("report")[1].replace("\n    ", " ")
