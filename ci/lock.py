"""Writes the locks of wheels, from the dependencies in the two pyproject.toml.

    python ci/lock.py [--into FOLDER]

Versions that the present locks name are kept where they still fit; delete a line of a
lock to let that package move.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from bootstrap import trust  # a script beside this one

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = "3.11"
RUNTIME = ("pyproject.toml", "--group", "ci/pyproject.toml:local")
# Dagger generates its SDK and installs it beside this lock's wheels: the lock names
# what the SDK needs, not the SDK itself: its generated source is not in the checkout.
DAGGER = ("ci/pyproject.toml", "--no-sources", "--no-emit-package", "dagger-io")
LOCKS = {
    "requirements.lock": RUNTIME,
    "requirements-dev.lock": (*RUNTIME, "--group", "dev", "-c", "requirements.lock"),
    "ci/requirements.lock": (*DAGGER, "-c", "requirements-dev.lock"),
}


def compile_locks(folder: Path) -> None:
    """Write every lock into a folder: versions and hashes, no addresses."""
    uv = Path(sysconfig.get_path("scripts")) / "uv"
    options = [
        "--quiet",
        "--universal",
        "--generate-hashes",
        "--no-header",
        "--no-annotate",
    ]
    for name, inputs in LOCKS.items():
        target = folder / name
        if target != ROOT / name:
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(ROOT / name, target)
        words = [
            *options,
            "--python-version",
            OLDEST_PYTHON,
            *inputs,
            "-o",
            str(target),
        ]
        subprocess.run(
            [str(uv), *trust(), "pip", "compile", *words],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            check=True,
        )


if __name__ == "__main__":
    into = Path(sys.argv[2]) if sys.argv[1:2] == ["--into"] else ROOT
    compile_locks(into.resolve())
