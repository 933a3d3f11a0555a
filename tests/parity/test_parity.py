"""One suite, two engines: what they say and what they store is the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from tests.docker.conftest import new_site
from tests.parity.conformance import report

pytestmark = pytest.mark.timeout(900)  # the first test of each engine makes its report


@pytest.fixture(scope="module")
def local(machine: Mapping[str, str]) -> dict[str, Any]:
    """The local engine's report; nobody asks for it where there is no Docker."""
    with new_site("local", {}) as site:
        return report(site)


@pytest.fixture(scope="module")
def docker(machine: Mapping[str, str]) -> dict[str, Any]:
    """The Docker engine's report."""
    with new_site("docker", machine) as site:
        return report(site)


@pytest.mark.parametrize("part", ["spoken", "passed on", "schema", "rows", "ended"])
def test_both_engines_do_the_same(
    local: dict[str, Any], docker: dict[str, Any], part: str
) -> None:
    assert local[part] == docker[part]


def test_the_report_is_of_a_stack_that_works(local: dict[str, Any]) -> None:
    """Two engines that fail alike would be equal, too."""
    codes = {name: code for name, code, _ in local["spoken"]}
    assert codes["up"] == codes["run"] == codes["report"] == 0
    assert codes["run --source nothing"] == 2
    assert local["rows"]["core_nass__value"].split()[0] != "0"
