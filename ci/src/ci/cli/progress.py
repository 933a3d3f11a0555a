"""Shows the progress of a start: a tree with times on a terminal, else lines."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

SYMBOLS = {
    "waiting": "·", "starting": "…", "running": "…", "ready": "✓",
    "completed": "✓", "failed": "✗", "stopped": "-",
}  # fmt: skip
COLOURS = {"ready": "green", "completed": "green", "failed": "red"}
# Worth a line of its own where nothing can be redrawn.
REPORTED = ("ready", "completed", "failed")
REDRAWS_PER_S = 12


class StartProgress:
    """Prints to standard error; use as a context manager around the waiting."""

    def __init__(
        self,
        stream: TextIO = sys.stderr,
        *,
        quiet: bool = False,
        verbose: bool = False,
    ) -> None:
        self._stream, self.quiet, self.verbose = stream, quiet, verbose
        self._begun = time.monotonic()
        self._units: dict[str, dict[str, Any]] = {}
        self._started: dict[str, float] = {}
        self._reported: set[tuple[str, str, int]] = set()
        self._tree = stream.isatty() and os.environ.get("TERM") != "dumb" and not quiet
        self._live: Live | None = None

    @property
    def elapsed_s(self) -> float:
        """Seconds since the verb began."""
        return time.monotonic() - self._begun

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.update(self._table(), refresh=True)
            self._live.stop()
            self._live = None

    def say(self, line: str) -> None:
        """Print one line at once."""
        if not self.quiet:
            print(line, file=self._stream, flush=True)

    def unit_changed(self, state: dict[str, Any]) -> None:
        """Show a unit's new state. A state from before this command is no progress."""
        name, status = state["name"], state["status"]
        there = state.get("already") and status in ("ready", "completed")
        if status == "stopped" or there:
            return
        if name not in self._units or self._units[name]["status"] in (
            "waiting",
            "stopped",
        ):
            self._started[name] = time.monotonic()
        self._units[name] = state
        if self._tree:
            self._redraw()
        elif status in REPORTED or (status == "starting" and state["detail"]):
            mark = (name, status, state["restarts"])
            if mark not in self._reported:
                self._reported.add(mark)
                self._line(state)

    def _line(self, state: dict[str, Any]) -> None:
        took = f" ({state['took_s']:.2f} s)" if state["took_s"] is not None else ""
        first = state["detail"].split("\n", 1)[0]
        detail = f"  {first}" if first else ""
        what = f"{state['name']:<16}{state['status']}{took}{detail}"
        self.say(f"{self.elapsed_s:6.2f} s  {what}")

    def _redraw(self) -> None:
        from rich.console import Console
        from rich.live import Live

        if self._live is None:
            console = Console(file=self._stream, highlight=False)
            self._live = Live(
                get_renderable=self._table,
                console=console,
                refresh_per_second=REDRAWS_PER_S,
            )
            self._live.start()

    def _table(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        for name, state in self._units.items():
            status = state["status"]
            took = state["took_s"]
            if took is None and status in ("starting", "running"):
                took = time.monotonic() - self._started[name]
            first = state["detail"].split("\n", 1)[0]
            table.add_row(
                Text(f"  {SYMBOLS[status]} {name}", style=COLOURS.get(status, "")),
                f"{took:6.2f} s" if took is not None else "",
                Text(status + (f": {first}" if first else ""), style="dim"),
            )
        return table
