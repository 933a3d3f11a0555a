"""The residue estimate: its sources load, its views equal the lines of the files."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from importlib.resources import files
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from tests.db.conftest import Lab
from tests.db.residue_files import shipped

from etl.specs.cac import COUNTIES, OTHERS, STATE_TOTAL
from etl.views.definitions import comments, latest

DATA = files("etl.data")
REPORTS = Path(__file__).parents[3] / "shared/data/cac"
OWN_VIEWS = sorted(v for v in latest() if v.startswith(("out_cac", "out_residues")))
needs_reports = pytest.mark.skipif(
    not REPORTS.is_dir(), reason="the commissioners' reports are not at hand"
)


def test_the_factor_table_loads_whole(residues: Lab) -> None:
    assert residues.one("SELECT count(*) FROM core_residues__factor") == 67
    untyped = "SELECT count(*) FROM core_residues__factor WHERE residue_type IS NULL"
    assert residues.one(untyped) == 12
    names = "SELECT count(DISTINCT residue) FROM core_residues__factor"
    assert residues.one(names) == 67


def test_almonds_in_merced_by_the_lines_of_the_files(residues: Lab) -> None:
    """103,000 acres × 1.5 dry short tons; 228,000 tons of hulls stand beside."""
    (row,) = residues.rows(
        "SELECT geoid, residue, residue_type, acres, acres_source, acres_flag, "
        "dry_tons, dry_tons_low, dry_tons_high, wet_tons, months, acres_ref, "
        "factor_ref FROM out_residues__estimate "
        "WHERE county_name = 'Merced' AND crop = 'Almonds' AND year = 2020"
    )
    assert row == (
        "06047",
        "Almond prunings",
        "Prunings",
        103_000,
        "cac",
        None,
        154_500,
        154_500,
        154_500,
        257_500,
        [1, 2, 10, 11, 12],
        "cac 2020 047 261999",
        "residue_factors Almonds",
    )
    hulls = residues.rows(
        "SELECT by_product, amount, unit FROM out_residues__reported "
        "WHERE county_name = 'Merced' AND year = 2020 ORDER BY by_product"
    )
    assert hulls == [
        ("Almond hulls", 228_000, "tons"),
        ("Biomass for energy", 66_900, "tons"),
        ("Cottonseed", 29_800, "tons"),
        ("Manure", 1_607_000, "tons"),
        ("Orchard biomass", 69_200, "tons"),
        ("Straw", 2_670, "tons"),
    ]


def test_acres_of_several_commodities_are_added(residues: Lab) -> None:
    (row,) = residues.rows(
        "SELECT acres, dry_tons, acres_ref FROM out_residues__estimate "
        "WHERE county_name = 'Merced' AND crop = 'Cotton'"
    )
    assert row == (33_100, Decimal("43030"), "cac 2020 047 121219+121229")


def test_a_dry_factor_that_wet_and_moisture_contradict_gives_a_range(
    residues: Lab,
) -> None:
    low, printed, high = residues.rows(
        "SELECT dry_tons_low / acres, dry_tons / acres, dry_tons_high / acres "
        "FROM out_residues__estimate WHERE crop = 'Rice' LIMIT 1"
    )[0]
    assert (round(low, 3), printed, round(high, 3)) == (
        Decimal("1.548"),
        Decimal("1.6"),
        Decimal("1.6"),
    )


def expected_estimate(
    lines: Iterator[list[str]],
) -> dict[tuple[int, str, str], Decimal | None]:
    """Return dry tons by (year, county code, crop), computed from the files alone."""
    factors = {
        row["crop"]: Decimal(row["dry_tons_per_acre"])
        for row in shipped("residue_factors.csv")
    }
    crops = {row["commodity_code"]: row["crop"] for row in shipped("cac_crops.csv")}
    acres: dict[tuple[int, str, str], list[Decimal]] = defaultdict(list)
    for year, code, _, county, _, harvested, _, production, _, _, value in lines:
        crop = crops.get(code)
        if not year or not crop or county.zfill(3) == STATE_TOTAL:
            continue
        found = acres[int(year), county.zfill(3), crop]
        amounts = [Decimal(cell) for cell in (production, value) if cell]
        if harvested and (Decimal(harvested) or not any(amounts)):
            found.append(Decimal(harvested))
    return {
        key: sum(found, Decimal()) * factors[key[2]] if found else None
        for key, found in acres.items()
    }


def stripped(content: str) -> Iterator[list[str]]:
    """Yield the cells of a report, header left out, without padding."""
    for row in csv.reader(content.splitlines()[1:]):
        yield [cell.strip() for cell in row]


def seen_estimate(lab: Lab) -> dict[tuple[int, str, str], Decimal | None]:
    """Return dry tons by (year, county code, crop), from the view."""
    found = lab.rows(
        "SELECT year, split_part(acres_ref, ' ', 3), crop, dry_tons "
        "FROM out_residues__estimate"
    )
    rows = {(year, county, crop): tons for year, county, crop, tons in found}
    assert len(rows) == len(found), "a county, crop and year has one row"
    return rows


def test_the_estimate_is_what_the_shipped_files_give(residues: Lab) -> None:
    content = DATA.joinpath("cac_sample.csv").read_text("utf-8")
    expected = expected_estimate(stripped(content))
    assert expected
    assert seen_estimate(residues) == expected


def test_the_calendar_adds_up_to_the_estimate(residues: Lab) -> None:
    differing = residues.rows(
        "SELECT e.crop FROM out_residues__estimate AS e "
        "JOIN out_residues__calendar AS c "
        "ON (c.year, c.crop) = (e.year, e.crop) AND c.geoid IS NOT DISTINCT FROM "
        "e.geoid GROUP BY e.crop, e.geoid, e.year, e.dry_tons "
        "HAVING abs(sum(c.dry_tons) - e.dry_tons) > 0.001"
    )
    assert differing == []
    months = "SELECT count(DISTINCT month) FROM out_residues__calendar"
    assert residues.one(months) == 12


def test_totals_of_the_state_are_in_no_view_of_figures(residues: Lab) -> None:
    """A total beside its parts would be counted twice."""
    counties = len(COUNTIES)
    for view in ("out_cac__production", "out_residues__estimate"):
        placed = f"SELECT count(DISTINCT geoid) FROM {view}"
        assert 0 < residues.one(placed) <= counties
    printed = {row["County Code"] for row in shipped("cac_sample.csv")}
    assert {OTHERS, STATE_TOTAL} <= printed
    sums = "SELECT count(*) FROM out_cac__production WHERE geoid IS NULL"
    others = [r for r in shipped("cac_sample.csv") if r["County Code"] == OTHERS]
    assert residues.one(sums) == len(others) > 0


@pytest.mark.parametrize("view", OWN_VIEWS)
def test_every_column_of_the_views_has_a_comment(view: str, db: Engine) -> None:
    wanted, columns = comments(view, version=latest()[view])
    with db.connect() as connection:
        comment = connection.scalar(
            text("SELECT obj_description(CAST(:view AS regclass))"), {"view": view}
        )
        found = connection.execute(
            text(
                "SELECT attname, col_description(attrelid, attnum) "
                "FROM pg_attribute WHERE attrelid = CAST(:view AS regclass) "
                "AND attnum > 0"
            ),
            {"view": view},
        ).all()
    assert comment == wanted
    assert {row.attname: row[1] for row in found} == columns


def test_the_mapping_gives_a_reason_for_every_code(residues: Lab) -> None:
    rows = shipped("cac_crops.csv")
    assert all(row["reason"] for row in rows)
    assert len({row["commodity_code"] for row in rows}) == len(rows) == 399
    used = {row["crop"] for row in rows if row["crop"]}
    assert used == {row["crop"] for row in shipped("residue_factors.csv")}


BLANK_LINES = {"1986": 1, "1996": 2}
"""Lines of the real reports that lack a year or a county, by year: rejected."""

BAD = """\
Year, Commodity Code, Crop Name, County Code, County, Harvested Acres, Yield, \
Production, Price P/U, Unit, Value
 ,  ,  ,  ,  ,  ,  ,  ,  ,  ,\x20
2019 ,261999 ,ALMONDS ALL ,47 ,Merced ,0 ,  ,100 ,2.0 ,TONS ,200
2019 ,261999 ,ALMONDS ALL ,047 ,Merced ,5 ,  ,100 ,2.0 ,TONS ,200
2019 ,261999 ,ALMONDS ALL ,48 ,Nowhere ,5 ,  ,100 ,2.0 ,TONS ,200
2019 ,261999 ,ALMONDS ALL ,79 ,San Luis Obisp ,7 ,  ,0 ,  ,480 ,
2019 ,261999 ,ALMONDS ALL ,3 ,Alpine ,many ,  ,  ,  ,  ,
"""


def test_what_cannot_be_loaded_is_rejected_with_a_reason(residues: Lab) -> None:
    good = "".join(
        f"2019 ,{code} ,MADE UP ,1 ,Alameda ,1 ,  ,  ,  ,  ,\n" for code in range(900)
    )
    receipt = residues.run({"cac": residues.file(BAD + good, "made_up.csv")})
    step = receipt.sources["cac"]
    assert step.counts.read == 906
    assert step.rejects_by_rule == {
        "blank": 1,
        "conflicting_key": 2,
        "not_a_number": 1,
        "unknown_county": 1,
    }
    (row,) = residues.rows(
        "SELECT county_name, acres, production, unit, unit_printed "
        "FROM out_cac__production WHERE year = 2019 AND geoid = '06079'"
    )
    assert row == ("San Luis Obispo", 7, 0, None, "480")


def test_a_zero_that_stands_for_not_reported_is_a_gap(residues: Lab) -> None:
    line = "2019 ,261999 ,ALMONDS ALL ,47 ,Merced ,0 ,  ,100 ,2.0 ,TONS ,200\n"
    header = BAD.split("\n", 1)[0] + "\n"
    receipt = residues.run({"cac": residues.file(header + line, "zero.csv")})
    assert receipt.status == "succeeded"
    stored = "SELECT acres, acres_flag FROM core_cac__report WHERE year = 2019"
    assert residues.rows(stored) == [(0, "zero_not_reported")]
    (row,) = residues.rows(
        "SELECT acres, acres_flag, dry_tons FROM out_residues__estimate "
        "WHERE year = 2019"
    )
    assert row == (None, "not_reported", None)


@pytest.fixture(scope="module")
def reports() -> dict[str, str]:
    """The real reports, by file name."""
    return {
        path.name: gzip.decompress(path.read_bytes()).decode()
        for path in sorted(REPORTS.glob("*.csv.gz"))
    }


@needs_reports
def test_real_reports_load_and_the_estimate_is_what_they_give(
    residues: Lab, reports: dict[str, str]
) -> None:
    """Every line is kept or rejected, and loading it again changes nothing."""
    residues.execute("DELETE FROM ledger_cursor WHERE source = 'cac'")
    residues.execute("DELETE FROM core_cac__report")
    read = 0
    for name, content in reports.items():
        raw = residues.file(content, name)
        step = residues.run({"cac": raw}).sources["cac"]
        assert step.counts.read == step.counts.kept + step.counts.rejected
        assert step.counts.rejected == BLANK_LINES.get(name[:4], 0), name
        assert set(step.rejects_by_rule) <= {"blank"}
        read += step.counts.read
        again = residues.run({"cac": raw}, reload=True).sources["cac"]
        assert again.counts.unchanged == again.counts.kept == step.counts.kept
    assert read == 29_389
    lines = (line for content in reports.values() for line in stripped(content))
    assert seen_estimate(residues) == expected_estimate(lines)


@needs_reports
def test_the_mapping_knows_every_code_of_the_real_reports(
    reports: dict[str, str],
) -> None:
    known = {row["commodity_code"] for row in shipped("cac_crops.csv")}
    printed = {line[1] for text_ in reports.values() for line in stripped(text_)}
    assert printed - known == {""}
