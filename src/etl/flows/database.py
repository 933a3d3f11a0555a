"""The database engine of one flow: cancelling the flow ends its database sessions.

Tasks are plain functions in threads, and a thread cannot be cancelled. Its database
session can be closed: the load rolls back and the thread ends with an error. Without
this, a cancelled run would continue and commit after it was reported as cancelled.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import psycopg
from sqlalchemy import Engine, event

from etl.db import connect
from etl.errors import EtlError
from etl.settings import load_settings

T = TypeVar("T")

RERUN = "./etl run"


class RunCancelled(EtlError):
    """The run was stopped from outside; start another one when it is wanted."""

    code = "CANCELLED"


async def in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """Run a blocking function in a thread; on cancellation leave it behind."""
    return await anyio.to_thread.run_sync(function, *arguments, abandon_on_cancel=True)


@asynccontextmanager
async def database() -> AsyncIterator[Engine]:
    """Yield the engine of the application database; cut its sessions if cancelled."""
    engine = connect(load_settings())
    sessions = Sessions(engine)
    try:
        yield engine
    except BaseException:  # whatever ends the flow early ends its sessions too
        sessions.cut()
        raise
    finally:
        engine.dispose()


def notice_dead_client(session: Any, _record: object) -> None:
    """Let the server end a statement, and free its locks, when this process is killed.

    By itself it looks at the connection only when the statement is done; a run that is
    killed while it waits for another one would seem to be alive until then.
    """
    session.execute("SET client_connection_check_interval = '1s'")
    session.commit()


class Sessions:
    """The sessions that an engine has in use, so that they can be cut off."""

    def __init__(self, engine: Engine) -> None:
        self._lock = threading.Lock()
        self._in_use: set[psycopg.Connection[Any]] = set()
        self._is_cut = False
        event.listen(engine, "connect", notice_dead_client)
        event.listen(engine, "checkout", self._taken)
        event.listen(engine, "checkin", self._returned)

    def cut(self) -> None:
        """Interrupt every statement that is running and refuse new ones."""
        with self._lock:
            self._is_cut = True
            in_use = list(self._in_use)
        for session in in_use:
            with suppress(psycopg.Error):  # it ended by itself in the meantime
                session.cancel_safe(timeout=5)
            session.close()

    def _taken(self, session: Any, _record: object, _proxy: object) -> None:
        with self._lock:
            if self._is_cut:
                raise RunCancelled("the run was cancelled", RERUN)
            self._in_use.add(session)

    def _returned(self, session: Any, _record: object) -> None:
        with self._lock:
            self._in_use.discard(session)
