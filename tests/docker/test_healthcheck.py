"""Probes as commands, and the program behind them, against a real server."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ci.inside.healthcheck import command, from_elsewhere
from ci.inside.places import endpoints
from ci.stack.model import HttpProbe, SqlProbe, WorkerProbe
from ci.stack.services import describe
from ci.stack.settings import StackSettings

STACK = describe(
    StackSettings(), endpoints(password="word", browser_api_url="http://x/api")
)


@dataclass
class Api:
    """A server that answers as Prefect's would."""

    url: str = ""
    worker: str = "ONLINE"
    login: str | None = None
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def api() -> Iterator[Api]:
    """Serve it on a port of the loopback."""
    api = Api()

    class Handler(BaseHTTPRequestHandler):
        """Answers health and workers."""

        def do_GET(self) -> None:
            self.answer(True)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            beat = datetime.now(UTC).isoformat()
            worker = {"name": socket.gethostname(), "last_heartbeat_time": beat}
            self.answer([worker | {"status": api.worker}])

        def answer(self, body: object) -> None:
            api.asked.append(self.path)
            wanted = api.login and base64.b64encode(api.login.encode()).decode()
            open_to_all = wanted is None
            known = open_to_all or self.headers["Authorization"] == f"Basic {wanted}"
            text = json.dumps(body).encode()
            self.send_response(200 if known else 401)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    api.url = f"http://127.0.0.1:{server.server_address[1]}/api"
    yield api
    server.shutdown()
    server.server_close()


def ask(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a health check as a container does."""
    program = [sys.executable, "-m", "ci.inside.healthcheck"]
    return subprocess.run(
        [*program, *words], env=environment, capture_output=True, text=True, check=False
    )


def test_a_service_asks_itself_over_the_loopback() -> None:
    probe = HttpProbe("http://prefect-server:4200/api/health")
    assert command(probe)[-2:] == ("http", "http://127.0.0.1:4200/api/health")
    asks = command(SqlProbe("figures"))
    assert asks[:2] == ("sh", "-c")
    assert asks[4:9] == ("psql", "--host", "127.0.0.1", "--dbname", "figures")
    worker = WorkerProbe("http://prefect-server:4200/api", "pond")
    assert command(worker)[-3:] == ("worker", "http://prefect-server:4200/api", "pond")


def test_another_container_asks_by_the_name_of_the_service() -> None:
    questions = {name: from_elsewhere(unit) for name, unit in STACK.services.items()}
    assert questions["db"] == ("tcp", "db", "5432")
    assert questions["prefect-server"][1] == "http://prefect-server:4200/api/health"
    assert questions["prefect-worker"][0] == "worker"


def test_ready_is_an_answer_of_200(api: Api) -> None:
    assert ask("http", f"{api.url}/health").returncode == 0
    api.login = "etl:word"
    refused = ask("http", f"{api.url}/health")
    assert (refused.returncode, "401" in refused.stderr) == (1, True)


def test_a_closed_port_is_not_ready_and_no_traceback() -> None:
    away = ask("tcp", "127.0.0.1", "1")
    assert away.returncode == 1
    assert away.stderr.startswith("ConnectionRefusedError")
    assert len(away.stderr.splitlines()) == 1


def test_a_worker_is_ready_when_the_server_says_so(api: Api) -> None:
    assert ask("worker", api.url, "pond").returncode == 0
    api.worker = "OFFLINE"
    away = ask("worker", api.url, "pond")
    assert (away.returncode, "no worker of the pool pond" in away.stderr) == (1, True)


def test_only_this_worker_s_heartbeat_since_this_start_counts(api: Api) -> None:
    """The server lists a worker that was killed as ONLINE for a while."""
    later = f"{datetime.now(UTC).timestamp() + 3600:.0f}"
    late = ask("worker", api.url, "pond", ETL_STARTED_AT=later)
    assert (late.returncode, "no worker of the pool pond" in late.stderr) == (1, True)
    own = socket.gethostname()
    assert ask("worker", api.url, "pond", own).returncode == 0
    assert ask("worker", api.url, "pond", "another-host").returncode == 1


def test_the_login_of_the_environment_is_used(api: Api) -> None:
    api.login = "etl:word"
    answer = ask("worker", api.url, "pond", PREFECT_API_AUTH_STRING=api.login)
    assert answer.returncode == 0


def test_without_arguments_the_image_asks_for_what_its_process_is_there(
    api: Api,
) -> None:
    assert ask(PREFECT_API_URL=api.url).returncode == 0
    assert ask(PREFECT_API_URL=api.url, PREFECT_WORK_POOL_NAME="p").returncode == 0
    assert api.asked == ["/api/health", "/api/work_pools/p/workers/filter"]
    assert ask().returncode == 1
    assert ask("nonsense").returncode == 1
