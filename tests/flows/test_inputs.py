"""Which input a run takes, through the real chain: command, deployment, database."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from tests.flows.conftest import Prefect
from tests.waiting import eventually

SAMPLE = files("etl.data").joinpath("nass_sample.tsv").read_text("utf-8")


@pytest.fixture
def real(tmp_path: Path) -> tuple[str, str]:
    """Two files with the figures of the sample, each without some of its lines."""
    lines = SAMPLE.splitlines()
    paths = tmp_path / "first.tsv", tmp_path / "second.tsv"
    for path, kept in zip(paths, (lines[:120], [lines[0], *lines[120:]]), strict=True):
        path.write_text("\n".join(kept) + "\n")
    return str(paths[0]), str(paths[1])


def test_a_bare_run_takes_the_last_real_inputs(
    chain: Prefect, real: tuple[str, str]
) -> None:
    named = [word for path in real for word in ("--input", f"nass={path}")]
    first = chain.run(*named)
    assert first.code == 0, first.err
    nass = first.data["sources"]["nass"]
    assert [step["name"] for step in nass["inputs"]] == ["first.tsv", "second.tsv"]
    assert (nass["read"], nass["rows_after"]) == (238, 238)

    bare = chain.run()
    assert bare.code == 0, bare.err
    nass = bare.data["sources"]["nass"]
    assert [step["input"]["name"] for step in nass["inputs"]] == [
        "first.tsv",
        "second.tsv",
    ]
    assert nass["same_input"]
    assert bare.data["sources"]["geography"]["input"]["kind"] == "reference"

    single = chain.run("--deployment", "load-source/load-nass")
    assert single.data["sources"]["nass"]["same_input"]

    refused = chain.run("--sample", "--source", "nass")
    assert refused.code == 2
    assert "not loaded over real data" in refused.document["error"]["message"]
    assert "--replace-real" in refused.document["error"]["hint"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--complete", "nass"], "only an input that is named can be complete"),
        (["--complete", "nass", "--input", "nass=sample"], "the sample is no complete"),
        (
            ["--complete", "nass", "--input", "nass=api:year=2022"],
            "an API answer with conditions",
        ),
        (
            ["--complete", "nass", "--input", "nass=FIRST", "--input", "nass=SECOND"],
            "one of several inputs",
        ),
        (["--source", "nass", "--retract-up-to", "101"], "is not in the range"),
    ],
)
def test_what_cannot_be_complete_is_refused_before_anything_is_started(
    chain: Prefect, real: tuple[str, str], arguments: list[str], reason: str
) -> None:
    first, second = real
    words = [
        word.replace("FIRST", first).replace("SECOND", second) for word in arguments
    ]
    run = chain.run(*words)
    assert run.code == 2
    assert reason in run.document["error"]["message"]
    assert not run.document["data"]


def test_the_flow_itself_refuses_it_too(chain: Prefect) -> None:
    """A schedule or the UI starts the deployment without the command line."""
    wanted = {"parameters": {"complete": ["nass"]}, "state": {"type": "SCHEDULED"}}
    found = chain.api("GET", "/deployments/name/master-etl/master-etl-deployment")
    run = chain.api("POST", f"/deployments/{found['id']}/create_flow_run", wanted)
    state = eventually(lambda: final_state(chain, run["id"]))
    assert state["type"] == "FAILED"
    assert "only an input that is named" in state["message"]


def final_state(chain: Prefect, run_id: str) -> Any:
    """Return the state of a run that has ended, or None."""
    state = chain.api("GET", f"/flow_runs/{run_id}")["state"]
    return state if state["type"] in ("FAILED", "COMPLETED", "CRASHED") else None
