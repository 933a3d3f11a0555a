"""Runs a task of pixi.toml as pixi would, on a machine that may have no pixi.

What is known of pixi 0.77: trailing arguments are appended to `cmd`, each in single
quotes, the first `--` is dropped; the task runs in the manifest's folder; INIT_CWD and
PIXI_PROJECT_ROOT are set, and the task's own variables beat the shell's.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Tasks:
    """The tasks of one checkout, for one engine."""

    checkout: Path
    engine: str

    def table(self) -> dict[str, dict[str, Any]]:
        """Return all tasks by name."""
        manifest = tomllib.loads((self.checkout / "pixi.toml").read_text())
        return dict(manifest["tasks"])

    def command(self, name: str, *arguments: str) -> str:
        """Return the shell's line for a task, on this engine."""
        rest = list(arguments)
        if rest[:1] == ["--"]:
            del rest[0]
        line = str(self.table()[name]["cmd"])
        assert "{{" not in line, "templates are not rendered here"
        quoted = " ".join(f"'{word}'" for word in rest)
        named = line.replace("--engine docker", f"--engine {self.engine}")
        return f"{named} {quoted}".rstrip()

    def environment(self, name: str) -> dict[str, str]:
        """Return the variables that pixi adds for a task."""
        return {
            "INIT_CWD": str(self.checkout),
            "PIXI_PROJECT_ROOT": str(self.checkout),
            **self.table()[name].get("env", {}),
        }
