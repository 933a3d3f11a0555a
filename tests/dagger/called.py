"""Calls of the module's functions, and what they should ask for by the description."""

from __future__ import annotations

from typing import Any

from dagger import dag
from tests.dagger.engine import Engine
from tests.dagger.read import Box, service_name

from ci.dagger.containers import COMMANDS
from ci.inside import places
from ci.main import Etl
from ci.stack.model import Runtime, Stack
from ci.stack.services import describe
from ci.stack.settings import StackSettings

AT = places.endpoints(password="x", browser_api_url="http://localhost:4200/api")
STACK: Stack = describe(StackSettings(), AT)


def etl(**options: Any) -> Etl:
    """Make the module's object with a source of the engine's."""
    return Etl(source=dag.directory(), **options)


def command(name: str, *arguments: str) -> list[str]:
    """Return a job's command by the description, as Dagger runs it."""
    unit = STACK.unit(name)
    wrapped = unit.runtime is Runtime.PIPELINE and name != "test"
    return [*(COMMANDS if wrapped else ()), *unit.command, *arguments]


def volume_keys(project: str) -> dict[str, str]:
    """Return the description's volumes with the keys that a project's have."""
    services = STACK.services.values()
    return {
        name: f"{project}-{name}{'-18' if unit.cluster else ''}-0"
        for unit in services
        for name in unit.volumes
    }


def started(engine: Engine) -> set[str]:
    """Return the services that were started."""
    return {service_name(made) for made in engine.happened("Service.start")}


def last(engine: Engine, event: str) -> Box:
    """Return the last object to which something happened."""
    return Box(engine.happened(event)[-1])
