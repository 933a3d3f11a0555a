"""Loads one source from one raw file in one transaction: data, cursor and ledger."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from sqlalchemy import Connection, Engine, func, select, text

from etl.counts import Check, Counts, Merged, equal
from etl.db import require_head, translated_errors
from etl.errors import DataError, EtlError
from etl.extract.raw_store import RawFile
from etl.ledger.cursor import current_state, find_same, write_cursor, write_same
from etl.ledger.receipt import SourceReceipt, read_source
from etl.ledger.runs import require_open
from etl.ledger.steps import StepKey, raw_file_id, write_failed, write_loaded
from etl.load.checks import check_dimension, check_stage, count_rows
from etl.load.dimensions import check_descriptions, merge_dimension
from etl.load.foreign_keys import lock_parents, triggers_off
from etl.load.merge import Origin, merge_facts
from etl.load.stage import WORK_MEM, Cursor
from etl.lock_wait import lock_waits_reported
from etl.locks import source_key
from etl.progress import Progress
from etl.run.findings import Findings
from etl.run.stage import LoadRequest, stage_input
from etl.specs.registry import require_source

logger = logging.getLogger(__name__)

LOCK_TIMEOUT = "5min"
"""How long a load waits for somebody who locks its tables, before it is tried again."""


def load_source(
    engine: Engine,
    source: str,
    *,
    run_id: UUID,
    raw: RawFile,
    complete: bool = False,
    reload: bool = False,
) -> SourceReceipt:
    """Validate, transform and load one raw file, all or nothing.

    If it fails, its transaction is rolled back, and a second one records the failure
    with the rejects and checks found until then.

    Args:
        complete: The input holds everything there is: facts it lacks are retracted.
        reload: Load it even if the same input was loaded before.

    Raises:
        EtlError: By what the reader does next.
    """
    job = LoadRequest(require_source(source), raw, run_id, complete, reload)
    findings, progress = Findings(), Progress(logger, source)
    report_wait = partial(logger.info, "%s: %s", source)
    logger.info("%s: loading %s (%s)", source, raw.name, raw.sha256[:12])
    try:
        with (
            translated_errors(),
            engine.begin() as connection,
            lock_waits_reported(engine, connection, report_wait),
        ):
            receipt = _load(connection, job, findings)
    except EtlError as error:
        _record_failed(engine, job, findings, error, progress.seconds)
        raise
    logger.info("%s: %s, %.2f s", source, _summary(receipt), progress.seconds)
    return receipt


def _load(
    connection: Connection, job: LoadRequest, findings: Findings
) -> SourceReceipt:
    """Do the load within a transaction, unless it has been done."""
    source = job.spec.name
    connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
    require_head(connection)
    require_open(connection, job.run_id)
    connection.execute(select(func.pg_advisory_xact_lock(source_key(source))))
    before = read_source(connection, job.run_id, source)
    if before.status == "loaded":
        # A retry after a connection that was lost while it committed.
        return before
    key = _step_key(connection, job)
    state = current_state(
        connection, job.spec, sha256=job.raw.sha256, complete=job.complete
    )
    same = None if job.reload else find_same(connection, job.spec, state)
    if same is not None:
        write_same(connection, key, same)
    else:
        rows = _load_rows(connection, job, key, findings)
        write_cursor(connection, source, run_id=job.run_id, state=state, rows=rows)
    return read_source(connection, job.run_id, source)


def _step_key(
    connection: Connection, job: LoadRequest, *, ago_s: float = 0.0
) -> StepKey:
    """Identify the step, which began when this transaction did, or some time ago."""
    now: datetime = connection.execute(select(func.now())).scalar_one()
    started_at = now - timedelta(seconds=ago_s)
    return StepKey(
        job.run_id,
        job.spec.name,
        raw_file_id(connection, job.raw),
        job.raw.name,
        started_at,
    )


def _load_rows(
    connection: Connection, job: LoadRequest, key: StepKey, findings: Findings
) -> int:
    """Stage, check, merge and record; return how many facts there are then."""
    driver = connection.connection.driver_connection
    assert driver is not None
    with driver.cursor() as cursor:
        cursor.execute(f"SET LOCAL work_mem = '{WORK_MEM}'")
        stage_input(cursor, job, findings)
        lock_parents(cursor, job.spec)
        with triggers_off(cursor):
            _merge_dimensions(cursor, job, findings)
            merged, rows = _merge_facts(cursor, job, key, findings)
    write_loaded(connection, key, findings, findings.counts(merged))
    return rows


def _merge_dimensions(cursor: Cursor, job: LoadRequest, findings: Findings) -> None:
    """Bring dimensions up to date, then check every staged row against them."""
    dimensions = job.spec.tables[:-1]
    for table in dimensions:
        findings.checks += check_descriptions(cursor, table)
        findings.tables[table.name] = merge_dimension(
            cursor, table, job.spec.facts, job.run_id
        )
    findings.checks += [
        *check_stage(cursor, job.spec, read=findings.read, rejected=findings.rejected),
        *(check_dimension(cursor, table) for table in dimensions),
    ]
    _require_passed(job, findings)


def _merge_facts(
    cursor: Cursor, job: LoadRequest, key: StepKey, findings: Findings
) -> tuple[Merged, int]:
    """Merge the facts; return what became of them, and how many there are now."""
    facts = job.spec.facts
    before = count_rows(cursor, facts.name)
    merged = merge_facts(
        cursor,
        facts,
        Origin(job.run_id, key.raw_file_id),
        staged=findings.read - findings.rejected,
        complete=_may_retract(job, findings),
    )
    rows = count_rows(cursor, facts.name)
    expected = before + merged.inserted - merged.retracted
    findings.tables[facts.name] = merged
    findings.checks.append(
        equal(f"rows of {facts.name} after the load", expected=expected, seen=rows)
    )
    _require_passed(job, findings)
    return merged, rows


def _may_retract(job: LoadRequest, findings: Findings) -> bool:
    """Whether absence from the input means that a fact is retracted.

    Not if a row was rejected: the input may well have had the fact, in a line that
    could not be read. A repeated line is no such case, since its first one was kept.
    """
    if not job.complete:
        return False
    doubtful = findings.rejected - findings.by_rule["repeated_key"]
    if doubtful:
        findings.checks.append(
            Check(
                "a complete input has no rejects, else nothing is retracted",
                expected="0",
                seen=f"{doubtful:,}",
                passed=False,
                severity="warning",
            )
        )
    return not doubtful


def _require_passed(job: LoadRequest, findings: Findings) -> None:
    failed = [c for c in findings.checks if not c.passed and c.severity == "error"]
    if failed:
        told = "; ".join(f"{c.name}: wanted {c.expected}, is {c.seen}" for c in failed)
        raise DataError(
            f"{job.spec.name}: a check failed, so nothing was loaded: {told}",
            f"./etl report {job.run_id}",
        )


def _record_failed(
    engine: Engine, job: LoadRequest, findings: Findings, error: EtlError, took_s: float
) -> None:
    """Record a failed load, unless the database is what failed.

    If the connection was lost while it committed, the load may have succeeded after
    all; then the ledger knows it as loaded, and a retry finds that.
    """
    try:
        with translated_errors(), engine.begin() as connection:
            require_open(connection, job.run_id)
            known = read_source(connection, job.run_id, job.spec.name)
            if known.status != "loaded":
                key = _step_key(connection, job, ago_s=took_s)
                write_failed(connection, key, findings, error)
    except EtlError as second:
        # The first error is the one to tell; the run's end says "missing" for it.
        logger.warning("%s: could not record its failure: %s", job.spec.name, second)


def _summary(receipt: SourceReceipt) -> str:
    counts: Counts = receipt.counts
    told = ", ".join(f"{n:,} {name}" for name, n in counts.to_dict().items() if n)
    return f"same input as before, {told}" if receipt.same_input else told
