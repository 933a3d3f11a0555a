"""Runs jobs and commands in the containers of a stack that is up."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Callable, Iterable
from itertools import takewhile
from pathlib import Path

from ci.docker.client import Docker, late
from ci.docker.layout import CONTAINER_PREFIX, DockerLayout
from ci.host.engine import Status
from ci.host.interrupts import passing_interrupts
from ci.stack.errors import TimedOut, UsageError
from ci.stack.model import Job, Runtime, Service

MISSING = 44  # exit code by which a shell in the container reports a missing program


class DockerSession:
    """A job gets a container of its own; a command runs in its service's container."""

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
        """Run a job in a new container, in which `files` have their own paths.

        A job that reaches its time limit is stopped. Raises TimedOut.
        """
        job = self._place.stack.unit(name)
        mounts = [word for path in files for word in ("--volume", f"{path}:{path}:ro")]
        command = [*mounts, name, *job.command, *arguments]
        interactive = isinstance(job, Job) and job.interactive
        within_s = None if interactive else job.within_s
        return self._run_once(name, command, within_s, capture=capture)

    def run_command(self, unit: str, command: list[str]) -> int:
        """Run a command with a unit's programs and environment, without a limit."""
        unit = self._writing_job(command) or unit  # services see the checkout read-only
        if not isinstance(self._place.stack.unit(unit), Service):
            return self._run_once(unit, [unit, *command], None, capture=False)[0]
        if self._lacks_program(unit, command[0]):
            hint = "./etl exec SERVICE CMD…"
            raise UsageError(f"there is no program {command[0]!r}", hint)
        return self._execute(unit, command)

    def _writing_job(self, command: list[str]) -> str | None:
        """Return the job that runs the same program and verb and may write."""
        for name, job in self._place.stack.units.items():
            if isinstance(job, Job) and job.writes:
                verb = list(takewhile(lambda word: word[:1] != "-", job.command))
                if command[: len(verb)] == verb:
                    return name
        return None

    def _run_once(
        self, unit: str, command: list[str], within_s: float | None, *, capture: bool
    ) -> tuple[int, str]:
        terminal = [] if sys.stdin.isatty() and not capture else ["--no-TTY"]
        container = f"{self._docker.project}-{secrets.token_hex(4)}"
        once = ("--progress", "quiet", "run", "--rm", "--no-deps", "--name", container)
        process = self._docker.compose(
            self._place.folder.compose_file,
            *(*once, *terminal, *command),
            stdout=subprocess.PIPE if capture else None,
        )
        with passing_interrupts():
            try:
                output, _ = process.communicate(timeout=within_s)
            except subprocess.TimeoutExpired as expired:
                self._docker.stop(container)
                process.communicate()
                what = late(unit, expired.timeout)
                raise TimedOut(what, "./etl status") from None
        if process.returncode:
            self._docker.check_daemon()
        return process.returncode, output or ""

    def _execute(self, unit: str, command: list[str]) -> int:
        terminal = ["--tty"] if sys.stdin.isatty() and sys.stdout.isatty() else []
        options = ["--interactive", *terminal, *self._as_person(unit)]
        with passing_interrupts():
            code = subprocess.run(
                [
                    *(self._docker.program, "exec", *options),
                    *(CONTAINER_PREFIX + unit, *command),
                ],
                env=self._docker.environment,
                check=False,
            ).returncode
        if code:
            self._docker.check_daemon()
        return code

    def _as_person(self, unit: str) -> list[str]:
        """Return the options by which a command runs as the person who asks for it.

        Services run as that person already, except for root. What root writes below
        PREFECT_HOME the service could not write any more, so root gets another one.
        """
        runtime = self._place.stack.unit(unit).runtime
        if runtime is not Runtime.PIPELINE or self._place.person == self._place.user:
            return []
        return ["--user", self._place.person, "--env", "PREFECT_HOME=/tmp/prefect"]

    def _lacks_program(self, unit: str, program: str) -> bool:
        """Check first: docker reports a missing program on standard output."""
        question = f'command -v -- "$0" || exit {MISSING}'
        done = subprocess.run(
            [
                *(self._docker.program, "exec", CONTAINER_PREFIX + unit),
                *("sh", "-c", question, program),
            ],
            env=self._docker.environment,
            capture_output=True,
            check=False,
        )
        return done.returncode == MISSING
