"""Installs what `pixi add --feature pipeline --pypi NAME` added, beside the lock.

    python ci/extras.py PIXI_TOML LOCK

Into the environment of the Python that runs it, with the uv of that environment. The
versions in the lock are bounds for what a package brings with it; a package that the
lock itself names stays at the lock's version. Standard library only.
"""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from pathlib import Path
from typing import Any

EXIT_FAILED, EXIT_USAGE = 1, 2


def say(line: str) -> None:
    """Print one line of progress to standard error."""
    print(f"etl: {line}", file=sys.stderr, flush=True)


def normalised(name: str) -> str:
    """Return a package's name in its normalized form."""
    return re.sub(r"[-_.]+", "-", name).lower()


def added(manifest: Path) -> dict[str, Any]:
    """Return the packages that the pipeline's feature asks for, with their specs."""
    pipeline = tomllib.loads(manifest.read_text())["feature"]["pipeline"]
    return dict(pipeline.get("pypi-dependencies", {}))


def pins(lock: Path) -> dict[str, str]:
    """Return the lock's packages and their entries without hashes."""
    entries = re.findall(r"(?m)^([A-Za-z0-9._-]+)(==[^\\\n]+)", lock.read_text())
    return {normalised(name): f"{name}{rest}".strip() for name, rest in entries}


def requirement(name: str, spec: Any) -> str:
    """Return an entry as pip writes it. Raises ValueError for other sources."""
    table = {"version": spec} if isinstance(spec, str) else dict(spec)
    if not table.keys() <= {"version", "extras"}:
        raise ValueError(f"{name} comes from {', '.join(table)}, not from an index")
    extras = f"[{','.join(table['extras'])}]" if table.get("extras") else ""
    version = table.get("version", "*")
    return name + extras + ("" if version == "*" else version)


def install(wanted: list[str], bounds: list[str]) -> int:
    """Install packages within the lock's bounds; return uv's exit code."""
    uv = Path(sysconfig.get_path("scripts")) / "uv"
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "lock.txt"
        constraints.write_text("\n".join(bounds) + "\n")
        options = ["--quiet", "--link-mode", "copy"]
        command = [str(uv), "pip", "install", "--python", sys.executable, *options]
        done = subprocess.run(
            [*command, "--constraint", str(constraints), *wanted], check=False
        )
    return done.returncode


def main(manifest: Path, lock: Path) -> int:
    """Install what the manifest adds; report where the lock wins."""
    locked = pins(lock)
    wanted = []
    for name, spec in added(manifest).items():
        try:
            asked = requirement(name, spec)
        except ValueError as error:
            say(str(error))
            say(f"  fix: add it to {lock.parent / 'pyproject.toml'}, then lock it")
            return EXIT_USAGE
        if pin := locked.get(normalised(name)):
            say(f"{manifest.name} asks for {asked}, {lock.name} has {pin}: it wins")
        else:
            wanted.append(asked)
    if wanted and install(wanted, sorted(locked.values())):
        say(f"{', '.join(wanted)} cannot be installed beside {lock.name}")
        say(f"  fix: pixi remove --feature pipeline --pypi {wanted[0]}")
        return EXIT_FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
