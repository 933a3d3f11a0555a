"""Where one checkout keeps its state: every path of the local engine in one place."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ci.host.private import (
    base_mode,
    close_entries,
    fits_a_socket,
    has_only,
    make_private,
    recorded_folder,
)
from ci.stack.errors import PrerequisiteMissing

FOLDER = ".etl"  # in a checkout, unless ETL_HOME names another one
# What engines keep in it. Closed to other users whatever the folder itself is.
ENTRIES = frozenset(
    (
        "pg18", "logs", "raw", "prefect", "tmp", "run", "pgrun", "docker",
        "state.json", "supervisor.lock", "guard.lock", "socket_folder",
        "postgres_password", "postgres_uid", "prefect_login",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Home:
    """One folder holds data, sockets, logs and secrets, so checkouts never meet."""

    root: Path

    @property
    def pgdata(self) -> Path:
        """The data directory, named by major version."""
        return self.root / "pg18"

    @property
    def logs(self) -> Path:
        """One file per service."""
        return self.root / "logs"

    @property
    def raw(self) -> Path:
        """The content-addressed store of input files."""
        return self.root / "raw"

    @property
    def prefect(self) -> Path:
        """Prefect's own folder, so that ~/.prefect is left alone."""
        return self.root / "prefect"

    @property
    def scratch(self) -> Path:
        """Temporary files of the services; emptied at each start."""
        return self.root / "tmp"

    @property
    def state(self) -> Path:
        """The supervisor's account of itself and of its children (JSON)."""
        return self.root / "state.json"

    @property
    def supervisor_lock(self) -> Path:
        """Held by the supervisor as long as it runs."""
        return self.root / "supervisor.lock"

    @property
    def guard_lock(self) -> Path:
        """Held by the guard until it has swept."""
        return self.root / "guard.lock"

    @property
    def supervisor_log(self) -> Path:
        """The supervisor's log."""
        return self.logs / "supervisor.log"

    @property
    def marks(self) -> dict[str, str]:
        """The environment entry by which every child of this home is recognised."""
        return {"ETL_STACK": self.key}

    @property
    def key(self) -> str:
        """A short name of this home, unique on the machine."""
        return hashlib.sha256(str(self.root).encode()).hexdigest()[:12]

    @property
    def sockets(self) -> Path:
        """Folder of the control socket; short enough for a socket's path."""
        return self._socket_root / "run"

    @property
    def pg_sockets(self) -> Path:
        """Folder of Postgres's socket, owned by the user that Postgres runs as."""
        return self._socket_root / "pgrun"

    @property
    def _socket_root(self) -> Path:
        """The home itself, or a folder with a shorter path that is recorded in it."""
        if fits_a_socket(self.root / "pgrun"):
            return self.root
        with self._usable():
            self.root.mkdir(mode=base_mode(), parents=True, exist_ok=True)
            return recorded_folder(self.root / "socket_folder")

    def make(self) -> None:
        """Make the folders, for their owner alone; close those that are open.

        Raises:
            PrerequisiteMissing: They cannot be made, or belong to another user.
        """
        self.close()
        with self._usable():
            for folder in (self.logs, self.raw, self.prefect, self.scratch):
                make_private(folder)
            make_private(self.sockets)

    def close(self) -> None:
        """Make the home if there is none, and close it to other users.

        Raises:
            PrerequisiteMissing: It cannot be made, or belongs to another user.
        """
        with self._usable():
            self.root.mkdir(mode=base_mode(), parents=True, exist_ok=True)
            # ETL_HOME may name a folder with other things in it. Its own permissions
            # are the user's then.
            if self.root.name == FOLDER or has_only(self.root, ENTRIES):
                make_private(self.root, base_mode())
            close_entries(self.root, ENTRIES)

    @contextmanager
    def _usable(self) -> Iterator[None]:
        """Report an error of the operating system as a home that cannot be used."""
        try:
            yield
        except OSError as error:
            raise PrerequisiteMissing(
                f"{self.root} cannot be used for state: {error.strerror}",
                "ETL_HOME=/a/folder/you/can/write ./etl …",
            ) from None

    def secret(self, name: str) -> str:
        """Return a generated secret; made once, readable by its owner alone."""
        from secrets import token_urlsafe

        path = self.root / name
        if not path.exists():
            draft = path.with_suffix(f".{os.getpid()}")
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as handle:
                handle.write(token_urlsafe(24))
            try:
                os.link(draft, path)
            except FileExistsError:
                pass  # another process was first: its secret is the one
            finally:
                draft.unlink()
        return path.read_text()


def find_home(root: Path, environment: dict[str, str] | os._Environ[str]) -> Home:
    """Return the home of a checkout: ETL_HOME, or `.etl` inside it."""
    return Home(
        Path(environment.get("ETL_HOME") or root / FOLDER).expanduser().resolve()
    )
