"""One run at a time: the gate where runs queue, the lock that proves one alive."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

from sqlalchemy import Connection, Engine, func, select, text, update
from sqlalchemy.exc import DBAPIError

from etl.db import translated_errors
from etl.locks import RUN_GATE_KEY, alive_key
from etl.models.ledger import LedgerRun

logger = logging.getLogger(__name__)

LOCKS_OF_HOLDER = text("""
SELECT (mine.classid::bigint << 32) | mine.objid::bigint
FROM pg_locks AS gate JOIN pg_locks AS mine USING (pid, database, locktype)
WHERE gate.locktype = 'advisory' AND gate.granted AND mine.granted
  AND gate.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND ((gate.classid::bigint << 32) | gate.objid::bigint) = :gate
""")


@contextmanager
def hold_run(engine: Engine, run_id: UUID) -> Iterator[None]:
    """Wait for the run before this one, then prove this one alive until the end.

    Both locks belong to a database session of their own. If the process dies, the
    session ends and with it the locks: nothing has to be cleaned up, the next run goes
    on and the ledger's sweep sees that this one is dead.
    """
    with translated_errors():
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    try:
        with translated_errors():
            connection.execute(select(func.pg_advisory_lock(alive_key(run_id))))
            connection.execute(
                update(LedgerRun)
                .where(LedgerRun.run_id == run_id)
                .values(held_at=func.clock_timestamp())
            )
            _pass_gate(connection)
        yield
    finally:
        # Not back to the pool: the locks end with the session.
        with suppress(DBAPIError):
            connection.detach()
        connection.close()


def _pass_gate(connection: Connection) -> None:
    """Wait until no other run works on this database."""
    if connection.scalar(select(func.pg_try_advisory_lock(RUN_GATE_KEY))):
        return
    logger.info("waiting for %s to end", _holder(connection))
    connection.execute(select(func.pg_advisory_lock(RUN_GATE_KEY)))
    logger.info("it has ended; going on")


def _holder(connection: Connection) -> str:
    """Return which run holds the gate."""
    held = set(connection.scalars(LOCKS_OF_HOLDER, {"gate": RUN_GATE_KEY}))
    running = connection.execute(
        select(LedgerRun.run_id, LedgerRun.started_at).where(
            LedgerRun.status == "running"
        )
    )
    for run in running:
        if alive_key(run.run_id) in held:
            return f"run {run.run_id}, started {run.started_at:%Y-%m-%d %H:%M:%S %Z},"
    return "another run"
