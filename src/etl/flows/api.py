"""Waits until Prefect's API answers; bounded, by probing."""

from __future__ import annotations

import os
import time

import httpx

from etl.errors import ConfigError, EtlError

PROBE_SECONDS = 0.05


class PrefectUnavailable(EtlError):
    """Prefect's API does not answer; try again once the server is up."""

    code = "PREFECT_UNAVAILABLE"
    retryable = True


def api_url() -> str:
    """Return the address of the API that this process is to use."""
    url = os.environ.get("PREFECT_API_URL", "").rstrip("/")
    if not url:
        raise ConfigError(
            "PREFECT_API_URL is not set, so there is no Prefect server to talk to",
            "run it inside the stack: ./etl exec prefect-worker COMMAND",
        )
    return url


def work_pool_name() -> str:
    """Return the work pool that this process is to use."""
    name = os.environ.get("PREFECT_WORK_POOL_NAME", "")
    if not name:
        raise ConfigError(
            "PREFECT_WORK_POOL_NAME is not set, so there is no work pool to use",
            "set it in .env or in the environment",
        )
    return name


def http_client(url: str) -> httpx.Client:
    """Return a client of one server; for plain http it loads no CA bundle."""
    tls = url.startswith("https")
    login = os.environ.get("PREFECT_API_AUTH_STRING")
    user, _, password = (login or "").partition(":")
    return httpx.Client(
        base_url=url,
        timeout=10,
        trust_env=tls,
        verify=tls,
        auth=httpx.BasicAuth(user, password) if login else None,
    )


def wait_until_api_answers(url: str, *, within_seconds: float) -> None:
    """Return as soon as the API is healthy.

    Raises:
        PrefectUnavailable: It was not healthy within the time.
    """
    deadline = time.monotonic() + within_seconds
    with http_client(url) as http:
        while True:
            seen = probe(http)
            if seen is None:
                return
            if time.monotonic() > deadline:
                raise PrefectUnavailable(
                    f"Prefect's API at {url} is not healthy after "
                    f"{within_seconds:.0f} s: {seen}",
                    "./etl logs prefect-server",
                )
            time.sleep(PROBE_SECONDS)


def probe(http: httpx.Client) -> str | None:
    """Ask once; return None if the API is healthy, else what was seen instead."""
    try:
        answer = http.get("/health")
    except httpx.TransportError as error:
        return str(error) or type(error).__name__
    if answer.status_code == httpx.codes.OK:
        return None
    return f"it answered {answer.status_code}"
