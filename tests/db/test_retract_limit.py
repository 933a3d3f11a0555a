"""A complete input retracts a bounded share of its source, if it may be complete."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from etl.errors import ConfigError
from etl.run.plan import as_lists, check_complete, check_percent


def test_more_than_five_percent_is_refused_and_counted(lab: Any, table: Any) -> None:
    lab.nass(table.text())
    before = lab.contents()
    del table.rows[:60]
    receipt = lab.nass(table.text(), complete=True)
    assert (receipt.status, receipt.error.code) == ("failed", "DATA")
    # The other two are of combinations that do not occur in the input any more.
    assert "would retract 58 of 238 rows, more than 5 %" in receipt.error.message
    assert receipt.error.hint.endswith("--complete nass --retract-up-to 25")
    assert receipt.rows_before == 238
    assert [check.seen for check in receipt.checks if not check.passed] == ["58"]
    assert lab.contents() == before


def test_more_is_retracted_if_that_was_asked_for(lab: Any, table: Any) -> None:
    lab.nass(table.text())
    del table.rows[:60]
    receipt = lab.nass(table.text(), complete=True, retract_limit=0.25)
    assert (receipt.status, receipt.counts.retracted) == ("loaded", 58)
    assert (receipt.rows_before, receipt.rows_after) == (238, 180)


def test_nothing_is_retracted_with_a_limit_of_zero(lab: Any, table: Any) -> None:
    lab.nass(table.text())
    del table.rows[:1]
    receipt = lab.nass(table.text(), complete=True, retract_limit=0)
    assert "would retract 1 of 238 rows, more than 0 %" in receipt.error.message


@pytest.mark.parametrize("kind", ["sample", "filtered_api"])
def test_what_cannot_be_complete_is_refused_by_the_load(
    lab: Any, table: Any, kind: Any
) -> None:
    raw = replace(lab.file(table.text()), kind=kind)
    receipt = lab.nass(raw, complete=True)
    assert receipt.error.code == "CONFIG"
    assert "cannot be a complete input" in receipt.error.message
    assert lab.one("SELECT count(*) FROM core_nass__value") == 0


@pytest.mark.parametrize(
    "given", [None, [], ["a", "b"], "sample", "api:year=2022", ["api:year=2022"]]
)
def test_what_cannot_be_complete_is_refused_by_the_plan(given: Any) -> None:
    named = as_lists({} if given is None else {"nass": given})
    with pytest.raises(ConfigError, match="--complete nass"):
        check_complete(named, ["nass"])


def test_what_may_be_complete() -> None:
    for given in ("raw:0:file.tsv", "api", "api:"):
        check_complete(as_lists({"nass": given}), ["nass"])
    for percent in (None, 0, 100):
        check_percent(percent)
    with pytest.raises(ConfigError, match="no percentage"):
        check_percent(100.5)
