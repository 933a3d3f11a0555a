"""Cursors that end a load's session, or fail it, at a chosen point of any statement."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from sqlalchemy import Engine, create_engine


@dataclass
class Plan:
    """Counts the points at which a load can be cut off, and cuts it off at one of them.

    A point is the start of a statement, on SQLAlchemy's connection or on the raw cursor
    of COPY and MERGE, and the moment after each block of a COPY.

    Attributes:
        at: Which point, from 1; 0 cuts nothing off.
        fault: What happens there, given the connection.
        points: What has been seen: the start of each statement's text.
    """

    fault: Callable[[psycopg.Connection[Any]], object]
    at: int = 0
    points: list[str] = field(default_factory=list)

    def reached(self, connection: psycopg.Connection[Any], what: str) -> None:
        """Count a point; if it is the chosen one, cause the fault."""
        self.points.append(what)
        if len(self.points) == self.at:
            self.fault(connection)

    def engine(self, engine: Engine) -> Engine:
        """Return an engine to the same database with cursors that follow this plan."""
        return create_engine(
            engine.url, connect_args={"cursor_factory": cursor_class(self)}
        )


def cursor_class(plan: Plan) -> type[psycopg.Cursor[Any]]:
    """Return a cursor class that reports every statement and COPY block to a plan."""

    class ObservedCursor(psycopg.Cursor[Any]):
        def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
            plan.reached(self.connection, as_text(query, self.connection))
            return super().execute(query, *arguments, **options)

        def executemany(self, query: Any, *arguments: Any, **options: Any) -> None:
            plan.reached(self.connection, as_text(query, self.connection))
            super().executemany(query, *arguments, **options)

        @contextmanager
        def copy(
            self, statement: Any, *arguments: Any, **options: Any
        ) -> Iterator[Any]:
            plan.reached(self.connection, as_text(statement, self.connection))
            with super().copy(statement, *arguments, **options) as copy:
                yield ObservedCopy(copy, plan, self.connection)

    return ObservedCursor


class ObservedCopy:
    """A COPY that reports each block after it was sent."""

    def __init__(self, copy: Any, plan: Plan, connection: Any) -> None:
        self.copy, self.plan, self.connection = copy, plan, connection

    def write(self, block: bytes) -> None:
        """Send a block."""
        self.copy.write(block)
        self.plan.reached(self.connection, f"{len(block)} bytes of COPY")


def as_text(query: Any, connection: Any) -> str:
    """Return the start of a statement's text."""
    text = query if isinstance(query, str) else query.as_string(connection)
    return " ".join(text.split())[:60]


def kill(server: Any) -> Callable[[psycopg.Connection[Any]], object]:
    """Return a fault that ends the session from outside."""

    def fault(connection: psycopg.Connection[Any]) -> None:
        with server.owner() as owner:
            owner.execute(
                "SELECT pg_terminate_backend(%s, 5000)", [connection.info.backend_pid]
            )

    return fault


def fail(_connection: psycopg.Connection[Any]) -> None:
    """Fail as the driver does when the database's disk is full."""
    raise psycopg.errors.DiskFull("could not extend file: No space left on device")
