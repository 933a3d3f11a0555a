"""The workflows' own shell lines, run against the recorded output of a real engine."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

CHECKOUT = Path(__file__).resolve().parents[2]
RECORDED = Path(__file__).parent / "recorded"
CHECKS = ["etl:check-migrations", "etl:lint", "etl:test"]


def lines_of(workflow: str, job: str) -> str:
    """Return the shell lines with which a job of a workflow runs the checks."""
    text = (CHECKOUT / ".github" / "workflows" / workflow).read_text()
    steps: list[dict[str, Any]] = yaml.safe_load(text)["jobs"][job]["steps"]
    (lines,) = [s["run"] for s in steps if "dagger-check" in s.get("run", "")]
    return str(lines)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with what the lines read, and a `dagger` that prints what it did."""
    shutil.copytree(CHECKOUT / ".github", tmp_path / "checkout" / ".github")
    shutil.copytree(RECORDED, tmp_path / "recorded")
    (tmp_path / "bin").mkdir()
    (tmp_path / "recorded" / "dagger.sh").rename(tmp_path / "bin" / "dagger")
    subprocess.run(["git", "init", "-q", tmp_path / "checkout"], check=True)
    return tmp_path / "checkout"


def run(checkout: Path, lines: str) -> tuple[int, str, list[str]]:
    """Run lines as GitHub does; return exit code, output, and what `dagger` ran."""
    recorded = checkout.parent / "recorded"
    path = f"{checkout.parent / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-e", "-c", lines],
        cwd=checkout,
        env=os.environ | {"PATH": path, "FAKE_DAGGER": str(recorded)},
        capture_output=True,
        text=True,
        check=False,
    )
    ran = recorded / "ran.txt"
    return (
        done.returncode,
        done.stdout + done.stderr,
        ran.read_text().split() if ran.exists() else [],
    )


@pytest.mark.parametrize(
    ("workflow", "job"), [("ci.yml", "checks"), ("release.yml", "image")]
)
def test_every_check_runs_by_name_and_the_files_are_generated(
    checkout: Path, workflow: str, job: str
) -> None:
    code, output, ran = run(checkout, lines_of(workflow, job))
    assert (code, ran) == (0, [*CHECKS, "generate"]), output


@pytest.mark.parametrize("renamed", CHECKS)
def test_a_check_that_was_renamed_fails(checkout: Path, renamed: str) -> None:
    """By itself `dagger check` would run the others and exit with 0."""
    listed = checkout.parent / "recorded" / "check-list.txt"
    listed.write_text(listed.read_text().replace(renamed, f"{renamed}s"))
    code, output, ran = run(checkout, lines_of("ci.yml", "checks"))
    assert (code, ran) == (1, [])
    assert f"::error::the module has the checks '{listed_names(listed)}'" in output


def listed_names(listed: Path) -> str:
    """Return the names of a recorded list, on one line."""
    rows = listed.read_text().splitlines()[1:]
    return " ".join(sorted(row.split()[0] for row in rows))


def test_a_generated_file_that_is_out_of_date_fails(checkout: Path) -> None:
    (checkout / "stack.md").write_text("old\n")
    subprocess.run(["git", "add", "stack.md"], cwd=checkout, check=True)
    (checkout / "stack.md").write_text("new\n")
    code, output, _ = run(checkout, lines_of("ci.yml", "checks"))
    assert code == 1
    assert "generated files are out of date: dagger generate -y" in output
