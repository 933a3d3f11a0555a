"""Rows of the users' checklist that hold on either engine, under the same names."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.docker.site import Site, locked
from tests.security.api import (
    assert_asks_for_the_login,
    assert_other_origins_get_no_permission,
)
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(900)  # a first stack builds its image


NEW_TABLE = """\
class Note(Base):
    \"\"\"One row per note.\"\"\"

    __tablename__ = "ledger_note"
    note_id: Mapped[int] = mapped_column(primary_key=True)


class LedgerCursor("""
REVISION = re.compile(r"^\d{8}_\d{4}", re.MULTILINE)


def get(url: str) -> int:
    """Return the status of a GET."""
    with urllib.request.urlopen(url, timeout=20) as answer:
        return int(answer.status)


def head(site: Site) -> str:
    """Return the newest revision."""
    return site.worker("alembic", "heads").stdout.split()[0]


@pytest.mark.rows(1, 21, 25)
def test_one_command_has_started_everything_and_the_status_shows_it(
    site: Site,
) -> None:
    status = site.status()
    assert status["running"]
    assert not status["settings_changed"]
    states = {unit["name"]: unit["status"] for unit in status["units"]}
    for name in ("db", "prefect-server", "prefect-worker"):
        assert states[name] == "ready", site.unit(name)["detail"]
    assert site.unit("setup-db")["status"] == "completed"
    assert site.unit("setup-db")["exit_code"] == 0
    shown = site.task("service-status").stdout
    assert re.search(r"setup-db +job +completed +0", shown)


@pytest.mark.rows(6)
def test_the_server_has_the_documented_version(site: Site) -> None:
    page = site.checkout / "docs" / "pipeline" / "DOCKER_WORKFLOW.md"
    documented = re.search(r"PostgreSQL (\d+)", page.read_text())
    assert documented
    assert site.sql("SHOW server_version").split(".")[0] == documented[1]
    assert site.task("exec-db", "psql", "-Atc", "SELECT 1").stdout == "1\n"


@pytest.mark.rows(7, 29, 30, 95)
def test_one_server_holds_both_databases(site: Site) -> None:
    words = ("-At", "-c", "SELECT current_database()")
    assert site.task("access-db", *words).stdout == "biocirv_db\n"
    assert site.task("access-prefect-db", *words).stdout == "prefect_db\n"


@pytest.mark.rows(12, 42, 43, 45)
def test_the_schema_is_at_its_one_head_and_applying_it_again_changes_nothing(
    site: Site,
) -> None:
    newest = head(site)
    assert site.worker("alembic", "heads").stdout.count("(head)") == 1
    assert site.worker("alembic", "current").stdout.startswith(newest)
    site.worker("alembic", "upgrade", "head")
    assert site.worker("alembic", "current").stdout.startswith(newest)
    history = site.worker("alembic", "history").stdout.splitlines()
    assert len(history) == len(list((site.checkout / "alembic/versions").glob("*.py")))
    assert all(line.count("->") == 1 for line in history)


@pytest.mark.rows(46)
def test_one_step_back_and_forth_gives_the_same_schema(site: Site) -> None:
    columns = (
        "SELECT md5(string_agg(concat(table_name, column_name, data_type), ',' "
        "ORDER BY table_name, column_name)) FROM information_schema.columns "
        "WHERE table_schema = 'public'"
    )
    before = site.sql(columns)
    site.worker("alembic", "downgrade", "-1")
    assert site.sql(columns) != before
    site.worker("alembic", "upgrade", "head")
    assert site.sql(columns) == before


@pytest.mark.rows(44)
def test_a_new_migration_is_a_file_of_ours_and_runs_go_on_after_it(site: Site) -> None:
    """The steps of docs/pipeline/ALEMBIC_WORKFLOW.md; without a change nothing."""
    folder = site.checkout / "alembic" / "versions"
    before, newest = set(folder.glob("*.py")), head(site)
    words = ("alembic", "revision", "--autogenerate", "-m", "note of a run")
    site.worker(*words)
    assert set(folder.glob("*.py")) == before
    undo = site.edit("src/etl/models/ledger.py", "class LedgerCursor(", NEW_TABLE)
    try:
        site.worker(*words)
        (made,) = set(folder.glob("*.py")) - before
        assert made.stat().st_uid == Path().stat().st_uid
        assert "op.create_table" in made.read_text()
        site.worker("alembic", "upgrade", "head")
        site.task("run-etl")
    finally:
        undo()
        site.worker("alembic", "downgrade", newest, code=None)
        for path in set(folder.glob("*.py")) - before:
            path.unlink()
    site.task("run-etl")


@pytest.mark.rows(13, 16, 27, 39, 79)
def test_the_printed_address_opens_and_the_api_is_healthy(site: Site) -> None:
    shown = site.task("service-status").stdout
    address = re.search(r"^UI (http://\S+)$", shown, re.MULTILINE)
    assert address
    for host in ("127.0.0.1", "localhost", "0.0.0.0"):
        url = address[1].replace("127.0.0.1", host)
        assert get(f"{url}/") == 200
        assert get(f"{url}/api/health") == 200


def test_the_api_answers_its_own_user_and_its_own_pages_alone(site: Site) -> None:
    assert_asks_for_the_login(site.prefect)
    assert_other_origins_get_no_permission(site.prefect)


@pytest.mark.rows(15, 36, 40, 41)
def test_prefects_own_program_deploys_and_lists(site: Site) -> None:
    def prefect(*words: str) -> str:
        return site.worker("env", "COLUMNS=200", "prefect", *words).stdout

    # In containers a wrapper lets it deploy all, without a question.
    prefect(*(["deploy"] if site.engine == "docker" else ["deploy", "--all"]))
    assert "biocirv-etl" in prefect("work-pool", "ls")
    assert "master-etl/master-etl-deployment" in prefect("deployment", "ls")
    last = site.json("run-etl")["data"]["run_id"]
    (line,) = [row for row in prefect("flow-run", "ls").splitlines() if last in row]
    assert "COMPLETED" in line


@pytest.mark.rows(26, 91)
def test_logs_are_of_all_services_or_of_one(site: Site) -> None:
    every = site.task("service-logs").stdout
    for name in ("db", "prefect-server", "prefect-worker"):
        assert re.search(rf"^{name} *\|", every, re.MULTILINE)
    only = site.task("service-logs", "db", "-n", "3").stdout.splitlines()
    assert 1 <= len(only) <= 3
    assert all(re.match(r"db *\|", line) for line in only)
    assert "prefect-server" in site.task("service-logs", "nothing", code=2).stderr


@pytest.mark.rows(28, 78)
def test_the_databases_health_is_the_answer_of_pg_isready(site: Site) -> None:
    assert "accepting connections" in site.task("check-db-health").stdout


@pytest.mark.rows(32, 33, 72, 73, 74, 93)
def test_commands_run_with_their_environment_and_their_exit_code(site: Site) -> None:
    assert site.worker("python", "-V").stdout.startswith("Python 3.")
    assert "Version" in site.worker("prefect", "version").stdout
    assert REVISION.search(site.worker("alembic", "current").stdout)
    assert "prefect" in site.worker("pip", "list").stdout
    shell = site.worker("/bin/bash", "-c", "python --version && exit 7", code=7)
    assert shell.stdout.startswith("Python 3.")
    assert site.task("exec-db", "sh", "-c", "exit 3", code=3)
    assert site.worker("no-such-program", code=2).stderr.count("there is no program")


def test_a_quote_that_pixi_has_dropped_is_explained(site: Site) -> None:
    """Pixi's own defect: python -c "print('x')" arrives as print(x)."""
    assert "single quotes" in site.worker("python", "-c", "print(x)", code=1).stderr
    assert site.worker("python", "-c", 'print("x")').stdout == "x\n"


@pytest.mark.rows(35, 37)
def test_deploying_twice_is_the_same_and_a_run_ends_with_its_result(
    site: Site,
) -> None:
    def deployed() -> dict[str, str]:
        found = site.json("deploy")["data"]["deployments"]
        return {item["name"]: item["id"] for item in found}

    assert deployed() == deployed()
    done = site.task("run-etl")
    assert re.search(r"run [0-9a-f-]{36}: succeeded", done.stdout)
    started = site.json("run-etl", "--no-wait")["data"]["run_id"]
    run = f"/flow_runs/{started}"
    eventually(lambda: site.api(run)["state_type"] == "COMPLETED", within_s=90)
    assert site.task("run-etl", "--source", "nothing", code=2)


@pytest.mark.rows(38)
def test_the_flow_runs_without_its_deployment_to_the_same_result(site: Site) -> None:
    code = "from run_prefect_flow import master_flow; master_flow()"
    count = "SELECT count(*) FROM out_nass__values"
    before = site.sql(count)
    site.worker("python", "-c", code)
    assert site.sql(count) == before != "0"


@pytest.mark.rows(66)
def test_an_edit_of_prefect_yaml_is_in_force_after_deploy(site: Site) -> None:
    with scheduled_each_minute(site):
        named = "/deployments/name/master-etl/master-etl-deployment"
        (schedule,) = site.api(named)["schedules"]
        assert schedule["active"]
        assert schedule["schedule"]["cron"] == "* * * * *"


@pytest.mark.rows(17)
def test_a_scheduled_run_completes(site: Site) -> None:
    only = {"flow_runs": {"tags": {"all_": ["auto-scheduled"]}}}
    with scheduled_each_minute(site):
        eventually(lambda: site.api("/flow_runs/filter", only), within_s=15)
        done = only | {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}
        eventually(
            lambda: any(
                r["auto_scheduled"] for r in site.api("/flow_runs/filter", done)
            ),
            within_s=90,
        )


@contextmanager
def scheduled_each_minute(site: Site) -> Iterator[None]:
    """Have the schedule of prefect.yaml active, and due each minute."""
    path = site.checkout / "prefect.yaml"
    before = path.read_text()
    edited = before.replace("0 6 * * *", "* * * * *").replace(
        "active: false", "active: true"
    )
    path.write_text(edited)
    try:
        site.task("deploy")
        yield
    finally:
        path.write_text(before)
        site.task("deploy")


@pytest.mark.rows(64, 86)
def test_an_edit_of_flow_code_is_used_by_the_next_run(site: Site) -> None:
    undo = site.edit(
        "src/etl/flows/run_result.py", " sources loaded", " sources loaded as edited"
    )
    try:
        run = site.json("run-etl")["data"]["flow_run"]["id"]
        message = site.api(f"/flow_runs/{run}")["state"]["message"]
        assert "as edited" in message
    finally:
        undo()


@pytest.mark.rows(34)
def test_a_restarted_worker_leaves_no_run_that_looks_alive(site: Site) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with locked(site, "core_nass__value"):
        run = site.json("run-etl", "--no-wait", "--reload")["data"]["run_id"]
        eventually(lambda: site.sql(waiting) != "0", within_s=60)
        site.task("restart-prefect-worker")
        assert site.api(f"/flow_runs/{run}")["state_type"] == "CRASHED"
    assert "crashed" in site.etl("runs").stdout.lower()
    running = "SELECT count(*) FROM out_etl__runs WHERE run_status = 'running'"
    assert site.sql(running) == "0"
    site.task("run-etl")
