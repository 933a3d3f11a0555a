"""The lock of the module's own packages, under the command of Dagger's runtime."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from importlib.metadata import requires
from pathlib import Path

CI = Path(__file__).resolve().parents[2] / "ci"
# sdk/python/runtime/main.go at v0.21.8, WithUpdates: at each change of the module.
COMPILE = (
    "uv", "pip", "compile", "-q", "--universal", "-o", "requirements.lock",
    "pyproject.toml", "sdk/pyproject.toml",
)  # fmt: skip
SDK = """\
[project]
name = "dagger-io"
version = "0.0.0"
requires-python = ">=3.10"
dependencies = {needs}
"""


def test_the_runtime_compiles_the_lock_to_itself(tmp_path: Path) -> None:
    """Needs the package index. The same versions and hashes, which it then verifies."""
    for name in ("pyproject.toml", "requirements.lock"):
        shutil.copy(CI / name, tmp_path)
    needs = [need for need in requires("dagger-io") or [] if "extra ==" not in need]
    (tmp_path / "sdk").mkdir()
    (tmp_path / "sdk" / "pyproject.toml").write_text(SDK.format(needs=needs))
    uv = Path(sysconfig.get_path("scripts")) / COMPILE[0]
    subprocess.run([uv, *COMPILE[1:]], cwd=tmp_path, check=True)
    compiled = (tmp_path / "requirements.lock").read_text().splitlines()
    assert "-e sdk" in compiled
    compiled.remove("-e sdk")
    assert compiled == (CI / "requirements.lock").read_text().splitlines()
