"""Runs in the ledger: their status is what their steps add up to, and closed once."""

from __future__ import annotations

import logging
import threading
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from etl.errors import ConfigError, SchemaOutdated, SourceUnavailable
from etl.ledger import runs
from etl.ledger.holding import hold_run
from etl.ledger.read_receipt import read_receipt
from etl.ledger.runs import close_run, sweep_dead_runs
from etl.ledger.unfinished import record_blocked, record_failure


def open_run(lab: Any, *sources: str) -> Any:
    run_id = uuid4()
    runs.open_run(lab.engine, run_id=run_id, sources=sources, inputs={}, trigger="test")
    return run_id


def test_status_of_a_run(lab: Any, table: Any) -> None:
    assert lab.run({"nass": lab.file(table.text())}).status == "succeeded"
    bad = lab.file(table.set(2, "VALUE", "oops").text())
    assert lab.run({"nass": bad}).status == "partial"
    assert lab.run({"nass": lab.file("")}).status == "failed"


def test_failed_and_blocked_sources_are_recorded(lab: Any) -> None:
    run_id = open_run(lab, "geography", "nass")
    error = SourceUnavailable("it does not answer", "wait")
    record_failure(lab.engine, run_id, "geography", error)
    record_blocked(lab.engine, run_id, "nass", because="geography")
    receipt = close_run(lab.engine, run_id).to_dict()
    assert receipt["status"] == "failed"
    assert receipt["sources"]["geography"]["error"]["code"] == "SOURCE_UNAVAILABLE"
    assert receipt["sources"]["nass"]["status"] == "blocked"
    assert "geography" in receipt["sources"]["nass"]["error"]["message"]


def test_source_that_was_never_reached_fails_the_run(lab: Any) -> None:
    receipt = close_run(lab.engine, open_run(lab, "nass"))
    assert (receipt.status, receipt.sources["nass"].status) == ("failed", "missing")


def test_record_failure_keeps_what_the_load_recorded(lab: Any, table: Any) -> None:
    """Flows record every failure; the load's own record has the rejects."""
    for line in range(2, 60):
        table.set(line, "VALUE", "oops")
    receipt = lab.run({"nass": lab.file(table.text())})
    assert receipt.sources["nass"].rejects_by_rule == {"not_a_number": 58}


def test_run_is_closed_once(lab: Any) -> None:
    run_id = open_run(lab, "nass")
    first = close_run(lab.engine, run_id)
    assert close_run(lab.engine, run_id) == first


def test_receipt_adds_up(lab: Any, table: Any) -> None:
    bad = lab.file(table.set(2, "VALUE", "oops").text())
    for source in lab.run({"nass": bad}).to_dict()["sources"].values():
        assert source["read"] == source["kept"] + source["rejected"]
        parts = source["inserted"] + source["updated"] + source["unchanged"]
        assert source["kept"] == parts


def test_ledger_refuses_counts_that_do_not_add_up(lab: Any, table: Any) -> None:
    lab.nass(table.text())
    with (
        pytest.raises(IntegrityError, match="every_row_counted"),
        lab.engine.begin() as connection,
    ):
        connection.execute(text("UPDATE ledger_step SET rejected = rejected + 1"))


def test_run_left_by_a_dead_process_is_crashed(lab: Any) -> None:
    run_id = open_run(lab, "nass")
    with hold_run(lab.engine, run_id):
        assert sweep_dead_runs(lab.engine) == []
    assert sweep_dead_runs(lab.engine) == [run_id]
    assert read_receipt(lab.engine, run_id).status == "crashed"
    assert close_run(lab.engine, run_id).status == "crashed"


def test_run_that_is_about_to_take_its_lock_is_not_swept(lab: Any) -> None:
    run_id = open_run(lab, "nass")
    assert sweep_dead_runs(lab.engine) == []
    lab.execute("UPDATE ledger_run SET started_at = now() - interval '5 minutes'")
    assert sweep_dead_runs(lab.engine) == [run_id]


def test_second_run_waits_and_says_for_whom(
    lab: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "etl")
    first, second = open_run(lab, "nass"), open_run(lab, "nass")
    entered, logged = threading.Event(), threading.Event()

    class Recorder(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "waiting for" in record.getMessage():
                logged.set()

    def wait_in_line() -> None:
        with hold_run(lab.engine, second):
            entered.set()

    handler = Recorder()
    logging.getLogger("etl").addHandler(handler)
    with hold_run(lab.engine, first):
        thread = threading.Thread(target=wait_in_line)
        thread.start()
        assert logged.wait(10)
        assert not entered.is_set()
    thread.join(10)
    logging.getLogger("etl").removeHandler(handler)
    assert entered.is_set()
    assert f"waiting for run {first}" in caplog.text


def test_outdated_schema_is_refused_with_the_command(lab: Any, empty_db: Any) -> None:
    lab.execute("UPDATE alembic_version SET version_num = '20261123_1900'")
    for engine in (lab.engine, empty_db):
        with pytest.raises(SchemaOutdated) as caught:
            sweep_dead_runs(engine)
        assert caught.value.hint == "./etl migrate"
        assert caught.value.exit_code == 4


def test_unknown_run(lab: Any) -> None:
    with pytest.raises(ConfigError, match="no run"):
        read_receipt(lab.engine, uuid4())
