"""The rendered compose file: all of the description, and no secret in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from dotenv import dotenv_values

from ci.cli.engines import new_engine, with_engine
from ci.docker.compose import MOUNTED, env_text, render
from ci.docker.image import inputs_digest, read_images
from ci.docker.layout import CREDENTIALS, DockerLayout, Folder, settle
from ci.docsgen.reference import compose_file
from ci.host.env_file import find_env_file, read_settings
from ci.host.home import Home
from ci.stack import images
from ci.stack.errors import InvalidSetting, UsageError
from ci.stack.model import Job, Runtime, Service, SqlProbe, Stack
from ci.stack.settings import Secret, StackSettings

CHECKOUT = Path(__file__).resolve().parents[2]
PORTS = {"sql": 5433, "http": 4201}
IMAGES = {Runtime.PIPELINE: "pipeline:1", Runtime.POSTGRES: images.POSTGRES}


def place(home: Path, settings: StackSettings) -> DockerLayout:
    """Settle a stack without choosing ports."""
    return settle(Folder(Home(home)), CHECKOUT, settings, PORTS)


def services(files: Mapping[str, str]) -> dict[str, Any]:
    """Return the services of a rendered project."""
    return dict(yaml.safe_load(files["compose.yaml"].replace("$$", "$"))["services"])


def test_every_unit_is_there_with_its_command_needs_and_variables(
    tmp_path: Path,
) -> None:
    at = place(tmp_path, StackSettings())
    files = render(at, IMAGES)
    entries = services(files)
    assert list(entries) == list(at.stack.units)
    for name, unit in at.stack.units.items():
        entry = entries[name]
        assert tuple(entry["command"]) == unit.command
        assert set(entry["depends_on"]) == set(unit.needs)
        assert entry["container_name"] == f"BioCirV_ETL_{name}"
        (tmp_path / "env").write_text(files[f"env/{name}.env"])
        seen = dotenv_values(tmp_path / "env", interpolate=False)
        assert unit.environment.items() <= seen.items()
        if isinstance(unit, Service):
            assert entry["healthcheck"]["test"][0] == "CMD"
            assert entry["restart"] == "unless-stopped"


def test_only_services_and_what_they_wait_for_start_by_themselves(
    tmp_path: Path,
) -> None:
    entries = services(render(place(tmp_path, StackSettings()), IMAGES))
    unasked = {name for name, entry in entries.items() if "profiles" not in entry}
    assert unasked == {"db", "setup-db", "prefect-server", "prefect-worker"}


def test_the_page_shows_what_starts_by_itself_as_it_is_rendered(
    tmp_path: Path,
) -> None:
    shown = yaml.safe_load(compose_file().replace("$$", "$"))["services"]
    entries = services(render(place(tmp_path, StackSettings()), IMAGES))
    assert shown.keys() == {n for n, e in entries.items() if "profiles" not in e}
    for name, entry in shown.items():
        for field in ("command", "depends_on", "healthcheck", "container_name"):
            assert entry.get(field) == entries[name].get(field)
        for mount in entry["volumes"]:
            assert not Path(mount["source"]).is_absolute()


def test_no_secret_is_in_the_compose_file(tmp_path: Path) -> None:
    settings = StackSettings(
        postgres_password=Secret("canary-1f"), usda_nass_api_key=Secret("canary-2f")
    )
    files = render(place(tmp_path, settings), IMAGES)
    holders = {name for name, text in files.items() if "canary" in text}
    assert {"env/db.env", "env/prefect-worker.env"} <= holders
    assert all(name.startswith("env/") for name in holders)


@pytest.mark.parametrize("value", ["a b", "it's", 'say "x"', "$HOME #1", "a\\nb"])
def test_values_arrive_as_they_are(value: str, tmp_path: Path) -> None:
    (tmp_path / "env").write_text(env_text({"NAME": value}))
    text = (tmp_path / "env").read_text().replace(r"\$", "$")  # docker's own escape
    (tmp_path / "env").write_text(text)
    assert dotenv_values(tmp_path / "env", interpolate=False) == {"NAME": value}


def test_ports_are_this_machines_alone_unless_asked_otherwise(tmp_path: Path) -> None:
    entries = services(render(place(tmp_path, StackSettings()), IMAGES))
    (port,) = entries["prefect-server"]["ports"]
    assert (port["host_ip"], port["published"]) == ("127.0.0.1", "4201")
    opened = StackSettings(prefect_server_api_host="0.0.0.0")
    entries = services(render(place(tmp_path, opened), IMAGES))
    assert entries["prefect-server"]["ports"][0]["host_ip"] == "0.0.0.0"
    assert entries["db"]["ports"][0]["host_ip"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("setting", "published", "url"),
    [
        ("localhost", "127.0.0.1", "http://127.0.0.1:4201"),
        ("::1", "::1", "http://[::1]:4201"),
        ("::", "::", "http://[::1]:4201"),
        ("0.0.0.0", "0.0.0.0", "http://127.0.0.1:4201"),
    ],
)
def test_the_address_of_the_setting_is_published_and_gives_a_valid_url(
    setting: str, published: str, url: str, tmp_path: Path
) -> None:
    settings = read_settings({"PREFECT_SERVER_API_HOST": setting})
    at = place(tmp_path, settings)
    (port,) = services(render(at, IMAGES))["prefect-server"]["ports"]
    assert port["host_ip"] == published
    assert at.browser_url == url
    assert urlsplit(at.browser_url).port == 4201
    server = at.stack.unit("prefect-server").environment
    assert server["PREFECT_UI_API_URL"] == f"{url}/api"
    if setting in ("localhost", "::1"):
        assert at.opened is None
    else:
        assert f"{at.ports['http']} (PREFECT_SERVER_API_HOST)" in (at.opened or "")


def test_a_container_may_use_as_much_memory_as_the_setting_allows(
    tmp_path: Path,
) -> None:
    settings = read_settings({"CONTAINER_MEMORY_GB": "6"})
    entries = services(render(place(tmp_path, settings), IMAGES))
    assert {entry["mem_limit"] for entry in entries.values()} == {"6g"}


def test_code_is_mounted_from_the_checkout_and_must_be_there(tmp_path: Path) -> None:
    entries = services(render(place(tmp_path, StackSettings()), IMAGES))
    mounts = {mount["target"]: mount for mount in entries["prefect-worker"]["volumes"]}
    for name in MOUNTED:
        assert (CHECKOUT / name).exists()
        mount = mounts[f"/app/{name}"]
        assert mount["source"] == str(CHECKOUT / name)
        assert mount["bind"] == {"create_host_path": False}


def test_only_the_job_that_writes_migrations_can_change_the_checkout(
    tmp_path: Path,
) -> None:
    entries = services(render(place(tmp_path, StackSettings()), IMAGES))
    writable = {
        (name, Path(mount["source"]).relative_to(CHECKOUT).as_posix())
        for name, entry in entries.items()
        for mount in entry["volumes"]
        if mount["type"] == "bind" and not mount["read_only"]
    }
    assert writable == {("revision", "alembic")}


def test_a_credentials_file_is_mounted_where_the_worker_reads_it(
    tmp_path: Path,
) -> None:
    file = tmp_path / "mine.json"
    with pytest.raises(InvalidSetting, match="does not exist"):
        place(tmp_path, StackSettings(credentials_path=str(file)))
    file.mkdir()
    with pytest.raises(InvalidSetting, match="is a folder"):
        place(tmp_path, StackSettings(credentials_path=str(file)))
    file.rmdir()
    file.write_text("{}")
    at = place(tmp_path, StackSettings(credentials_path=str(file)))
    assert (
        at.stack.units["prefect-worker"].environment["CREDENTIALS_PATH"] == CREDENTIALS
    )
    entries = services(render(at, IMAGES))
    holders = {
        name
        for name, entry in entries.items()
        if CREDENTIALS in {mount["target"] for mount in entry["volumes"]}
    }
    assert holders == {"prefect-worker"}


def test_a_new_service_is_rendered_without_a_change_of_the_engine(
    tmp_path: Path,
) -> None:
    at = place(tmp_path, StackSettings())
    cache = Service(
        name="cache", summary="", command=("cache", "$x"), probe=SqlProbe("postgres")
    )
    warm = Job(name="warm", summary="", command=("warm",))
    stack = Stack({**at.stack.units, "cache": cache, "warm": warm})
    entries = services(render(replace(at, stack=stack), IMAGES))
    assert entries["cache"]["command"] == ["cache", "$x"]
    assert entries["warm"]["profiles"] == ["jobs"]


def test_the_images_inputs_are_all_but_the_code_and_the_tasks(tmp_path: Path) -> None:
    given = read_images({})
    for name in ("Dockerfile", "pixi.toml", "pixi.lock", "requirements.lock"):
        (tmp_path / name).write_bytes((CHECKOUT / name).read_bytes())
    (tmp_path / "ci").mkdir()
    (tmp_path / "ci" / "extras.py").write_text("")
    before = inputs_digest(tmp_path, given)
    manifest = tmp_path / "pixi.toml"
    manifest.write_text(manifest.read_text() + '[tasks.more]\ncmd = "true"\n')
    assert inputs_digest(tmp_path, given) == before
    other = read_images({"ETL_DEBIAN_IMAGE": "mirror.example.org/debian"})
    assert inputs_digest(tmp_path, other) != before
    (tmp_path / "requirements.lock").write_text("")
    assert inputs_digest(tmp_path, given) != before


def test_images_are_by_digest_unless_others_are_named() -> None:
    assert read_images({}).postgres == images.POSTGRES
    assert read_images({"ETL_POSTGRES_IMAGE": "mine"}).postgres == "mine"


def test_commands_in_messages_name_the_engine_that_they_are_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ETL_ENGINE", raising=False)
    assert (
        with_engine("./etl down --yes", "docker") == "./etl --engine docker down --yes"
    )
    assert with_engine("./etl down", "local") == "./etl down"
    monkeypatch.setenv("ETL_ENGINE", "docker")
    assert with_engine("./etl down", "docker") == "./etl down"


def test_an_unknown_engine_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the engines are local, docker"):
        new_engine("podman", CHECKOUT, Home(tmp_path), StackSettings())


def test_two_env_files_are_one_too_many(tmp_path: Path) -> None:
    assert find_env_file(tmp_path) == tmp_path / ".env"
    second = tmp_path / "resources" / "docker" / ".env"
    second.parent.mkdir(parents=True)
    second.write_text("")
    assert find_env_file(tmp_path) == second
    (tmp_path / ".env").write_text("")
    with pytest.raises(InvalidSetting, match="two files"):
        find_env_file(tmp_path)
