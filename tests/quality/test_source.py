"""The source itself: style, types, import contracts, sizes, first lines, locks."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent
FOLDERS = ("src", "ci", "alembic", "tests", "benchmarks")
LONGEST_FILE, LONGEST_CI_FILE, LONGEST_FUNCTION = 300, 250, 40

# What may be longer, and why. A name that no longer is too long must leave the list.
LONGER: dict[str, str] = {}


def run(*command: str) -> None:
    """Run a tool in the checkout; its output is the failure message."""
    done = subprocess.run(
        [str(PROGRAMS / command[0]), *command[1:]],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"COLUMNS": "120"},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def files() -> Iterator[Path]:
    """Every Python file of the project."""
    for folder in FOLDERS:
        yield from sorted((CHECKOUT / folder).rglob("*.py"))


def test_style() -> None:
    run("ruff", "check", *FOLDERS)


def test_format() -> None:
    run("ruff", "format", "--check", *FOLDERS)


def test_types() -> None:
    run("mypy")


def test_shell_scripts() -> None:
    folders = (
        "",
        ".ci/",
        ".githooks/",
        ".github/",
        "ci/src/ci/inside/scripts/",
        "tests/docker/machine/",
    )
    entries = [path for folder in folders for path in (CHECKOUT / folder).iterdir()]
    scripts = [str(path) for path in entries if path.is_file() and is_shell(path)]
    assert str(CHECKOUT / "etl") in scripts
    run("shellcheck", *scripts)


def is_shell(path: Path) -> bool:
    """Whether a file's first line asks for a shell."""
    first = path.read_bytes().partition(b"\n")[0]
    return first.startswith(b"#!") and first.endswith((b"/sh", b"bash"))


def test_the_import_contracts_hold() -> None:
    run("lint-imports", "--no-cache")


def test_every_file_says_its_one_job_in_its_first_line() -> None:
    silent = [
        str(path.relative_to(CHECKOUT))
        for path in files()
        if not (ast.get_docstring(ast.parse(path.read_text())) or "").strip()
    ]
    assert silent == []


def test_files_and_functions_are_short_or_say_why_not() -> None:
    long: dict[str, int] = {}
    for path in files():
        name, text = str(path.relative_to(CHECKOUT)), path.read_text()
        limit = LONGEST_CI_FILE if name.startswith("ci/") else LONGEST_FILE
        if (lines := text.count("\n")) > limit:
            long[name] = lines
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > LONGEST_FUNCTION:
                    long[f"{name}:{node.name}"] = length
    assert {name: size for name, size in long.items() if name not in LONGER} == {}
    assert set(LONGER) <= set(long), "no longer too long: take them off the list"


def test_compiling_the_locks_again_changes_nothing(tmp_path: Path) -> None:
    """Needs the package index, as every fresh environment does."""
    subprocess.run(
        [sys.executable, CHECKOUT / "ci" / "lock.py", "--into", tmp_path], check=True
    )
    for lock in sorted(tmp_path.rglob("*.lock")):
        name = lock.relative_to(tmp_path)
        assert lock.read_text() == (CHECKOUT / name).read_text(), name


@pytest.mark.parametrize(
    "name", ["requirements.lock", "requirements-dev.lock", "ci/requirements.lock"]
)
def test_locks_hold_versions_and_hashes_and_no_address(name: str) -> None:
    text = (CHECKOUT / name).read_text()
    assert "://" not in text
    for entry in text.replace("\\\n", " ").splitlines():
        if entry and not entry.startswith(("#", " ")):
            assert "==" in entry
            assert "--hash=sha256:" in entry


def test_both_locks_agree() -> None:
    def pins(name: str) -> dict[str, str]:
        lines = (CHECKOUT / name).read_text().splitlines()
        return dict(
            line.split(" ")[0].split("==")
            for line in lines
            if "==" in line and not line.startswith(" ")
        )

    runtime, development = pins("requirements.lock"), pins("requirements-dev.lock")
    assert runtime.items() <= development.items()


def test_tests_sleep_only_between_two_looks_at_a_condition() -> None:
    """A sleep outside a loop guesses how long something takes."""
    guessed = []
    for path in sorted((CHECKOUT / "tests").rglob("*.py")):
        tree = ast.parse(path.read_text())
        polls = {
            id(node)
            for loop in ast.walk(tree)
            if isinstance(loop, ast.While | ast.For)
            for node in ast.walk(loop)
        }
        guessed += [
            f"{path.relative_to(CHECKOUT)}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "sleep"
            and id(node) not in polls
        ]
    assert guessed == [], "use `eventually` of tests/waiting.py"
