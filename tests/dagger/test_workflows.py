"""GitHub's workflows: linted, pinned, with as few rights as they need."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ci.stack import images

CHECKOUT = Path(__file__).resolve().parents[2]
FOLDER = CHECKOUT / ".github" / "workflows"
WORKFLOWS = sorted(FOLDER.glob("*.yml"))


def lint(*command: str | Path) -> None:
    """Run a linter in the checkout; its output is the failure message."""
    done = subprocess.run(
        command, cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def jobs(workflow: Path) -> list[dict[str, Any]]:
    """Return the jobs of a workflow."""
    return list(yaml.safe_load(workflow.read_text())["jobs"].values())


def test_zizmor_finds_nothing() -> None:
    program = Path(sys.executable).parent / "zizmor"
    lint(program, "--offline", "--persona", "pedantic", "--quiet", FOLDER)


def test_actionlint_finds_nothing() -> None:
    program = shutil.which("actionlint")
    if program is None:
        pytest.skip("actionlint is not installed (.ci/run says how)")
    lint(program, *WORKFLOWS)


def test_there_is_one_for_changes_and_one_for_releases() -> None:
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "release.yml"]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_with_their_version_beside(workflow: Path) -> None:
    used = re.findall(r"uses: (.*)", workflow.read_text())
    assert used
    for line in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_rights_are_granted_job_by_job_and_time_is_bounded(workflow: Path) -> None:
    assert "\npermissions: {}\n" in workflow.read_text()
    for job in jobs(workflow):
        assert job["permissions"]["contents"] == "read"
        assert job["timeout-minutes"] <= 90
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout"):
                assert step["with"]["persist-credentials"] is False


def test_only_the_release_may_write_anything() -> None:
    writers = {
        (path.name, right)
        for path in WORKFLOWS
        for job in jobs(path)
        for right, level in job["permissions"].items()
        if level == "write"
    }
    assert {name for name, _ in writers} == {"release.yml"}


def test_renovate_moves_every_image_and_its_copies() -> None:
    manager = json.loads((CHECKOUT / "renovate.json").read_text())["customManagers"][0]
    (pattern,) = manager["matchStrings"]
    found = {
        name: {
            match[0][1:] for match in re.finditer(pattern.replace("(?<", "(?P<"), text)
        }
        for name in ("ci/src/ci/stack/images.py", "Dockerfile", "ci/pyproject.toml")
        if (text := (CHECKOUT / name).read_text())
    }
    assert found == {
        "ci/src/ci/stack/images.py": {
            images.PIXI, images.DEBIAN, images.POSTGRES, images.PYTHON, images.ENGINE
        },
        "Dockerfile": {images.PIXI, images.DEBIAN},
        "ci/pyproject.toml": {images.PYTHON},
    }  # fmt: skip
    files = manager["managerFilePatterns"]
    assert all(any(re.search(f[1:-1], name) for f in files) for name in found)
