"""A load that waits for a lock reports the session that holds it."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from tests.db.conftest import Lab
from tests.waiting import eventually


def test_a_load_reports_the_session_that_it_waits_for(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "etl")
    with ThreadPoolExecutor() as threads, lab.engine.connect() as other:
        other.execute(text("LOCK TABLE core_geography__place"))
        pid = other.scalar(text("SELECT pg_backend_pid()"))
        load = threads.submit(lab.geography)
        try:
            line = (
                f"geography: waiting for a lock of the database, held by session {pid}"
            )
            eventually(lambda: line in caplog.text)
        finally:
            other.rollback()
        assert load.result().status == "loaded"
