"""Starts containers and waits until they are ready, or says which one was not."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from contextlib import suppress

from ci.docker.client import Docker
from ci.docker.containers import by_unit, rows
from ci.docker.layout import CONTAINER_PREFIX, DockerLayout
from ci.docker.watch import Watch
from ci.host.engine import Reporter
from ci.stack.errors import PortTaken, StackError, TimedOut, UnitFailed
from ci.stack.model import Job, Service

LOG_LINES = 20
# How docker says that somebody has taken a port since it was chosen.
PORT_WORDS = ("address already in use", "port is already allocated")
THERE = ("ready", "completed")


class Starter:
    """Brings units of one place up; compose keeps their order and conditions."""

    def __init__(self, docker: Docker, place: DockerLayout, progress: Reporter) -> None:
        self._docker, self.place, self._progress = docker, place, progress
        self._stack = place.stack

    def ensure(self, names: Iterable[str]) -> None:
        """Bring up services, and what jobs need, as far as they are not there."""
        wanted = self._stack.closure(self._needed(names))
        services = [name for name in wanted if name in self._stack.services]
        if self._missing(self._stack.closure(services)):
            self.start(services)
        for name in self._missing(wanted):
            self._complete(name)

    def _needed(self, names: Iterable[str]) -> list[str]:
        needed: list[str] = []
        for name in names:
            unit = self._stack.unit(name)
            needed.extend(unit.needs if isinstance(unit, Job) else [name])
        return needed

    def _missing(self, names: Iterable[str]) -> list[str]:
        states = {row["name"]: row["status"] for row in self._rows()}
        return [name for name in names if states[name] not in THERE]

    def _rows(self) -> list[dict[str, object]]:
        return rows(self._stack, by_unit(self._docker.containers()))

    def start(self, services: list[str], *, anew: bool = False) -> None:
        """Start services and what they need; return when all are ready."""
        if not services:
            return
        options = ["--no-deps", "--force-recreate"] if anew else []
        try:
            self._compose_up(services, ["--wait", *options])
        except BaseException:
            # Docker would start a service that fails for ever again. What is left
            # stands still, so that its logs can be read.
            if not anew:
                self._stop()
            raise

    def _compose_up(self, names: list[str], options: list[str]) -> None:
        within_s = sum(self._stack.unit(n).within_s for n in self._stack.closure(names))
        with self._progress, Watch(self._docker, self._stack, self._progress) as watch:
            process = self._docker.compose(
                self.place.folder.compose_file,
                *("--progress", "plain", "up", "--detach", *options, *names),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            watch.stops(process)
            try:
                said, _ = process.communicate(timeout=within_s)
            except subprocess.TimeoutExpired:
                process.kill()
                raise TimedOut(
                    f"{', '.join(names)} not ready after {within_s:.0f} s", "./etl logs"
                ) from None
        if watch.dead:
            name, code = watch.dead
            raise self._failure(name, f"ended (exit code {code})")
        if process.returncode:
            raise self._explained(said)

    def _complete(self, name: str) -> None:
        """Run a job to its end, in a container that stays to be asked about it."""
        self._compose_up([name], ["--no-deps"])
        with Watch(self._docker, self._stack, self._progress):
            code = int(self._docker.run("wait", CONTAINER_PREFIX + name))
        if code:
            raise self._failure(name, f"ended (exit code {code})")

    def _explained(self, said: str) -> StackError:
        """Return the error for what compose gave up on: the first unit that failed."""
        for row in self._rows():
            if row["status"] == "failed":
                name = str(row["name"])
                unit = self._stack.unit(name)
                late = f"not ready after {unit.within_s:.0f} s"
                ended = f"ended (exit code {row['exit_code']})"
                return self._failure(name, late if isinstance(unit, Service) else ended)
        last = (said.strip().splitlines() or ["compose failed"])[-1]
        if any(words in last for words in PORT_WORDS):
            return PortTaken(last, "stop who has it, or name another port in .env")
        return UnitFailed(last, "./etl logs")

    def _failure(self, name: str, what: str) -> UnitFailed:
        """Return the error that names a unit and shows the end of its log."""
        container = CONTAINER_PREFIX + name
        done = subprocess.run(
            [self._docker.program, "logs", "--tail", str(LOG_LINES), container],
            env=self._docker.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        return UnitFailed(
            f"{name} {what}\n{done.stdout.rstrip()}", f"./etl logs {name}"
        )

    def _stop(self) -> None:
        with suppress(OSError):
            self._docker.compose(
                self.place.folder.compose_file,
                *("--progress", "quiet", "stop"),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            ).wait()
