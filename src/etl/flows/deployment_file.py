"""Reads `prefect.yaml`: the deployments it describes, typed and checked.

The part of Prefect's format that this project uses; a key outside of it is an
error here, so that nothing in the file is silently ignored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from etl.errors import ConfigError

# The form in which Prefect's own deploy command refers to the environment.
PLACEHOLDER = re.compile(r"\{\{\s*\$(\w+)\s*\}\}")


class Entry(BaseModel):
    """A mapping of the file; frozen, and without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Schedule(Entry):
    """When a deployment runs by itself."""

    slug: str
    cron: str
    timezone: str = "UTC"
    active: bool = True


class WorkPool(Entry):
    """The pool that runs a deployment, and the variables of its jobs."""

    name: str
    job_variables: dict[str, Any] = Field(default_factory=dict)


class Deployment(Entry):
    """One deployment: a flow with its parameters, schedules and pool."""

    name: str
    entrypoint: str
    description: str
    work_pool: WorkPool
    tags: list[str] = Field(default_factory=list)
    parameters: dict[str, Any] = Field(default_factory=dict)
    schedules: list[Schedule] = Field(default_factory=list)
    paused: bool = False


class DeploymentFile(Entry):
    """The whole file; `name` is also the tag by which its deployments are known."""

    name: str
    # Steps would run at deploy time or before each run; the code is installed instead.
    build: list[None]
    push: list[None]
    pull: list[None]
    definitions: dict[str, Any] = Field(default_factory=dict)
    deployments: list[Deployment]


def read_deployment_file(path: Path, environment: Mapping[str, str]) -> DeploymentFile:
    """Read the file, with `{{ $NAME }}` replaced from the environment.

    Raises:
        ConfigError: The file is missing, is no valid description of deployments,
            or names a variable that is not set.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"cannot read {path}: {error.strerror}",
            "run the command from the checkout, where prefect.yaml is",
        ) from error
    try:
        return DeploymentFile.model_validate(fill(yaml.safe_load(text), environment))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {error}", f"edit {path}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{path}: {where}: {first['msg']}", f"edit {path}") from error


def fill(value: Any, environment: Mapping[str, str]) -> Any:
    """Return `value` with every placeholder in its texts replaced."""
    if isinstance(value, dict):
        return {key: fill(item, environment) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, environment) for item in value]
    if not isinstance(value, str):
        return value

    def variable(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in environment:
            raise ConfigError(
                f"prefect.yaml needs {name}, which is not set",
                f"set {name} in .env or in the environment",
            )
        return environment[name]

    return PLACEHOLDER.sub(variable, value)
