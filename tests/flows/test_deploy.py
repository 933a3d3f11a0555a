"""The job deploy: what the file says is what the server has, however often it runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.flows.conftest import CHECKOUT, Prefect

from etl.specs.registry import SOURCES

MASTER = "/deployments/name/master-etl/master-etl-deployment"
# What a person would notice; the rest of the answer is ids, times and the like.
VISIBLE = (
    "entrypoint", "parameters", "paused", "pull_steps", "tags", "work_pool_name",
    "job_variables", "description", "enforce_parameter_schema",
)  # fmt: skip


def deployments(prefect: Prefect) -> dict[str, dict[str, Any]]:
    """Return what is deployed, by name."""
    seen = {}
    for item in prefect.api("POST", "/deployments/filter", {}):
        schedules = [(s["schedule"]["cron"], s["active"]) for s in item["schedules"]]
        seen[item["name"]] = {key: item[key] for key in VISIBLE}
        seen[item["name"]]["schedules"] = schedules
    return seen


def deploy_from(prefect: Prefect, folder: Path, *changes: tuple[str, str]) -> Any:
    """Deploy a changed copy of the file; return the outcome of each deployment."""
    text = (CHECKOUT / "prefect.yaml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "prefect.yaml").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "etl.flows.deploy", "--json"],
        cwd=folder, env=prefect.environment, check=True, capture_output=True,
    )  # fmt: skip
    document = json.loads(done.stdout)
    assert document["error"] is None
    return {d["name"]: d["outcome"] for d in document["data"]["deployments"]}


def test_deploying_again_changes_nothing(prefect: Prefect) -> None:
    before, id_before = deployments(prefect), prefect.api("GET", MASTER)["id"]
    again = prefect.job("etl.flows.deploy", "--json")
    outcomes = {d["outcome"] for d in again.data["deployments"]}
    assert (again.code, outcomes) == (0, {"unchanged"})
    assert deployments(prefect) == before
    assert prefect.api("GET", MASTER)["id"] == id_before


def test_prefects_own_command_leaves_the_server_in_the_same_state(
    prefect: Prefect,
) -> None:
    before = deployments(prefect)
    done = subprocess.run(
        ["prefect", "--no-prompt", "deploy", "--all"],
        cwd=CHECKOUT, env=prefect.environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert deployments(prefect) == before


def test_a_change_of_the_file_is_seen_and_so_is_a_removal(
    prefect: Prefect, tmp_path: Path
) -> None:
    deploy_from(
        prefect,
        tmp_path,
        ('cron: "0 6 * * *"', 'cron: "30 5 * * 1"'),
        ("parameters: {}", "parameters: {reload: true}\n    paused: true"),
        ("name: load-nass", "name: load-nass-renamed"),
    )
    master = deployments(prefect)["master-etl-deployment"]
    assert master["schedules"] == [("30 5 * * 1", False)]
    assert (master["parameters"], master["paused"]) == ({"reload": True}, True)

    outcomes = deploy_from(prefect, tmp_path)
    others = {f"load-source/load-{name.replace('_', '-')}" for name in SOURCES}
    assert outcomes == {
        **dict.fromkeys(others, "updated"),
        "master-etl/master-etl-deployment": "updated",
        "load-source/load-nass": "created",
        "load-source/load-nass-renamed": "removed",
    }
    assert deployments(prefect)["master-etl-deployment"]["paused"] is False


def test_what_was_switched_in_the_ui_is_put_back(prefect: Prefect) -> None:
    prefect.job("etl.flows.deploy")
    master = prefect.api("GET", MASTER)
    schedule = f"/deployments/{master['id']}/schedules/{master['schedules'][0]['id']}"
    prefect.api("PATCH", schedule, {"active": True})
    assert deployments(prefect)["master-etl-deployment"]["schedules"][0][1] is True
    again = prefect.job("etl.flows.deploy", "--json")
    assert {d["outcome"] for d in again.data["deployments"]} == {"updated"}
    assert deployments(prefect)["master-etl-deployment"]["schedules"][0][1] is False


def test_finding_that_nothing_changed_needs_no_import_of_prefect() -> None:
    code = "import sys, etl.flows.deploy; print('prefect' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "False"


def test_an_entry_point_that_cannot_be_loaded_is_named(
    prefect: Prefect, tmp_path: Path
) -> None:
    text = (CHECKOUT / "prefect.yaml").read_text().replace("master_flow", "no_flow")
    (tmp_path / "prefect.yaml").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "etl.flows.deploy"],
        cwd=tmp_path, env=prefect.environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert "cannot load its flow etl.flows.master.no_flow" in done.stderr
    assert "fix: edit the entrypoint in prefect.yaml" in done.stderr
    assert "Traceback" not in done.stderr
