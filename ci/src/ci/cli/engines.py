"""Makes the engine that runs the stack, and finds stacks of other engines."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ci.stack.errors import UsageError

if TYPE_CHECKING:
    from ci.cli.progress import StartProgress
    from ci.host.engine import Engine
    from ci.host.home import Home
    from ci.stack.settings import StackSettings

NAMES = ("local", "docker")


def default_engine() -> str:
    """Return the engine that is meant when none is named."""
    return os.environ.get("ETL_ENGINE") or NAMES[0]


def new_engine(
    name: str, checkout: Path, home: Home, settings: StackSettings
) -> Engine:
    """Make an engine; it does nothing yet. Raises UsageError for an unknown one."""
    if name == "local":
        from ci.local.engine import LocalEngine

        return LocalEngine(checkout, home, settings)
    if name == "docker":
        from ci.docker.engine import DockerEngine
        from ci.docker.image import read_images

        return DockerEngine(checkout, home, settings, read_images(os.environ))
    raise UsageError(
        f"ETL_ENGINE names {name!r}; the engines are {', '.join(NAMES)}",
        "unset ETL_ENGINE",
    )


def report_other_engines(
    name: str,
    checkout: Path,
    home: Home,
    settings: StackSettings,
    progress: StartProgress,
) -> None:
    """Report that the stack of another engine is up; it has data of its own."""
    for other in NAMES:
        if other != name and new_engine(other, checkout, home, settings).seems_up():
            progress.say(f"etl: a stack of the {other} engine is up, too; it has its")
            progress.say(f"  own data: ./etl --engine {other} status")


def with_engine(text: str, name: str) -> str:
    """Return a text with the engine in its commands, unless it is the default."""
    if name == default_engine() or "--engine" in text:
        return text
    return text.replace("./etl ", f"./etl --engine {name} ")
