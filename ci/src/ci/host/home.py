"""Where one checkout keeps its state: every path of the local engine in one place."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from ci.stack.errors import PrerequisiteMissing

# A unix socket's path takes 107 bytes on Linux and 103 on macOS; the longest name
# below a socket folder is ".s.PGSQL.65535.lock".
SOCKET_FOLDER_BYTES = 103 - len("/.s.PGSQL.65535.lock")


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
        return self._short("run")

    @property
    def pg_sockets(self) -> Path:
        """Folder of Postgres's socket, owned by the user that Postgres runs as."""
        return self._short("pgrun")

    def _short(self, name: str) -> Path:
        folder = self.root / name
        if len(os.fsencode(folder)) <= SOCKET_FOLDER_BYTES:
            return folder
        from tempfile import gettempdir

        return Path(gettempdir()) / f"etl-{os.getuid()}-{self.key}-{name}"

    def make(self) -> None:
        """Create the folders. Raises PrerequisiteMissing when they cannot be ours."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            for folder in (self.logs, self.raw, self.prefect, self.scratch):
                folder.mkdir(exist_ok=True)
            make_private(self.sockets)
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


def make_private(folder: Path) -> None:
    """Create a folder for its owner alone; refuse one of another user."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid not in (os.getuid(), 65534):
        raise PermissionError(1, f"{folder} belongs to another user")


def find_home(root: Path, environment: dict[str, str] | os._Environ[str]) -> Home:
    """Return the home of a checkout: ETL_HOME, or `.etl` inside it."""
    return Home(
        Path(environment.get("ETL_HOME") or root / ".etl").expanduser().resolve()
    )
