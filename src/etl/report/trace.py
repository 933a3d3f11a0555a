"""Follows published figures back to their run, raw file, line, and earlier values."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import Connection, Engine, text

from etl.db import require_head, translated_errors
from etl.errors import ConfigError
from etl.extract.raw_store import RawStore
from etl.readers.read import quote_lines
from etl.report.listing import Listing, Row
from etl.settings import Settings

FIGURES, HISTORY = "out_nass__values", "out_nass__value_history"
KEY = ("series_id", "location_id", "period_id")
SHOWN = ("short_desc", "location_desc", "year", "period", "value", "value_flag")
ORIGIN = ("state", "input_name", "raw_line", "digest", "load_run_id", "loaded_at")
OPTIONAL = ("digest", "loaded_at", "value_flag", "period", "load_run_id")

CURRENT = """
SELECT v.*, 'current' AS state, run.started_at AS loaded_at, file.name AS input_name,
       file.sha256, left(file.sha256, 12) AS digest
FROM out_nass__values AS v
JOIN ledger_run AS run ON run.run_id = v.load_run_id
JOIN ledger_raw_file AS file USING (raw_file_id)
WHERE {wanted}
ORDER BY v.short_desc, v.location_desc, v.year, v.raw_line
LIMIT :limit
"""

RETRACTED = """
SELECT DISTINCT ON (v.series_id, v.location_id, v.period_id) v.*,
       'retracted' AS state, run.started_at AS loaded_at, file.name AS input_name,
       file.sha256, left(file.sha256, 12) AS digest
FROM out_nass__value_history AS v
JOIN ledger_run AS run ON run.run_id = v.load_run_id
JOIN ledger_raw_file AS file USING (raw_file_id)
WHERE {wanted} AND NOT EXISTS (
    SELECT FROM core_nass__value AS now
    WHERE (now.series_id, now.location_id, now.period_id)
        = (v.series_id, v.location_id, v.period_id)
)
ORDER BY v.series_id, v.location_id, v.period_id, v.replaced_at DESC
LIMIT :limit
"""

EARLIER = text("""
SELECT h.value, h.value_flag, h.cv_pct, h.cv_flag, h.change, h.change AS state,
       h.replaced_at, h.replaced_by_run_id, h.load_run_id, run.started_at AS loaded_at,
       file.name AS input_name, file.sha256, left(file.sha256, 12) AS digest, h.raw_line
FROM core_nass__value_history AS h
JOIN ledger_run AS run ON run.run_id = h.load_run_id
JOIN ledger_raw_file AS file USING (raw_file_id)
WHERE (h.series_id, h.location_id, h.period_id)
    = (:series_id, :location_id, :period_id)
ORDER BY h.replaced_at, h.history_id
""")


def trace(
    engine: Engine, settings: Settings, filters: Mapping[str, str], *, limit: int
) -> Listing:
    """Return the figures that have some values in some columns, with their origin.

    A figure is followed by its key, so another figure's history is never shown. One
    that was retracted is found by the columns that its history has.

    Args:
        filters: Values by column of out_nass__values.

    Raises:
        ConfigError: A filter is no column, or there is none.
    """
    with translated_errors(), engine.connect() as connection:
        require_head(connection)
        _require_columns(connection, filters)
        rows = _figures(connection, CURRENT, filters, limit)
        if set(filters) <= set(_columns(connection, HISTORY)):
            rows += _figures(connection, RETRACTED, filters, limit - len(rows))
        for row in rows:
            key = {column: row[column] for column in KEY}
            found = connection.execute(EARLIER, key).mappings()
            row["earlier"] = [dict(earlier) for earlier in found]
    _quote(list(_states(rows)), RawStore(settings.raw_dir))
    note = f"{len(rows)} figures (at most {limit}); their lines: --json"
    shown, lines = (*SHOWN, *ORIGIN), list(_lines(rows))
    return Listing("figures", rows, shown, note, lines=lines, optional=OPTIONAL)


def _figures(
    connection: Connection, query: str, filters: Mapping[str, str], limit: int
) -> list[Row]:
    wanted = " AND ".join(f"v.{column}::text = :{column}" for column in filters)
    found = connection.execute(
        text(query.format(wanted=wanted)), {**filters, "limit": limit}
    )
    return [dict(figure) for figure in found.mappings()]


def _states(rows: Sequence[Row]) -> Iterator[Row]:
    """Yield each figure and its earlier states."""
    for row in rows:
        yield row
        yield from row["earlier"]


def _lines(rows: Sequence[Row]) -> Iterator[Row]:
    """Yield each figure and its earlier states with all columns that are shown."""
    for row in rows:
        yield row
        earlier = list(reversed(row["earlier"]))
        if row["state"] == "retracted":
            del earlier[0]  # the row itself
        for state in earlier:
            yield dict.fromkeys(SHOWN, "") | state


def _require_columns(connection: Connection, filters: Mapping[str, str]) -> None:
    """Refuse filters that are no columns of the view."""
    known = _columns(connection, FIGURES)
    for column in filters:
        if column not in known:
            near = difflib.get_close_matches(column, known, n=1)
            raise ConfigError(
                f"{FIGURES} has no column {column!r}",
                f"did you mean --{near[0]}?" if near else f"it has: {', '.join(known)}",
            )
    if not filters:
        raise ConfigError(
            "no figures were selected", "./etl trace --commodity CORN --county_code 077"
        )


def _columns(connection: Connection, view: str) -> list[str]:
    """Return the columns of a view."""
    query = text(
        "SELECT column_name::text FROM information_schema.columns "
        "WHERE table_schema = current_schema() AND table_name = :view"
    )
    return list(connection.scalars(query, {"view": view}))


def _quote(states: Sequence[Row], store: RawStore) -> None:
    """Add the line of the raw file to each row; null if this machine lacks the file."""
    for sha256 in {row["sha256"] for row in states}:
        of_file = [row for row in states if row["sha256"] == sha256]
        lines = {row["raw_line"] for row in of_file}
        path = store.path(sha256)
        quoted = quote_lines(path, lines, name=sha256) if path.is_file() else {}
        for row in of_file:
            row["raw_text"] = quoted.get(row["raw_line"])
