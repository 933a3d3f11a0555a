"""The shell scripts of the containers, on real processes."""

from __future__ import annotations

import subprocess
from dataclasses import replace
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
    for password in ("first 'quoted' word", "second"):
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


def test_another_role_gets_everything_that_the_former_one_owned(
    server: Server, cluster: Cluster, tmp_path: Path
) -> None:
    script = tmp_path / "cluster.sql"
    script.write_text(ensure_sql(cluster))
    psql(server, script, "first")
    renamed = replace(cluster, role="etl_renamed")
    script.write_text(ensure_sql(renamed))
    owners = (
        "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname LIKE 'inside_%'"
    )
    try:
        psql(server, script, "second")
        with server.owner() as owner:
            assert set(owner.execute(owners).fetchall()) == {("etl_renamed",)}
            logins = "SELECT rolname, rolcanlogin FROM pg_roles WHERE rolname LIKE %s"
            assert set(owner.execute(logins, ["etl_%"]).fetchall()) >= {
                (cluster.role, False),
                (renamed.role, True),
            }
    finally:
        with server.owner() as owner:
            for name in cluster.databases:
                owner.execute(f"DROP DATABASE {name}")
            for role in (cluster.role, renamed.role):
                for setting in cluster.may_set:
                    owner.execute(f"REVOKE SET ON PARAMETER {setting} FROM {role}")
                owner.execute(f"DROP ROLE {role}")


def test_postgres_is_started_in_place_and_the_script_run_on_it_alone(
    tmp_path: Path,
) -> None:
    """The server that only initialises has another process id; the first try fails."""
    programs = tmp_path / "bin"
    programs.mkdir()
    fake = programs / "psql"
    fake.write_text(
        f"#!/bin/sh\necho try >> {tmp_path}/tries\n"
        f"[ $(wc -l < {tmp_path}/tries) -ge 2 ] || {{ echo away >&2; exit 2; }}\n"
    )
    fake.chmod(0o755)
    process = subprocess.Popen(
        ["sh", SCRIPTS / "ensure-cluster.sh", "cluster.sql", "sleep", "60"],
        env={
            "PATH": f"{programs}:/usr/bin:/bin",
            "PGDATA": str(tmp_path),
            "READY_FILE": str(tmp_path / "ready"),
        },
    )
    tries = tmp_path / "tries"
    service = psutil.Process(process.pid)
    try:
        # The same process has become the service.
        eventually(lambda: service.cmdline()[:1] == ["sleep"], within_s=10)
        write_pid_file(tmp_path, 1, "ready   ")
        write_pid_file(tmp_path, process.pid, "starting")
        assert not tries.exists()
        write_pid_file(tmp_path, process.pid, "ready   ")
        eventually((tmp_path / "ready").exists, within_s=10)
    finally:
        process.kill()
        process.wait()
    assert tries.read_text().count("try") == 2


def write_pid_file(folder: Path, pid: int, state: str) -> None:
    """Write postmaster.pid as PostgreSQL does: process id first, state in line 8."""
    draft = folder / "draft"
    draft.write_text("\n".join([str(pid), *"234567", state, ""]))
    draft.rename(folder / "postmaster.pid")
