"""Runs docker and compose: finds them, tells what is missing, hands words over."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci.stack.errors import PrerequisiteMissing, StackError

ANSWER_WITHIN_S = 60.0
OLDEST_SERVER = 25  # health checks with a start_interval
WITHOUT = "or work without Docker: ./etl --engine local up"
# Ours are found by label, and jobs are asked for by name.
COMPOSE = {"COMPOSE_IGNORE_ORPHANS": "true", "COMPOSE_PROFILES": "jobs"}
LABEL = "com.docker.compose"


@dataclass(frozen=True)
class Docker:
    """The programs of this machine, on one compose project."""

    program: str
    compose_words: tuple[str, ...]
    environment: dict[str, str]
    project: str

    def run(self, *words: str) -> str:
        """Run docker to its end; return what it printed. Raises StackError."""
        done = subprocess.run(
            [self.program, *words],
            env=self.environment,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=ANSWER_WITHIN_S,
        )
        if done.returncode:
            raise StackError(f"docker {words[0]}: {done.stderr.strip()}", "docker info")
        return done.stdout

    def compose(self, file: Path, *words: str, **options: Any) -> subprocess.Popen[str]:
        """Start compose on a file; its own tale of containers is not for people."""
        return subprocess.Popen(
            [
                *(*self.compose_words, "--ansi", "never"),
                *("--project-name", self.project, "--file", str(file)),
                *words,
            ],
            env=self.environment,
            text=True,
            errors="replace",
            **options,
        )

    def containers(self) -> list[dict[str, Any]]:
        """Return the units' containers, as `docker inspect` tells of them.

        Not those of single commands, which come and go at any time.
        """
        mine = f"label={LABEL}.project={self.project}"
        lasting = f"label={LABEL}.oneoff=False"
        listed = ("ps", "--all", "--quiet", "--filter", mine, "--filter", lasting)
        if not (ids := self.run(*listed).split()):
            return []
        found: list[dict[str, Any]] = json.loads(self.run("inspect", *ids))
        return found


def find_docker(checkout: Path, project: str) -> Docker:
    """Find docker and compose on PATH, else in the Pixi environment.

    Raises PrerequisiteMissing when there is no client, no compose or no daemon. Which
    daemon is docker's own affair: DOCKER_HOST and contexts work as everywhere.
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
    words = find_compose(program, path, environment)
    return Docker(program, words, environment, project)


def check_server(program: str, environment: dict[str, str]) -> None:
    """Ask the daemon for its version. Raises PrerequisiteMissing."""
    words = [program, "version", "--format", "{{.Server.Version}}"]
    done = subprocess.run(
        words, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise PrerequisiteMissing(
            f"no Docker daemon answers: {done.stderr.strip()}",
            "start Docker Desktop, or: sudo systemctl start docker; " + WITHOUT,
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
    """Return the words that start compose 2: docker's plugin, else its own program."""
    candidates: list[tuple[str, ...]] = [(program, "compose")]
    if own := shutil.which("docker-compose", path=path):
        candidates.append((own,))
    for words in candidates:
        done = subprocess.run(
            [*words, "version", "--short"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0 and not done.stdout.startswith(("1.", "v1.")):
            return words
    raise PrerequisiteMissing(
        "the Docker engine needs compose 2, which is not there",
        f"https://docs.docker.com/compose/install, or: pixi install; {WITHOUT}",
    )
