"""File locks of a home: who may supervise it, and whether the guard is at work."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ci.stack.errors import PrerequisiteMissing

FileId = tuple[int, int]
POLL_S = 0.02
OTHER_HOME = (
    "ETL_HOME=/a/folder/you/can/write ./etl …, or run it as the owner of that folder"
)


def open_lock(path: Path) -> IO[str]:
    """Open a lock file. Raises PrerequisiteMissing when its folder is not ours."""
    try:
        return path.open("a")
    except OSError as error:
        raise PrerequisiteMissing(
            f"{path.parent} cannot be used for state: {error.strerror}", OTHER_HOME
        ) from None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait for a file's lock and hold it; the kernel releases it however we end."""
    with open_lock(path) as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def try_locked(path: Path) -> Iterator[IO[str] | None]:
    """Hold a file's lock and yield the open file; yield None when another holds it."""
    with open_lock(path) as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield handle


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock now; a file that is absent has none."""
    try:
        with path.open() as handle:
            # Shared, so that two processes that only ask do not see each other.
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # absent, or not ours: who starts a supervisor reports it
        return False
    return False


def wait_unlocked(path: Path, within_s: float) -> bool:
    """Wait until no process holds the lock; return whether that came true."""
    deadline = time.monotonic() + within_s
    while is_locked(path):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def file_id(path: Path) -> FileId | None:
    """Return what identifies a file on its disk; None when there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
