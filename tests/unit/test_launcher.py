"""The launcher and what makes its environment: errors before anything is installed."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
SYSTEM_PYTHON = "/usr/bin/python3"
OTHER_UID = 65534


def launch(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the launcher with a home of its own."""
    return subprocess.run(
        [CHECKOUT / "etl", *words],
        env=os.environ | {"ETL_HOME": str(home), "PIP_INDEX_URL": "http://127.0.0.1:9/"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("below", ["", "below"])
def test_a_file_in_place_of_the_home_is_reported(tmp_path: Path, below: str) -> None:
    file = tmp_path / "file"
    file.write_text("")
    done = launch(file / below if below else file, "status")
    assert done.returncode == 4
    assert f"{file}" in done.stderr
    assert "cannot be used for state" in done.stderr
    assert "fix: ETL_HOME=" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def foreign() -> Iterator[Path]:
    """A folder, with the bootstrap program in it, where its user may not write."""
    folder = Path(tempfile.mkdtemp(prefix="etl-foreign-"))
    shutil.copy(CHECKOUT / "ci" / "bootstrap.py", folder)
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_a_home_that_cannot_be_written_is_reported_with_its_owner(
    foreign: Path,
) -> None:
    root = os.getuid() == 0
    if root and not Path(SYSTEM_PYTHON).exists():
        pytest.skip("no Python that another user can run")
    done = subprocess.run(
        [
            SYSTEM_PYTHON if root else sys.executable,
            foreign / "bootstrap.py", CHECKOUT, foreign / "home" / "env", "x.lock",
        ],
        user=OTHER_UID if root else None, cwd="/",
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    assert f"{foreign / 'home'} cannot be used for state: Perm" in done.stderr
    assert f"it belongs to {foreign.owner()}" in done.stderr
    assert "Traceback" not in done.stderr


def made_environment(home: Path, program: str) -> None:
    """Make what looks like an environment that is up to date."""
    folder = home / "env"
    (folder / "bin").mkdir(parents=True)
    shutil.copy(CHECKOUT / "requirements.lock", folder / "synced.lock")
    shutil.copy(CHECKOUT / "pixi.toml", folder / "synced.toml")
    (folder / "bin" / "etl").write_text(f"#!/bin/sh\n{program}\n")
    (folder / "bin" / "etl").chmod(stat.S_IRWXU)


def test_an_environment_that_is_up_to_date_is_used_without_network(
    tmp_path: Path,
) -> None:
    made_environment(tmp_path, 'echo "ran $*"')
    (tmp_path / "env" / "bin" / "python").symlink_to(sys.executable)
    done = launch(tmp_path, "status")
    assert (done.returncode, done.stdout, done.stderr) == (0, "ran status\n", "")


def test_an_environment_without_its_interpreter_is_made_again(tmp_path: Path) -> None:
    """Without network that fails, with the reason and what to do."""
    made_environment(tmp_path, "echo ran")
    (tmp_path / "env" / "bin" / "python").symlink_to(tmp_path / "gone")
    done = launch(tmp_path, "status")
    assert done.returncode == 1
    assert "making the locked environment" in done.stderr
    assert "fix: check the network" in done.stderr
    assert "Traceback" not in done.stderr
