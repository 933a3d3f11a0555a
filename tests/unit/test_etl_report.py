"""Receipts as people see them: what failed, which lines, what to type next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from etl.counts import Check, Counts
from etl.ledger.receipt import ErrorReceipt, RejectReceipt, RunReceipt, SourceReceipt
from etl.report.render import as_markdown, as_text

RUN_ID = UUID(int=7)
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FAILED = SourceReceipt(
    "nass",
    "failed",
    Counts(read=238, kept=100, rejected=138),
    rejects_by_rule={"not_a_number": 138},
    first_rejects=(RejectReceipt(7, "value", "a|b <x>", "not_a_number", "wants one"),),
    checks=(Check("keys", "0", "3", passed=False),),
    error=ErrorReceipt("DATA", "138 of 238 rows rejected", "./etl rejects"),
    duration_s=2.0,
)
LOADED = SourceReceipt(
    "geography", "loaded", Counts(read=60, kept=60, unchanged=60), duration_s=0.5
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
    assert "nass: error: keys: wanted 0, is 3" in lines
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
        "rejects_by_rule", "first_rejects", "error", "duration_s",
    }  # fmt: skip
