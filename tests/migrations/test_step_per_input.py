"""The migration to one step per input keeps what the ledger had recorded."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, text
from tests.conftest import migrate

RECORDED = """
INSERT INTO ledger_run (run_id, status, trigger, sources, inputs, schema_revision,
                        lock_digest, finished_at)
VALUES ('00000000-0000-0000-0000-000000000001', 'partial', 'test', '{geography,nass}',
        '{"geography": "sample", "nass": "sample"}', 'x', 'x', now()),
       ('00000000-0000-0000-0000-000000000002', 'partial', 'test', '{nass}',
        '{"nass": "api:year=2022"}', 'x', 'x', now()),
       ('00000000-0000-0000-0000-000000000003', 'partial', 'test', '{nass}',
        '{"nass": "raw:0:x.tsv"}', 'x', 'x', now());
INSERT INTO ledger_raw_file (sha256, name, size_bytes) VALUES ('x', 'x', 1);
INSERT INTO ledger_step (run_id, source, status, raw_file_id, read, rejected)
SELECT run_id, unnest(sources), 'loaded', 1, 0, 0 FROM ledger_run;
INSERT INTO ledger_reject (run_id, source, raw_file_id, line, column_name, value, rule,
                           reason, raw_text)
VALUES ('00000000-0000-0000-0000-000000000003', 'nass', 1, 7, 'value', 'x', 'y', 'z',
        'r');
INSERT INTO ledger_cursor (source, run_id, state, target_rows)
VALUES ('nass', '00000000-0000-0000-0000-000000000003', '{"input": "x"}', 5);
"""


def test_what_was_recorded_becomes_the_first_input(
    server: Any, empty_db: Engine
) -> None:
    url = server.url(empty_db.url.database)
    migrate(url, "20261124_2330")
    with empty_db.begin() as connection:
        connection.exec_driver_sql(RECORDED)
    migrate(url, "20261124_2335")
    steps = (
        "SELECT right(run_id::text, 1), source, position, input_kind, rejects_stored "
        "FROM ledger_step ORDER BY run_id, source"
    )
    with empty_db.connect() as connection:
        assert [tuple(row) for row in connection.execute(text(steps))] == [
            ("1", "geography", 1, "reference", 0),
            ("1", "nass", 1, "sample", 0),
            ("2", "nass", 1, "filtered_api", 0),
            ("3", "nass", 1, "file", 1),
        ]
        inputs = "SELECT inputs FROM ledger_run ORDER BY run_id"
        assert connection.scalars(text(inputs)).first() == {
            "geography": ["sample"],
            "nass": ["sample"],
        }
        assert connection.scalar(text("SELECT line FROM out_nass__rejects")) == 7
    migrate(url, "20261124_2330", command="downgrade")
    with empty_db.connect() as connection:
        inputs = "SELECT inputs FROM ledger_run ORDER BY run_id DESC"
        assert connection.scalars(text(inputs)).first() == {"nass": "raw:0:x.tsv"}
        assert connection.scalar(text("SELECT count(*) FROM ledger_step")) == 4
