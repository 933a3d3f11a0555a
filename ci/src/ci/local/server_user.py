"""Whom PostgreSQL runs as: us, or for root a user of its own, since it refuses root.

Root's server gets a uid that no account and no other process has. Where that uid could
not reach the programs or the data directory, the server runs in a user namespace, in
which root has another name.
"""

from __future__ import annotations

import grp
import os
import pwd
import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from ci.stack.errors import PrerequisiteMissing

# Ranges that neither systemd, nor containers, nor distributions assign, see
# https://systemd.io/UIDS-GIDS. The second is for containers, which often have 65536.
RANGES = (range(1_879_048_192, 2_147_483_647), range(60_578, 61_184))
OVERFLOW = 65534  # any user that a user namespace does not know
SYSTEM_ACCOUNTS = range(1, 1000)
TRIES = 50


@dataclass(frozen=True)
class ServerUser:
    """How the server is started, and what it calls the user who runs the stack.

    `uid` is None where the server runs as ourselves or, with `prefix`, in a namespace.
    """

    owner: str
    prefix: tuple[str, ...] = ()
    uid: int | None = None

    def spawn_options(self) -> dict[str, Any]:
        """Return the keyword arguments for starting a process as that user."""
        return spawn_options(self.uid)


def spawn_options(uid: int | None) -> dict[str, Any]:
    """Return the keyword arguments for starting a process as another user."""
    if uid is None:
        return {}
    return {"user": uid, "group": uid, "extra_groups": []}


def server_user(binaries: Path, data: Path, sockets: Path) -> ServerUser:
    """Choose whom the server runs as. Raises PrerequisiteMissing."""
    if os.getuid() != 0:
        return ServerUser(name_of(os.getuid()))
    if all(reachable(folder) for folder in (binaries, data.parent, sockets.parent)):
        return ServerUser(name_of(0), uid=own_uid(data))
    if found := namespace():
        return found
    raise PrerequisiteMissing(
        f"Postgres does not run as root, and another user cannot reach {data.parent} "
        f"and {binaries}",
        "ETL_HOME=/var/lib/biocirv-etl ./etl …, or run as an ordinary user",
    )


def name_of(uid: int) -> str:
    """Return the name of an account; its number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def reachable(folder: Path) -> bool:
    """Whether everybody may pass through a folder and all above it."""
    return all(
        p.stat().st_mode & 0o001 for p in (folder, *folder.parents) if p.exists()
    )


def namespace() -> ServerUser | None:
    """Return root under another name in a user namespace; None where there is none.

    The name is an account's: peer authentication looks it up. It is not the overflow
    user, as which every user of the machine but root appears in the namespace.
    """
    unshare = shutil.which("unshare")
    account = next((a for a in pwd.getpwall() if a.pw_uid not in (0, OVERFLOW)), None)
    if unshare is None or account is None:
        return None
    ids = (f"--map-user={account.pw_uid}", f"--map-group={account.pw_gid}")
    prefix = (unshare, "--user", *ids)
    done = subprocess.run([*prefix, "true"], capture_output=True, check=False)
    return ServerUser(account.pw_name, prefix) if done.returncode == 0 else None


def own_uid(data: Path) -> int:
    """Return the uid for a data directory: the recorded one while it is free."""
    record = data.parent / "postgres_uid"
    try:
        recorded = int(record.read_text())
    except (FileNotFoundError, ValueError):
        recorded = None
    if recorded is not None and is_free(recorded, data):
        return recorded
    uid = next((uid for uid in candidates() if is_free(uid, data)), None)
    if uid is None:
        raise PrerequisiteMissing(
            "no uid is free that PostgreSQL could run as",
            "run as an ordinary user instead of root",
        )
    record.unlink(missing_ok=True)
    descriptor = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        handle.write(str(uid))
    return uid


def candidates() -> Iterator[int]:
    """Yield random uids out of those that this machine can use."""
    for numbers in RANGES:
        if all(is_mapped(numbers[0], kind) for kind in ("uid", "gid")):
            for _ in range(TRIES):
                yield random.choice(numbers)  # noqa: S311 - no secret


def is_mapped(number: int, kind: str) -> bool:
    """Whether a uid or gid exists here; a container may have a part of them alone."""
    try:
        lines = Path(f"/proc/self/{kind}_map").read_text().splitlines()
    except FileNotFoundError:  # no Linux
        return True
    ranges = [[int(word) for word in line.split()] for line in lines]
    return any(first <= number < first + size for first, _, size in ranges)


def is_free(uid: int, data: Path) -> bool:
    """Whether no account, group or process has a number, but a server of ours."""
    for look_up in (pwd.getpwuid, grp.getgrgid):
        try:
            look_up(uid)
        except KeyError:
            continue
        return False
    return not any(cwd != str(data) for cwd in folders_of_processes(uid))


def folders_of_processes(uid: int) -> Iterator[str | None]:
    """Yield the working directory of each process of a user."""
    for process in psutil.process_iter(["uids"]):
        if uid in (process.info["uids"] or ()):
            with suppress(psutil.NoSuchProcess):
                yield process.cwd()


def idle_account() -> int:
    """Return the uid of a system account that no process has.

    `initdb`, unlike the server, does not run as a user without an account.
    """
    used = {
        number
        for process in psutil.process_iter(["uids"])
        for number in process.info["uids"] or ()
    }
    for account in pwd.getpwall():
        if account.pw_uid in SYSTEM_ACCOUNTS and account.pw_uid not in used:
            return account.pw_uid
    raise PrerequisiteMissing(
        "Postgres does not make a data directory as root, and no system account is "
        "idle that could make it",
        "run as an ordinary user",
    )


def give(folder: Path, uid: int) -> None:
    """Give a folder, and all in it that its owner owns, to another user.

    What a third user owns stays: it may be a hard link to a file of root's.
    """
    before = folder.lstat().st_uid
    if before == uid:
        return
    for parent, folders, files in os.walk(folder, topdown=False):
        for name in (*folders, *files):
            path = Path(parent, name)
            if path.lstat().st_uid == before:
                os.lchown(path, uid, uid)
    os.lchown(folder, uid, uid)  # last: a cut short change is repeated
