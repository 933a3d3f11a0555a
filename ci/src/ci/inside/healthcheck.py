"""Probes as commands: a container checks whether its own service is ready.

Standard library only. `command` turns a probe of the stack into the command of a health
check; in the pipeline's image that command runs the program below.

    python -m ci.inside.healthcheck http URL
    python -m ci.inside.healthcheck worker API_URL POOL [HOST]
    python -m ci.inside.healthcheck tcp HOST PORT
    python -m ci.inside.healthcheck            # the service of this container

Exit code 0: ready; 1: not ready, with the reason on standard error.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import socket
import sys
import urllib.request
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ci.stack.model import HttpProbe, Probe, Service, SqlProbe

ANSWER_WITHIN_S = 5.0
CLUSTER_READY = "/tmp/cluster-ready"  # noqa: S108  # made by ensure-cluster.sh
PROGRAM = ("python", "-m", "ci.inside.healthcheck")


def command(probe: Probe) -> tuple[str, ...]:
    """Return the command that exits with 0 when the service is ready.

    Over the loopback address, because a container need not resolve its own name. A
    database is asked once ensure-cluster.sh has made the role that asks: a connection
    before that would leave a FATAL line in its log.
    """
    if isinstance(probe, SqlProbe):
        query = ("--no-psqlrc", "--quiet", "--command", "SELECT 1")
        psql = ("psql", "--host", "127.0.0.1", "--dbname", probe.database, *query)
        return ("sh", "-c", f'test -e {CLUSTER_READY} && exec "$@"', "sh", *psql)
    if isinstance(probe, HttpProbe):
        parts = urlsplit(probe.url)
        own = parts._replace(netloc=f"127.0.0.1:{parts.port or 80}")
        return (*PROGRAM, "http", own.geturl())
    return (*PROGRAM, "worker", probe.api_url, probe.pool)


def from_elsewhere(
    service: Service, hosts: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Return the arguments by which another container checks a service.

    For a database only the connection is checked, which needs no password.

    Args:
        service: The service to check.
        hosts: Host of each service by its name, where the name does not resolve.
    """
    hosts = hosts or {}
    probe, host = service.probe, hosts.get(service.name, service.name)
    if isinstance(probe, SqlProbe):
        return ("tcp", host, str(service.ports[0].inside))
    if isinstance(probe, HttpProbe):
        return ("http", with_host(probe.url, hosts))
    own = (host,) if service.name in hosts else ()
    return ("worker", with_host(probe.api_url, hosts), probe.pool, *own)


def with_host(url: str, hosts: Mapping[str, str]) -> str:
    """Replace the host of an address if `hosts` has another name for it."""
    parts = urlsplit(url)
    host = hosts.get(parts.hostname or "", parts.hostname)
    return parts._replace(netloc=f"{host}:{parts.port or 80}").geturl()


def reason_not_ready(arguments: list[str]) -> str | None:
    """Check once; return None when ready, else the reason."""
    try:
        match arguments:
            case ["http", url]:
                request(url)
            case ["worker", api, pool]:
                return reason_no_worker(api, pool, socket.gethostname(), started_at())
            case ["worker", api, pool, host]:
                return reason_no_worker(api, pool, host)
            case ["tcp", host, port]:
                socket.create_connection((host, int(port)), ANSWER_WITHIN_S).close()
            case []:
                return reason_container_not_ready()
            case _:
                return f"unknown arguments {arguments}"
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    return None


def reason_no_worker(
    api: str, pool: str, host: str, since: float | None = None
) -> str | None:
    """Return None when the server lists the worker of a host as ONLINE.

    With `since` (Unix time) its last heartbeat must be later: the server lists a worker
    that was killed as ONLINE for a while.
    """
    workers = request(f"{api}/work_pools/{pool}/workers/filter", b"{}")
    for worker in workers:
        name = str(worker.get("name"))
        own = name == host or name.startswith(f"{host}.")
        if own and worker.get("status") == "ONLINE" and has_beaten(worker, since):
            return None
    return f"no worker of the pool {pool} is online at {host} ({len(workers)} known)"


def has_beaten(worker: Mapping[str, Any], since: float | None) -> bool:
    """Whether a worker has sent a heartbeat after this time."""
    if since is None:
        return True
    beat = worker.get("last_heartbeat_time")
    return bool(beat) and datetime.fromisoformat(str(beat)).timestamp() >= since


def started_at() -> float | None:
    """Return the Unix time at which this container's service started, if it is known.

    It is that of process 1, which an engine starts anew with the service. A supervisor
    that starts a service again in its container sets ETL_STARTED_AT.
    """
    if given := os.environ.get("ETL_STARTED_AT"):
        return float(given)
    try:
        ticks = int(Path("/proc/1/stat").read_text().rpartition(") ")[2].split()[19])
        boot = re.search(r"^btime (\d+)$", Path("/proc/stat").read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(boot[1]) + ticks / os.sysconf("SC_CLK_TCK") if boot else None


def reason_container_not_ready() -> str | None:
    """Check the worker if the container has a work pool, else the API."""
    api = os.environ.get("PREFECT_API_URL")
    pool = os.environ.get("PREFECT_WORK_POOL_NAME")
    if not api:
        return "PREFECT_API_URL is not set, so there is nothing to check"
    if pool:
        return reason_no_worker(api, pool, socket.gethostname(), started_at())
    request(f"{api}/health")
    return None


def request(url: str, body: bytes | None = None) -> Any:
    """Send one request, with the login if there is one; return the answer's JSON."""
    headers = {"Content-Type": "application/json"}
    if login := api_login():
        headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
    # Proxy settings of the machine do not apply to the stack's own network.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    query = urllib.request.Request(url, body, headers)  # noqa: S310  # our own server
    with opener.open(query, timeout=ANSWER_WITHIN_S) as answer:
        return json.load(answer)


def api_login() -> str | None:
    """Return the login of Prefect's API: from the environment, else from a file.

    Dagger gives a health check no secret variable, only the secret files.
    """
    if file := os.environ.get("ETL_API_LOGIN_FILE"):
        return Path(file).read_text().strip()
    return os.environ.get("PREFECT_API_AUTH_STRING")


def main() -> int:
    """Check once and write the reason if the service is not ready."""
    reason = reason_not_ready(sys.argv[1:])
    if reason:
        sys.stderr.write(reason + "\n")
    return 1 if reason else 0


if __name__ == "__main__":
    raise SystemExit(main())
