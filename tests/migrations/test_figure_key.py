"""The migration to the new key keeps every figure, and merges equal ones."""

from __future__ import annotations

import gzip
from importlib.resources import files
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine
from tests.conftest import migrate
from tests.db.conftest import Lab
from tests.migrations.test_migrations import start

from etl.counts import Counts
from etl.extract.raw_store import RawStore
from etl.specs.nass_forms import BULK, LOCATION, PERIOD, SERIES

CALIFORNIA = Path(__file__).parents[3] / "shared/data/nass_california.tsv.gz"
BEFORE = "20261124_2240"
NAMES = {
    "series": [column.name for column in SERIES],
    "location": [column.name for column in LOCATION],
    "period": [column.name for column in PERIOD],
}
FILE = """
INSERT INTO ledger_run (run_id, status, trigger, sources, inputs, schema_revision,
                        lock_digest, started_at, finished_at)
VALUES ('{run}', 'succeeded', 'test', '{{nass}}', '{{}}', 'x', 'x', '{at}', '{at}');
INSERT INTO ledger_raw_file (sha256, name, size_bytes) VALUES ('{run}', 'x', 1);
"""
DIMENSION = """
INSERT INTO core_nass__{name} ({name}_id, {columns})
SELECT row_number() OVER () + (SELECT count(*) FROM core_nass__{name}), d.*
FROM (SELECT DISTINCT {cells} FROM bulk) AS d ON CONFLICT DO NOTHING
"""
VALUES = """
INSERT INTO core_nass__value
SELECT s.series_id, l.location_id, p.period_id,
       CASE WHEN b.value NOT LIKE '%(%' THEN replace(b.value, ',', '')::numeric END,
       CASE WHEN b.value LIKE '%(%' THEN trim(b.value) END,
       nullif(b.cv_pct, '')::numeric, NULL, b.load_time,
       '{run}', (SELECT max(raw_file_id) FROM ledger_raw_file), b.line + 1
FROM bulk AS b
JOIN core_nass__series AS s USING ({series})
JOIN core_nass__location AS l USING ({location})
JOIN core_nass__period AS p ON p.year = b.year::smallint
    AND (p.freq, p.begin_code, p.end_code, p.reference_period, p.week_ending)
      = (b.freq, b.begin_code, b.end_code, b.reference_period, b.week_ending)
ON CONFLICT DO NOTHING
"""


class OldDatabase:
    """A database before the migration, filled by SQL as the old code filled it."""

    def __init__(self, server: Any, engine: Engine) -> None:
        self.url = server.url(engine.url.database)
        migrate(self.url, BEFORE)
        self.connection = psycopg.connect(
            self.url.replace("+psycopg", ""), autocommit=True
        )

    def load(self, data: bytes, *, year: int, change: str = "") -> None:
        """Load a bulk file under a run of some year, after a change to its cells."""
        run = f"00000000-0000-0000-0000-00000000{year}"
        names = ", ".join(column.name for column in BULK)
        self.connection.execute("DROP TABLE IF EXISTS bulk")
        self.connection.execute(
            f"CREATE TEMP TABLE bulk (line bigint GENERATED ALWAYS AS IDENTITY, "
            f"{names.replace(',', ' text,')} text)"
        )
        copying = f"COPY bulk ({names}) FROM STDIN (FORMAT text, HEADER, NULL '\\x01')"
        with self.connection.cursor().copy(copying) as copy:
            copy.write(data)
        self.connection.execute(FILE.format(run=run, at=f"{year}-01-01"))
        if change:
            self.connection.execute(change)
        for name, columns in NAMES.items():
            cells = ", ".join(columns).replace("year", "year::smallint")
            statement = DIMENSION.format(
                name=name, columns=", ".join(columns), cells=cells
            )
            self.connection.execute(statement)
        joined = {name: ", ".join(columns) for name, columns in NAMES.items()}
        self.connection.execute(VALUES.format(run=run, **joined))


@pytest.fixture
def old(server: Any, empty_db: Engine) -> Any:
    """A database before the migration."""
    database = OldDatabase(server, empty_db)
    yield database
    database.connection.close()


def bulk(name: str) -> bytes:
    """Return a bulk file; skip where the shared one is not here."""
    if name == "sample":
        return files("etl.data").joinpath("nass_sample.tsv").read_bytes()
    if not CALIFORNIA.exists():
        pytest.skip("the shared file is not here")
    return gzip.decompress(CALIFORNIA.read_bytes())


@pytest.mark.parametrize("name", ["sample", "california"])
def test_equal_figures_are_merged_and_none_is_lost(
    old: OldDatabase, empty_db: Engine, tmp_path: Path, name: str
) -> None:
    """Two loads of the old code: the second with districts, and 10 revised figures."""
    data = bulk(name)
    old.load(data, year=2001)
    figures = data.count(b"\n") - 1
    respelt = (
        "DELETE FROM bulk WHERE county_code = '998';"
        "UPDATE bulk SET asd_code = '50', asd_desc = 'VALLEY', county_name = "
        "county_name || ' CO'; "
        "UPDATE bulk SET value = '987654' WHERE line IN "
        "(SELECT line FROM bulk ORDER BY line LIMIT 10)"
    )
    old.load(data, year=2002, change=respelt)
    doubled = old.connection.execute("SELECT count(*) FROM core_nass__value").fetchone()
    assert doubled is not None
    assert doubled[0] > 1.5 * figures
    migrate(old.url)
    lab = Lab(empty_db, RawStore(tmp_path / "raw"))
    assert lab.one("SELECT count(*) FROM core_nass__value") == figures
    assert lab.rows(
        "SELECT change, count(*), min(replaced_by_run_id::text) "
        "FROM core_nass__value_history GROUP BY 1"
    ) == [("updated", 10, "00000000-0000-0000-0000-000000002002")]
    revised = "SELECT count(*) FROM core_nass__value WHERE value = 987654"
    assert lab.one(revised) == 10
    counties = lab.one("SELECT count(*) FROM core_nass__location WHERE asd_code = '50'")
    former = "SELECT asd_code, count(*) FROM core_nass__location_history GROUP BY 1"
    assert lab.rows(former) == [(None, counties)]
    # Repeated figures kept the run that published them first.
    first = "SELECT count(*) FROM core_nass__value WHERE raw_file_id = 1"
    assert lab.one(first) == figures - 10
    lab.geography()
    receipt = lab.nass(lab.file(data))
    assert receipt.counts == Counts(
        read=figures, kept=figures, updated=10, unchanged=figures - 10
    )


def test_figures_are_not_separated_again(old: OldDatabase, empty_db: Engine) -> None:
    old.load(bulk("sample"), year=2001)
    migrate(old.url, "20261124_2300")
    process = start(empty_db, "downgrade", BEFORE)
    output, _ = process.communicate()
    assert process.returncode != 0
    assert "Restore a backup" in output
    assert "Traceback" not in output
