"""The shell scripts of the containers, on real processes."""

from __future__ import annotations

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
