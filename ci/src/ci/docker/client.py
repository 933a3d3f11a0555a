"""Finds and runs docker and compose, and reports what is missing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci.docker.failures import START_DAEMON, failure
from ci.stack.errors import PrerequisiteMissing, StackError, TimedOut

REPLY_WITHIN_S = 60.0
OLDEST_SERVER = 25  # health checks with a start_interval
WITHOUT = "or work without Docker: ./etl --engine local up"
# Containers are found by label; jobs run only when they are named.
COMPOSE = {"COMPOSE_IGNORE_ORPHANS": "true", "COMPOSE_PROFILES": "jobs"}
LABEL = "com.docker.compose"


@dataclass(frozen=True)
class Docker:
    """Docker's and compose's programs, for one compose project."""

    program: str
    compose_command: tuple[str, ...]
    environment: dict[str, str]
    project: str

    def run(self, *arguments: str) -> str:
        """Run docker to its end and return its output.

        For commands that Docker answers at once. Raises StackError, and TimedOut when
        there is no answer.
        """
        command = f"docker {arguments[0]}"
        try:
            done = subprocess.run(
                [self.program, *arguments],
                env=self.environment,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=REPLY_WITHIN_S,
            )
        except subprocess.TimeoutExpired:
            raise TimedOut(
                f"{command}: no answer of the Docker daemon in {REPLY_WITHIN_S:.0f} s",
                "docker info",
            ) from None
        if done.returncode:
            raise failure(done.stderr, command, "docker info")
        return done.stdout

    def wait(self, container: str, within_s: float) -> int:
        """Return a container's exit code once it has ended.

        A container that does not end in time is stopped. Raises TimedOut.
        """
        with subprocess.Popen(
            [self.program, "wait", container],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                output, error = process.communicate(timeout=within_s)
            except subprocess.TimeoutExpired:
                process.kill()
                self.stop(container)
                raise TimedOut(late(container, within_s), "./etl logs") from None
        if process.returncode:
            raise failure(error, "docker wait")
        return int(output)

    def stop(self, container: str) -> None:
        """Stop a container, which may have ended by itself."""
        with suppress(StackError):
            self.run("stop", container)

    def check_daemon(self) -> None:
        """Raise PrerequisiteMissing if the daemon does not answer.

        After a command failed: its exit code is that of its own program only if the
        daemon is still there.
        """
        check_server(self.program, self.environment)

    def compose(
        self, file: Path, *arguments: str, **options: Any
    ) -> subprocess.Popen[str]:
        """Start compose on a file, without colours and cursor movements."""
        return subprocess.Popen(
            [
                *(*self.compose_command, "--ansi", "never"),
                *("--project-name", self.project, "--file", str(file)),
                *arguments,
            ],
            env=self.environment,
            text=True,
            errors="replace",
            **options,
        )

    def compose_to_end(self, file: Path, *arguments: str) -> None:
        """Run compose to its end. Raises StackError with the cause that it printed."""
        process = self.compose(
            file,
            *("--progress", "plain", *arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        output, _ = process.communicate()
        if process.returncode:
            raise failure(output, f"compose {arguments[0]}", "docker ps --all")

    def containers(self) -> list[dict[str, Any]]:
        """Return the units' containers, as `docker inspect` describes them.

        Without those of single commands, which come and go at any time.
        """
        project = f"label={LABEL}.project={self.project}"
        lasting = f"label={LABEL}.oneoff=False"
        listed = ("ps", "--all", "--quiet", "--filter", project, "--filter", lasting)
        if not (ids := self.run(*listed).split()):
            return []
        found: list[dict[str, Any]] = json.loads(self.run("inspect", *ids))
        return found


def late(unit: str, within_s: float) -> str:
    """Return the message for a unit that was stopped at its time limit."""
    return f"{unit} did not end within {within_s:.0f} s and was stopped"


def find_docker(checkout: Path, project: str) -> Docker:
    """Find docker and compose on PATH, else in the Pixi environment.

    DOCKER_HOST and docker's contexts select the daemon, as everywhere. Raises
    PrerequisiteMissing when there is no client, no compose or no daemon.
    """
    pixi = checkout / ".pixi" / "envs" / "default" / "bin"
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), str(pixi)])
    program = shutil.which("docker", path=path)
    if program is None:
        raise PrerequisiteMissing(
            "the Docker engine needs the program docker, which is not on PATH",
            f"https://docs.docker.com/get-docker, or: pixi install; {WITHOUT}",
        )
    environment = {**os.environ, "PATH": path, **COMPOSE}
    check_server(program, environment)
    compose = find_compose(program, path, environment)
    return Docker(program, compose, environment, project)


def check_server(program: str, environment: dict[str, str]) -> None:
    """Ask the daemon for its version. Raises PrerequisiteMissing."""
    done = subprocess.run(
        [program, "version", "--format", "{{.Server.Version}}"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise PrerequisiteMissing(
            f"no Docker daemon answers: {done.stderr.strip()}",
            f"{START_DAEMON}; {WITHOUT}",
        )
    version = done.stdout.strip()
    if int(version.partition(".")[0] or 0) < OLDEST_SERVER:
        raise PrerequisiteMissing(
            f"the Docker daemon is {version}; {OLDEST_SERVER} or newer is needed",
            f"https://docs.docker.com/engine/install; {WITHOUT}",
        )


def find_compose(
    program: str, path: str, environment: dict[str, str]
) -> tuple[str, ...]:
    """Return the command of compose 2: docker's plugin, else its own program."""
    candidates: list[tuple[str, ...]] = [(program, "compose")]
    if own := shutil.which("docker-compose", path=path):
        candidates.append((own,))
    for command in candidates:
        done = subprocess.run(
            [*command, "version", "--short"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0 and not done.stdout.startswith(("1.", "v1.")):
            return command
    raise PrerequisiteMissing(
        "the Docker engine needs compose 2, which is not installed",
        f"https://docs.docker.com/compose/install, or: pixi install; {WITHOUT}",
    )
