"""Names, files, ports and user of one checkout's containers on this machine."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from ci.host.home import Home
from ci.host.ports import LOOPBACK, choose
from ci.host.private import make_private
from ci.host.secrets import login_of, password_of
from ci.inside import places
from ci.stack.errors import InvalidSetting
from ci.stack.model import Port, Stack
from ci.stack.services import describe
from ci.stack.settings import POSTGRES_PORT, PREFECT_PORT, StackSettings

CONTAINER_PREFIX = "BioCirV_ETL_"
COMMAND = "./etl --engine docker"
CREDENTIALS = "/run/credentials.json"  # path of the user's file in containers


@dataclass(frozen=True)
class Folder:
    """The engine's files in one home, and the names derived from the home."""

    home: Home

    @property
    def root(self) -> Path:
        """Compose's files; written again at each start."""
        return self.home.root / "docker"

    @property
    def compose_file(self) -> Path:
        """The rendered stack."""
        return self.root / "compose.yaml"

    @property
    def build_file(self) -> Path:
        """How the image is built; a file of its own, because it needs no service."""
        return self.root / "build.yaml"

    @property
    def build_log(self) -> Path:
        """The whole output of the last build."""
        return self.root / "build.log"

    @property
    def ports_file(self) -> Path:
        """The ports of the last start, so that addresses stay the same."""
        return self.root / "ports.json"

    @property
    def kept(self) -> Path:
        """A file that exists between `up` and `down`: the stack stays up."""
        return self.root / "kept"

    @property
    def project(self) -> str:
        """Compose's project, so that each checkout has volumes of its own."""
        return f"biocirv-etl-{self.home.key}"

    @property
    def image(self) -> str:
        """The pipeline's image; each checkout builds its own."""
        return f"biocirv-etl:{self.home.key}"

    def ports(self) -> dict[str, int]:
        """Return the ports of the last start, by name."""
        try:
            return dict(json.loads(self.ports_file.read_text()))
        except (OSError, ValueError):
            return {}

    def make(self) -> None:
        """Make the folder, for its owner alone. Raises PrerequisiteMissing."""
        self.home.close()
        make_private(self.root)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Wait until no other command starts or stops containers, and lock them."""
        self.make()
        with (self.root / "changing.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


@dataclass(frozen=True)
class DockerLayout:
    """The stack with the values of one machine, and what only containers need."""

    folder: Folder
    checkout: Path
    stack: Stack
    ports: Mapping[str, int]
    bind: Mapping[str, str]  # address on this machine, by port name
    credentials: Path | None
    user: str
    person: str  # uid:gid of the person who runs the command
    browser_url: str
    opened: str | None  # which ports a network can reach
    memory_gb: int  # limit of each container
    api_login: str | None = field(default=None, repr=False)


def settle(
    folder: Folder, checkout: Path, settings: StackSettings, ports: Mapping[str, int]
) -> DockerLayout:
    """Describe the stack as it is in containers. Raises InvalidSetting."""
    bind = settings.server_bind
    api = settings.prefect_ui_api_url or f"http://{bind.url_host}:{ports['http']}/api"
    credentials = credentials_file(settings, checkout)
    if credentials:
        settings = replace(settings, credentials_path=CREDENTIALS)
    login = login_of(folder.home, settings)
    at = places.endpoints(
        password=password_of(folder.home, settings),
        browser_api_url=api,
        api_login=login,
        command=COMMAND,
    )
    return DockerLayout(
        folder=folder,
        checkout=checkout,
        stack=describe(settings, at),
        ports=ports,
        bind={"sql": LOOPBACK, "http": bind.text},
        opened=bind.opened(ports["http"]),
        memory_gb=settings.container_memory_gb,
        credentials=credentials,
        user=user(),
        person=person(),
        browser_url=api.removesuffix("/api"),
        api_login=login,
    )


def choose_ports(folder: Folder, settings: StackSettings) -> dict[str, int]:
    """Choose the ports on this machine. Raises PortTaken for one that was asked for."""
    last = folder.ports()
    wishes = (
        Port("sql", POSTGRES_PORT, settings.database_port),
        Port("http", PREFECT_PORT, settings.server_port),
    )
    return {wish.name: choose(wish, last.get(wish.name)).number for wish in wishes}


def credentials_file(settings: StackSettings, checkout: Path) -> Path | None:
    """Return the user's credentials file.

    Raises InvalidSetting when it does not exist: Docker would create a folder of that
    name instead.
    """
    if settings.credentials_path is None:
        return None
    path = checkout / Path(settings.credentials_path).expanduser()
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise InvalidSetting(
            f"CREDENTIALS_PATH names {path}, which {what}",
            "put the file there, or leave CREDENTIALS_PATH out of .env",
        )
    return path.resolve()


def user() -> str:
    """Return user and group of the pipeline's processes.

    Those of the person who starts the stack, who then owns the files that they write.
    For root the image's own user, so that no service runs as root.
    """
    return person() if os.getuid() else places.USER


def person() -> str:
    """Return user and group of this process."""
    return f"{os.getuid()}:{os.getgid()}"
