"""Translates containers into the status of units: one row per unit."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ci.docker.client import LABEL
from ci.stack.model import Job, Service, Stack

Container = Mapping[str, Any]


def unit_name(container: Container) -> str:
    """Return the unit that a container belongs to."""
    return str(container["Config"]["Labels"][f"{LABEL}.service"])


def by_unit(containers: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the container of each unit that has one."""
    return {unit_name(container): container for container in containers}


def is_running(container: Container) -> bool:
    """Whether a container's process exists."""
    return container["State"]["Status"] in ("running", "restarting", "paused")


def rows(stack: Stack, containers: Mapping[str, Container]) -> list[dict[str, Any]]:
    """Return the status of every unit of the stack."""
    return [row(unit, containers.get(name)) for name, unit in stack.units.items()]


def row(unit: Service | Job, container: Container | None) -> dict[str, Any]:
    """Return the status of one unit."""
    state = container["State"] if container else {}
    is_service = isinstance(unit, Service)
    status = service_status(state) if is_service else job_status(state)
    ended = status in ("completed", "failed") and state["Status"] == "exited"
    return {
        "name": unit.name,
        "kind": "service" if is_service else "job",
        "status": status,
        "pid": state.get("Pid") or None,
        "exit_code": state["ExitCode"] if ended else None,
        "restarts": container["RestartCount"] if container else 0,
        "detail": state.get("Error", ""),
        "took_s": took_s(state) if ended and not is_service else None,
    }


def took_s(state: Mapping[str, Any]) -> float:
    """Return how long a container that has ended ran, in seconds."""
    moments = [state[name][:26].rstrip("Z") for name in ("StartedAt", "FinishedAt")]
    started, finished = map(datetime.fromisoformat, moments)
    return (finished - started).total_seconds()


def service_status(state: Mapping[str, Any]) -> str:
    """Return a service's status by the names of the stack."""
    match state.get("Status"):
        case "created":
            return "waiting"
        case "running":
            health = state.get("Health", {}).get("Status")
            return {"healthy": "ready", "unhealthy": "failed"}.get(health, "starting")
        case "restarting":
            return "starting"
        case "dead":
            return "failed"
    return "stopped"


def job_status(state: Mapping[str, Any]) -> str:
    """Return a job's status by the names of the stack."""
    match state.get("Status"):
        case "created":
            return "waiting"
        case "running":
            return "running"
        case "exited":
            return "failed" if state["ExitCode"] else "completed"
    return "stopped"
