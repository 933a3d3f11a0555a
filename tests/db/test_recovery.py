"""Loads that are cut off, repeated, or overlap: the result is that of one load."""

from __future__ import annotations

import threading
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import create_engine, event, text
from tests.db.faults import Plan, fail, kill
from tests.waiting import eventually

from etl.counts import Counts
from etl.errors import DatabaseUnavailable, EtlError
from etl.ledger import runs
from etl.ledger.read_receipt import read_step
from etl.ledger.runs import close_run
from etl.load.stage import BLOCK_BYTES
from etl.run.load_source import load_source


def open_run(lab: Any) -> Any:
    run_id = uuid4()
    runs.open_run(
        lab.engine, run_id=run_id, sources=["nass"], inputs={}, trigger="test"
    )
    return run_id


def points_of(lab: Any, raw: Any) -> list[str]:
    """Return the points at which a load can be cut off, from a load that is not."""
    plan = Plan(fail)
    observed = plan.engine(lab.engine)
    load_source(observed, "nass", run_id=open_run(lab), raw=raw)
    observed.dispose()
    return plan.points


@pytest.mark.parametrize(("killed", "each"), [(True, 1), (False, 3)])
def test_load_is_cut_off_at_every_statement_and_within_copy(
    lab: Any, table: Any, server: Any, killed: bool, each: int
) -> None:
    """The state is that of before, the receipt is true, and a retry does the rest."""
    first = lab.file(table.text())
    other = lab.file(table.set(2, "VALUE", "1").set(3, "UNIT_DESC", "NEW").text())
    lab.nass(first)
    points = points_of(lab, other)
    joined = " ".join(points)
    for statement in ("COPY", "bytes of COPY", "MERGE", "INSERT INTO ledger_cursor"):
        assert statement in joined
    for at in range(1, len(points) + 1, each):
        first, other = other, first
        run_id, plan = open_run(lab), Plan(kill(server) if killed else fail, at)
        cut_off(lab, plan, run_id, other)
        retried = load_source(lab.engine, "nass", run_id=run_id, raw=other)
        assert (retried.counts.read, retried.counts.kept) == (238, 238)
        assert retried.counts.updated == 1, points[at - 1]
        assert close_run(lab.engine, run_id).status == "succeeded"


def cut_off(lab: Any, plan: Plan, run_id: Any, raw: Any) -> None:
    """Load a file with a fault; nothing of it is there, and the receipt shows that."""
    before, fragile = lab.contents(), plan.engine(lab.engine)
    with pytest.raises(DatabaseUnavailable) as caught:
        load_source(fragile, "nass", run_id=run_id, raw=raw)
    fragile.dispose()
    point = plan.points[plan.at - 1]
    assert caught.value.retryable, point
    assert lab.contents() == before, point
    with lab.engine.connect() as connection:
        receipt = read_step(connection, run_id, "nass", 1)
    assert receipt.status in ("failed", "missing"), point
    assert receipt.counts.inserted == receipt.counts.updated == 0, point


def test_session_killed_between_two_blocks_of_a_copy(
    lab: Any, table: Any, server: Any
) -> None:
    """The file is larger than a block, so rows are on the server when it dies."""
    lab.nass(table.text())
    place = table.header.index("SHORT_DESC")
    table.rows = [
        [*row[:place], f"{'long ' * 30}{n} {row[place]}", *row[place + 1 :]]
        for n in range(80)
        for row in table.rows
    ]
    large = lab.file(table.text())
    points = points_of(lab, large)
    full = f"{BLOCK_BYTES} bytes of COPY"
    assert full in points, "no COPY had more than one block"
    lab.nass(lab.sample("nass_sample.tsv"))  # so that the large file is not the same
    run_id, plan = open_run(lab), Plan(kill(server), points.index(full) + 1)
    cut_off(lab, plan, run_id, large)
    retried = load_source(lab.engine, "nass", run_id=run_id, raw=large)
    assert retried.counts.kept == 80 * 238


def test_retry_after_a_commit_that_was_not_answered(lab: Any, table: Any) -> None:
    """The load was committed, but its caller never heard; it tries again."""
    run_id, raw = open_run(lab), lab.file(table.text())
    first = load_source(lab.engine, "nass", run_id=run_id, raw=raw)
    again = load_source(lab.engine, "nass", run_id=run_id, raw=raw)
    assert again == first
    assert again.counts.inserted == 238


@pytest.mark.parametrize("loaded_before", [False, True])
def test_connection_lost_at_commit(lab: Any, table: Any, loaded_before: bool) -> None:
    """The server commits and the answer is lost: the ledger knows it as loaded."""
    raw = lab.file(table.text())
    if loaded_before:
        lab.nass(raw)
    run_id, fragile = open_run(lab), create_engine(lab.engine.url)

    def commit_and_lose(connection: Any) -> None:
        event.remove(fragile, "commit", commit_and_lose)
        connection.connection.driver_connection.commit()
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    event.listen(fragile, "commit", commit_and_lose)
    with pytest.raises(DatabaseUnavailable):
        load_source(fragile, "nass", run_id=run_id, raw=raw)
    fragile.dispose()
    receipt = close_run(lab.engine, run_id)
    assert receipt.status == "succeeded"
    assert receipt.sources["nass"].same_input == loaded_before


def test_raw_file_that_vanished(lab: Any, table: Any) -> None:
    raw = lab.file(table.text())
    raw.path.unlink()
    receipt = lab.nass(raw)
    assert receipt.error.code == "SOURCE_UNAVAILABLE"


def test_two_loads_at_once_end_as_one(lab: Any, table: Any) -> None:
    raw = lab.file(table.text())
    receipts: list[Any] = []
    threads = [
        threading.Thread(target=lambda: receipts.append(lab.nass(raw)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    inserted = sorted(receipt.counts.inserted for receipt in receipts)
    assert inserted == [0, 0, 238]
    assert lab.one("SELECT count(*) FROM core_nass__value") == 238
    assert set(lab.rows("SELECT status FROM ledger_run")) == {("succeeded",)}


def test_role_that_may_not_switch_triggers_off(
    lab: Any, table: Any, server: Any
) -> None:
    """The load is slower, and its result the same."""
    with server.owner() as owner:
        owner.execute("CREATE ROLE plain LOGIN")
        database = lab.engine.url.database
        owner.execute(
            psycopg.sql.SQL("ALTER DATABASE {} OWNER TO plain").format(
                psycopg.sql.Identifier(database)
            )
        )
    lab.execute("GRANT ALL ON SCHEMA public TO plain")
    lab.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO plain")
    plain = create_engine(lab.engine.url.set(username="plain"))
    run_id = open_run(lab)
    receipt = load_source(plain, "nass", run_id=run_id, raw=lab.file(table.text()))
    plain.dispose()
    assert receipt.counts.inserted == 238


def test_nothing_is_loaded_under_a_run_that_has_ended(lab: Any, table: Any) -> None:
    run_id = open_run(lab)
    close_run(lab.engine, run_id)
    with pytest.raises(EtlError, match="nothing may be loaded"):
        load_source(lab.engine, "nass", run_id=run_id, raw=lab.file(table.text()))
    assert lab.one("SELECT count(*) FROM core_nass__value") == 0


@pytest.mark.parametrize(
    "table_in_use",
    ["core_nass__series", "core_nass__value", "ledger_step", "ledger_cursor"],
)
def test_session_killed_inside_a_statement(
    lab: Any, table: Any, server: Any, table_in_use: str
) -> None:
    """Kill a load while it waits for a lock on the table that it writes."""
    lab.nass(table.text())
    before = lab.contents()
    revised = lab.file(table.set(2, "VALUE", "1").set(3, "SHORT_DESC", "NEW").text())
    run_id = open_run(lab)
    fragile = create_engine(lab.engine.url)
    with server.owner() as owner, lab.engine.connect() as other:
        other.execute(text(f"LOCK TABLE {table_in_use} IN EXCLUSIVE MODE"))
        killer = threading.Thread(target=kill_who_waits, args=(owner, other))
        killer.start()
        with pytest.raises(DatabaseUnavailable):
            load_source(fragile, "nass", run_id=run_id, raw=revised)
        killer.join()
    fragile.dispose()
    assert lab.contents() == before
    retried = load_source(lab.engine, "nass", run_id=run_id, raw=revised)
    assert retried.counts == Counts(
        read=238, kept=238, inserted=1, updated=1, unchanged=236
    )


def kill_who_waits(owner: Any, holder: Any) -> None:
    """End the first session that waits for the holder's lock, then release the lock."""
    query = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = %s AND wait_event_type = 'Lock' AND wait_event = 'relation'"
    )
    database = holder.engine.url.database
    eventually(lambda: owner.execute(query, [database]).fetchall(), within_s=20)
    holder.rollback()
