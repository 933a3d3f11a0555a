"""Runs through the real chain: REST, server, worker, flow process, database."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.flows.conftest import CHECKOUT, Prefect, Run

from etl.specs.registry import SOURCES


def write(folder: Path, text: str) -> str:
    """Write a file to load and return its path."""
    path = folder / "made_up.tsv"
    path.write_text(text)
    return str(path)


def without_times(run: Run) -> dict[str, Any]:
    """Return the receipts of a run's sources, but for how long they took."""
    sources: dict[str, Any] = run.data["sources"]
    for source in sources.values():
        for load in (source, *source["inputs"]):
            del load["duration_s"]
    return sources


def test_a_run_loads_every_source_and_leaves_its_trace_in_prefect(
    chain: Prefect,
) -> None:
    run = chain.run("--reload")
    assert run.code == 0, run.err
    assert run.document["error"] is None
    assert run.data["status"] == "succeeded"
    assert {s["status"] for s in run.data["sources"].values()} == {"loaded"}

    run_id = run.data["run_id"]
    flow_run = chain.api("GET", f"/flow_runs/{run_id}")
    assert flow_run["state_type"] == "COMPLETED"
    assert chain.children(run_id) == dict.fromkeys(SOURCES, "COMPLETED")
    assert f"/runs/flow-run/{run_id}" in run.err

    wanted = {"artifacts": {"flow_run_id": {"any_": [run_id]}}}
    artifacts = chain.api("POST", "/artifacts/filter", wanted)
    assert {a["key"] for a in artifacts} == {"run-report", "run-counts"}


def test_the_packages_ordinary_log_lines_are_in_the_run_and_in_the_progress(
    chain: Prefect,
) -> None:
    run = chain.run("--source", "geography", "--reload")
    flow_run = chain.api(
        "POST",
        "/flow_runs/filter",
        {"flow_runs": {"parent_flow_run_id": {"any_": [run.data["run_id"]]}}},
    )[0]
    wanted = {"logs": {"flow_run_id": {"any_": [flow_run["id"]]}}}
    logs = chain.api("POST", "/logs/filter", wanted)
    lines = [line["message"] for line in logs if line["name"] == "etl.run.load_source"]
    assert any(line.startswith("geography: 60 read, 60 kept") for line in lines)
    # The source is in its own column of the progress, not once more in the text.
    assert all(line.removeprefix("geography: ") in run.err for line in lines)


def test_a_failure_blocks_what_descends_from_it_and_fails_the_run(
    chain: Prefect, tmp_path: Path
) -> None:
    run = chain.run("--input", f"geography={write(tmp_path, 'a,b')}")
    assert run.code == 5
    error = run.document["error"]
    assert error["code"] == "CONTRACT_BROKEN"
    assert error["message"].startswith("geography failed: made_up.tsv:")
    sources = run.data["sources"]
    assert sources["geography"]["error"]["code"] == "SOURCE_CHANGED"
    assert (sources["nass"]["status"], sources["nass"]["error"]["code"]) == (
        "blocked",
        "BLOCKED",
    )
    state = chain.api("GET", f"/flow_runs/{run.data['run_id']}")["state"]
    assert state["type"] == "FAILED"
    assert "geography failed" in state["message"]
    assert "nass blocked" in state["message"]
    children = chain.children(run.data["run_id"])
    assert children["geography"] == "FAILED"
    assert "nass" not in children
    assert "Traceback" not in run.out + run.err


def test_calling_the_flow_gives_the_same_as_its_deployment(chain: Prefect) -> None:
    chain.run()  # so that both meet the same database
    deployed = chain.run()
    called = subprocess.run(
        [
            sys.executable, "-c",
            "from run_prefect_flow import master_flow; print(master_flow().run_id)",
        ],
        cwd=CHECKOUT, env=chain.environment, capture_output=True, text=True,
    )  # fmt: skip
    assert called.returncode == 0, called.stderr
    run_id = called.stdout.split()[-1]
    assert chain.api("GET", f"/flow_runs/{run_id}")["state_type"] == "COMPLETED"
    report = chain.job("etl.cli", "report", run_id, "--json")
    assert without_times(report) == without_times(deployed)


def test_a_source_can_be_run_by_itself_through_its_own_deployment(
    chain: Prefect,
) -> None:
    run = chain.run("--deployment", "load-source/load-geography")
    assert run.code == 0, run.err
    assert list(run.data["sources"]) == ["geography"]


def test_wrong_arguments_are_refused_before_anything_is_started(
    chain: Prefect, tmp_path: Path
) -> None:
    for arguments, message in [
        (["--input", "nas=sample"], "there is no source 'nas'"),
        (["--input", f"nass={tmp_path}/none"], "does not exist"),
        (["--input", "nass"], "wants SOURCE=FILE"),
        (["--deployment", "a/b"], "has no deployment a/b"),
    ]:
        run = chain.run(*arguments)
        assert run.code == 2
        assert message in run.document["error"]["message"]
        assert run.data == {}
        assert "Traceback" not in run.err
