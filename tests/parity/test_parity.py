"""All engines give the same answers and store the same data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from tests.docker.conftest import SITES, new_site
from tests.parity import by_dagger
from tests.parity.conformance import report
from tests.parity.conftest import MADE_OF, keep

from ci.docker.image import read_images

pytestmark = pytest.mark.timeout(900)  # the first test of each engine makes its report
Report = dict[str, Any]


@pytest.fixture(scope="module")
def local(pytestconfig: pytest.Config) -> Report:
    """The local engine's report."""
    made_of = {"programs": "wheels of requirements.lock"}
    with new_site("local", {}) as site:
        return keep(pytestconfig, "local", {MADE_OF: made_of, **report(site)})


@pytest.fixture(scope="module")
def docker(machine: Mapping[str, str], pytestconfig: pytest.Config) -> Report:
    """The Docker engine's report; its base images may be stand-ins."""
    images = read_images(machine)
    made_of = {**images.arguments, "POSTGRES_IMAGE": images.postgres}
    SITES.close("docker")  # names of containers are the same for every stack
    with new_site("docker", machine) as site:
        return keep(pytestconfig, "docker", {MADE_OF: made_of, **report(site)})


@pytest.fixture(scope="module")
def dagger(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Report:
    """The Dagger engine's report."""
    if not by_dagger.engine_is_reachable():
        pytest.skip("no Dagger engine is reachable: `dagger core version` fails")
    folder = tmp_path_factory.mktemp("dagger")
    folder.chmod(0o755)  # Postgres reads the dump as another user
    images = read_images({})
    made_of = {**images.arguments, "POSTGRES_IMAGE": images.postgres}
    with new_site("local", {}) as site:
        found = by_dagger.report(folder, site)
        return keep(pytestconfig, "dagger", {MADE_OF: made_of, **found})


@pytest.mark.parametrize("part", ["verbs", "passed on", "schema", "rows", "ended"])
def test_local_and_docker_do_the_same(docker: Report, local: Report, part: str) -> None:
    assert local[part] == docker[part]


@pytest.mark.optional
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", ["codes", "receipt", "schema", "rows"])
def test_local_and_dagger_do_the_same(dagger: Report, local: Report, part: str) -> None:
    verbs = {name: (code, looks) for name, code, looks in local["verbs"]}
    same = local | {
        "codes": {verb: verbs[verb][0] for verb in by_dagger.CALLS},
        "receipt": verbs["report"][1],
    }
    assert same[part] == dagger[part]


def test_the_report_is_of_a_stack_that_works(
    machine: Mapping[str, str], local: Report
) -> None:
    """Two engines that both fail would be equal, too."""
    codes = {name: code for name, code, _ in local["verbs"]}
    assert codes["up"] == codes["run"] == codes["report"] == 0
    assert codes["run --source nothing"] == 2
    assert local["rows"]["core_nass__value"].split()[0] != "0"
