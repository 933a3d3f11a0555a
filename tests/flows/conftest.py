"""Fixtures of the flow tests: one real Prefect server and worker for the session."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, create_engine
from tests.waiting import eventually

CHECKOUT = Path(__file__).resolve().parents[2]
POOL = "test-pool"
LOGIN = "etl:the login of the tests"


def free_port() -> int:
    """Return a free TCP port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def process(
    module: str, *arguments: str, environment: dict[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a module beside the test, its output in a file; end it with its group."""
    with log.open("ab") as output:
        running = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=CHECKOUT, env=environment, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
        try:
            yield running
        finally:
            running.send_signal(signal.SIGTERM)
            try:
                running.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(running.pid, signal.SIGKILL)
                running.wait()


@dataclass(frozen=True)
class Run:
    """What one run of the job run-etl left: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """What it printed with `--json`."""
        parsed: dict[str, Any] = json.loads(self.out)
        return parsed

    @property
    def data(self) -> dict[str, Any]:
        """The receipt."""
        data: dict[str, Any] = self.document["data"]
        return data


@dataclass(frozen=True)
class Prefect:
    """A running server, with the environment of the processes around it."""

    environment: dict[str, str]
    folder: Path
    engine: Engine

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the REST API."""
        url = self.environment["PREFECT_API_URL"] + path
        user, _, password = LOGIN.partition(":")
        answer = httpx.request(method, url, json=body, auth=(user, password))
        return answer.raise_for_status().json() if answer.content else None

    def start(self, module: str, *arguments: str) -> subprocess.Popen[str]:
        """Start a job of the flows in the checkout."""
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=CHECKOUT, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def job(self, module: str, *arguments: str) -> Run:
        """Run a job of the flows to its end."""
        return result(self.start(module, *arguments))

    def run(self, *arguments: str) -> Run:
        """Run the job run-etl."""
        return self.job("etl.flows.run", "--json", *arguments)

    def worker(self) -> Any:
        """Start a worker; the context is entered when it is online."""
        return worker_online(self)

    def workers_online(self) -> list[str]:
        """Return the workers that the server takes for alive."""
        found = self.api("POST", f"/work_pools/{POOL}/workers/filter", {})
        return [worker["name"] for worker in found if worker["status"] == "ONLINE"]

    def children(self, run_id: str) -> dict[str, str]:
        """Return the states of the runs that a run started, by name."""
        wanted = {"flow_runs": {"parent_flow_run_id": {"any_": [run_id]}}}
        found = self.api("POST", "/flow_runs/filter", wanted)
        return {run["name"]: run["state_type"] for run in found}


def result(running: subprocess.Popen[str]) -> Run:
    """Wait for a job and return what it left."""
    out, err = running.communicate(timeout=90)
    return Run(running.returncode, out, err)


@contextmanager
def worker_online(prefect: Prefect) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker until the block ends."""
    log = prefect.folder / "worker.log"
    with process(
        "etl.flows.worker", environment=prefect.environment, log=log
    ) as running:
        eventually(prefect.workers_online)
        yield running


@pytest.fixture(scope="session")
def prefect(
    server: Any, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prefect]:
    """A Prefect server on the session's Postgres, with everything deployed."""
    folder = tmp_path_factory.mktemp("prefect")
    address = f"http://127.0.0.1:{free_port()}"
    python = str(Path(sys.executable).parent)
    with server.database() as metadata, server.database(template) as application:
        environment = os.environ | {
            "PATH": os.pathsep.join([python, os.environ["PATH"]]),
            "PREFECT_HOME": str(folder),
            "TMPDIR": str(folder),  # Prefect's files there are not to meet other users'
            "PREFECT_API_DATABASE_CONNECTION_URL": server.url(metadata, "asyncpg"),
            "PREFECT_API_URL": f"{address}/api",
            "PREFECT_API_AUTH_STRING": LOGIN,
            "PREFECT_SERVER_API_AUTH_STRING": LOGIN,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_WORKER_QUERY_SECONDS": "0.2",
            "PREFECT_WORK_POOL_NAME": POOL,
            "DATABASE_URL": server.url(application),
            "ETL_RAW_DIR": str(folder / "raw"),
        }
        engine = create_engine(server.url(application))
        started = Prefect(environment, folder, engine)
        port = address.rsplit(":", 1)[1]
        with process(
            "prefect", "server", "start", "--host", "127.0.0.1", "--port", port,
            environment=environment, log=folder / "server.log",
        ):  # fmt: skip
            deployed = started.job("etl.flows.deploy")
            assert deployed.code == 0, deployed.err
            yield started
        engine.dispose()


@pytest.fixture(scope="module")
def chain(prefect: Prefect) -> Iterator[Prefect]:
    """The server with a worker beside it, for the tests of a module."""
    with prefect.worker():
        yield prefect


def run_id_in(progress: str) -> str:
    """Return the run's id from the first line of progress."""
    match = re.search(r"^run ([0-9a-f-]{36})$", progress, re.MULTILINE)
    assert match, progress
    return match.group(1)
