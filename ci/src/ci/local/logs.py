"""The services' log files: read, followed, and kept from growing without bound.

A log holds at most LOG_BYTES, and so does the file beside it with what came before
(`.log.1`). Older lines are dropped.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.to_thread

from ci.stack.errors import UsageError

FOLLOW_PAUSE_S = 0.2
LOG_BYTES = 10_000_000
ROTATE_EVERY_S = 5.0


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


async def keep_small(
    folder: Path, *, limit: int = LOG_BYTES, every_s: float = ROTATE_EVERY_S
) -> None:
    """Rotate each log of a folder when it has grown large, until cancelled."""
    while True:
        with suppress(FileNotFoundError):  # a user has deleted one
            for path in folder.glob("*.log"):
                if path.stat().st_size > limit:
                    await anyio.to_thread.run_sync(rotate, path, limit)
        await anyio.sleep(every_s)


def rotate(path: Path, limit: int = LOG_BYTES) -> None:
    """Move the last lines of a log that has grown large to `.log.1`, and empty it.

    The process that writes it appends, so it goes on at the beginning of the file. What
    it writes between our last read and the emptying, microseconds later, is lost.
    """
    if not path.exists() or (size := path.stat().st_size) <= limit:
        return
    with path.open("r+b") as log:
        log.seek(size - limit)
        newest = log.read()
        log.truncate(0)
    whole = newest[-limit:].partition(b"\n")[2]  # the first line is cut
    draft = path.with_suffix(".log.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as previous:
        previous.write(whole)
    draft.replace(path.with_suffix(".log.1"))
