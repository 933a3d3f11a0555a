"""The migration that renames `deleted` keeps what was recorded under that name."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, text
from tests.conftest import migrate

RECORDED = """
INSERT INTO ledger_run (run_id, status, trigger, sources, inputs, schema_revision,
                        lock_digest, finished_at)
VALUES (gen_random_uuid(), 'succeeded', 'test', '{nass}', '{}', 'x', 'x', now());
INSERT INTO ledger_raw_file (sha256, name, size_bytes) VALUES ('x', 'x', 1);
INSERT INTO ledger_step (run_id, source, status, deleted, tables)
SELECT run_id, 'nass', 'loaded', 7,
       '{"core_nass__value": {"inserted": 0, "deleted": 7}}' FROM ledger_run;
INSERT INTO core_nass__series
VALUES (1, 'a', '', '', '', '', '', '', '', '', '', '', '');
INSERT INTO core_nass__location
VALUES (1, 'a', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '');
INSERT INTO core_nass__period VALUES (1, 2000, '', '', '', '', '');
INSERT INTO core_nass__value_history (series_id, location_id, period_id, value,
    load_time, load_run_id, raw_file_id, raw_line, change, replaced_by_run_id)
SELECT 1, 1, 1, 5, '', run_id, 1, 2, 'deleted', run_id FROM ledger_run;
"""


def test_recorded_deletions_are_retractions(server: Any, empty_db: Engine) -> None:
    url = server.url(empty_db.url.database)
    migrate(url, "20261123_1903")
    with empty_db.begin() as connection:
        connection.execute(text(RECORDED.replace(": ", r"\: ")))
    migrate(url, "20261124_2240")
    with empty_db.connect() as connection:
        step = connection.execute(text("SELECT retracted, tables FROM ledger_step"))
        assert step.one() == (
            7,
            {"core_nass__value": {"inserted": 0, "retracted": 7}},
        )
        query = text("SELECT change FROM core_nass__value_history")
        assert connection.scalars(query).all() == ["retracted"]
        assert connection.scalar(text("SELECT retracted FROM out_etl__runs")) == 7
