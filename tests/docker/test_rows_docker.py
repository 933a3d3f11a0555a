"""Rows of the users' checklist that are about containers: the stack as it stands."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
import yaml
from tests.docker.conftest import FIRST_LOG, ON_DOCKER
from tests.docker.site import Site

from ci.cli.progress import StartProgress
from ci.docker import engine as module
from ci.docker.engine import DockerEngine
from ci.docker.image import read_images
from ci.docker.layout import choose_ports
from ci.host.env_file import find_env_file, read_settings
from ci.host.home import Home

pytestmark = pytest.mark.timeout(900)  # a first stack builds its image


SERVICES = ("db", "prefect-server", "prefect-worker")


def rendered(site: Site) -> dict[str, object]:
    """Return the compose file."""
    text = (site.checkout / ".etl" / "docker" / "compose.yaml").read_text()
    return dict(yaml.safe_load(text)["services"])


@ON_DOCKER
@pytest.mark.rows(5)
def test_the_compose_file_defines_the_four_services(site: Site) -> None:
    assert {*SERVICES, "setup-db"} <= set(rendered(site))


@ON_DOCKER
@pytest.mark.rows(9, 80)
def test_every_service_is_healthy_by_dockers_own_account(site: Site) -> None:
    for name in SERVICES:
        assert site.inspect(name)["State"]["Health"]["Status"] == "healthy"
    block = site.docker("inspect", "BioCirV_ETL_db")
    assert '"Health": {' in block


@ON_DOCKER
@pytest.mark.rows(10)
def test_the_migrations_have_ended_with_0_and_have_no_port(site: Site) -> None:
    container = site.inspect("setup-db")
    assert container["State"]["Status"] == "exited"
    assert container["State"]["ExitCode"] == 0
    assert not container["NetworkSettings"]["Ports"]
    assert "setup-db" in site.task("service-status").stdout


@ON_DOCKER
@pytest.mark.rows(94, 96, 97, 98)
def test_the_services_reach_each_other_by_name_on_one_network(site: Site) -> None:
    for name in SERVICES:
        assert list(site.inspect(name)["NetworkSettings"]["Networks"]) == [
            "prefect-network"
        ]
    ask = "import socket; print(socket.gethostbyname('{}'))".replace("'", '"')
    for name in ("db", "prefect-server"):
        assert site.worker("python", "-c", ask.format(name)).stdout.count(".") == 3
    names = (
        "SELECT DISTINCT datname FROM pg_stat_activity WHERE client_addr IS NOT NULL"
    )
    assert "prefect_db" in site.sql(names)
    pool = site.api("/work_pools/biocirv-etl/workers/filter", {})
    assert [worker["status"] for worker in pool] == ["ONLINE"]
    assert site.sql("SELECT count(*) > 0 FROM out_nass__values") == "t"


@ON_DOCKER
def test_everything_is_bound_to_this_machine_alone(site: Site) -> None:
    for name in SERVICES:
        ports = site.inspect(name)["NetworkSettings"]["Ports"] or {}
        hosts = {
            binding["HostIp"] for bound in ports.values() for binding in bound or []
        }
        assert hosts <= {"127.0.0.1"}


@ON_DOCKER
def test_the_first_start_leaves_no_fatal_line_in_the_databases_log(site: Site) -> None:
    log = (site.checkout.parent / FIRST_LOG).read_text()
    assert "database system is ready to accept connections" in log
    assert "FATAL" not in log


@ON_DOCKER
def test_the_image_holds_no_database_server(site: Site) -> None:
    assert "embedded" not in site.worker("pip", "list").stdout


@ON_DOCKER
def test_commands_in_receipts_and_errors_name_the_engine(site: Site) -> None:
    assert "more: ./etl --engine docker " in site.etl("report").stdout
    unknown = site.etl("report", "00000000-0000-0000-0000-000000000000", code=2)
    assert "fix: ./etl --engine docker runs" in unknown.stderr


@ON_DOCKER
def test_a_stopped_database_is_reported_and_stays_stopped(site: Site) -> None:
    site.docker("stop", "BioCirV_ETL_db")
    try:
        assert "no response" in site.task("check-db-health", code=1).stderr
        assert site.inspect("db")["State"]["Status"] == "exited"
    finally:
        site.task("start-services")
    assert "accepting connections" in site.task("check-db-health").stdout


@ON_DOCKER
@pytest.mark.rows(71)
def test_the_application_is_in_app(site: Site) -> None:
    listed = site.worker("ls", "-la", "/app").stdout
    for name in ("src", "alembic", "prefect.yaml"):
        assert name in listed


@ON_DOCKER
def test_the_pipeline_is_no_root_and_cannot_write_its_own_programs(site: Site) -> None:
    for name in ("prefect-worker", "prefect-server"):
        user = site.inspect(name)["Config"]["User"]
        assert user.split(":")[0] not in ("", "0")
    for name in ("src", "alembic", "ci/src"):
        denied = site.worker("touch", f"/app/{name}/new", code=1)
        assert "Read-only" in denied.stderr
        assert not (site.checkout / name / "new").exists()


@ON_DOCKER
def test_every_container_has_limits_and_no_capability(site: Site) -> None:
    for name in (*SERVICES, "setup-db"):
        limits = site.inspect(name)["HostConfig"]
        assert limits["ReadonlyRootfs"], name
        assert limits["CapDrop"] == ["ALL"]
        assert not limits["CapAdd"]
        assert limits["Memory"] == 4 * 2**30
        assert limits["PidsLimit"] == 2048
        assert limits["LogConfig"]["Config"] == {"max-file": "3", "max-size": "10m"}
    process = site.task("exec-db", "cat", "/proc/self/status").stdout
    rights = dict(line.split(":\t") for line in process.splitlines() if ":\t" in line)
    assert rights["NoNewPrivs"] == "1"
    assert {int(rights[name], 16) for name in ("CapEff", "CapPrm", "CapBnd")} == {0}
    assert "0" not in rights["Uid"].split("\t")


@ON_DOCKER
def test_a_shell_hook_activates_the_environment(site: Site) -> None:
    line = "source /shell-hook.sh && python --version"
    assert site.worker("/bin/bash", "-c", line).stdout.startswith("Python 3.")


@ON_DOCKER
def test_secrets_are_in_no_file_that_others_read_and_in_no_command_line(
    site: Site,
) -> None:
    files = ("postgres_password", "prefect_login")
    secrets = [(site.checkout / ".etl" / name).read_text().strip() for name in files]
    logs = site.task("service-logs").stdout
    for secret in secrets:
        assert len(secret) > 20
        for path in (site.checkout / ".etl" / "docker").rglob("*"):
            if path.is_file() and secret in path.read_text():
                assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
                assert path.parent.name == "env"
        for name in (*SERVICES, "setup-db"):
            container = site.inspect(name)
            without_variables = container["Config"] | {"Env": None}
            assert secret not in json.dumps(container | {"Config": without_variables})
            assert secret not in site.docker("top", f"BioCirV_ETL_{name}", code=None)
        assert secret not in logs
    history = site.docker(
        "history", "--no-trunc", site.inspect("prefect-worker")["Image"]
    )
    assert not any(secret in history for secret in secrets)


@ON_DOCKER
@pytest.mark.rows(69)
def test_prefects_own_volume_is_writable_and_holds_what_the_page_says(
    site: Site,
) -> None:
    mounts = {
        mount["Destination"]: mount
        for mount in site.inspect("prefect-worker")["Mounts"]
    }
    assert mounts["/data/prefect"]["Name"].endswith("_prefectdata")
    container = "BioCirV_ETL_prefect-worker"
    site.docker("exec", container, "sh", "-c", "echo x > /data/prefect/probe")
    site.docker("exec", container, "rm", "/data/prefect/probe")
    assert "ui" in site.docker(
        "exec", "BioCirV_ETL_prefect-server", "ls", "/data/prefect"
    )
    page = site.checkout / "docs" / "pipeline" / "DOCKER_WORKFLOW.md"
    assert "no metadata" in page.read_text()


@ON_DOCKER
@pytest.mark.rows(18)
def test_each_run_has_its_own_process_in_the_worker(site: Site) -> None:
    found = set()
    for _ in range(2):
        run = site.json("run-etl")["data"]["flow_run"]["id"]
        found.add(site.api(f"/flow_runs/{run}")["infrastructure_pid"])
    assert len(found) == 2
    assert None not in found


@ON_DOCKER
@pytest.mark.rows(20)
def test_what_is_edited_outside_is_seen_inside(site: Site) -> None:
    for name in ("src/etl/probe.txt", "alembic/probe.txt"):
        path = site.checkout / name
        path.write_text("seen")
        assert site.worker("cat", f"/app/{name}").stdout == "seen"
        path.unlink()


@ON_DOCKER
def test_an_input_file_of_ours_reaches_the_run(site: Site) -> None:
    sample = site.checkout / "src" / "etl" / "data" / "nass_sample.tsv"
    path = site.checkout.parent / "my own figures.tsv"
    path.write_bytes(sample.read_bytes())
    data = site.json("run-etl", "--input", f"nass={path}")["data"]
    assert data["sources"]["nass"]["input"]["name"] == path.name
    assert os.access(path, os.R_OK)


@pytest.fixture
def engine(site: Site, monkeypatch: pytest.MonkeyPatch) -> DockerEngine:
    """The site's engine, in this process."""
    for name, value in site.variables.items():
        monkeypatch.setenv(name, value)
    settings = read_settings({}, find_env_file(site.checkout))
    home = Home(site.checkout / ".etl")
    return DockerEngine(site.checkout, home, settings, read_images(site.variables))


@pytest.fixture
def rival() -> Iterator[socket.socket]:
    """A server that has taken a port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@ON_DOCKER
def test_a_port_that_is_taken_at_the_last_moment_is_replaced(
    site: Site,
    engine: DockerEngine,
    rival: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site.task("teardown-services")
    taken = rival.getsockname()[1]
    choices: list[dict[str, int]] = []

    def too_early(*given: Any) -> dict[str, int]:
        """Choose, the first time, what the rival has just taken."""
        ports = choose_ports(*given)
        choices.append(ports | ({} if choices else {"sql": taken}))
        return choices[-1]

    monkeypatch.setattr(module, "choose_ports", too_early)
    status = engine.up(StartProgress(StringIO()))
    assert {unit["status"] for unit in status.units[:4]} == {"ready", "completed"}
    assert choices[0]["sql"] == taken != choices[1]["sql"]
    assert site.sql("SELECT 1") == "1"
