"""The Docker engine: one compose project for each checkout, rendered from the stack."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

from ci.docker.client import LABEL, Docker, find_docker
from ci.docker.compose import render
from ci.docker.containers import by_unit, is_running, rows
from ci.docker.image import Image, Images
from ci.docker.layout import (
    CONTAINER_PREFIX,
    DockerLayout,
    Folder,
    choose_ports,
    settle,
)
from ci.docker.names import check_names
from ci.docker.session import DockerSession
from ci.docker.start import Starter
from ci.host.engine import Reporter, Status
from ci.host.home import Home
from ci.stack.errors import PortTaken, StackError, UsageError
from ci.stack.model import Service
from ci.stack.settings import StackSettings

PORT_TRIES = 3
CLEAR_LINE = "\x1b[2K"
VOLUMES = {
    "pgdata": "both databases (data, history, Prefect's runs)",
    "rawdata": "the stored input files",
    "prefectdata": "Prefect's local files",
}


class DockerEngine:
    """Implements the verbs of `ci.host.engine.Engine` with docker and compose."""

    name = "docker"

    def __init__(
        self, checkout: Path, home: Home, settings: StackSettings, images: Images
    ) -> None:
        self.checkout, self.settings, self.images = checkout, settings, images
        self.folder = Folder(home)

    @cached_property
    def docker(self) -> Docker:
        """Docker, once it is needed. Raises PrerequisiteMissing."""
        return find_docker(self.checkout, self.folder.project)

    @property
    def image(self) -> Image:
        """The pipeline's image."""
        return Image(self.docker, self.folder, self.checkout, self.images)

    @contextmanager
    def hold(self, names: Iterable[str], progress: Reporter) -> Iterator[DockerSession]:
        """Start services, and what jobs need; stop the stack after its last user."""
        with self.held():
            with self.folder.changing():
                starter = self.bring_up(progress, lambda new: new.ensure(names))
            yield DockerSession(self.docker, starter.place, self.status)

    def up(self, progress: Reporter) -> Status:
        """Bring every service up and leave the stack running."""
        with self.held(), self.folder.changing():
            self.bring_up(
                progress,
                lambda starter: starter.start(list(starter.place.stack.services)),
            )
            self.folder.kept.touch()
            self.image.remove_old()
        return self.status()

    def bring_up(
        self,
        progress: Reporter,
        start: Callable[[Starter], None],
        tries: int = PORT_TRIES,
    ) -> Starter:
        """Start units; choose ports again if another process takes one meanwhile."""
        starter = Starter(self.docker, self.prepare(progress), progress)
        try:
            start(starter)
        except PortTaken:
            if tries == 1:
                raise
            return self.bring_up(progress, start, tries - 1)
        return starter

    @contextmanager
    def held(self) -> Iterator[None]:
        """Use the stack; the last user stops it unless `up` has started it."""
        self.folder.make()
        with (self.folder.root / "holders.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            try:
                yield
            finally:
                with suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if not self.folder.kept.exists() and self.is_up():
                        self.down(volumes=False)

    def prepare(self, progress: Reporter) -> DockerLayout:
        """Check names, write files, build the image; a running stack keeps files."""
        check_names(self.docker)
        running = self.is_up()
        if not running:
            ports = choose_ports(self.folder, self.settings)
            self.folder.ports_file.write_text(json.dumps(ports))
        place = self.place()
        if not running:
            self.write(self.rendered(place))
        elif self.is_stale(place):
            progress.say("etl: the settings have changed since the stack started;")
            progress.say("  apply them: ./etl --engine docker restart")
        if place.opened and not running:
            progress.say(f"etl: {place.opened}")
        self.image.ensure(progress)
        return place

    def place(self) -> DockerLayout:
        """Describe the stack with the ports that are chosen."""
        return settle(self.folder, self.checkout, self.settings, self.folder.ports())

    def rendered(self, place: DockerLayout) -> dict[str, str]:
        """Return the project's files by the present settings and code."""
        return render(place, self.images.of(self.folder.image))

    def write(self, files: dict[str, str]) -> None:
        """Write the project's files; those with variables are for their owner alone."""
        (self.folder.root / "env").mkdir(mode=0o700, exist_ok=True)
        for name, text in files.items():
            path = self.folder.root / name
            mode = 0o600 if path.parent.name == "env" else 0o644
            path.unlink(missing_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with os.fdopen(descriptor, "w") as handle:
                handle.write(text)

    def is_stale(self, place: DockerLayout) -> bool:
        """Whether the stack runs with other files than the present settings give."""
        for name, text in self.rendered(place).items():
            path = self.folder.root / name
            if not path.is_file() or path.read_text() != text:
                return True
        return False

    def is_up(self) -> bool:
        """Whether any service's container is running."""
        return any(map(is_running, self.docker.containers()))

    def seems_up(self) -> bool:
        """Whether `up` has left the stack running. Asks docker only after an `up`."""
        with suppress(StackError):
            return self.folder.kept.exists() and self.is_up()
        return False

    def down(self, *, volumes: bool) -> bool:
        """Remove the containers; with `volumes` also their data."""
        with self.folder.changing():
            ran = self.is_up()
            self.folder.kept.unlink(missing_ok=True)
            if self.folder.compose_file.exists():
                words = ["down", "--remove-orphans", *(["--volumes"] * volumes)]
                self.docker.compose_to_end(self.folder.compose_file, *words)
        return ran

    def restart(self, service: str | None, progress: Reporter) -> Status:
        """Replace one service's container, or all of them with the present settings."""
        if service is None:
            self.down(volumes=False)
            return self.up(progress)
        if not self.is_up():
            raise UsageError(
                "the stack is not up, so there is nothing to restart", "./etl up"
            )
        with self.held(), self.folder.changing():
            place = self.prepare(progress)
            if not isinstance(place.stack.unit(service), Service):
                raise UsageError(
                    f"{service} is a job and has nothing to restart", "./etl status"
                )
            Starter(self.docker, place, progress).replace(service)
        return self.status()

    def status(self) -> Status:
        """Return the state of the stack, without starting anything."""
        containers = by_unit(self.docker.containers())
        if not any(map(is_running, containers.values())):
            return Status(running=False, ui_url=None, units=[])
        place = self.place()
        return Status(
            running=True,
            ui_url=place.browser_url,
            api_login=place.api_login,
            units=rows(place.stack, containers),
            stale_settings=self.is_stale(place),
            stale_image=self.image.is_stale(),
        )

    def rebuild(self, progress: Reporter) -> bool:
        """Build the image; layers with unchanged inputs come from the cache."""
        with self.folder.changing():
            self.image.build(progress)
        return True

    def losses(self) -> list[str]:
        """Return what `down --volumes` deletes, a line for each volume."""
        project = f"label={LABEL}.project={self.folder.project}"
        fields = f'{{{{.Name}}}}\t{{{{.Label "{LABEL}.volume"}}}}'
        listed = self.docker.run(
            "volume", "ls", "--filter", project, "--format", fields
        )
        named = [line.split("\t") for line in listed.splitlines()]
        return [f"{name}: {VOLUMES.get(key, key)}" for name, key in named]

    def logs(self, service: str | None, *, follow: bool, lines: int) -> Iterator[str]:
        """Yield the last log lines of a service or of all; `follow` adds new ones."""
        if not self.folder.compose_file.exists():
            return
        names = [self.place().stack.unit(service).name] if service else []
        words = ["logs", "--no-color", "--tail", str(lines), *(["--follow"] * follow)]
        with self.docker.compose(
            self.folder.compose_file, *words, *names, stdout=subprocess.PIPE
        ) as process:
            try:
                for line in process.stdout or ():
                    # Compose clears the line even with --no-color.
                    plain = line.rstrip("\n").removeprefix(CLEAR_LINE)
                    name, bar, text = plain.partition("|")
                    yield f"{name.removeprefix(CONTAINER_PREFIX)}{bar}{text}"
            finally:
                process.terminate()
