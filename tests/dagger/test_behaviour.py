"""The module under the rules of a real engine: each test fails if one is broken."""

from __future__ import annotations

import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from dagger import dag
from tests.dagger.behaviour import brought_up, health_environment, health_files
from tests.dagger.called import etl
from tests.dagger.engine import Engine, Made
from tests.dagger.prefect_stub import Api, served
from tests.dagger.read import Box

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


def probe(service: Made, folder: Path, replace: dict[str, str]) -> list[str]:
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
    own = {"ETL_STATE": str(state)}
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
