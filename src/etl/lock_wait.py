"""Reports which session holds a lock that one of our sessions waits for.

A statement that waits for a lock blocks its thread, so a second one asks the server,
through a session of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection, Engine, NullPool, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

POLL_S, CONNECT_S = 0.5, 5

BLOCKERS = text("""
SELECT activity.pid, activity.application_name, activity.usename, activity.xact_start
FROM unnest(pg_blocking_pids(:pid)) AS blocker(pid)
JOIN pg_stat_activity AS activity USING (pid)
ORDER BY activity.xact_start
""")


class LockWait:
    """What a session waits for. `holder` is the last session seen in its way."""

    def __init__(self) -> None:
        self.holder: str | None = None


@contextmanager
def lock_waits_reported(
    engine: Engine, connection: Connection, report: Callable[[str], None]
) -> Iterator[LockWait]:
    """Report each session that `connection` waits for, as long as the block lasts."""
    wait, done = LockWait(), threading.Event()
    pid = backend_pid(connection)

    def watch() -> None:
        if done.wait(POLL_S):
            return  # most statements end before they are worth a session of our own
        watching = create_engine(
            engine.url, poolclass=NullPool, connect_args={"connect_timeout": CONNECT_S}
        )
        # The database may go away: then the statement that waits reports it.
        with suppress(SQLAlchemyError):
            while not done.is_set():
                holder = blocking_session(watching, pid)
                if holder and holder != wait.holder:
                    wait.holder = holder
                    report(f"waiting for a lock of the database, held by {holder}")
                done.wait(POLL_S)

    thread = threading.Thread(target=watch, name="lock-wait", daemon=True)
    thread.start()
    try:
        yield wait
    finally:
        done.set()
        thread.join()


def backend_pid(connection: Connection) -> int:
    """Return the process id of a connection's session on the server."""
    driver = connection.connection.dbapi_connection
    return int(driver.info.backend_pid)  # type: ignore[union-attr]


def blocking_session(engine: Engine, pid: int) -> str | None:
    """Return the session that a session waits for, the longest one first."""
    with engine.connect() as connection:
        row = connection.execute(BLOCKERS, {"pid": pid}).first()
    if row is None:
        return None
    # Sessions of other roles show their process number only.
    details = [row.application_name, row.usename and f"role {row.usename}"]
    if row.xact_start:
        details.append(f"in a transaction since {row.xact_start:%Y-%m-%d %H:%M:%S %Z}")
    return f"session {row.pid} ({', '.join(filter(None, details))})"
