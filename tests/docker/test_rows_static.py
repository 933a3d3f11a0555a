"""Rows of the users' checklist that files alone decide: tasks, templates, pages."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from tests.docker.pixi_tasks import Tasks

from ci.host.env_file import read_env_file, read_settings
from ci.stack.settings import variable_names

CHECKOUT = Path(__file__).resolve().parents[2]
TASKS = (
    "start-services", "teardown-services", "teardown-services-volumes",
    "restart-services", "service-status", "service-logs", "check-db-health",
    "access-db", "access-prefect-db", "rebuild-services", "exec-prefect-worker",
    "exec-db", "restart-prefect-worker", "deploy", "run-etl",
)  # fmt: skip
PAGES = (
    "resources/AGENTS.md",
    "docs/pipeline/DOCKER_WORKFLOW.md",
    "docs/pipeline/PREFECT_WORKFLOW.md",
    "docs/pipeline/ALEMBIC_WORKFLOW.md",
)
ROWS = 102


@pytest.mark.rows(2)
def test_every_operation_is_a_task_with_a_description() -> None:
    table = Tasks(CHECKOUT, "docker").table()
    assert set(TASKS) <= set(table)
    assert [name for name, task in table.items() if not task.get("description")] == []
    for name in TASKS:
        assert "compose" not in table[name]["cmd"]
        assert "--engine docker" in table[name]["cmd"]


@pytest.mark.rows(3, 4)
@pytest.mark.parametrize(
    "platform", ["linux-64", "linux-aarch64", "osx-64", "osx-arm64"]
)
def test_docker_and_compose_come_with_the_environment(platform: str) -> None:
    """The lock is pixi's own, so what it lists is what `pixi run which` finds."""
    lock = yaml.safe_load((CHECKOUT / "pixi.lock").read_text())
    entries = lock["environments"]["default"]["packages"][platform]
    names = [Path(entry["conda"]).name for entry in entries]
    for program in ("docker-cli-", "docker-compose-"):
        assert any(name.startswith(program) for name in names)


@pytest.mark.rows(75)
def test_the_pipelines_dependencies_are_a_feature_of_the_environment_etl() -> None:
    text = (CHECKOUT / "pixi.toml").read_text()
    assert "[feature.pipeline.dependencies]" in text
    assert 'etl = { features = ["pipeline"], no-default-feature = true' in text
    assert (
        "pixi install --locked --environment etl"
        in (CHECKOUT / "Dockerfile").read_text()
    )


@pytest.mark.rows(47, 49)
def test_the_template_lists_every_variable_and_is_valid_as_it_is(
    tmp_path: Path,
) -> None:
    template = CHECKOUT / "resources" / "docker" / ".env.example"
    copy = tmp_path / ".env"
    shutil.copy(template, copy)
    assert set(read_env_file(copy)) == set(variable_names())
    assert read_settings({}, copy).postgres_host == "db"


@pytest.mark.rows(48)
def test_no_env_file_is_committed_built_in_or_let_through(tmp_path: Path) -> None:
    for name in (".gitignore", ".dockerignore", ".githooks"):
        source = CHECKOUT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tmp_path / name)

    def git(*words: str, code: int = 0) -> str:
        who = ("-c", "user.name=me", "-c", "user.email=me@example.org")
        done = subprocess.run(
            ["git", *who, *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    git("init", "--quiet")
    git("config", "core.hooksPath", ".githooks")
    for name in (".env", "resources/docker/.env"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("POSTGRES_PASSWORD=canary\n")
        git("check-ignore", name)
        git("add", "--force", name)
        assert "for secrets" in git("commit", "--message", "no", code=1)
        git("rm", "--cached", "--quiet", name)
    assert "**/.env*" in (CHECKOUT / ".dockerignore").read_text()


@pytest.mark.rows(99, 100, 101, 102)
@pytest.mark.parametrize("page", PAGES)
def test_the_pages_are_there_and_their_links_resolve(page: str) -> None:
    path = CHECKOUT / page
    links = re.findall(r"\]\(([^)#]+)\)", path.read_text())
    assert links
    for link in links:
        assert (path.parent / link).exists(), link


@pytest.mark.rows(92)
def test_documented_names_of_containers_are_the_real_ones() -> None:
    text = (CHECKOUT / "docs" / "pipeline" / "DOCKER_WORKFLOW.md").read_text()
    for name in ("db", "setup-db", "prefect-server", "prefect-worker"):
        assert f"`BioCirV_ETL_{name}`" in text
    assert "docker logs BioCirV_ETL_prefect-worker" in text


def test_every_row_of_the_checklist_has_its_test() -> None:
    held: set[int] = set()
    for path in sorted(Path(__file__).parent.glob("test_rows_*.py")):
        for marks in re.findall(r"mark\.rows\(([\d,\s]+)\)", path.read_text()):
            held |= {int(number) for number in marks.replace(",", " ").split()}
    assert sorted(set(range(1, ROWS + 1)) - held) == []
    assert max(held) == ROWS
