"""Renders the stack as a compose file.

Treats every unit alike, whatever its name. Variables go into one file for each unit,
which only its owner can read: no secret is in the compose file or on a command line.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ci.docker.layout import CONTAINER_PREFIX, CREDENTIALS, DockerLayout
from ci.inside import healthcheck, places
from ci.inside.cluster import ensure_sql
from ci.stack.model import (
    INITDB_LOCALE,
    Condition,
    Job,
    Port,
    Runtime,
    Service,
    Stack,
)

NETWORK = "prefect-network"
JOBS = "jobs"  # profile of the jobs that run only when they are named
CONDITIONS = {
    Condition.STARTED: "service_started",
    Condition.HEALTHY: "service_healthy",
    Condition.COMPLETED: "service_completed_successfully",
}
# Parts of the checkout that containers read: an edit reaches the next run without a
# build. Read-only, because the local engine executes them: a process in a container
# must not be able to change what runs outside. A job that `writes` is the exception.
MOUNTED = (
    "src",
    "ci/src",
    "alembic",
    "alembic.ini",
    "prefect.yaml",
    "run_prefect_flow.py",
)
SCRIPTS = "ci/src/ci/inside/scripts"
ENSURE = ("sh", "/etl/scripts/ensure-cluster.sh", "/etl/cluster.sql")
# Probes are frequent until a service is ready. After that its exit is noticed anyway,
# and a Python probe every second would take a quarter of a processor for each service.
START_INTERVAL, INTERVAL, MISSES = "250ms", "5s", 3
# What every container is limited to. Without limits one process that leaks memory or
# forks without end takes the whole machine, and logs grow until the disk is full.
LIMITS: Mapping[str, Any] = {
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "pids_limit": 2048,
    "logging": {
        "driver": "json-file",
        "options": {"max-size": "10m", "max-file": "3"},
    },
}
HEADER = "# Rendered from ci/src/ci/stack/services.py at each start; edits are lost.\n"


def render(place: DockerLayout, images: Mapping[Runtime, str]) -> dict[str, str]:
    """Return every file of the project by its path in the engine's folder."""
    stack = place.stack
    files = {"compose.yaml": as_yaml(document(place, images))}
    for unit in stack.units.values():
        files[f"env/{unit.name}.env"] = env_text(environment(unit))
        if isinstance(unit, Service) and unit.cluster:
            files[f"{unit.name}.sql"] = ensure_sql(unit.cluster)
    return files


def document(place: DockerLayout, images: Mapping[Runtime, str]) -> dict[str, Any]:
    """Return the compose file as data."""
    stack = place.stack
    own = volumes(stack)
    return {
        "name": place.folder.project,
        "services": {
            name: unit_entry(unit, place, images[unit.runtime])
            for name, unit in stack.units.items()
        },
        "networks": {NETWORK: {"name": NETWORK}},
        "volumes": {name: {} for name in own},
    }


def as_yaml(content: Mapping[str, Any], header: str = HEADER) -> str:
    """Return a document as text, with dollar signs escaped from compose."""
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
    return header + text.replace("$", "$$")


def volumes(stack: Stack) -> list[str]:
    """Return the names of all volumes, in order of declaration."""
    return list(dict.fromkeys(v for u in stack.units.values() for v in u.volumes))


def gates(stack: Stack) -> set[str]:
    """Return the jobs that services wait for."""
    return set(stack.closure(stack.services)) - set(stack.services)


def unit_entry(unit: Service | Job, place: DockerLayout, image: str) -> dict[str, Any]:
    """Return one unit as a service of compose."""
    entry: dict[str, Any] = {
        "container_name": CONTAINER_PREFIX + unit.name,
        "image": image,
        "command": list(unit.command),
        "env_file": [f"env/{unit.name}.env"],
        "networks": [NETWORK],
        "volumes": [
            {"type": "volume", "source": name, "target": path}
            for name, path in unit.volumes.items()
        ],
        "init": True,
        **LIMITS,
        "mem_limit": f"{place.memory_gb}g",
        "depends_on": {
            need: {"condition": CONDITIONS[condition]}
            for need, condition in unit.needs.items()
        },
    }
    if unit.runtime is Runtime.PIPELINE:
        add_pipeline(entry, unit, place)
    else:
        # The official image's own user: its entry point then needs no capability.
        entry["user"] = "postgres"
        entry["tmpfs"] = ["/tmp", "/var/run/postgresql"]  # noqa: S108
    if isinstance(unit, Service):
        add_service(entry, unit, place)
    elif unit.name not in gates(place.stack):
        entry["profiles"] = [JOBS]
    return entry


def add_pipeline(
    entry: dict[str, Any], unit: Service | Job, place: DockerLayout
) -> None:
    """Add the user and the mounted code of the pipeline's own processes."""
    writes = unit.writes if isinstance(unit, Job) else ()
    # Files that a job writes into the checkout belong to the person who runs it.
    entry["user"] = place.person if writes else place.user
    entry["tmpfs"] = ["/tmp"]  # noqa: S108
    entry["environment"] = {"HOME": "/tmp", "USER": "etl"}  # noqa: S108
    entry["volumes"] += [
        bind(place.checkout / name, f"{places.CODE}/{name}", writable=name in writes)
        for name in MOUNTED
    ]
    if place.credentials and CREDENTIALS in unit.environment.values():
        entry["volumes"].append(bind(place.credentials, CREDENTIALS))


def add_service(entry: dict[str, Any], unit: Service, place: DockerLayout) -> None:
    """Add host name, ports, health check, and how a service stops and restarts."""
    entry |= {
        # Fixed: the worker's name in Prefect stays the same in a new container.
        "hostname": unit.name,
        "ports": [published(port, place) for port in unit.ports],
        "healthcheck": health(unit),
        "restart": "unless-stopped",
        "stop_signal": unit.stop_signal.name,
        "stop_grace_period": f"{unit.stop_within_s:.0f}s",
    }
    if unit.cluster:
        # For PostgreSQL's parallel workers: a big index fails with Docker's 64 MB.
        entry["shm_size"] = "512mb"
        entry["entrypoint"] = [*ENSURE, "docker-entrypoint.sh"]
        entry["volumes"] += [
            bind(place.checkout / SCRIPTS, "/etl/scripts"),
            bind(place.folder.root / f"{unit.name}.sql", "/etl/cluster.sql"),
        ]


def bind(source: Path, target: str, *, writable: bool = False) -> dict[str, Any]:
    """Return a bind mount; its source must exist, Docker does not create it."""
    return {
        "type": "bind",
        "source": str(source),
        "target": target,
        "read_only": not writable,
        "bind": {"create_host_path": False},
    }


def published(port: Port, place: DockerLayout) -> dict[str, Any]:
    """Return a port as published on this machine."""
    return {
        "target": port.inside,
        "published": str(place.ports[port.name]),
        "host_ip": place.bind[port.name],
        "protocol": "tcp",
    }


def health(unit: Service) -> dict[str, Any]:
    """Return the probe as a health check: frequent at first, then rare."""
    return {
        "test": ["CMD", *healthcheck.command(unit.probe)],
        "interval": INTERVAL,
        "timeout": f"{healthcheck.ANSWER_WITHIN_S:.0f}s",
        "retries": MISSES,
        "start_period": f"{unit.within_s:.0f}s",
        "start_interval": START_INTERVAL,
    }


def environment(unit: Service | Job) -> dict[str, str]:
    """Return a unit's variables, with those that only its image reads."""
    if not (isinstance(unit, Service) and unit.cluster):
        return dict(unit.environment)
    return {
        **unit.environment,
        "POSTGRES_PASSWORD": unit.environment["PGPASSWORD"],
        "POSTGRES_INITDB_ARGS": " ".join(INITDB_LOCALE),
    }


def env_text(variables: Mapping[str, str]) -> str:
    """Return variables as the text of an env file: quoted, without expansion."""
    escapes = str.maketrans({"\\": r"\\", '"': r"\"", "$": r"\$", "\n": r"\n"})
    return "".join(
        f'{name}="{value.translate(escapes)}"\n' for name, value in variables.items()
    )


def build_document(
    image: str, checkout: Path, arguments: Mapping[str, str], labels: Mapping[str, str]
) -> str:
    """Return the compose file that builds the pipeline's image."""
    build = {
        "context": str(checkout),
        "args": dict(arguments),
        "labels": dict(labels),
    }
    return as_yaml({"services": {"image": {"image": image, "build": build}}})
