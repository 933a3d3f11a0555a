"""What the module shows of itself: names, documentation, checks, cache policies."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import dagger
import pytest
from dagger.mod import default_module
from dagger.mod._resolver import Function

from ci.main import Etl
from ci.stack import images

CHECKOUT = Path(__file__).resolve().parents[2]
OBJECT = default_module()._objects["Etl"]
FUNCTIONS = {name: f for name, f in OBJECT.functions.items() if name}
CONSTRUCTOR = OBJECT.get_constructor()

# Functions of their arguments alone; everything else starts services, changes something
# or reads the clock, and must run at each call.
CACHED = {"build", "generate", "lint", "sbom"}
# The CLI evaluates these twice, and both evaluations must give the same service.
STARTED = {"database", "server", "worker", "stack", "watch"}
CHECKS = {"test", "lint", "check_migrations"}


def test_the_functions_are_those_that_are_promised() -> None:
    assert set(FUNCTIONS) == {
        "build", "database", "migrate", "server", "worker", "up", "stack", "deploy",
        "run_etl", "report", "data", "watch", "revision", "history", "downgrade",
        "check_db_health", "psql", "shell", "dump", "restore", "reset", "test", "lint",
        "check_migrations", "generate", "publish", "sbom",
    }  # fmt: skip


def test_the_object_is_the_one_that_dagger_looks_for() -> None:
    module = json.loads((CHECKOUT / "dagger.json").read_text())
    assert module["name"].title() == Etl.__name__
    assert (module["source"], module["sdk"]) == ("ci", {"source": "python"})
    package = tomllib.loads((CHECKOUT / "ci" / "pyproject.toml").read_text())
    entry = package["project"]["entry-points"]["dagger.mod"]["main_object"]
    assert entry == f"{Etl.__module__}:{Etl.__name__}"
    assert package["project"]["dependencies"] == ["dagger-io"]
    assert Etl.__doc__


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_function_and_arguments_and_result_are_documented(name: str) -> None:
    function = FUNCTIONS[name]
    summary, _, rest = (function.doc or "").partition("\n")
    assert summary.endswith((".", ";"))
    assert "Returns: " in rest
    for parameter in function.parameters.values():
        assert parameter.doc, parameter.name


def test_every_option_is_documented_typed_and_has_a_default() -> None:
    for parameter in CONSTRUCTOR.parameters.values():
        assert parameter.doc, parameter.name
        assert parameter.is_optional, parameter.name
    names = set(CONSTRUCTOR.parameters)
    assert not names & set(dir(Etl)) - names, "an option would hide a function"
    assert not names & set(FUNCTIONS), "an option would hide a function"


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_only_a_function_of_its_arguments_alone_is_cached(name: str) -> None:
    wanted = None if name in CACHED else "session" if name in STARTED else "never"
    assert FUNCTIONS[name].cache_policy == wanted
    service = FUNCTIONS[name].return_type is dagger.Service
    assert service is (name in STARTED)


def test_the_checks_are_those_that_are_expected_and_need_no_argument() -> None:
    checks: dict[str, Function[Any, Any]] = {
        n: f for n, f in FUNCTIONS.items() if f.check
    }
    assert set(checks) == CHECKS
    for function in [*checks.values(), FUNCTIONS["generate"]]:
        assert all(p.is_optional for p in function.parameters.values())
    assert FUNCTIONS["generate"].generate
    assert [n for n, f in FUNCTIONS.items() if f.service] == ["stack", "watch"]


def test_ci_expects_exactly_these_checks() -> None:
    """With the module's prefix, as `dagger check -l` lists them."""
    expected = (CHECKOUT / ".github" / "dagger-checks.txt").read_text().split()
    assert expected == sorted(f"etl:{name.replace('_', '-')}" for name in CHECKS)


def test_workflows_run_the_engine_that_the_module_asks_for() -> None:
    version = json.loads((CHECKOUT / "dagger.json").read_text())["engineVersion"]
    for workflow in (CHECKOUT / ".github" / "workflows").glob("*.yml"):
        for found in re.findall(r"DAGGER_VERSION: (.*)", workflow.read_text()):
            assert f"v{found}" == version
        for found in re.findall(r"docker-image://(.*)", workflow.read_text()):
            assert found == images.ENGINE
    assert f":{version}@" in images.ENGINE
