"""The hooks of .pre-commit-config.yaml accept good files and refuse bad ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
PRE_COMMIT = Path(sys.executable).parent / "pre-commit"
FILES = (".pre-commit-config.yaml", ".githooks/pre-commit")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """An empty repository with the hooks, and the environment that they run in."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(CHECKOUT / name, tmp_path / name)
    (tmp_path / ".etl").mkdir()
    (tmp_path / ".etl" / "env-dev").symlink_to(PRE_COMMIT.parents[1])
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", *FILES)
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    """Run git in a folder."""
    subprocess.run(["git", *arguments], cwd=folder, check=True)


def hook(folder: Path, name: str) -> tuple[int, str]:
    """Run one hook on what is staged; return its exit code and what it printed."""
    done = subprocess.run(
        [PRE_COMMIT, "run", name],
        cwd=folder,
        env=os.environ | {"PRE_COMMIT_HOME": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "file", "text", "message"),
    [
        ("no-env-file", ".env", "PASSWORD=x\n", "which is for secrets"),
        ("ruff-check", "a.py", "import os\n", "F401"),
        ("ruff-format", "a.py", "x = ( 1 )\n", "would be reformatted"),
        ("shellcheck", "a.sh", "#!/bin/sh\necho $1\n", "SC2086"),
    ],
)
def test_a_hook_refuses_what_it_is_for(
    repository: Path, name: str, file: str, text: str, message: str
) -> None:
    code, output = hook(repository, name)
    assert code == 0, output
    (repository / file).write_text(text)
    git(repository, "add", file)
    code, output = hook(repository, name)
    assert code == 1
    assert message in output
