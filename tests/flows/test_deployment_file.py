"""prefect.yaml: it has a deployment for each source; errors are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from etl.cli import MASTER
from etl.errors import ConfigError
from etl.flows.deployment_file import DeploymentFile, read_deployment_file
from etl.specs.registry import SOURCES

FILE = Path(__file__).resolve().parents[2] / "prefect.yaml"


@pytest.fixture
def file() -> DeploymentFile:
    return read_deployment_file(FILE, {"PREFECT_WORK_POOL_NAME": "a-pool"})


def test_there_is_a_deployment_for_every_source(file: DeploymentFile) -> None:
    deployed = {
        item.name: item.parameters for item in file.deployments if item.parameters
    }
    assert deployed == {
        f"load-{name.replace('_', '-')}": {"source": name} for name in SOURCES
    }


def test_the_master_is_scheduled_but_not_switched_on(file: DeploymentFile) -> None:
    [master] = [item for item in file.deployments if not item.parameters]
    [schedule] = master.schedules
    assert MASTER.endswith(f"/{master.name}")
    assert (schedule.cron, schedule.timezone, schedule.active) == (
        "0 6 * * *",
        "UTC",
        False,
    )


def test_every_deployment_is_marked_as_ours_and_in_the_pool(
    file: DeploymentFile,
) -> None:
    for item in file.deployments:
        assert item.tags == [file.name]
        assert item.work_pool.name == "a-pool"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("cron:", "crom:"), "deployments.0.schedules.0.cron: Field required"),
        (("pull: []", "pull: [{a: {}}]"), "pull.0: Input should be None"),
        (("deployments:", "deployments: ["), "is not YAML"),
        (("$PREFECT_WORK_POOL_NAME", "$NO_SUCH"), "needs NO_SUCH, which is not set"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    path = tmp_path / "prefect.yaml"
    path.write_text(FILE.read_text().replace(*change))
    with pytest.raises(ConfigError, match=message):
        read_deployment_file(path, {"PREFECT_WORK_POOL_NAME": "a-pool"})


def test_a_missing_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_deployment_file(tmp_path / "prefect.yaml", {})
    assert "from the checkout" in caught.value.hint
