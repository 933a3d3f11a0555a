"""Follows published figures back to their run, raw file, line, and earlier values."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from sqlalchemy import Connection, Engine, text

from etl.db import require_head, translated_errors
from etl.errors import ConfigError
from etl.extract.raw_store import RawStore
from etl.readers.read import quote_lines
from etl.report.listing import Listing, Row
from etl.settings import Settings

VIEW = "out_nass__values"
SHOWN = ("short_desc", "location_desc", "year", "value", "value_flag", "loaded_at")
ORIGIN = ("input_name", "digest", "raw_line", "load_run_id")

FIGURES = """
SELECT v.*, run.started_at AS loaded_at, file.name AS input_name, file.sha256,
       left(file.sha256, 12) AS digest
FROM out_nass__values AS v
JOIN ledger_run AS run ON run.run_id = v.load_run_id
JOIN ledger_raw_file AS file USING (raw_file_id)
WHERE {wanted}
ORDER BY v.short_desc, v.location_desc, v.year, v.raw_line
LIMIT :limit
"""

EARLIER = text("""
SELECT value, value_flag, cv_pct, cv_flag, change, replaced_at, replaced_by_run_id,
       load_run_id
FROM out_nass__value_history
WHERE (source, short_desc, location_desc, year, period, domain_category, week_ending)
   IS NOT DISTINCT FROM
      (:source, :short_desc, :location_desc, :year, :period, :domain_category,
       :week_ending)
ORDER BY replaced_at
""")


def trace(
    engine: Engine, settings: Settings, filters: Mapping[str, str], *, limit: int
) -> Listing:
    """Return the figures whose columns have the given values, with their origin.

    Args:
        filters: Values by column of out_nass__values.

    Raises:
        ConfigError: A filter is no column, or there is none.
    """
    with translated_errors(), engine.connect() as connection:
        require_head(connection)
        wanted = " AND ".join(
            f"v.{column}::text = :{column}" for column in _columns(connection, filters)
        )
        figures = connection.execute(
            text(FIGURES.format(wanted=wanted)), {**filters, "limit": limit}
        ).mappings()
        rows = [dict(figure) for figure in figures]
        for row in rows:
            row["earlier"] = [
                dict(one) for one in connection.execute(EARLIER, row).mappings()
            ]
    _quote(rows, RawStore(settings.raw_dir))
    note = f"{len(rows)} figures (at most {limit}); their lines: --json"
    return Listing("figures", rows, (*SHOWN, *ORIGIN), note)


def _columns(connection: Connection, filters: Mapping[str, str]) -> list[str]:
    """Return the filters' columns, each known to be one of the view."""
    known = list(
        connection.scalars(
            text(
                "SELECT column_name::text FROM information_schema.columns "
                "WHERE table_schema = current_schema() AND table_name = :view"
            ),
            {"view": VIEW},
        )
    )
    for column in filters:
        if column not in known:
            near = difflib.get_close_matches(column, known, n=1)
            raise ConfigError(
                f"{VIEW} has no column {column!r}",
                f"did you mean --{near[0]}?" if near else f"it has: {', '.join(known)}",
            )
    if not filters:
        raise ConfigError(
            "say which figures", "./etl trace --commodity CORN --county_code 077"
        )
    return list(filters)


def _quote(rows: list[Row], store: RawStore) -> None:
    """Add the line of the raw file to each row; null if this machine lacks the file."""
    for sha256 in {row["sha256"] for row in rows}:
        of_file = [row for row in rows if row["sha256"] == sha256]
        lines = {row["raw_line"] for row in of_file}
        path = store.path(sha256)
        quoted = quote_lines(path, lines, name=sha256) if path.is_file() else {}
        for row in of_file:
            row["raw_text"] = quoted.get(row["raw_line"])
