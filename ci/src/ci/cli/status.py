"""Shows the status of a stack: services, jobs, address and login of the UI."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from ci.cli.output import Result, aligned
from ci.host.engine import Status


def described(
    status: Status, lines: tuple[str, ...] = (), *, show_login: bool = False
) -> Result:
    """Return a status as data and as a table."""
    if not lines:
        lines = tuple(status_lines(status, show_login=show_login))
    return Result(status.as_data(show_login=show_login), lines)


def login_lines(status: Status, *, show: bool) -> tuple[str, ...]:
    """Return how to log in to the UI.

    The login is shown on a terminal, or when asked for: what a program runs often goes
    to a log, which other people read.
    """
    if status.api_login is None:
        return ("login: none (PREFECT_API_LOGIN=off)",)
    if show or sys.stdout.isatty():
        return (f"login: {status.api_login}",)
    return ("login: ./etl status --show-login",)


def status_lines(status: Status, *, show_login: bool) -> Iterator[str]:
    """Yield the table of a status."""
    if not status.running:
        yield "nothing is running (./etl up starts the stack)"
        return
    rows = [("NAME", "KIND", "STATUS", "PID", "EXIT", "RESTARTS")]
    rows += [
        (
            *(unit["name"], unit["kind"], unit["status"]),
            *(str(unit["pid"] or ""), as_text(unit["exit_code"])),
            str(unit["restarts"]),
        )
        for unit in status.units
        if unit["kind"] != "job" or unit["status"] != "stopped"
    ]
    yield from aligned(rows, left=3)
    yield f"UI {status.ui_url}"
    yield from login_lines(status, show=show_login)
    if status.stale_settings:
        yield "the settings have changed since the start: ./etl restart applies them"
    if status.stale_image:
        yield "the image was built from other inputs: ./etl rebuild, then ./etl restart"


def as_text(value: object) -> str:
    """Return a value as text, None as nothing."""
    return "" if value is None else str(value)
