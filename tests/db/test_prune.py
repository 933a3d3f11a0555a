"""`etl prune` removes what is old, and never what a row or the next run needs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from etl.errors import EtlError
from etl.ledger.holding import hold_run
from etl.ledger.last_inputs import last_inputs
from etl.ledger.prune import prune
from etl.models.ledger import LedgerRun

AGE_DAYS = 400


def age(lab: Any) -> None:
    """Make everything that is in the ledger and in the raw store old."""
    old = f"interval '{AGE_DAYS} days'"
    lab.execute(f"UPDATE ledger_run SET finished_at = finished_at - {old}")
    lab.execute(f"UPDATE ledger_raw_file SET first_seen_at = first_seen_at - {old}")
    for path in lab.store.files():
        then = path.stat().st_mtime - AGE_DAYS * 86_400
        os.utime(path, (then, then))


def names(lab: Any) -> set[str]:
    """Return the names of the files that the raw store has and the ledger knows."""
    stored = {path.name for path in lab.store.files()}
    return {
        name
        for name, sha256 in lab.rows("SELECT name, sha256 FROM ledger_raw_file")
        if sha256 in stored
    }


@pytest.fixture
def history(lab: Any, table: Any) -> Any:
    """Three loads of nass and a failed one, all old; the last one has rejects."""
    del table.rows[100:]
    lab.nass(lab.file(table.text(), "first.tsv"))
    lab.nass(lab.file("no header", "failed.tsv"))
    for line in range(2, 102):
        table.set(line, "VALUE", str(line))
    lab.nass(lab.file(table.text(), "second.tsv"))
    table.set(3, "VALUE", "oops").set(4, "VALUE", "7,777")
    lab.nass(lab.file(table.text(), "last.tsv"))
    lab.file("never loaded", "never.tsv")
    (lab.store.root / "incoming-x").write_text("left by a killed process")
    age(lab)
    return lab


def test_nothing_that_is_needed_is_removed(history: Any, table: Any) -> None:
    figures, lab = history.contents(), history
    pruning = prune(lab.engine, lab.store, keep_days=365, dry_run=False)
    assert lab.contents() == figures
    assert sorted(file.name for file in pruning.files) == ["", "", "failed.tsv"]
    # first.tsv is in the history of values, second.tsv and last.tsv in the table.
    assert names(lab) == {
        "california_places.csv", "first.tsv", "second.tsv", "last.tsv",
    }  # fmt: skip
    assert pruning.runs == 1
    with lab.engine.connect() as connection:
        assert last_inputs(connection, "nass")[0].endswith(":last.tsv")
    assert lab.nass(lab.file(lab.store.path(sha(lab)).read_bytes())).same_input
    assert prune(lab.engine, lab.store, keep_days=365, dry_run=False).files == ()


def sha(lab: Any) -> str:
    """Return the digest of the file that was loaded last."""
    digest: str = lab.one("SELECT sha256 FROM ledger_raw_file WHERE name = 'last.tsv'")
    return digest


def test_files_that_no_row_has_any_more_are_removed(history: Any) -> None:
    lab = history
    lab.execute("DELETE FROM core_nass__value_history")
    pruning = prune(lab.engine, lab.store, keep_days=365, dry_run=False)
    assert "first.tsv" in {file.name for file in pruning.files}
    assert "first.tsv" not in names(lab)
    assert {"second.tsv", "last.tsv"} <= names(lab)


def test_what_is_younger_than_the_retention_stays(history: Any) -> None:
    before = {path.name for path in history.store.files()}
    pruning = prune(history.engine, history.store, keep_days=500, dry_run=False)
    assert (pruning.runs, pruning.files) == (0, ())
    assert {path.name for path in history.store.files()} == before


def test_a_file_that_is_given_again_is_not_old(history: Any, tmp_path: Path) -> None:
    """It may be waiting for a run that has not opened yet."""
    again = tmp_path / "never.tsv"
    again.write_text("never loaded")
    raw = history.store.put(again)
    prune(history.engine, history.store, keep_days=365, dry_run=False)
    assert raw.path.is_file()


def test_rejects_of_a_run_that_a_later_one_refers_to_stay(
    history: Any, table: Any
) -> None:
    lab = history
    again = lab.nass(lab.file(lab.store.path(sha(lab)).read_bytes()))
    assert again.same_input
    prune(lab.engine, lab.store, keep_days=365, dry_run=False)
    assert lab.one("SELECT count(*) FROM ledger_reject") == 1


def test_nothing_is_removed_without_yes(history: Any, etl: Any) -> None:
    before = {path.name for path in history.store.files()}
    code, out, _ = etl("prune", "--keep-days", "365")
    assert code == 0
    assert "1 runs with 0 stored rejects" in out
    assert "3 files" in out
    assert "./etl prune --yes" in out
    assert {path.name for path in history.store.files()} == before
    shown = json.loads(etl("prune", "--json")[1])["data"]
    assert (shown["runs"], len(shown["files"]), shown["done"]) == (1, 3, False)
    done = json.loads(etl("prune", "--yes", "--json")[1])["data"]
    assert done == {**shown, "done": True}
    assert json.loads(etl("prune", "--json")[1])["data"]["files"] == []


def test_nothing_is_pruned_while_a_run_is_at_work(history: Any) -> None:
    with history.engine.connect() as connection:
        run_id = connection.scalar(select(LedgerRun.run_id).limit(1))
    with (
        hold_run(history.engine, run_id),
        pytest.raises(EtlError, match="a run is at work"),
    ):
        prune(history.engine, history.store, keep_days=365, dry_run=True)
