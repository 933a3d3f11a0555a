"""A stack of containers that is held up: runs jobs and commands in it."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Callable, Iterable
from itertools import takewhile
from pathlib import Path

from ci.docker.client import Docker
from ci.docker.layout import CONTAINER_PREFIX, DockerLayout
from ci.host.engine import Status
from ci.host.interrupts import passing_interrupts
from ci.stack.errors import UsageError
from ci.stack.model import Job, Runtime, Service

LACKING = 44  # exit code of our own question


class DockerSession:
    """Jobs get a container of their own; commands run in the service's."""

    def __init__(
        self, docker: Docker, place: DockerLayout, status: Callable[[], Status]
    ) -> None:
        self._docker, self._place = docker, place
        self.status = status

    def run_job(
        self,
        name: str,
        arguments: Iterable[str],
        *,
        capture: bool,
        files: Iterable[Path] = (),
    ) -> tuple[int, str]:
        """Run a job in a new container; the files are at their own paths in it."""
        job = self._place.stack.unit(name)
        mounts = [word for path in files for word in ("--volume", f"{path}:{path}:ro")]
        words = [*mounts, name, *job.command, *arguments]
        return self._run_once(words, capture=capture)

    def run_command(self, unit: str, command: list[str]) -> int:
        """Run a command with a unit's programs and environment."""
        if job := self._writing_job(command):
            unit = job  # services see the checkout read-only
        if not isinstance(self._place.stack.unit(unit), Service):
            return self._run_once([unit, *command], capture=False)[0]
        if self._lacks_program(unit, command[0]):
            hint = "./etl exec SERVICE CMD…"
            raise UsageError(f"there is no program {command[0]!r}", hint)
        return self._execute(unit, command)

    def _writing_job(self, command: list[str]) -> str | None:
        """Return the job that writes to the checkout by the same program and verb."""
        for name, job in self._place.stack.units.items():
            if isinstance(job, Job) and job.writes:
                verb = list(takewhile(lambda word: word[:1] != "-", job.command))
                if command[: len(verb)] == verb:
                    return name
        return None

    def _run_once(self, words: list[str], *, capture: bool) -> tuple[int, str]:
        terminal = [] if sys.stdin.isatty() and not capture else ["--no-TTY"]
        name = f"{self._docker.project}-{secrets.token_hex(4)}"
        once = ("--progress", "quiet", "run", "--rm", "--no-deps", "--name", name)
        process = self._docker.compose(
            self._place.folder.compose_file,
            *(*once, *terminal, *words),
            stdout=subprocess.PIPE if capture else None,
        )
        with passing_interrupts():
            output, _ = process.communicate()
        return process.returncode, output or ""

    def _execute(self, unit: str, command: list[str]) -> int:
        terminal = ["--tty"] if sys.stdin.isatty() and sys.stdout.isatty() else []
        whole = ["--interactive", *terminal, *self._as_person(unit)]
        with passing_interrupts():
            return subprocess.run(
                [
                    *(self._docker.program, "exec", *whole),
                    *(CONTAINER_PREFIX + unit, *command),
                ],
                env=self._docker.environment,
                check=False,
            ).returncode

    def _as_person(self, unit: str) -> list[str]:
        """Return what makes files that a command writes outside the person's own.

        Services are the person's already, but not root's; and what root writes below
        PREFECT_HOME, the service could not write any more.
        """
        own = self._place.person
        runtime = self._place.stack.unit(unit).runtime
        if runtime is not Runtime.PIPELINE or own == self._place.user:
            return []
        return ["--user", own, "--env", "PREFECT_HOME=/tmp/prefect"]

    def _lacks_program(self, unit: str, program: str) -> bool:
        """Ask first: docker tells of a missing program on standard output."""
        question = f'command -v -- "$0" || exit {LACKING}'
        done = subprocess.run(
            [
                *(self._docker.program, "exec", CONTAINER_PREFIX + unit),
                *("sh", "-c", question, program),
            ],
            env=self._docker.environment,
            capture_output=True,
            check=False,
        )
        return done.returncode == LACKING
