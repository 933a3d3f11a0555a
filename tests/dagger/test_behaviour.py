"""The module under the rules of a real engine: each test fails if one is broken."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from dagger import dag
from psycopg import sql
from tests.conftest import Server
from tests.dagger.behaviour import brought_up, health_environment, health_files
from tests.dagger.called import STACK, etl
from tests.dagger.engine import Engine, Made
from tests.dagger.prefect_stub import Api, served
from tests.dagger.read import Box
from tests.waiting import eventually

from ci.dagger.upload import BUILD, ENVIRONMENT
from ci.inside import places
from ci.inside.healthcheck import CLUSTER_READY

pytestmark = pytest.mark.anyio
STARTED_BY_CLI = ("database", "server", "worker", "stack")
PEER = "prefect-server:4200"
STARTED = datetime.now(UTC).timestamp() - 60


@pytest.mark.parametrize("name", STARTED_BY_CLI)
async def test_what_the_cli_starts_finds_its_peers_and_is_one_stack(
    engine: Engine, name: str
) -> None:
    """Evaluated twice, a function must give the same services, database included."""
    await brought_up(engine, name, getattr(etl(), name))
    holders = [s for s in engine.running.values() if s.locked_volumes()]
    assert len(holders) == 1


def probe(
    service: Made, folder: Path, replace: dict[str, str], binaries: str = "/usr/bin"
) -> list[str]:
    """Return the health check as a command of this machine.

    Its files are written below `folder`, and the addresses of containers replaced.
    """
    files = health_files(service) | Box(service).files
    for path, text in files.items():
        here = folder / path.lstrip("/")
        here.parent.mkdir(parents=True, exist_ok=True)
        here.write_text(text)
        here.chmod(0o700)
        replace = replace | {path: str(here)}
    state = folder / "state"
    state.mkdir()
    (state / "started").write_text(f"{STARTED:.0f}")
    (state / "session").write_text("0")
    own = {"ETL_STATE": str(state), "PATH": f"{binaries}:/usr/bin:/bin"}
    variables = [f"{k}={v}" for k, v in (health_environment(service) | own).items()]
    words = ["env", "--ignore-environment", *variables, *Box(service).health["args"]]
    for old, new in replace.items():
        words = [word.replace(old, new) for word in words]
    return [sys.executable if word == "python" else word for word in words]


async def test_the_worker_is_healthy_without_a_secret_variable(
    engine: Engine, tmp_path: Path
) -> None:
    engine.answers["Secret.plaintext"] = "me:canary-7f3a"
    login = dag.set_secret("login", "x")
    session = await etl(api_login=login).session(exposed=True)
    worker = await engine.account(session.containers.service("prefect-worker"))
    beat = {"status": "ONLINE", "last_heartbeat_time": datetime.now(UTC).isoformat()}
    known = [{"name": socket.gethostname(), **beat}]
    with served(Api(login="me:canary-7f3a", workers=known)) as api:
        command = probe(worker, tmp_path, {PEER: api.address})
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "canary" not in str(Box(worker).made.calls("withEnvVariable"))


async def test_the_server_is_healthy_behind_its_login(
    engine: Engine, tmp_path: Path
) -> None:
    session = await etl().session(exposed=True)
    server = await engine.account(session.containers.service("prefect-server"))
    with served(Api(login="me:canary-7f3a")) as api:
        command = probe(server, tmp_path, {"127.0.0.1:4200": api.address})
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def asks_for_a_password(server: Server) -> Iterator[str]:
    """Have the tests' PostgreSQL ask a role for a password; yield that password."""
    password = r"canary:7f3a\and more"
    with server.owner() as owner:
        role = sql.Identifier(STACK.unit("db").environment["PGUSER"])
        make = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
        owner.execute(make.format(role, sql.Literal(password)))
        (found,) = owner.execute("SHOW hba_file").fetchone() or ("",)
        file = Path(str(found))
        before = file.read_text()
        file.write_text(f"local all {role.as_string(owner)} scram-sha-256\n{before}")
        owner.execute("SELECT pg_reload_conf()")
    yield password
    file.write_text(before)
    with server.owner() as owner:
        owner.execute("SELECT pg_reload_conf()")
        owner.execute(sql.SQL("DROP ROLE {}").format(role))


async def test_the_database_is_healthy_where_it_asks_for_a_password(
    engine: Engine, tmp_path: Path, server: Server, asks_for_a_password: str
) -> None:
    engine.answers["Secret.plaintext"] = asks_for_a_password
    word = dag.set_secret("word", "x")
    session = await etl(postgres_password=word).session()
    database = await engine.account(session.containers.service("db"))
    here = {
        "127.0.0.1": str(server.postgres.sockets),
        "biocirv_db": "postgres",
        CLUSTER_READY: str(tmp_path / "ready"),  # of ensure-cluster.sh
    }
    (tmp_path / "ready").touch()

    def healthy() -> bool:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        command = probe(database, folder, here, str(server.postgres.binaries))
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return (done.returncode, done.stderr) == (0, "")

    eventually(healthy, within_s=20)  # a reload takes a moment
    engine.answers["Secret.plaintext"] = "another"
    other = await etl(postgres_password=word).session()
    database = await engine.account(other.containers.service("db"))
    assert not healthy(), "it would be healthy with any password"


async def test_an_edit_of_the_code_builds_no_image(engine: Engine) -> None:
    session = await etl().session(exposed=True)
    for name in ("prefect-server", "prefect-worker"):
        made = await engine.account(session.containers.service(name))
        names = [step.name for step in made.steps]
        built = names.index("dockerBuild")
        (seen,) = [s.arguments for s in made.steps[:built] if s.name == "filter"]
        assert seen == {"include": [*BUILD, *ENVIRONMENT]}
        code = made.calls("withDirectory")[0]
        assert code["path"] == places.CODE
        assert code["source"].call("filter") == {"exclude": [*BUILD, *ENVIRONMENT]}
