"""A schedule of prefect.yaml, once it is active, starts runs by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.flows.conftest import Prefect
from tests.flows.test_deploy import deploy_from
from tests.waiting import eventually

from etl.specs.registry import SOURCES

SCHEDULED = {"flow_runs": {"tags": {"all_": ["auto-scheduled"]}}}


def test_a_scheduled_run_starts_and_completes(chain: Prefect, tmp_path: Path) -> None:
    """Checks the lock, too: some combinations of versions schedule no run.

    They are listed in docs/decisions/0004-prefect-3.9.md.
    """
    each_10_s = ('cron: "0 6 * * *"', 'cron: "* * * * * */10"')
    deploy_from(chain, tmp_path, each_10_s, ("active: false", "active: true"))
    try:
        done = eventually(lambda: completed(chain))
    finally:
        chain.job("etl.flows.deploy")
    assert done["auto_scheduled"]
    assert chain.children(done["id"]) == dict.fromkeys(SOURCES, "COMPLETED")


def completed(chain: Prefect) -> Any:
    """Return a scheduled run that has completed, or None."""
    runs = chain.api("POST", "/flow_runs/filter", SCHEDULED)
    return next((run for run in runs if run["state_type"] == "COMPLETED"), None)
