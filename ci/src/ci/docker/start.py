"""Starts containers and waits until they are ready, or reports the unit that failed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from contextlib import suppress

from ci.docker.client import Docker
from ci.docker.containers import by_unit, rows
from ci.docker.failures import failure
from ci.docker.layout import CONTAINER_PREFIX, DockerLayout
from ci.docker.watch import Watch
from ci.host.engine import Reporter
from ci.stack.errors import StackError, TimedOut, UnitFailed
from ci.stack.model import Job, Service

LOG_LINES = 20
DONE = ("ready", "completed")


class Starter:
    """Starts units of one stack; compose keeps their order and conditions."""

    def __init__(self, docker: Docker, place: DockerLayout, progress: Reporter) -> None:
        self._docker, self.place, self._progress = docker, place, progress
        self._stack = place.stack

    def ensure(self, names: Iterable[str]) -> None:
        """Start services, and what jobs need, unless they are ready or completed."""
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
        return [name for name in names if states[name] not in DONE]

    def _rows(self) -> list[dict[str, object]]:
        return rows(self._stack, by_unit(self._docker.containers()))

    def start(self, services: list[str]) -> None:
        """Start services and what they need; return when all are ready."""
        if not services:
            return
        try:
            self._compose_up(services, ["--wait"])
        except BaseException:
            # Docker would restart a failing service without end. The containers are
            # stopped and kept, so that their logs can be read.
            self._stop()
            raise

    def replace(self, service: str) -> None:
        """Remove one service's container and start a new one; leave all others alone.

        Not by `up --force-recreate --no-deps`: without dependencies compose computes
        another configuration hash, so the next `up` would replace the container again
        and crash the runs in it.
        """
        file = self.place.folder.compose_file
        self._docker.compose_to_end(file, "rm", "--stop", "--force", service)
        self._compose_up([service], ["--wait", "--no-recreate"])

    def _compose_up(self, names: list[str], options: list[str]) -> None:
        within_s = sum(self._stack.unit(n).within_s for n in self._stack.closure(names))
        with self._progress, Watch(self._docker, self._stack, self._progress) as watch:
            process = self._docker.compose(
                self.place.folder.compose_file,
                *("--progress", "plain", "up", "--detach", *options, *names),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            watch.terminates(process)
            try:
                output, _ = process.communicate(timeout=within_s)
            except subprocess.TimeoutExpired:
                process.kill()
                raise TimedOut(
                    f"{', '.join(names)} not ready after {within_s:.0f} s", "./etl logs"
                ) from None
        if watch.ended:
            name, code = watch.ended
            raise self._unit_failed(name, f"ended (exit code {code})")
        if process.returncode:
            raise self._compose_failed(output)

    def _complete(self, name: str) -> None:
        """Run a job to its end in a container that stays, so that status shows it."""
        self._compose_up([name], ["--no-deps"])
        within_s = self._stack.unit(name).within_s
        with Watch(self._docker, self._stack, self._progress):
            code = self._docker.wait(CONTAINER_PREFIX + name, within_s)
        if code:
            raise self._unit_failed(name, f"ended (exit code {code})")

    def _compose_failed(self, output: str) -> StackError:
        """Return the error for `up`: the first unit that failed, else compose's own."""
        for row in self._rows():
            if row["status"] == "failed":
                name = str(row["name"])
                unit = self._stack.unit(name)
                late = f"not ready after {unit.within_s:.0f} s"
                ended = f"ended (exit code {row['exit_code']})"
                what = late if isinstance(unit, Service) else ended
                return self._unit_failed(name, what)
        return failure(output, "compose up")

    def _unit_failed(self, name: str, what: str) -> UnitFailed:
        """Return the error that names a unit and shows the end of its log."""
        done = subprocess.run(
            [
                *(self._docker.program, "logs", "--tail", str(LOG_LINES)),
                CONTAINER_PREFIX + name,
            ],
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
