"""Probes as commands: how a container asks whether its own service is ready.

Standard library only. `command` turns a probe of the stack into the command of a health
check; the program below is what that command runs in the pipeline's image.

    python -m ci.inside.healthcheck http URL
    python -m ci.inside.healthcheck worker API_URL POOL
    python -m ci.inside.healthcheck tcp HOST PORT
    python -m ci.inside.healthcheck            # the service of this container

Exit code 0: ready; 1: not yet, with what was seen instead on standard error.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import sys
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from ci.stack.model import HttpProbe, Probe, Service, SqlProbe

ANSWER_WITHIN_S = 5.0
PROGRAM = ("python", "-m", "ci.inside.healthcheck")


def command(probe: Probe) -> tuple[str, ...]:
    """Return the command that exits with 0 when the service is ready.

    A service asks itself over the loopback: its own name need not resolve inside it.
    TCP, not the socket: the server that the image starts to initialise listens on that.
    """
    if isinstance(probe, SqlProbe):
        query = ("--no-psqlrc", "--quiet", "--command", "SELECT 1")
        return ("psql", "--host", "127.0.0.1", "--dbname", probe.database, *query)
    if isinstance(probe, HttpProbe):
        parts = urlsplit(probe.url)
        own = parts._replace(netloc=f"127.0.0.1:{parts.port or 80}")
        return (*PROGRAM, "http", own.geturl())
    return (*PROGRAM, "worker", probe.api_url, probe.pool)


def from_elsewhere(service: Service) -> tuple[str, ...]:
    """Return the arguments by which another container asks after a service.

    A database is asked for a connection only: nobody else needs its password.
    """
    probe = service.probe
    if isinstance(probe, SqlProbe):
        return ("tcp", service.name, str(service.ports[0].inside))
    if isinstance(probe, HttpProbe):
        return ("http", probe.url)
    return ("worker", probe.api_url, probe.pool)


def seen_instead(arguments: list[str]) -> str | None:
    """Ask once; return None when ready, else what was seen."""
    try:
        match arguments:
            case ["http", url]:
                request(url)
            case ["worker", api, pool]:
                return worker_missing(api, pool)
            case ["tcp", host, port]:
                socket.create_connection((host, int(port)), ANSWER_WITHIN_S).close()
            case []:
                return container_unhealthy()
            case _:
                return f"unknown arguments {arguments}"
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    return None


def worker_missing(api: str, pool: str) -> str | None:
    """Return None when the server counts a worker of the pool as ONLINE."""
    workers = request(f"{api}/work_pools/{pool}/workers/filter", b"{}")
    if any(worker.get("status") == "ONLINE" for worker in workers):
        return None
    return f"no worker of the pool {pool} is online ({len(workers)} known)"


def container_unhealthy() -> str | None:
    """Ask what the image's processes are there for: a pool's worker, else the API."""
    api = os.environ.get("PREFECT_API_URL")
    pool = os.environ.get("PREFECT_WORK_POOL_NAME")
    if not api:
        return "PREFECT_API_URL is not set, so there is nothing to ask"
    if pool:
        return worker_missing(api, pool)
    request(f"{api}/health")
    return None


def request(url: str, body: bytes | None = None) -> Any:
    """Send one request, logged in where there is a login; return the answer's JSON."""
    headers = {"Content-Type": "application/json"}
    if login := os.environ.get("PREFECT_API_AUTH_STRING"):
        headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
    # The proxies of the machine are not for the stack's own network.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    asked = urllib.request.Request(url, body, headers)  # noqa: S310  # our own server
    with opener.open(asked, timeout=ANSWER_WITHIN_S) as answer:
        return json.load(answer)


def main() -> int:
    """Ask once and say what was seen if it was not readiness."""
    seen = seen_instead(sys.argv[1:])
    if seen:
        sys.stderr.write(seen + "\n")
    return 1 if seen else 0


if __name__ == "__main__":
    raise SystemExit(main())
