"""Rows of the users' checklist that stop, change and start the stack."""

from __future__ import annotations

import json
import mmap
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.docker.conftest import ON_DOCKER
from tests.docker.site import PROGRAM, Site, copy_checkout

from ci.host.home import Home

pytestmark = pytest.mark.timeout(900)  # a first stack builds its image


COUNT = "SELECT count(*) FROM out_nass__values"
RUNS = "SELECT count(*) FROM out_etl__runs"
SLOW = """\
FROM {image}
ENTRYPOINT ["sh", "-c", "sleep 3; exec docker-entrypoint.sh \\"$@\\"", "slow"]
"""
OTHER_DATABASE = "postgresql+asyncpg://renamed@db:5432/prefect_other"
# A package that no lock of ours names.
NEW_PACKAGE = "cowsay"


@pytest.mark.rows(8, 14, 22, 24, 67, 68)
def test_data_and_runs_survive_teardown_and_start(site: Site) -> None:
    before = (site.sql(COUNT), site.sql(RUNS))
    runs = site.api("/flow_runs/count", {})
    site.task("teardown-services")
    assert not site.status()["running"]
    assert "no response" in site.task("check-db-health", code=1).stderr
    site.task("start-services")
    assert (site.sql(COUNT), site.sql(RUNS)) == before
    assert site.api("/flow_runs/count", {}) >= runs > 0
    if site.engine == "docker":
        volumes = site.docker("volume", "ls", "--format", "{{.Name}}").split()
        assert any(name.endswith("_pgdata") for name in volumes)


@ON_DOCKER
@pytest.mark.rows(11)
def test_a_database_that_is_slow_to_start_is_waited_for(site: Site) -> None:
    image = site.variables.get("ETL_POSTGRES_IMAGE") or site.inspect("db")["Image"]
    context = site.checkout.parent / "slow"
    context.mkdir()
    (context / "Dockerfile").write_text(SLOW.format(image=image))
    site.docker("build", "--quiet", "--tag", "etl-test/slow-postgres", str(context))
    slow: dict[str, Any] = {"ETL_POSTGRES_IMAGE": "etl-test/slow-postgres"}
    opened: dict[str, Any] = {"PREFECT_SERVER_API_HOST": "0.0.0.0"}
    restarted = site.task("restart-services", **slow, **opened).stderr
    assert "UI and API are open to every network of this machine" in restarted
    assert site.unit("setup-db")["exit_code"] == 0
    started = [site.inspect(name)["State"]["StartedAt"] for name in ("db", "setup-db")]
    assert started[0] < started[1]


@ON_DOCKER
@pytest.mark.rows(19, 52, 53, 54, 55, 56, 57, 58, 65, 90)
def test_a_changed_env_file_is_inside_after_the_named_task_alone(site: Site) -> None:
    credentials = site.checkout.parent / "credentials.json"
    credentials.write_text('{"canary": 1}')
    undo = site.set_variables(
        POSTGRES_USER="renamed",
        POSTGRES_PASSWORD='can\'ary$HOME"x"#1',
        POSTGRES_PORT="55433",
        PREFECT_SERVER_API_HOST="127.0.0.2",
        PREFECT_SERVER_API_PORT="54200",
        PREFECT_UI_API_URL="http://127.0.0.2:54200/api",
        PREFECT_API_DATABASE_CONNECTION_URL=OTHER_DATABASE,
        USDA_NASS_API_KEY="key-canary",
        CREDENTIALS_PATH=str(credentials),
    )
    try:
        assert "settings have changed" in site.task("service-status").stdout
        site.task("restart-services")
        assert not site.status()["settings_changed"]
        script = "import json, os; print(json.dumps({**os.environ}))"
        seen = json.loads(site.worker("python", "-c", script).stdout)
        assert seen["USDA_NASS_API_KEY"] == "key-canary"
        assert seen["PREFECT_API_URL"] == "http://prefect-server:4200/api"
        assert seen["PREFECT_UI_URL"] == "http://127.0.0.2:54200"
        assert "renamed:" in seen["DATABASE_URL"]
        assert "@db:5432/biocirv_db" in seen["DATABASE_URL"]
        assert site.worker("cat", seen["CREDENTIALS_PATH"]).stdout == '{"canary": 1}'
        ports = site.inspect("db")["NetworkSettings"]["Ports"]
        assert ports["5432/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": "55433"}]
        assert site.status()["ui_url"] == "http://127.0.0.2:54200"
        assert site.api("/health") is True
        connected = site.sql("SELECT DISTINCT datname FROM pg_stat_activity")
        assert "prefect_other" in connected
        assert "prefect_db" not in connected
        site.task("run-etl")
    finally:
        undo()
        site.task("restart-services")


@ON_DOCKER
def test_a_missing_credentials_file_is_an_error_and_no_folder(site: Site) -> None:
    undo = site.set_variables(CREDENTIALS_PATH="/tmp/etl-no-such-file.json")
    try:
        printed = site.task("restart-prefect-worker", code=2).stderr
        assert "does not exist" in printed
        assert not Path("/tmp/etl-no-such-file.json").exists()
    finally:
        undo()


@ON_DOCKER
@pytest.mark.rows(54)
def test_urls_that_contradict_their_parts_are_reported(site: Site) -> None:
    undo = site.set_variables(
        DATABASE_URL="postgresql+psycopg://someone@db:5432/biocirv_db"
    )
    try:
        assert "POSTGRES_USER" in site.task("service-status", code=2).stderr
    finally:
        undo()


@ON_DOCKER
def test_a_second_checkout_is_refused_with_the_place_of_the_first(site: Site) -> None:
    other = Site(
        "docker", copy_checkout(site.checkout.parent / "other"), site.variables
    )
    error = other.json("start-services", code=1)["error"]
    assert error["code"] == "NAMES_TAKEN"
    assert str(site.checkout) in error["message"]
    shutil.rmtree(other.checkout)


@ON_DOCKER
def test_a_service_that_cannot_start_fails_at_once_with_its_log(site: Site) -> None:
    """Docker would restart it without end."""
    undo = site.edit(
        "src/etl/flows/worker.py", PROGRAM, f"raise SystemExit(9)\n{PROGRAM}"
    )
    try:
        error = site.json("restart-prefect-worker", code=1)["error"]
        assert error["code"] == "UNIT_FAILED"
        assert "prefect-worker ended (exit code 9)" in error["message"]
    finally:
        undo()
    site.task("restart-prefect-worker")


@ON_DOCKER
@pytest.mark.rows(31, 59, 60, 61, 62, 63, 76, 77, 87, 88, 89)
def test_a_new_dependency_is_inside_after_rebuild_and_start(site: Site) -> None:
    before = layers(site)
    (site.checkout / "src" / "etl" / "changed.py").write_text('"""Changed."""\n')
    built = site.task("rebuild-services").stderr
    assert re.search(r"image built in [\d.]+ s, [\d,]+ MB", built)
    assert len(built.splitlines()) < 10
    *reused, code = layers(site)
    assert reused == before[:-1]
    assert code != before[-1]
    assert "image was built" not in site.task("service-status").stdout
    for name, old in (("Dockerfile", "FROM "), ("requirements.lock", "alembic==")):
        undo = site.edit(name, old, f"# edited\n{old}")
        assert "image was built" in site.task("service-status").stdout
        undo()
    base: dict[str, Any] = {"ETL_DEBIAN_IMAGE": "another/base"}
    assert "image was built" in site.task("service-status", **base).stdout

    table = f'[feature.pipeline.pypi-dependencies]\n{NEW_PACKAGE} = "*"\n\n'
    undo = site.edit("pixi.toml", "[environments]", f"{table}[environments]")
    synced = site.checkout / ".etl" / "env" / "synced.toml"
    shutil.copy(site.checkout / "pixi.toml", synced)
    try:
        assert "image was built" in site.task("service-status").stdout
        site.worker("python", "-c", f"import {NEW_PACKAGE}", code=1)
        container = site.inspect("prefect-worker")["Id"]
        site.task("rebuild-services")
        site.task("start-services")
        assert len(images(site)) == 1  # the one before has no container any more
        assert site.inspect("prefect-worker")["Id"] != container
        site.worker("python", "-c", f"import {NEW_PACKAGE}")
        site.task("restart-services")
        site.worker("python", "-c", f"import {NEW_PACKAGE}")
        site.task("deploy")
    finally:
        undo()
        shutil.copy(site.checkout / "pixi.toml", synced)


@ON_DOCKER
def test_no_layer_of_the_image_holds_a_secret(site: Site) -> None:
    canary, beside = b"canary-5e11", b"beside-5e11"
    planted = {
        ".env": b"USDA_NASS_API_KEY=" + canary,
        "src/.env": canary,
        "src/my-credentials.json": canary,
        "src/etl/beside.py": beside,  # is found, so a canary would be
    }
    own = site.checkout / "resources" / "docker" / ".env"
    kept = own.rename(site.checkout.parent / "kept.env")
    for name, content in planted.items():
        (site.checkout / name).write_bytes(content)
    try:
        site.task("rebuild-services")
    finally:
        kept.rename(own)
        for name in planted:
            (site.checkout / name).unlink()
    archive = site.checkout.parent / "image.tar"
    site.docker("save", "--output", str(archive), image(site))
    with (
        archive.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as every_layer,
    ):
        assert every_layer.find(beside) >= 0
        assert every_layer.find(canary) == -1
    archive.unlink()


def image(site: Site) -> str:
    """Return the name of the pipeline's image."""
    return str(site.inspect("prefect-worker")["Config"]["Image"])


def images(site: Site) -> list[str]:
    """Return the images that this checkout has built and not removed."""
    key = Home(site.checkout / ".etl").key
    label = f"label=biocirv-etl.home={key}"
    return site.docker("images", "--quiet", "--filter", label).split()


def layers(site: Site) -> list[str]:
    """Return the digests of the image's layers, the first one first."""
    shown = site.docker("image", "inspect", image(site))
    return list(json.loads(shown)[0]["RootFS"]["Layers"])


@pytest.mark.rows(23, 50, 51, 70, 81, 82, 83, 84, 85)
def test_a_full_reset_under_other_names_loads_everything_anew(site: Site) -> None:
    rows = site.sql(COUNT)
    refused = site.task("teardown-services-volumes", code=2).stderr
    assert "this deletes" in refused
    site.task("teardown-services-volumes", "--yes")
    undo = site.set_variables(
        POSTGRES_USER="someone",
        POSTGRES_DB="figures",
        PREFECT_SERVER_API_HOST="::1",
    )
    try:
        site.task("rebuild-services")
        site.task("start-services")
        assert (
            site.sql("SELECT current_user || '@' || current_database()")
            == "someone@figures"
        )
        assert str(site.status()["ui_url"]).startswith("http://[::1]:")
        assert (site.sql(COUNT), site.sql(RUNS)) == ("0", "0")
        assert site.api("/flow_runs/count", {}) == 0
        assert "(head)" in site.worker("alembic", "current").stdout
        assert "accepting connections" in site.task("check-db-health").stdout
        site.task("deploy")
        site.task("run-etl")
        assert site.sql(COUNT) == rows != "0"
    finally:
        site.task("teardown-services-volumes", "--yes")
        undo()
        site.task("start-services")
        site.task("deploy")
        site.task("run-etl")
