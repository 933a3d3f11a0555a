"""Turns a unit of the stack into a process: program, environment, user."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ci.host.home import Home
from ci.local.postgres import Postgres
from ci.stack.model import Job, Runtime, Service
from ci.stack.settings import variable_names

# What a process may inherit from the user; everything else comes from the stack, so
# that a PREFECT_API_KEY or a PGHOST of another project changes nothing here.
FOREIGN_PREFIXES = ("PREFECT_", "POSTGRES_", "PG", "ETL_", "ALEMBIC_")


@dataclass(frozen=True)
class Launch:
    """Everything needed to start one process."""

    command: tuple[str, ...]
    environment: dict[str, str]
    folder: Path
    options: dict[str, Any]
    marks: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Launcher:
    """Knows the programs of this machine; knows no unit by name."""

    checkout: Path
    home: Home
    postgres: Postgres

    def service(self, service: Service) -> Launch:
        """Return how a service is started."""
        if service.cluster is None:
            return self.supervised(service)
        marks = self.marks(service)
        return Launch(
            self.postgres.command(service.command[1:]),
            self.environment(service.environment) | marks | {"LC_ALL": "C"},
            self.postgres.data,
            self.postgres.user.spawn_options(),
            marks,
        )

    def marks(self, unit: Service | Job) -> dict[str, str]:
        """Return the environment entries by which a unit's processes are found."""
        return self.home.marks | {"ETL_UNIT": unit.name}

    def supervised(self, unit: Service | Job) -> Launch:
        """Return how a unit's own command is started by the supervisor."""
        launch = self.command(unit, unit.command)
        marks = self.marks(unit)
        # Prefect keeps files in a shared folder of /tmp, which on a machine with
        # several users belongs to whoever came first.
        own = {"TMPDIR": str(self.home.scratch)}
        return replace(
            launch, environment=launch.environment | own | marks, marks=marks
        )

    def command(self, unit: Service | Job, command: tuple[str, ...]) -> Launch:
        """Return how any command is started with a unit's programs and environment."""
        environment = self.environment(unit.environment)
        folders = environment["PATH"].split(os.pathsep)
        if unit.runtime is Runtime.POSTGRES:
            folders.insert(0, str(self.postgres.binaries))
            environment["PATH"] = os.pathsep.join(folders)
        program = find_program(command[0], folders)
        return Launch((program, *command[1:]), environment, self.checkout, {})

    def environment(self, own: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of a process: what it may inherit, then its own."""
        known = variable_names()
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in known and not name.startswith(FOREIGN_PREFIXES)
        }
        programs = str(Path(sys.executable).parent)
        path = programs + os.pathsep + inherited.get("PATH", os.defpath)
        return inherited | {"PATH": path, "PYTHONUNBUFFERED": "1"} | dict(own)


def find_program(name: str, folders: list[str]) -> str:
    """Return the path of a program; the name itself if it is nowhere (exec says so)."""
    if os.sep in name:
        return name
    for folder in folders:
        path = Path(folder) / name
        if path.is_file() and os.access(path, os.X_OK):
            return str(path)
    return name
