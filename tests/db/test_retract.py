"""What a complete input retracts, and that nothing is left that refers to it."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import pytest
from tests.db.test_nass_forms import as_web

from ci.local.programs import find_binaries

COMBINATIONS = {
    "program": ("SOURCE_DESC", "CENSUS"),
    "sector": ("SECTOR_DESC", "ECONOMICS"),
    "commodity": ("COMMODITY_DESC", "OATS"),
    "level": ("AGG_LEVEL_DESC", "ZIP CODE"),
    "year": ("YEAR", "1950"),
}


@pytest.mark.parametrize("differing", COMBINATIONS)
def test_complete_input_reaches_its_own_combinations_only(
    lab: Any, table: Any, differing: str
) -> None:
    """10 figures are in another program, sector …, and the input has none of it."""
    column, value = COMBINATIONS[differing]
    same = next(iter({row[3] for row in table.rows}))
    for line in range(2, len(table.rows) + 2):
        table.set(line, "COMMODITY_DESC", same).set(line, "YEAR", "2020")
        table.set(line, "SHORT_DESC", f"SERIES {line}").set(line, "ZIP_5", "95020")
    for line in range(2, 12):
        table.set(line, column, value)
    lab.nass(table.text())
    del table.rows[:20]
    receipt = lab.nass(table.text(), complete=True)
    assert receipt.counts.retracted == 10
    kept = lab.rows("SELECT raw_line FROM core_nass__value WHERE raw_line < 22")
    assert {row[0] for row in kept} == set(range(2, 12))
    history = "SELECT DISTINCT change FROM core_nass__value_history"
    assert lab.rows(history) == [("retracted",)]


def test_year_of_one_commodity_is_not_crossed_with_another(
    lab: Any, table: Any
) -> None:
    """The input has corn 2020 and wheat 2021, so it states nothing about wheat 2020."""
    corn, wheat = "CORN", "WHEAT"
    base, table.rows = table.rows[0], []
    for commodity in (corn, wheat):
        for year in ("2020", "2021"):
            table.rows.append(list(base))
            line = len(table.rows) + 1
            table.set(line, "COMMODITY_DESC", commodity).set(line, "YEAR", year)
            table.set(line, "SHORT_DESC", commodity)
    lab.nass(table.text())
    table.rows = [table.rows[0], table.rows[3]]
    assert lab.nass(table.text(), complete=True).counts.retracted == 0


def test_web_download_retracts_without_knowing_sectors(lab: Any, table: Any) -> None:
    lab.nass(table.text())
    del table.rows[:10]
    receipt = lab.nass(lab.file(as_web(table), "web.csv"), complete=True)
    assert receipt.counts.retracted == 10


def without(text: str, *starts: str) -> str:
    """Return a list of places without some of its lines."""
    lines = [x for x in text.splitlines() if not x.startswith(starts)]
    return "\n".join(lines) + "\n"


@pytest.fixture
def places(lab: Any) -> str:
    """The list of places that the package carries."""
    text: str = lab.sample("california_places.csv").path.read_text()
    return text


def complete_geography(lab: Any, content: str) -> Any:
    """Load a list of places as the complete one."""
    raw = lab.file(content, "places.csv")
    return lab.run({"geography": raw}, complete=True).sources["geography"]


def test_place_that_figures_refer_to_is_not_retracted(
    lab: Any, table: Any, places: str
) -> None:
    lab.nass(table.text())
    before = lab.rows("SELECT * FROM core_geography__place ORDER BY 1")
    receipt = complete_geography(lab, without(places, "06021", "06077", "06115"))
    assert receipt.status == "failed"
    assert receipt.error.code == "DATA"
    assert "core_nass__location has 2 with geoid 06021, 06077" in receipt.error.message
    assert lab.rows("SELECT * FROM core_geography__place ORDER BY 1") == before


def test_place_without_figures_is_retracted_and_a_dump_restores(
    lab: Any, table: Any, places: str, server: Any, empty_db: Any, tmp_path: Any
) -> None:
    """A dump restores foreign keys last, and fails where a row lacks its parent."""
    lab.nass(table.text())
    receipt = complete_geography(lab, without(places, "06003"))
    assert (receipt.status, receipt.counts.retracted) == ("loaded", 1)
    programs, dump = find_binaries(), str(tmp_path / "dump")
    where = ["-h", str(server.postgres.sockets), "-p", str(server.postgres.port)]
    where += ["-U", "etl_test"]
    run(programs / "pg_dump", *where, "-Fc", "-f", dump, lab.engine.url.database)
    run(programs / "pg_restore", *where, "-e", "-d", empty_db.url.database, dump)
    with empty_db.connect() as connection:
        query = "SELECT count(*) FROM out_nass__values"
        assert connection.exec_driver_sql(query).scalar_one() == 238


def run(*command: Any) -> None:
    """Run a program of Postgres to its end."""
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        env=os.environ | {"LC_ALL": "C"},
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_list_of_counties_does_not_retract_the_state(lab: Any, places: str) -> None:
    receipt = complete_geography(lab, without(places, "06,", "06001", "06998"))
    assert receipt.counts.retracted == 1
    assert lab.one("SELECT count(*) FROM core_geography__place") == 59
