"""Receipts as people see them: what failed, which lines, what to type next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from etl.counts import Check, Counts
from etl.ledger.receipt import (
    ErrorReceipt,
    InputReceipt,
    RejectReceipt,
    RunReceipt,
    SourceReceipt,
    StepReceipt,
    add_up,
)
from etl.report.render import as_markdown, as_text

RUN_ID = UUID(int=7)
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FAILED = SourceReceipt(
    source="nass",
    status="failed",
    counts=Counts(read=238, kept=100, rejected=138),
    rejects_by_rule={"not_a_number": 138},
    first_rejects=(RejectReceipt(7, "value", "a|b <x>", "not_a_number", "wants one"),),
    checks=(Check("keys", "0", "3", passed=False),),
    error=ErrorReceipt("DATA", "138 of 238 rows rejected", "./etl rejects"),
    duration_s=2.0,
)
LOADED = SourceReceipt(
    source="geography",
    status="loaded",
    counts=Counts(read=60, kept=60, unchanged=60),
    duration_s=0.5,
)


def receipt(status: str, *sources: SourceReceipt) -> RunReceipt:
    """Return a receipt of some sources."""
    return RunReceipt(
        run_id=RUN_ID,
        status=status,  # type: ignore[arg-type]
        trigger="test",
        sources={source.source: source for source in sources},
        schema_revision="20260101_0000",
        lock_digest="abc" * 20,
        started_at=START,
        finished_at=START + timedelta(seconds=3.21),
    )


def test_text_says_what_failed_and_what_to_type() -> None:
    lines = as_text(receipt("failed", LOADED, FAILED)).splitlines()
    assert lines[0] == f"run {RUN_ID}: failed in 3.2 s"
    assert "nass: 138 of 238 rows rejected" in lines
    assert "  fix: ./etl rejects" in lines
    assert "  line 7, value: 'a|b <x>' wants one" in lines
    assert "nass: error: keys: expected 0, found 3" in lines
    assert lines[-1] == f"more: ./etl rejects --run {RUN_ID}"


def test_numbers_are_aligned_and_rates_shown() -> None:
    header, geography, nass = as_text(receipt("failed", LOADED, FAILED)).splitlines()[
        2:5
    ]
    assert header.index("rejected") + 8 == nass.index("138", 20) + 3
    assert len(geography) <= len(header)
    assert geography.endswith("120")
    assert nass.endswith("2.00")  # nothing was loaded, so there is no rate


def test_text_wraps_sentences() -> None:
    text = as_text(receipt("failed", LOADED, FAILED), width=20)
    assert "nass: 138 of 238\n    rows rejected" in text


def test_markdown_does_not_take_data_for_markup() -> None:
    text = as_markdown(receipt("failed", LOADED, FAILED))
    assert "a\\|b &lt;x>" in text
    assert text.startswith(f"# run {RUN_ID}: failed")


def test_json_adds_nothing_and_forgets_nothing() -> None:
    data = receipt("failed", LOADED, FAILED).to_dict()
    assert data["run_id"] == str(RUN_ID)
    assert data["sources"]["nass"]["error"]["hint"] == "./etl rejects"
    assert set(data["sources"]["nass"]) == {
        "status", "read", "kept", "rejected", "inserted", "updated", "unchanged",
        "retracted", "out_of_scope", "input", "same_input", "tables", "checks",
        "rejects_by_rule", "rejects_stored", "first_rejects", "error", "duration_s",
        "rows_before", "rows_after", "sample_rows_replaced", "inputs",
    }  # fmt: skip


def test_each_of_several_inputs_has_a_line() -> None:
    steps = [
        StepReceipt(
            position=number,
            status="loaded",
            input_name=name,
            input=InputReceipt(name, "0" * 64, 7),
            counts=Counts(read=10, kept=10, inserted=10),
            rows_before=10 * number - 10,
            rows_after=10 * number,
        )
        for number, name in enumerate(["first.tsv", "second.tsv"], start=1)
    ]
    source = add_up("nass", steps, planned=2)
    lines = as_text(receipt("succeeded", source)).splitlines()[2:6]
    assert [line.split()[0] for line in lines] == ["source", "nass", "1", "2"]
    assert "20" in lines[1]
    assert lines[2].split()[1:4] == ["first.tsv", "loaded", "10"]
    data = source.to_dict()
    assert (data["read"], data["rows_before"], data["rows_after"]) == (20, 0, 20)
    assert data["input"] is None
    assert [step["name"] for step in data["inputs"]] == ["first.tsv", "second.tsv"]


def test_a_sample_is_named_as_one_and_what_was_not_stored_is_counted() -> None:
    step = StepReceipt(
        status="loaded",
        input=InputReceipt("nass_sample.tsv", "0" * 64, 7, "sample"),
        counts=Counts(read=1_000_001, kept=1, rejected=1_000_000, inserted=1),
        rejects_stored=100_000,
        sample_rows_replaced=238,
    )
    text = as_text(receipt("partial", add_up("nass", [step], planned=1)), width=500)
    assert "nass: this is the sample nass_sample.tsv, not real data" in text
    assert "238 rows of the sample were deleted" in text
    assert (
        "nass: 1,000,000 rows rejected, the first 100,000 of them stored; the other "
        "900,000 are counted by rule only"
    ) in text
    assert "this is the sample" in as_markdown(
        receipt("partial", add_up("nass", [step], planned=1))
    )
