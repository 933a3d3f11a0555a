"""Prefect's REST API, as far as a run needs it: start, watch, cancel.

Plain httpx: importing Prefect's own client takes longer than all of these calls.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from etl.errors import ConfigError
from etl.flows.api import PrefectUnavailable, http_client

FINAL_STATES = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


@dataclass(frozen=True)
class FlowRun:
    """A flow run as the API shows it at one moment."""

    id: str
    name: str
    state: str
    state_name: str
    message: str

    @property
    def has_started(self) -> bool:
        """Whether its process is, or was, at work."""
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
    """A client of one server; every call is one request."""

    def __init__(self, url: str) -> None:
        self._http = http_client(url)
        self.url = url

    def create_run(self, deployment: str, parameters: dict[str, Any]) -> FlowRun:
        """Start a run of `flow/deployment`."""
        found = self._request("GET", f"/deployments/name/{deployment}", missing_ok=True)
        if found is None:
            raise ConfigError(
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
        found = self._request("POST", f"/work_pools/{pool}/workers/filter", {})
        return any(worker["status"] == "ONLINE" for worker in found)

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
