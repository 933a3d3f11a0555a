"""Which input a source takes, and several inputs of one source in one run."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from etl.errors import ConfigError
from etl.extract.inputs import fetch
from etl.ledger.last_inputs import resolve_inputs
from etl.ledger.runs import close_run, open_run
from etl.run.load_source import load_source
from etl.settings import Settings
from etl.specs.registry import SOURCES


def earlier(table: Any, years: int) -> str:
    """Return the file with the same figures, some years earlier."""
    for line in range(2, len(table.rows) + 2):
        table.set(line, "YEAR", str(int(table.get(line, "YEAR")) - years))
    return str(table.text())


@pytest.fixture
def years(lab: Any, table: Any) -> tuple[Any, Any]:
    """Two files of one source: the same figures in other years."""
    first = lab.file(earlier(table, 100), "first.tsv")
    return first, lab.file(earlier(table, 50), "second.tsv")


def inputs_of(lab: Any, *, named: Any = None, sample: bool = False) -> list[str]:
    """Return the inputs that the next run of nass would take."""
    run_id = uuid4()
    open_run(lab.engine, run_id=run_id, sources=["nass"], inputs={}, trigger="test")
    resolved = resolve_inputs(lab.engine, run_id, ["nass"], named or {}, sample=sample)
    close_run(lab.engine, run_id)
    recorded = lab.one("SELECT inputs FROM ledger_run WHERE run_id = :id", id=run_id)
    assert recorded == resolved
    return resolved["nass"]


def test_several_inputs_are_loaded_each_as_a_step(lab: Any, years: Any) -> None:
    receipt = lab.run({"nass": years})
    assert receipt.status == "succeeded"
    nass = receipt.sources["nass"]
    assert (nass.counts.read, nass.counts.inserted) == (476, 476)
    assert (nass.rows_before, nass.rows_after) == (0, 476)
    found = nass.to_dict()["inputs"]
    assert [(step["position"], step["input"]["name"]) for step in found] == [
        (1, "first.tsv"),
        (2, "second.tsv"),
    ]
    assert [step["rows_after"] for step in found] == [238, 476]
    assert lab.rows(
        "SELECT position, input_name, read, rows_before, rows_after "
        "FROM out_etl__runs WHERE source = 'nass' ORDER BY position"
    ) == [(1, "first.tsv", 238, 0, 238), (2, "second.tsv", 238, 238, 476)]


def test_a_failed_input_fails_its_source_and_blocks_those_after_it(
    lab: Any, years: Any
) -> None:
    first, second = years
    receipt = lab.run({"nass": [first, lab.file("no header", "bad.tsv"), second]})
    assert receipt.status == "failed"
    steps = receipt.sources["nass"].inputs
    assert [step.status for step in steps] == ["loaded", "failed", "blocked"]
    assert steps[2].error.message == "input 2 of nass failed before this one"
    assert lab.one("SELECT count(*) FROM core_nass__value") == 238


def test_a_run_that_ends_between_two_inputs_has_failed(lab: Any, years: Any) -> None:
    run_id = uuid4()
    named = {"nass": ["a", "b"]}
    open_run(lab.engine, run_id=run_id, sources=["nass"], inputs=named, trigger="t")
    load_source(lab.engine, "nass", run_id=run_id, raw=years[0])
    receipt = close_run(lab.engine, run_id)
    assert (receipt.status, receipt.sources["nass"].status) == ("failed", "missing")


def test_several_inputs_are_recognised_as_a_whole(lab: Any, table: Any) -> None:
    """The second revises the first; loading both again would leave false history."""
    first = lab.file(table.text(), "first.tsv")
    second = lab.file(table.set(2, "VALUE", "77").text(), "second.tsv")
    third = lab.file(table.set(2, "VALUE", "78").text(), "third.tsv")
    lab.run({"nass": [first, second]})
    before = lab.contents()
    again = lab.run({"nass": [first, second]}).sources["nass"]
    assert [step.same_input for step in again.inputs] == [True, True]
    assert lab.nass(second).same_input
    assert lab.contents() == before
    more = lab.run({"nass": [first, second, third]}).sources["nass"]
    assert [step.same_input for step in more.inputs] == [True, True, False]
    assert lab.run({"nass": [first, second, third]}).sources["nass"].same_input
    assert not lab.nass(first).same_input


def test_without_a_name_the_last_real_inputs_are_taken(lab: Any, years: Any) -> None:
    assert inputs_of(lab) == ["sample"]
    lab.nass(lab.shipped("nass"))
    assert inputs_of(lab) == ["sample"]
    lab.run({"nass": years})
    first, second = (f"raw:{raw.sha256}:{raw.name}" for raw in years)
    assert inputs_of(lab) == [first, second]
    lab.nass("not a file of nass")
    assert inputs_of(lab) == [first, second]
    lab.nass(years[1])
    assert inputs_of(lab) == [second]
    assert inputs_of(lab, sample=True) == ["sample"]
    assert inputs_of(lab, named={"nass": ["api"]}, sample=True) == ["api"]


def test_inputs_loaded_before_one_failed_are_the_last(lab: Any, years: Any) -> None:
    """An older run would undo what the newer one had loaded."""
    lab.nass(years[0])
    lab.run({"nass": [years[1], lab.file("no header")]})
    assert inputs_of(lab) == [f"raw:{years[1].sha256}:second.tsv"]


def test_the_reference_of_the_package_stays_what_is_shipped(lab: Any) -> None:
    """A newer release may ship a newer list."""
    run_id = uuid4()
    open_run(lab.engine, run_id=run_id, sources=["geography"], inputs={}, trigger="t")
    resolved = resolve_inputs(lab.engine, run_id, ["geography"], {})
    assert resolved == {"geography": ["sample"]}


def test_last_input_that_the_raw_store_lacks(
    lab: Any, years: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.nass(years[0])
    years[0].path.unlink()
    monkeypatch.setenv("DATABASE_URL", "postgresql://none@/none")
    monkeypatch.setenv("ETL_RAW_DIR", str(lab.store.root))
    (text,) = inputs_of(lab)
    with pytest.raises(ConfigError, match="does not have") as caught:
        fetch(SOURCES["nass"], text, Settings())
    assert "first.tsv" in caught.value.message
    assert caught.value.hint == (
        "pass the file again: ./etl run --input nass=first.tsv"
    )


def test_the_first_real_input_replaces_the_sample(lab: Any, table: Any) -> None:
    sample = lab.nass(lab.shipped("nass"))
    assert sample.input.kind == "sample"
    assert lab.rows("SELECT DISTINCT is_sample FROM out_etl__runs ORDER BY 1") == [
        (False,),
        (True,),
    ]
    del table.rows[100:]
    real = lab.nass(table.set(2, "VALUE", "77").text())
    assert (real.rows_before, real.sample_rows_replaced, real.rows_after) == (
        238,
        238,
        100,
    )
    assert real.counts.inserted == 100
    kinds = lab.rows(
        "SELECT DISTINCT input_kind FROM core_nass__value AS v JOIN ledger_step AS s "
        "ON (v.load_run_id, v.raw_file_id) = (s.run_id, s.raw_file_id)"
    )
    assert kinds == [("file",)]
    assert lab.one("SELECT count(*) FROM core_nass__value_history") == 0


def test_a_real_input_that_fails_leaves_the_sample(lab: Any) -> None:
    lab.nass(lab.shipped("nass"))
    before = lab.contents()
    assert lab.nass("nothing").status == "failed"
    assert lab.contents() == before


def test_the_sample_is_refused_over_real_data(lab: Any, table: Any) -> None:
    del table.rows[100:]
    lab.nass(table.text())
    before = lab.contents()
    refused = lab.nass(lab.shipped("nass"))
    assert (refused.status, refused.error.code) == ("failed", "CONFIG")
    assert "--sample --replace-real" in refused.error.hint
    assert lab.contents() == before
    receipt = lab.nass(lab.shipped("nass"), replace_real=True)
    assert (receipt.status, receipt.counts.inserted) == ("loaded", 238)
    assert receipt.counts.retracted == 100
    assert (
        lab.one(
            "SELECT count(*) FROM core_nass__value_history WHERE change = 'retracted'"
        )
        == 100
    )
    assert inputs_of(lab)[0].startswith("raw:")


def test_the_bytes_of_the_sample_are_the_sample_under_any_name(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://none@/none")
    monkeypatch.setenv("ETL_RAW_DIR", str(lab.store.root))
    copy = lab.sample("nass_sample.tsv")
    text = f"raw:{copy.sha256}:real_data.tsv"
    assert fetch(SOURCES["nass"], text, Settings()).kind == "sample"


def test_an_api_answer_from_the_raw_store_stays_one(lab: Any, table: Any) -> None:
    names = [
        {"VALUE": "Value", "CV_%": "CV (%)"}.get(name, name.lower())
        for name in table.header
    ]
    records = [dict(zip(names, row, strict=True)) for row in table.rows]
    raw = lab.file(json.dumps({"data": records}), "answer.json")
    lab.nass(replace(raw, kind="filtered_api"))
    assert lab.nass(raw).input.kind == "filtered_api"
    refused = lab.nass(raw, complete=True, reload=True)
    assert refused.error.code == "CONFIG"
    assert "cannot be a complete input" in refused.error.message


def test_a_file_of_another_state_is_counted_and_changes_nothing(
    lab: Any, table: Any
) -> None:
    """Neither real rows nor the sample, nor what the next run takes."""
    lab.nass(lab.shipped("nass"))
    sample = lab.contents()
    oregon = table.text().replace(
        "\t06\t06\tCA\tCALIFORNIA\t", "\t41\t41\tOR\tOREGON\t"
    )
    receipt = lab.nass(lab.file(oregon, "oregon.tsv"))
    assert (receipt.status, receipt.counts.read) == ("loaded", 0)
    assert receipt.counts.out_of_scope == 238
    (check,) = [check for check in receipt.checks if not check.passed]
    assert (check.name, check.severity) == ("the input has rows in scope", "warning")
    assert lab.contents() == sample
    assert inputs_of(lab) == ["sample"]
