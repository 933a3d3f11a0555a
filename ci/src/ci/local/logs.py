"""Reads the services' log files: the last lines of each, then those added."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from ci.stack.errors import UsageError

FOLLOW_PAUSE_S = 0.2


def read_logs(
    folder: Path, service: str | None, *, follow: bool, lines: int
) -> Iterator[str]:
    """Yield the last lines of one log or of all, each behind its service's name.

    With `follow` it continues, without end, with the lines that are added. Raises
    UsageError for a service that has no log.
    """
    paths = chosen(folder, service)
    width = max((len(path.stem) for path in paths), default=0)
    positions = {}
    for path in paths:
        data = path.read_bytes()
        positions[path] = len(data)
        for line in data.decode(errors="replace").splitlines()[-lines:]:
            yield f"{path.stem:<{width}} | {line}"
    while follow:
        time.sleep(FOLLOW_PAUSE_S)
        for path in paths:
            added, positions[path] = read_added(path, positions[path])
            yield from (f"{path.stem:<{width}} | {line}" for line in added)


def chosen(folder: Path, service: str | None) -> list[Path]:
    """Return the log files of one service, or all of them."""
    paths = sorted(folder.glob("*.log"))
    if service is None:
        return paths
    found = [path for path in paths if path.stem == service]
    if not found:
        have = ", ".join(path.stem for path in paths) or "none"
        raise UsageError(f"no log of {service!r}; there are: {have}", "./etl logs")
    return found


def read_added(path: Path, position: int) -> tuple[list[str], int]:
    """Return the whole lines added since a position, and the position after them."""
    if path.stat().st_size < position:
        position = 0  # the file was rotated
    with path.open("rb") as handle:
        handle.seek(position)
        data = handle.read()
    whole = data.rfind(b"\n") + 1
    return data[:whole].decode(errors="replace").splitlines(), position + whole
