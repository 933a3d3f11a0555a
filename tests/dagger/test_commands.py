"""Messages of the pipeline under Dagger: they name commands that Dagger has."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagger.mod import default_module

import ci.main  # noqa: F401  # registers the functions
from ci.dagger.commands import in_dagger

CHECKOUT = Path(__file__).resolve().parents[2]
FUNCTIONS = {
    (name or "").replace("_", "-")
    for name in default_module()._objects["Etl"].functions
}


def hints() -> Iterator[str]:
    """Yield every text of the pipeline that names a command of `./etl`."""
    for path in sorted((CHECKOUT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                if re.search(r"\./etl [a-z]", node.value) and "\n" not in node.value:
                    yield node.value
            elif isinstance(node, ast.JoinedStr):
                parts = [
                    v.value if isinstance(v, ast.Constant) else "X" for v in node.values
                ]
                if "./etl " in (text := "".join(map(str, parts))):
                    yield text


def test_every_hint_names_a_function_that_dagger_has() -> None:
    found = [in_dagger(hint) for hint in hints()]
    assert len(found) > 20
    assert [hint for hint in found if "./etl" in hint] == []
    called = {name for hint in found for name in re.findall(r"dagger call (\S+)", hint)}
    assert {name.rstrip(".,`") for name in called} <= FUNCTIONS


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        ("./etl migrate", "dagger call migrate"),
        (
            "./etl run --input nass=FILE",
            "dagger call run-etl --inputs nass=FILE --files FOLDER",
        ),
        ("./etl run --input nass=api", "dagger call run-etl --inputs nass=api"),
        (
            "./etl rejects --run 1 --limit 9",
            "dagger call data --arguments rejects,--run,1,--limit,9",
        ),
        (
            "./etl logs prefect-worker; then ./etl run, which starts clean",
            "read the log of prefect-worker; then dagger call run-etl, which starts "
            "clean",
        ),
    ],
)
def test_a_hint_keeps_its_options(hint: str, expected: str) -> None:
    assert in_dagger(hint) == expected


def test_a_job_s_output_is_changed_and_its_exit_code_kept() -> None:
    code = (
        "import sys; print('receipt'); sys.stderr.write('  fix: ./etl migrate\\n');"
        "sys.exit(4)"
    )
    done = subprocess.run(
        [sys.executable, "-m", "ci.dagger.commands", sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (4, "receipt\n")
    assert done.stderr == "  fix: dagger call migrate\n"
