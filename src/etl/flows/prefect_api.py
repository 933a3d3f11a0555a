"""Client of Prefect's REST API: its address, its login, its errors.

It uses httpx: importing Prefect's own client takes longer than all of these requests.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from etl.errors import ConfigError, EtlError

FINAL_STATES = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
TIMEOUT_SECONDS = 10.0
PROBE_SECONDS = 0.05


class PrefectUnavailable(EtlError):
    """Prefect's API does not answer; try again when the server is up."""

    code = "PREFECT_UNAVAILABLE"
    retryable = True


class DeploymentMissing(ConfigError):
    """The server has no deployment of that name."""

    code = "DEPLOYMENT_MISSING"


def api_url() -> str:
    """Return the address of the API, from the environment."""
    url = os.environ.get("PREFECT_API_URL", "").rstrip("/")
    if not url:
        raise ConfigError(
            "PREFECT_API_URL is not set, so there is no Prefect server to talk to",
            "run it inside the stack: ./etl exec prefect-worker COMMAND",
        )
    return url


def work_pool_name() -> str:
    """Return the name of the work pool, from the environment."""
    name = os.environ.get("PREFECT_WORK_POOL_NAME", "")
    if not name:
        raise ConfigError(
            "PREFECT_WORK_POOL_NAME is not set, so there is no work pool to use",
            "set it in .env or in the environment",
        )
    return name


@dataclass(frozen=True)
class FlowRun:
    """A flow run as the API shows it at one moment."""

    id: str
    name: str
    state: str
    state_name: str
    message: str
    work_queue: str | None = None

    @property
    def has_started(self) -> bool:
        """Whether its process has started."""
        return self.state not in {"SCHEDULED", "PENDING"}

    @property
    def is_final(self) -> bool:
        """Whether it has ended."""
        return self.state in FINAL_STATES

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> FlowRun:
        """Read the API's form."""
        state = body.get("state") or {}
        return cls(
            id=body["id"],
            name=body["name"],
            state=body.get("state_type") or "PENDING",
            state_name=body.get("state_name") or "Pending",
            message=state.get("message") or "",
            work_queue=body.get("work_queue_name"),
        )


@dataclass(frozen=True)
class LogLine:
    """One record of a run's log."""

    id: str
    flow_run_id: str
    logger: str
    at: datetime
    message: str


class PrefectApi:
    """A client of one server; each method sends one request, or two."""

    def __init__(self, url: str) -> None:
        tls = url.startswith("https")  # without it, no CA bundle is loaded
        user, _, password = os.environ.get("PREFECT_API_AUTH_STRING", "").partition(":")
        self.url = url
        self._http = httpx.Client(
            base_url=url,
            timeout=TIMEOUT_SECONDS,
            trust_env=tls,
            verify=tls,
            auth=httpx.BasicAuth(user, password) if user else None,
        )

    def close(self) -> None:
        """Close the connections to the server."""
        self._http.close()

    def wait_until_healthy(self, *, within_seconds: float) -> None:
        """Return as soon as the API is healthy.

        Raises:
            PrefectUnavailable: It was not healthy within the time.
        """
        deadline = time.monotonic() + within_seconds
        while True:
            try:
                self._request("GET", "/health")
            except EtlError as error:
                if time.monotonic() > deadline:
                    raise PrefectUnavailable(
                        f"Prefect's API at {self.url} is not healthy after "
                        f"{within_seconds:.0f} s: {error}",
                        "./etl logs prefect-server",
                    ) from error
            else:
                return
            time.sleep(PROBE_SECONDS)

    def deployments(self, tag: str) -> list[dict[str, Any]]:
        """Return the deployments with a tag, each with the name of its flow."""
        wanted = {"deployments": {"tags": {"all_": [tag]}}}
        found: list[dict[str, Any]] = self._request(
            "POST", "/deployments/filter", wanted
        )
        flow_ids = sorted({item["flow_id"] for item in found})
        flows = self._request(
            "POST", "/flows/filter", {"flows": {"id": {"any_": flow_ids}}}
        )
        names = {flow["id"]: flow["name"] for flow in flows}
        return [item | {"flow_name": names[item["flow_id"]]} for item in found]

    def create_run(self, deployment: str, parameters: dict[str, Any]) -> FlowRun:
        """Create a run of `flow/deployment`.

        Raises:
            DeploymentMissing: The server does not have it.
        """
        found = self._request("GET", f"/deployments/name/{deployment}", missing_ok=True)
        if found is None:
            raise DeploymentMissing(
                f"the server at {self.url} has no deployment {deployment}",
                "./etl deploy",
            )
        body = self._request(
            "POST",
            f"/deployments/{found['id']}/create_flow_run",
            {"parameters": parameters, "state": {"type": "SCHEDULED"}},
        )
        return FlowRun.from_json(body)

    def flow_run(self, run_id: str) -> FlowRun:
        """Return a run as it is now."""
        return FlowRun.from_json(self._request("GET", f"/flow_runs/{run_id}"))

    def children(self, run_id: str) -> list[FlowRun]:
        """Return the runs that a run has started."""
        wanted = {"flow_runs": {"parent_flow_run_id": {"any_": [run_id]}}}
        found = self._request("POST", "/flow_runs/filter", wanted)
        return [FlowRun.from_json(body) for body in found]

    def logs(self, run_ids: Iterable[str], *, after: datetime | None) -> list[LogLine]:
        """Return the log records of runs, oldest first, from a time on."""
        wanted: dict[str, Any] = {"flow_run_id": {"any_": list(run_ids)}}
        if after:
            wanted["timestamp"] = {"after_": after.isoformat()}
        body = {"logs": wanted, "sort": "TIMESTAMP_ASC", "limit": 200}
        found = self._request("POST", "/logs/filter", body)
        return [
            LogLine(
                id=line["id"],
                flow_run_id=line["flow_run_id"],
                logger=line["name"],
                at=datetime.fromisoformat(line["timestamp"]),
                message=line["message"],
            )
            for line in found
        ]

    def has_worker_online(self, pool: str) -> bool:
        """Return whether the server lists a worker of the pool as online."""
        path = f"/work_pools/{pool}/workers/filter"
        found = self._request("POST", path, {}, missing_ok=True) or []
        return any(worker["status"] == "ONLINE" for worker in found)

    def work_pool(self, name: str) -> dict[str, Any] | None:
        """Return a work pool; None if there is none of that name."""
        found: dict[str, Any] | None = self._request(
            "GET", f"/work_pools/{name}", missing_ok=True
        )
        return found

    def work_queue(self, pool: str, name: str) -> dict[str, Any] | None:
        """Return a queue of a work pool; None if there is none of that name."""
        found: dict[str, Any] | None = self._request(
            "GET", f"/work_pools/{pool}/queues/{name}", missing_ok=True
        )
        return found

    def set_state(self, run_id: str, state: str, message: str, *, force: bool) -> None:
        """Ask for another state; `force` overrules the server's rules."""
        self._request(
            "POST",
            f"/flow_runs/{run_id}/set_state",
            {"state": {"type": state, "message": message}, "force": force},
        )

    def _request(
        self, method: str, path: str, body: Any = None, *, missing_ok: bool = False
    ) -> Any:
        """Send one request, return the answer's JSON; None for a 404 if that is ok."""
        try:
            answer = self._http.request(method, path, json=body)
        except httpx.TransportError as error:
            raise PrefectUnavailable(
                f"Prefect's API at {self.url} does not answer: {error}", "./etl status"
            ) from error
        if answer.status_code == httpx.codes.NOT_FOUND and missing_ok:
            return None
        if answer.is_server_error:
            raise PrefectUnavailable(
                f"Prefect's API answered {answer.status_code} to {method} {path}",
                "./etl logs prefect-server",
            )
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise ConfigError(
                f"Prefect's API at {self.url} does not accept the login in "
                "PREFECT_API_AUTH_STRING",
                "./etl restart",
            )
        if answer.is_client_error:
            raise ConfigError(
                f"Prefect's API refused {method} {path}: {answer.text[:500]}",
                "./etl deploy, if the deployment is older than the code",
            )
        return answer.json()
