"""Folders and files for their owner alone: made, closed and checked.

Root's own folders may be passed through (0711), not listed: the user that root's
PostgreSQL runs as has to reach its data directory. What is inside them is closed.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path
from tempfile import gettempdir, mkdtemp

from ci.stack.errors import PrerequisiteMissing

OTHERS = 0o077  # every permission of the group and of everybody else
PASSABLE = 0o711
# A unix socket's path takes 107 bytes on Linux and 103 on macOS; the longest name
# below a socket folder is ".s.PGSQL.65535.lock".
SOCKET_FOLDER_BYTES = 103 - len("/.s.PGSQL.65535.lock")


def base_mode() -> int:
    """Return the permissions of a folder that others may have closed folders in."""
    return PASSABLE if os.getuid() == 0 else 0o700


def make_private(folder: Path, mode: int = 0o700) -> None:
    """Make a folder for its owner alone, or close one that is there.

    It never opens one. Raises PermissionError when it is another user's, or a link.
    """
    folder.mkdir(mode=mode, parents=True, exist_ok=True)
    seen = folder.lstat()
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.getuid():
        raise PermissionError(1, f"{folder} belongs to another user, or is a link")
    if stat.S_IMODE(seen.st_mode) & ~mode:
        folder.chmod(stat.S_IMODE(seen.st_mode) & mode)


def close_entries(folder: Path, names: Collection[str]) -> None:
    """Take away others' permissions on entries of a folder.

    Older versions of this program gave some.
    """
    for entry in folder.iterdir():
        seen = entry.lstat()
        ours = seen.st_uid == os.getuid() and not stat.S_ISLNK(seen.st_mode)
        if entry.name in names and ours and seen.st_mode & OTHERS:
            entry.chmod(stat.S_IMODE(seen.st_mode) & ~OTHERS)


def has_only(folder: Path, names: Collection[str]) -> bool:
    """Whether a folder is empty or holds nothing but entries of these names."""
    return all(entry.name in names for entry in folder.iterdir())


def fits_a_socket(folder: Path) -> bool:
    """Whether the path of a socket in a folder is short enough."""
    return len(os.fsencode(folder)) <= SOCKET_FOLDER_BYTES


def recorded_folder(record: Path) -> Path:
    """Return the private folder that a file names; make one if there is none.

    For homes with a path that is too long for a socket. The name of the folder is
    random, and it is checked at each use: others can make a folder in the place of one
    that was removed. XDG_RUNTIME_DIR is not used: it is removed at the last logout,
    and a stack outlives that.
    """
    folder = read_folder(record)
    if folder and is_private(folder):
        return folder
    descriptor = os.open(record, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)  # two commands agree on one folder
        folder = read_folder(record)
        if not (folder and is_private(folder)):
            folder = new_folder()
            handle.truncate()
            handle.write(str(folder))
        return folder


def read_folder(record: Path) -> Path | None:
    """Return the folder that a file names."""
    try:
        text = record.read_text()
    except FileNotFoundError:
        return None
    return Path(text) if text else None


def is_private(folder: Path) -> bool:
    """Whether a path is our own folder, no link, and closed to everybody else."""
    try:
        seen = folder.lstat()
    except FileNotFoundError:
        return False
    return (
        stat.S_ISDIR(seen.st_mode)
        and seen.st_uid == os.getuid()
        and stat.S_IMODE(seen.st_mode) == base_mode()
    )


def new_folder() -> Path:
    """Make a private folder with a random name and a short path."""
    for place in temporary_folders():
        folder = Path(mkdtemp(prefix="etl-", dir=place))
        if fits_a_socket(folder / "pgrun"):
            folder.chmod(base_mode())
            return folder
        folder.rmdir()
    raise PrerequisiteMissing(
        "no folder for temporary files has a path that is short enough for a socket",
        "ETL_HOME=/a/shorter/folder ./etl …",
    )


def temporary_folders() -> Iterator[Path]:
    """Yield where temporary files may be, best first."""
    yield Path(gettempdir())
    yield Path("/tmp")  # noqa: S108 - mkdtemp makes a folder of our own in it
