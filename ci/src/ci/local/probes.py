"""Asks whether a service is ready. A probe answers True or False and never raises."""

from __future__ import annotations

from datetime import datetime

import httpx

from ci.local.postgres import Postgres
from ci.stack.model import HttpProbe, Service, SqlProbe, WorkerProbe

PAUSE_S = 0.05  # between two looks at something that is starting
ANSWER_WITHIN_S = 5.0


async def answers(
    client: httpx.AsyncClient, service: Service, since: datetime, postgres: Postgres
) -> bool:
    """Ask the probe of a service that was started at a time."""
    if isinstance(service.probe, SqlProbe):
        return postgres.is_ready()
    if isinstance(service.probe, HttpProbe):
        return await http_ready(client, service.probe)
    return await worker_ready(client, service.probe, since)


async def http_ready(client: httpx.AsyncClient, probe: HttpProbe) -> bool:
    """Whether the address answers 200."""
    try:
        answer = await client.get(probe.url)
    except httpx.HTTPError:
        return False
    return answer.status_code == 200


async def worker_ready(
    client: httpx.AsyncClient, probe: WorkerProbe, since: datetime
) -> bool:
    """Whether a worker of the pool is ONLINE and has been heard of since its start.

    The worker's own /health answers before the worker exists; only the server knows. It
    counts a worker that was killed as ONLINE for a while, hence the time.
    """
    auth = basic_auth(probe.login)
    url = f"{probe.api_url}/work_pools/{probe.pool}/workers/filter"
    try:
        answer = await client.post(url, json={}, auth=auth)
    except httpx.HTTPError:
        return False
    if answer.status_code != 200:
        return False
    return any(
        worker["status"] == "ONLINE"
        and datetime.fromisoformat(worker["last_heartbeat_time"]) >= since
        for worker in answer.json()
    )


def basic_auth(login: str | None) -> httpx.Auth:
    """Return user:password as httpx takes it; no authentication without a login."""
    user, _, password = (login or "").partition(":")
    return httpx.BasicAuth(user, password) if login else httpx.Auth()


def new_client() -> httpx.AsyncClient:
    """Make the client of all probes: loopback, no proxies, no certificates to load."""
    return httpx.AsyncClient(
        timeout=ANSWER_WITHIN_S,
        trust_env=False,
        verify=False,  # noqa: S501
    )
