"""Lists the residue estimate of a year, and what is missing from it."""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Engine, text

from etl.console import Result, render_table
from etl.db import require_head, translated_errors
from etl.errors import ConfigError

ESTIMATE = """
SELECT e.* FROM out_residues__estimate AS e
WHERE {conditions}
ORDER BY e.dry_tons DESC NULLS LAST, e.county_name, e.crop
"""

IN_MONTH = """
SELECT e.year, e.geoid, e.county_name, e.crop, e.residue, e.residue_type, e.acres,
       e.acres_source, e.acres_flag, c.dry_tons, c.dry_tons_low, c.dry_tons_high,
       c.wet_tons, e.months, e.acres_ref, e.factor_ref, c.month
FROM out_residues__estimate AS e
JOIN out_residues__calendar AS c
    ON (c.year, c.crop) = (e.year, e.crop) AND c.geoid IS NOT DISTINCT FROM e.geoid
WHERE {conditions} AND c.month = :month
ORDER BY c.dry_tons DESC NULLS LAST, e.county_name, e.crop
"""

UNMAPPED = text("""
SELECT count(*) AS commodities, coalesce(sum(acres), 0) AS acres
FROM out_residues__unmapped WHERE year = :year
""")


HEADER = (
    "county",
    "residue",
    "acres",
    "dry tons",
    "low to high",
    "wet tons",
    "months",
    "acres from",
)


@dataclass(frozen=True, slots=True)
class Question:
    """What a person asks; None is no condition. `year` None is the newest year."""

    county: str | None = None
    crop: str | None = None
    year: int | None = None
    month: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows of the estimate that match a question, and what is missing from them.

    Attributes:
        rows: One row per county, crop and residue, with the columns of
            out_residues__estimate; with a month also `month`, and tons of that month.
        gaps: How many rows lack an acreage, at least in part.
        unplaced: How many rows are not placed in a county.
        unmapped_commodities: How many commodities of the year have acres in some
            county and no residue factor.
        unmapped_acres: Their acres.
    """

    year: int
    rows: list[dict[str, Any]]
    gaps: int
    unplaced: int
    unmapped_commodities: int
    unmapped_acres: Decimal

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "year": self.year,
            "residues": [
                {name: _json_number(value) for name, value in row.items()}
                for row in self.rows
            ],
            "missing": {
                "rows_without_all_acres": self.gaps,
                "rows_without_county": self.unplaced,
                "commodities_without_factor": self.unmapped_commodities,
                "acres_without_factor": _json_number(self.unmapped_acres),
            },
        }


def answer_question(engine: Engine, question: Question) -> Answer:
    """Return the rows of the estimate that match, the largest first.

    Raises:
        ConfigError: There is no such county, crop or year.
    """
    with translated_errors(), engine.connect() as connection:
        require_head(connection)
        year = _year(connection, question.year)
        conditions = ["e.year = :year"]
        values: dict[str, object] = {"year": year, "month": question.month}
        if question.county is not None:
            conditions.append("e.geoid = :geoid")
            values["geoid"] = _geoid(connection, question.county)
        if question.crop is not None:
            conditions.append("e.crop = :crop")
            values["crop"] = _crop(connection, question.crop)
        query = ESTIMATE if question.month is None else IN_MONTH
        found = connection.execute(
            text(query.format(conditions=" AND ".join(conditions))), values
        ).mappings()
        rows = [dict(row) for row in found]
        unmapped = connection.execute(UNMAPPED, {"year": year}).mappings().one()
    return Answer(
        year=year,
        rows=rows,
        gaps=sum(row["acres_flag"] is not None for row in rows),
        unplaced=sum(row["county_name"] is None for row in rows),
        unmapped_commodities=unmapped["commodities"],
        unmapped_acres=unmapped["acres"],
    )


def as_result(answer: Answer, *, as_csv: bool) -> Result:
    """Return an answer as a table for people, or as CSV with every column."""
    if as_csv:
        return Result(answer.to_dict(), _csv(answer.rows))
    cells = [
        [
            row["county_name"] or "(no county)",
            row["residue"],
            _amount(row["acres"]),
            _amount(row["dry_tons"]),
            _range(row["dry_tons_low"], row["dry_tons_high"]),
            _amount(row["wet_tons"]),
            " ".join(map(str, row["months"])),
            row["acres_source"],
        ]
        for row in answer.rows
    ]
    table = render_table(HEADER, cells) if cells else "no residues match"
    return Result(answer.to_dict(), f"{table}\n\n{_summary(answer)}")


def _summary(answer: Answer) -> str:
    """Return what the rows add up to, and what is missing from them."""
    total = sum(row["dry_tons"] or 0 for row in answer.rows)
    return "\n".join(
        [
            f"{answer.year}: {total:,.0f} dry short tons in {len(answer.rows):,} rows",
            f"missing: {answer.gaps:,} rows lack acres, at least in part; "
            f"{answer.unplaced:,} rows have no county;",
            f"  {answer.unmapped_commodities:,} commodities with "
            f"{answer.unmapped_acres:,.0f} acres have no factor: see the view "
            "out_residues__unmapped",
        ]
    )


def _amount(value: Decimal | None) -> str:
    """Return a number for people; a gap is a dash, not a zero."""
    return "-" if value is None else f"{value:,.0f}"


def _range(low: Decimal | None, high: Decimal | None) -> str:
    """Return a range, or nothing where both ends are the same."""
    return "" if low == high else f"{_amount(low)} to {_amount(high)}"


def _json_number(value: Any) -> Any:
    """Return a decimal as a JSON number."""
    if not isinstance(value, Decimal):
        return value
    return int(value) if value == value.to_integral_value() else float(value)


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as CSV; months are separated by blanks, a gap is empty."""
    text_file = io.StringIO()
    if rows:
        writer = csv.DictWriter(text_file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            months = " ".join(map(str, row["months"]))
            plain = {name: _json_number(value) for name, value in row.items()}
            writer.writerow({**plain, "months": months})
    return text_file.getvalue()


def _year(connection: Connection, asked: int | None) -> int:
    """Return the year that is asked for, or the newest one that has an estimate."""
    years = list(
        connection.scalars(
            text("SELECT DISTINCT year FROM out_residues__estimate ORDER BY year")
        )
    )
    if not years:
        raise ConfigError(
            "no commissioners' report is loaded, so there is no estimate", "./etl run"
        )
    if asked is None:
        return int(years[-1])
    if asked not in years:
        known = ", ".join(map(str, years))
        raise ConfigError(
            f"there is no estimate for {asked}; there is one for {known}",
            f"./etl residues --year {years[-1]}",
        )
    return asked


def _geoid(connection: Connection, asked: str) -> str:
    """Return the county that a person means: by name, geoid or three-digit code."""
    places = connection.execute(
        text(
            "SELECT geoid, place_name FROM out_geography__places WHERE level = 'county'"
        )
    )
    names = {place.place_name.removesuffix(" County"): place.geoid for place in places}
    by_name = {_plain(name): geoid for name, geoid in names.items()}
    if asked in names.values():
        return asked
    if asked.isdecimal() and f"06{asked:0>3}" in names.values():
        return f"06{asked:0>3}"
    geoid = by_name.get(_plain(asked))
    if geoid is None:
        raise ConfigError(
            f"there is no county {asked!r}{_near(asked, list(names))}",
            "list them: ./etl psql -- -c 'TABLE out_geography__places'",
        )
    return str(geoid)


def _crop(connection: Connection, asked: str) -> str:
    """Return the crop of the residue factors that a person means, in any case."""
    crops = list(connection.scalars(text("SELECT crop FROM core_residues__factor")))
    by_name = {crop.casefold(): crop for crop in crops}
    if asked.casefold() not in by_name:
        raise ConfigError(
            f"there is no residue factor for {asked!r}{_near(asked, crops)}",
            "list them: ./etl psql -- -c 'TABLE core_residues__factor'",
        )
    return str(by_name[asked.casefold()])


def _plain(county: str) -> str:
    """Return a county's name without case, blanks at the ends, and "County"."""
    return county.casefold().strip().removesuffix(" county")


def _near(asked: str, known: Sequence[str]) -> str:
    """Return the nearest names as a question."""
    folded = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(asked.casefold(), folded, n=3)
    return f"; did you mean {', '.join(folded[name] for name in near)}?" if near else ""
