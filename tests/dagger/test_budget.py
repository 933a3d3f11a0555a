"""What a call costs before it does anything: imports, and the files it uploads."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ci.dagger.upload import (
    ALL_BUT_WHAT_IS_PRIVATE,
    ENVIRONMENT,
    IMAGE,
    ONLY_WHAT_THE_IMAGE_HOLDS,
)

CHECKOUT = Path(__file__).resolve().parents[2]
# What every CLI call imports beyond the SDK: the functions' names, documentation and
# annotations. What a running stack needs is imported by the function that needs it.
IMPORTED = {
    "ci", "ci.main", "ci.dagger", "ci.dagger.options", "ci.dagger.policy",
    "ci.dagger.upload", "ci.dagger.functions", "ci.dagger.functions.checks",
    "ci.dagger.functions.databases", "ci.dagger.functions.image",
    "ci.dagger.functions.migrations", "ci.dagger.functions.runs",
    "ci.dagger.functions.services", "ci.docsgen", "ci.docsgen.generated", "ci.inside",
    "ci.inside.places", "ci.stack", "ci.stack.errors", "ci.stack.images",
}  # fmt: skip
SOURCE_BYTES, CHECKOUT_BYTES = 2_000_000, 8_000_000
CANARIES = (
    ".env", "ci/.env", "credentials.json", "src/etl/google_credentials.json",
    "deploy.key", "src/etl/server.pem", ".etl/postgres_password",
)  # fmt: skip


def kept(checkout: Path, patterns: list[str], repository: Path) -> set[str]:
    """Return the files that these patterns leave, read as git reads them."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed; here it is what reads ignore patterns")
    rules = repository / "rules"
    subprocess.run(["git", "init", "--quiet", "--bare", repository], check=True)
    rules.write_text("\n".join(patterns) + "\n")
    done = subprocess.run(
        [
            *("git", f"--git-dir={repository}", f"--work-tree={checkout}"),
            *("ls-files", "-z", "--others", f"--exclude-from={rules}"),
        ],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=True,
    )
    return {name for name in done.stdout.split("\0") if name}


def size(names: set[str]) -> int:
    """Return how many bytes files of the checkout have."""
    return sum((CHECKOUT / name).stat().st_size for name in names)


def test_a_call_imports_the_sdk_and_the_functions_alone() -> None:
    code = (
        "import sys, dagger\n"
        "from dagger.mod import cli\n"
        "before = set(sys.modules)\n"
        "import ci.main\n"
        "print(*sorted(set(sys.modules) - before), sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) == IMPORTED


def test_a_call_uploads_what_the_image_is_built_from(tmp_path: Path) -> None:
    names = kept(CHECKOUT, ONLY_WHAT_THE_IMAGE_HOLDS, tmp_path / "git")
    tops = {name.split("/")[0] for name in names}
    assert tops == {*IMAGE, "Dockerfile", ".dockerignore"}
    assert size(names) < SOURCE_BYTES
    assert "README.md" not in names


def test_the_checks_upload_the_checkout_without_what_is_private(
    tmp_path: Path,
) -> None:
    names = kept(CHECKOUT, ALL_BUT_WHAT_IS_PRIVATE, tmp_path / "git")
    assert {"README.md", ".env.example", "pyproject.toml"} <= names
    assert not any(name.startswith((".git/", ".etl/")) for name in names)
    assert size(names) < CHECKOUT_BYTES


def test_no_secret_is_uploaded(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    for name in (*CANARIES, "src/etl/real.py", ".env.example"):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text("canary-7f3a")
    for patterns in (ONLY_WHAT_THE_IMAGE_HOLDS, ALL_BUT_WHAT_IS_PRIVATE):
        names = kept(checkout, patterns, tmp_path / "git")
        assert "src/etl/real.py" in names
        assert names <= {"src/etl/real.py", ".env.example"}


def test_docker_and_dagger_build_from_the_same_files() -> None:
    rules = (CHECKOUT / ".dockerignore").read_text().splitlines()
    assert {rule[1:] for rule in rules if rule.startswith("!")} == set(IMAGE)


def test_the_environment_is_what_the_dockerfile_copies_before_the_code() -> None:
    """A stack's image is built from these files alone; its code comes after."""
    copied = {
        source
        for line in (CHECKOUT / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    }
    assert copied - {"."} == set(ENVIRONMENT)
