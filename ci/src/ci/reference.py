"""Reference pages written from the description: units of the stack, settings."""

from __future__ import annotations

from collections.abc import Iterable

from ci import inside
from ci.settings import Settings, variable_names
from ci.stack import describe
from ci.units import Job, Service

NOTE = "<!-- Written by `python -m ci.generated`; edits are lost. -->"


def stack_page() -> str:
    """Return docs/reference/stack.md."""
    at = inside.endpoints(password=None, browser_api_url="")
    stack = describe(Settings(), at)
    jobs = [unit for unit in stack.units.values() if isinstance(unit, Job)]
    return page(
        "The stack: services and jobs",
        "Described in `ci/src/ci/stack.py`; every engine runs exactly this. "
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
            f"{unit.within_s:,.0f} s",
        )


def settings_page() -> str:
    """Return docs/reference/settings.md."""
    told = [(f"`{name}`", text) for name, text in variable_names().items()]
    return page(
        "Settings",
        "Read from the environment, and below it from the file `.env`. "
        "An empty value counts as absent.",
        table(("variable", "meaning"), told),
    )


def page(title: str, *parts: str) -> str:
    """Return a page of Markdown."""
    return "\n\n".join([f"# {title}", NOTE, *parts]) + "\n"


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a table of Markdown."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
