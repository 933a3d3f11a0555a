"""Compares the deployments on Prefect's server with `prefect.yaml`.

It uses plain REST, which takes milliseconds. Importing Prefect's client would take
longer than the rest of a start.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from etl.flows.deployment_file import Deployment, DeploymentFile
from etl.flows.prefect_api import PrefectApi


@dataclass(frozen=True)
class Deployed:
    """A deployment and its outcome: unchanged, created, updated or removed."""

    name: str
    outcome: str
    id: str


def code_version() -> str:
    """Return a digest of what deployments are made from besides the file.

    The flows' parameters are part of a deployment, so a changed flow deploys again.
    """
    digest = hashlib.sha256(version("prefect").encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def current_deployments(api: PrefectApi, file: DeploymentFile) -> list[Deployed] | None:
    """Return the server's deployments if they are those of the file; else None."""
    seen = {item["name"]: item for item in api.deployments(file.name)}
    if seen.keys() != {item.name for item in file.deployments}:
        return None
    if any(stored(seen[item.name]) != expected(item) for item in file.deployments):
        return None
    return [
        Deployed(f"{item['flow_name']}/{name}", "unchanged", item["id"])
        for name, item in sorted(seen.items())
    ]


def expected(deployment: Deployment) -> dict[str, Any]:
    """Return a deployment of the file with the keys of the server."""
    return {
        "entrypoint": deployment.entrypoint,
        "version": code_version(),
        "description": deployment.description,
        "tags": deployment.tags,
        "parameters": deployment.parameters,
        "paused": deployment.paused,
        "pull_steps": [],
        "work_pool_name": deployment.work_pool.name,
        "job_variables": deployment.work_pool.job_variables,
        "schedules": [
            (schedule.slug, schedule.cron, schedule.timezone, schedule.active)
            for schedule in deployment.schedules
        ],
    }


def stored(body: dict[str, Any]) -> dict[str, Any]:
    """Return the same keys of a deployment that the server sent."""
    plain = (
        "entrypoint", "version", "description", "tags", "parameters", "paused",
        "pull_steps", "work_pool_name", "job_variables",
    )  # fmt: skip
    schedules = [
        (
            item["slug"],
            item["schedule"].get("cron"),
            item["schedule"].get("timezone"),
            item["active"],
        )
        for item in body["schedules"]
    ]
    return {name: body[name] for name in plain} | {"schedules": schedules}
