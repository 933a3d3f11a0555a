"""The interface of an engine, which is all that the command line uses of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self


@dataclass(frozen=True)
class Status:
    """How a stack is: one row per unit, and where its UI answers."""

    running: bool
    ui_url: str | None
    units: list[dict[str, Any]]
    stale_settings: bool = False
    stale_image: bool = False
    api_login: str | None = field(default=None, repr=False)  # user:password

    def as_data(self, *, show_login: bool = False) -> dict[str, Any]:
        """Return it as the `data` of a JSON answer; the login only if asked for."""
        return {
            "running": self.running,
            "ui_url": self.ui_url,
            "login_required": self.api_login is not None,
            **({"login": self.api_login} if show_login else {}),
            "settings_changed": self.stale_settings,
            "image_outdated": self.stale_image,
            "units": self.units,
        }


class Reporter(Protocol):
    """Shows a person how far a start is; the command line implements it."""

    quiet: bool
    verbose: bool  # show the output of other programs in full

    def __enter__(self) -> Self:
        """Begin to show units."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End with the last state of every unit."""

    def say(self, line: str) -> None:
        """Print one line at once."""

    def unit_changed(self, state: dict[str, Any]) -> None:
        """Show the new state of a unit."""


class Session(Protocol):
    """A stack that is held up for as long as a verb needs it."""

    def run_job(
        self,
        name: str,
        arguments: Iterable[str],
        *,
        capture: bool,
        files: Iterable[Path] = (),
    ) -> tuple[int, str]:
        """Run a job on our terminal; return its exit code and what was captured.

        `files` are this machine's files that its arguments name by absolute path.
        """

    def run_command(self, unit: str, command: list[str]) -> int:
        """Run a command in a unit's place; return its exit code."""

    def status(self) -> Status:
        """Return how the stack is now."""


class Engine(Protocol):
    """Starts services, runs jobs, and reports their state; contains no unit's name."""

    name: str

    def hold(
        self, names: Iterable[str], progress: Reporter
    ) -> AbstractContextManager[Session]:
        """Bring services up, or all that jobs need, and hold them for the block."""

    def up(self, progress: Reporter) -> Status:
        """Bring every service up, and leave the stack running."""

    def down(self, *, volumes: bool) -> bool:
        """Stop the stack; with `volumes` delete its data. Return whether it ran."""

    def restart(self, service: str | None, progress: Reporter) -> Status:
        """Restart one service, or all with freshly read settings."""

    def status(self) -> Status:
        """Return how the stack is."""

    def logs(self, service: str | None, *, follow: bool, lines: int) -> Iterator[str]:
        """Yield log lines, each behind its service's name."""

    def seems_up(self) -> bool:
        """Return whether its stack is up, at once and without an error."""

    def rebuild(self, progress: Reporter) -> bool:
        """Rebuild the image of the services; return whether the engine has one."""

    def losses(self) -> list[str]:
        """Say what `down --volumes` would delete, one line each."""
