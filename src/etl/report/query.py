"""Reads the database for a command and returns a table for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Engine

from etl.console import Result, render_table
from etl.db import connect
from etl.report.listing import Listing
from etl.settings import Settings, load_settings

SHORT_ID = 8
NUMBER = (int, float, Decimal, type(None))
NUMBER = (int, float, Decimal, type(None))


@contextmanager
def database() -> Iterator[tuple[Engine, Settings]]:
    """Connect to the application database by the environment's settings."""
    settings = load_settings()
    engine = connect(settings)
    try:
        yield engine, settings
    finally:
        engine.dispose()


def query(read: Callable[[Engine, Settings], Listing]) -> Result:
    """Return what a function reads from the database as a table."""
    with database() as (engine, settings):
        return as_table(read(engine, settings))


def as_table(listing: Listing) -> Result:
    """Return a listing as data and as a table for the terminal."""
    if listing.rows:
        rows = listing.rows if listing.lines is None else listing.lines
        columns = {name: name.replace("_", " ") for name in listing.shown}
        text = render_table(
            list(columns.values()),
            ([as_cell(row[name]) for name in columns] for row in rows),
            right={
                columns[name]
                for name in columns
                if all(isinstance(row[name], NUMBER) for row in rows)
            },
            optional=[columns[name] for name in listing.optional],
        )
    else:
        text = f"no {listing.name}"
    return Result(
        {listing.name: listing.rows, **listing.summary}, f"{text}\n{listing.note}"
    )


def as_cell(value: object) -> str:
    """Return one value as text; an id by the start that commands take."""
    match value:
        case None:
            return ""
        case UUID():
            return str(value)[:SHORT_ID]
        case datetime():
            return f"{value:%Y-%m-%d %H:%M}"
        case list():
            return ", ".join(map(str, value))
        case _:
            return str(value)
