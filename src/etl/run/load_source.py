"""Loads one input of a source in one transaction: data, cursor and ledger."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from functools import partial
from typing import Unpack
from uuid import UUID

from sqlalchemy import Connection, Engine, func, select, text

from etl.counts import Merged, equal
from etl.db import require_head, translated_errors
from etl.errors import DataError, EtlError
from etl.extract.raw_store import RawFile
from etl.ledger.cursor import Place, find_same, write_cursor
from etl.ledger.dependence import current_basis
from etl.ledger.read_receipt import read_step
from etl.ledger.receipt import StepReceipt
from etl.ledger.runs import require_open
from etl.ledger.steps import (
    StepKey,
    input_kind,
    raw_file_id,
    write_failed,
    write_loaded,
    write_same,
)
from etl.load.checks import check_dimension, check_stage, count_rows
from etl.load.dimensions import check_descriptions, merge_dimension
from etl.load.foreign_keys import lock_parents, triggers_off
from etl.load.keys import KEY_RULES
from etl.load.merge import Origin, merge_facts
from etl.load.stage import WORK_MEM, Cursor
from etl.lock_wait import lock_waits_reported
from etl.locks import source_key
from etl.progress import Progress
from etl.run.findings import Findings
from etl.run.policy import (
    check_retraction,
    make_room,
    may_retract,
    refuse_unfit_input,
)
from etl.run.request import LoadChoices, LoadRequest
from etl.run.stage import stage_input
from etl.specs.registry import require_source

logger = logging.getLogger(__name__)

LOCK_TIMEOUT = "5min"
"""How long a load waits for a lock on its tables, before it is tried again."""


def load_source(
    engine: Engine,
    source: str,
    *,
    run_id: UUID,
    raw: RawFile,
    position: int = 1,
    sequence: tuple[str, ...] = (),
    **choices: Unpack[LoadChoices],
) -> StepReceipt:
    """Validate, transform and load one raw file, all or nothing.

    If it fails, a second transaction records the failure, rejects and checks. The
    arguments are those of `LoadRequest`; no sequence means that it is the only input.

    Raises:
        EtlError: By what the reader does next.
    """
    spec, sequence = require_source(source), sequence or (raw.sha256,)
    request = LoadRequest(
        spec=spec, raw=raw, run_id=run_id, position=position, sequence=sequence,
        **choices,
    )  # fmt: skip
    findings, progress = Findings(), Progress(logger, source)
    report_wait = partial(logger.info, "%s: %s", source)
    logger.info("%s: loading %s (%s)", source, raw.name, raw.sha256[:12])
    try:
        with (
            translated_errors(),
            engine.begin() as connection,
            lock_waits_reported(engine, connection, report_wait),
        ):
            receipt = _load(connection, request, findings)
    except EtlError as error:
        _record_failed(engine, request, findings, error, progress.seconds)
        raise
    logger.info("%s: %s, %.2f s", source, _summary(receipt), progress.seconds)
    return receipt


def _load(
    connection: Connection, request: LoadRequest, findings: Findings
) -> StepReceipt:
    """Do the load within a transaction, unless it has been done."""
    spec = request.spec
    connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
    require_head(connection)
    require_open(connection, request.run_id)
    connection.execute(select(func.pg_advisory_xact_lock(source_key(spec.name))))
    before = _read(connection, request)
    if before.status == "loaded":
        # A retry after a connection that was lost while it committed.
        return before
    key = _step_key(connection, request)
    basis = current_basis(connection, spec)
    place = Place(request.sequence, request.position, request.complete)
    same = None if request.reload else find_same(connection, spec, basis, place)
    if same is not None:
        write_same(connection, key, same)
    else:
        _load_rows(connection, request, key, findings)
        write_cursor(connection, spec, basis, place, run_id=request.run_id)
    return _read(connection, request)


def _read(connection: Connection, request: LoadRequest) -> StepReceipt:
    return read_step(connection, request.run_id, request.spec.name, request.position)


def _step_key(
    connection: Connection, request: LoadRequest, *, ago_s: float = 0.0
) -> StepKey:
    """Identify the step, which began when this transaction did, or some time ago."""
    now: datetime = connection.execute(select(func.now())).scalar_one()
    file_id = raw_file_id(connection, request.raw)
    return StepKey(
        run_id=request.run_id,
        source=request.spec.name,
        position=request.position,
        raw_file_id=file_id,
        input_name=request.raw.name,
        input_kind=input_kind(connection, request.raw, file_id),
        started_at=now - timedelta(seconds=ago_s),
    )


def _load_rows(
    connection: Connection, request: LoadRequest, key: StepKey, findings: Findings
) -> None:
    """Stage, check, merge and record."""
    driver = connection.connection.driver_connection
    assert driver is not None
    with driver.cursor() as cursor:
        refuse_unfit_input(cursor, request, key.input_kind)
        cursor.execute(f"SET LOCAL work_mem = '{WORK_MEM}'")
        stage_input(cursor, request, findings)
        lock_parents(cursor, request.spec)
        merged = _merge(cursor, request, key, findings)
    write_loaded(connection, key, findings, findings.counts(merged))


def _merge(
    cursor: Cursor, request: LoadRequest, key: StepKey, findings: Findings
) -> Merged:
    """Merge the stage into the tables and check the result."""
    facts = request.spec.facts.name
    findings.rows_before = count_rows(cursor, facts)
    retracted = make_room(cursor, request, key.input_kind, findings)
    present = findings.rows_before - findings.sample_rows_replaced - retracted
    with triggers_off(cursor):
        _merge_dimensions(cursor, request, findings)
        merged = _merge_facts(cursor, request, key, findings)
    findings.rows_after = count_rows(cursor, facts)
    check_retraction(request, findings, retracted=merged.retracted, of=present)
    findings.checks.append(
        equal(
            f"rows of {facts} after the load",
            expected=present + merged.inserted - merged.retracted,
            seen=findings.rows_after,
        )
    )
    _require_passed(request, findings)
    merged = Merged(
        merged.inserted,
        merged.updated,
        merged.unchanged,
        merged.retracted + retracted,
    )
    findings.tables[facts] = merged
    return merged


def _merge_dimensions(cursor: Cursor, request: LoadRequest, findings: Findings) -> None:
    """Bring dimensions up to date, then check every staged row against them."""
    spec = request.spec
    dimensions = spec.tables[:-1]
    dropped = any(findings.by_rule[rule] for rule in KEY_RULES)
    for table in dimensions:
        findings.checks += check_descriptions(cursor, table)
        findings.tables[table.name] = merge_dimension(
            cursor, table, spec.facts, request.run_id, dropped=dropped
        )
    findings.checks += [
        *check_stage(cursor, spec, read=findings.read, rejected=findings.rejected),
        *(check_dimension(cursor, table) for table in dimensions),
    ]
    _require_passed(request, findings)


def _merge_facts(
    cursor: Cursor, request: LoadRequest, key: StepKey, findings: Findings
) -> Merged:
    return merge_facts(
        cursor,
        request.spec.facts,
        Origin(request.run_id, key.raw_file_id),
        staged=findings.read - findings.rejected,
        complete=may_retract(request, findings),
    )


def _require_passed(request: LoadRequest, findings: Findings) -> None:
    failed = [c for c in findings.checks if not c.passed and c.severity == "error"]
    if failed:
        reasons = "; ".join(
            f"{c.name}: expected {c.expected}, found {c.seen}" for c in failed
        )
        raise DataError(
            f"{request.spec.name}: a check failed, so nothing was loaded: {reasons}",
            f"./etl report {request.run_id}",
        )


def _record_failed(
    engine: Engine,
    request: LoadRequest,
    findings: Findings,
    error: EtlError,
    took_s: float,
) -> None:
    """Record a failed load, unless the database is what failed.

    If the connection was lost while it committed, the load may have succeeded after
    all; then the ledger knows it as loaded, and a retry finds that.
    """
    try:
        with translated_errors(), engine.begin() as connection:
            require_open(connection, request.run_id)
            if _read(connection, request).status != "loaded":
                key = _step_key(connection, request, ago_s=took_s)
                write_failed(connection, key, findings, error)
    except EtlError as second:
        # The first error is raised; when the run is closed this step counts as missing.
        source = request.spec.name
        logger.warning("%s: could not record its failure: %s", source, second)


def _summary(receipt: StepReceipt) -> str:
    counts = receipt.counts.to_dict()
    listed = ", ".join(f"{n:,} {name}" for name, n in counts.items() if n)
    return f"same input as before, {listed}" if receipt.same_input else listed
