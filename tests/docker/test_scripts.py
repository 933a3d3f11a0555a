"""The shell scripts of the containers, on real processes."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import psutil
import pytest
from tests.conftest import Server
from tests.waiting import eventually

from ci.inside.cluster import ensure_sql
from ci.stack.model import Cluster

CHECKOUT = Path(__file__).resolve().parents[2]
SCRIPTS = CHECKOUT / "ci" / "src" / "ci" / "inside" / "scripts"


def init(*words: str) -> subprocess.Popen[str]:
    """Start init.sh."""
    return subprocess.Popen(
        ["sh", SCRIPTS / "init.sh", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def line(process: subprocess.Popen[str]) -> str:
    """Return the next line of its output."""
    assert process.stdout
    return process.stdout.readline().strip()


def test_a_stop_reaches_the_service_as_the_signal_it_wants() -> None:
    service = "trap 'echo fast; exit 0' USR1; echo up; while :; do sleep 0.05; done"
    with init("USR1", "5", "5", "sh", "-c", service) as process:
        assert line(process) == "up"
        process.send_signal(signal.SIGTERM)
        assert line(process) == "fast"
        assert process.wait(5) == 0


def test_a_service_deaf_to_its_signal_is_killed_in_time() -> None:
    service = "trap '' TERM; echo up; while :; do sleep 0.05; done"
    with init("TERM", "1", "5", "sh", "-c", service) as process:
        assert line(process) == "up"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_a_service_that_dies_young_is_not_started_again_and_its_code_is_kept() -> None:
    process = init("TERM", "1", "30", "sh", "-c", "exit 7")
    _, told = process.communicate(timeout=10)
    assert process.returncode == 7
    assert "sh ended after 0 s with exit code 7; not started again" in told


def test_a_service_that_has_lived_is_started_again() -> None:
    process = init("TERM", "1", "0", "sh", "-c", "echo up; sleep 0.1; kill -9 $$")
    assert [line(process), line(process)] == ["up", "up"]
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=10)
    assert "exit code 137; starting it again" in told
    assert process.returncode == 0


@pytest.fixture
def cluster(server: Server) -> Cluster:
    """A cluster of its own on the tests' server."""
    return Cluster("etl_inside", ("inside_data", "inside_prefect"))


def psql(server: Server, file: Path, password: str) -> None:
    """Run a script as ensure-cluster.sh does."""
    program = server.postgres.binaries / "psql"
    where = [
        "--host",
        str(server.postgres.sockets),
        "--port",
        str(server.postgres.port),
    ]
    who = ["--username", "postgres", "--dbname", "postgres"]
    subprocess.run(
        [str(program), "--no-psqlrc", "--quiet", *where, *who, "--file", str(file)],
        check=True,
        env={"PGPASSWORD": password},
        capture_output=True,
    )


def test_the_cluster_is_ensured_at_each_start_with_the_password_of_that_start(
    server: Server, cluster: Cluster, tmp_path: Path
) -> None:
    script = tmp_path / "cluster.sql"
    script.write_text(ensure_sql(cluster))
    question = "SELECT rolpassword, rolcanlogin FROM pg_authid WHERE rolname = %s"
    stored = set()
    for password in ("first 'quoted' one", "second"):
        psql(server, script, password)
        with server.owner() as owner:
            stored.add(owner.execute(question, [cluster.role]).fetchone())
    assert len(stored) == 2
    with server.owner() as owner:
        found = owner.execute(
            "SELECT datname FROM pg_database JOIN pg_roles r ON r.oid = datdba "
            "WHERE rolname = %s ORDER BY 1",
            [cluster.role],
        ).fetchall()
        assert [name for (name,) in found] == sorted(cluster.databases)
        for name in cluster.databases:
            owner.execute(f"DROP DATABASE {name}")
        for setting in cluster.may_set:
            owner.execute(f"REVOKE SET ON PARAMETER {setting} FROM {cluster.role}")
        owner.execute(f"DROP ROLE {cluster.role}")


def test_postgres_is_started_in_place_and_the_script_repeated_until_it_has_run(
    tmp_path: Path,
) -> None:
    """The image's first server goes away in mid-script: the first tries fail."""
    programs = tmp_path / "bin"
    programs.mkdir()
    fake = programs / "psql"
    fake.write_text(
        f"#!/bin/sh\necho try >> {tmp_path}/tries\n"
        f"[ $(wc -l < {tmp_path}/tries) -ge 3 ] || {{ echo away >&2; exit 2; }}\n"
    )
    fake.chmod(0o755)
    process = subprocess.Popen(
        ["sh", SCRIPTS / "ensure-cluster.sh", "cluster.sql", "sleep", "60"],
        env={"PATH": f"{programs}:/usr/bin:/bin"},
    )
    tries = tmp_path / "tries"
    service = psutil.Process(process.pid)
    try:
        eventually(
            lambda: tries.exists() and tries.read_text().count("try") == 3, within_s=10
        )
        # the very process has become the service
        eventually(lambda: service.cmdline()[:1] == ["sleep"], within_s=10)
    finally:
        process.kill()
        process.wait()
    assert tries.read_text().count("try") == 3
