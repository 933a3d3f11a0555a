"""Reference pages written from the description: units, settings, the compose file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import Field, fields
from pathlib import Path
from textwrap import wrap
from typing import Any

from ci.docker import compose
from ci.docker.layout import DockerLayout, Folder
from ci.docsgen.markdown import WRITTEN, page, table
from ci.host.home import Home
from ci.host.ports import LOOPBACK
from ci.inside import places
from ci.stack import images
from ci.stack.model import Job, Runtime, Service, Stack
from ci.stack.services import describe
from ci.stack.settings import POSTGRES_PORT, PREFECT_PORT, StackSettings

ENV_HEADER = (
    f"# {WRITTEN}",
    "# Settings of the stack. Copy to .env and edit: cp .env.example .env",
    "# It works unedited: what is left out or empty is derived, generated or chosen.",
    "# The environment wins over this file. Never commit .env: it holds secrets.",
)
COMPOSE_NOTE = f"""\
# {WRITTEN}
# For reading: what `./etl --engine docker up` renders when nothing is set. Left out
# are the jobs that run only when asked for. Variables are in files of their own.
"""


def stack_page() -> str:
    """Return docs/reference/stack.md."""
    stack = default_stack()
    jobs = [unit for unit in stack.units.values() if isinstance(unit, Job)]
    return page(
        "The stack: services and jobs",
        "Described in `ci/src/ci/stack/services.py`; every engine runs exactly this. "
        "A service lives on, a job runs to its end. Times are upper bounds.",
        "## Services",
        table(("name", "what", "command", "needs", "ready in"), rows(stack.services)),
        "## Jobs",
        table(
            ("name", "what", "command", "needs", "done in"),
            rows({job.name: job for job in jobs}),
        ),
    )


def rows(units: dict[str, Service] | dict[str, Job]) -> Iterable[tuple[str, ...]]:
    """Yield a row of the table for each unit."""
    for unit in units.values():
        options = " …" if len(unit.command) > 8 else ""
        needs = [f"{name} {how.value}" for name, how in unit.needs.items()]
        yield (
            f"`{unit.name}`",
            unit.summary,
            f"`{' '.join(unit.command[:8])}{options}`",
            ", ".join(needs) or "nothing",
            "no limit"
            if isinstance(unit, Job) and unit.interactive
            else f"{unit.within_s:,.0f} s",
        )


def settings_page() -> str:
    """Return docs/reference/settings.md."""
    variables = [
        (f"`{spec.name.upper()}`", f"`{default}`" if default else "", meaning(spec))
        for spec in fields(StackSettings)
        for default in [default_text(spec)]
    ]
    return page(
        "Settings",
        "Read from the environment, and below it from the file `.env`. An empty value "
        "counts as absent. A malformed value is an error (exit code 2) that names the "
        "variable and what is allowed, before anything starts.",
        table(("variable", "default", "meaning"), variables),
    )


def env_example() -> str:
    """Return .env.example: every variable with its meaning and its default."""
    lines = list(ENV_HEADER)
    for spec in fields(StackSettings):
        if section := spec.metadata["section"]:
            lines += ["", f"# --- {section} {'-' * (79 - len(section))}"]
        lines += wrap(
            meaning(spec),
            width=86,
            initial_indent="# ",
            subsequent_indent="# ",
            break_on_hyphens=False,
        )
        lines.append(f"{spec.name.upper()}={default_text(spec)}")
    return "\n".join(lines) + "\n"


def meaning(spec: Field[Any]) -> str:
    """Return what a variable means."""
    return str(spec.metadata["help"])


def default_text(spec: Field[Any]) -> str:
    """Return a variable's default as it is written in a file; "" for none."""
    return "" if spec.default is None else str(spec.default)


def compose_file() -> str:
    """Return docs/reference/compose.yaml."""
    place = DockerLayout(
        folder=Folder(Home(Path(".etl"))),
        checkout=Path(),
        stack=default_stack(),
        ports={"sql": POSTGRES_PORT, "http": PREFECT_PORT},
        bind={"sql": LOOPBACK, "http": StackSettings().prefect_server_api_host},
        credentials=None,
        user=places.USER,
        person=places.USER,
        browser_url="",
        opened=None,
        memory_gb=StackSettings().container_memory_gb,
    )
    used = {Runtime.PIPELINE: "biocirv-etl", Runtime.POSTGRES: images.POSTGRES}
    document = compose.document(place, used) | {"name": "biocirv-etl"}
    document["services"] = {
        name: entry
        for name, entry in document["services"].items()
        if "profiles" not in entry
    }
    return compose.as_yaml(document, COMPOSE_NOTE)


def default_stack() -> Stack:
    """Return the stack in containers, as it is without any setting."""
    return describe(
        StackSettings(), places.endpoints(password=None, browser_api_url="")
    )
