"""A copy of the checkout with its stack on an engine, operated as its users do."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.docker.pixi_tasks import Tasks
from tests.security.api import Api

from ci.host.home import Home
from ci.stack.settings import variable_names

CHECKOUT = Path(__file__).resolve().parents[2]
LEFT_OUT = (".git", ".etl", ".pixi", ".env", "__pycache__", "*_cache", "*.egg-info")
PROGRAM = 'if __name__ == "__main__":'  # where a module of ours becomes a program
DONE_WITHIN_S = 600
Completed = subprocess.CompletedProcess[str]


def copy_checkout(target: Path) -> Path:
    """Copy the checkout; its `./etl` uses the environment of the tests."""
    shutil.copytree(
        CHECKOUT, target, symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT)
    )
    programs = target / ".etl" / "env" / "bin"
    programs.mkdir(parents=True)
    shutil.copy(target / "requirements.lock", programs.parent / "synced.lock")
    shutil.copy(target / "pixi.toml", programs.parent / "synced.toml")
    code = f"{target}/ci/src:{target}/src"
    start = "from ci.cli.main import main; main()"
    program = programs / "etl"
    program.write_text(
        f'#!/bin/sh\nPYTHONPATH={code} exec {sys.executable} -c "{start}" "$@"\n'
    )
    program.chmod(0o755)
    return target


@dataclass(frozen=True)
class Site:
    """One engine's stack in one copy of the checkout."""

    engine: str
    checkout: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def tasks(self) -> Tasks:
        """The tasks of pixi.toml, on this engine."""
        return Tasks(self.checkout, self.engine)

    def environment(self, **variables: str) -> dict[str, str]:
        """Return a user's environment, without the settings of the person who tests."""
        known = {*variable_names(), "ETL_HOME", "ETL_ENGINE"}
        inherited = {k: v for k, v in os.environ.items() if k not in known}
        return inherited | dict(self.variables) | variables

    def run(self, *words: str, code: int | None = 0, **variables: str) -> Completed:
        """Run a program in the checkout; check its exit code unless it is None."""
        done = subprocess.run(
            words,
            cwd=self.checkout,
            env=self.environment(**variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=DONE_WITHIN_S,
        )
        if code is not None:
            printed = f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
            assert done.returncode == code, printed
        return done

    def start(
        self, name: str, *arguments: str, stderr: bool = False
    ) -> subprocess.Popen[str]:
        """Start a task and return its process."""
        return subprocess.Popen(
            ["sh", "-c", self.tasks.command(name, *arguments)],
            cwd=self.checkout,
            env=self.environment(**self.tasks.environment(name)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if stderr else subprocess.DEVNULL,
            text=True,
        )

    def task(
        self, name: str, *arguments: str, code: int | None = 0, **variables: str
    ) -> Completed:
        """Run a task as `pixi run NAME ARGUMENTS` does."""
        line = self.tasks.command(name, *arguments)
        given = self.tasks.environment(name) | variables
        return self.run("sh", "-c", line, code=code, **given)

    def json(self, name: str, *arguments: str, code: int = 0) -> dict[str, Any]:
        """Run a task with --json; return its document."""
        document: dict[str, Any] = json.loads(
            self.task(name, *arguments, "--json", code=code).stdout
        )
        return document

    def worker(self, *command: str, code: int | None = 0) -> Completed:
        """Run a command in the worker's place."""
        return self.task("exec-prefect-worker", *command, code=code)

    def etl(self, *words: str, code: int | None = 0) -> Completed:
        """Run the program itself, so that pixi does not change its arguments."""
        return self.run("./etl", "--engine", self.engine, *words, code=code)

    def sql(self, query: str) -> str:
        """Return what a query on the application database prints, bare."""
        return self.etl("psql", "--", "-Atc", query).stdout.strip()

    def docker(self, *words: str, code: int | None = 0) -> str:
        """Run docker itself; return what it printed, on either stream."""
        done = self.run("docker", *words, code=code)
        return done.stdout + done.stderr

    def remove_image(self) -> None:
        """Remove the image of this copy."""
        if self.engine == "docker":
            key = Home(self.checkout / ".etl").key
            self.docker("image", "rm", "--force", f"biocirv-etl:{key}", code=None)

    def inspect(self, unit: str) -> dict[str, Any]:
        """Return what docker knows of a unit's container."""
        found: list[dict[str, Any]] = json.loads(
            self.docker("inspect", f"BioCirV_ETL_{unit}")
        )
        return found[0]

    def status(self) -> dict[str, Any]:
        """Return the data of service-status."""
        return dict(self.json("service-status")["data"])

    def unit(self, name: str) -> dict[str, Any]:
        """Return one unit of the status."""
        units = {unit["name"]: unit for unit in self.status()["units"]}
        return dict(units[name])

    @property
    def prefect(self) -> Api:
        """Prefect's API, with its login."""
        status = self.json("service-status", "--show-login")["data"]
        return Api(status["ui_url"], status["login"])

    def api(self, path: str, body: object = None) -> Any:
        """Ask Prefect's API: POST with a body, else GET."""
        api = self.prefect
        method = "GET" if body is None else "POST"
        answer = api.ask(method, path, body, login=api.login)
        return answer.raise_for_status().json()

    def edit(self, name: str, old: str, new: str) -> Callable[[], None]:
        """Replace a text in a file of the checkout; return what undoes it."""
        path = self.checkout / name
        before = path.read_text()
        assert old in before
        path.write_text(before.replace(old, new, 1))
        return lambda: void(path.write_text(before))

    def set_variables(self, **values: str) -> Callable[[], None]:
        """Set lines of the .env file; return what undoes it."""
        path = self.checkout / "resources" / "docker" / ".env"
        before = path.read_text()
        kept = [
            line for line in before.splitlines() if line.partition("=")[0] not in values
        ]
        added = [f"{name}={value}" for name, value in values.items()]
        path.write_text("\n".join([*kept, *added, ""]))
        return lambda: void(path.write_text(before))


@contextmanager
def locked(site: Site, table: str) -> Iterator[None]:
    """Hold a table, so that a run that writes to it is at work for sure."""
    code = (
        "import os, psycopg, sys; from contextlib import suppress\n"
        "url = os.environ['DATABASE_URL'].replace('+psycopg', '')\n"
        "with psycopg.connect(url) as connection:\n"
        f"    connection.execute('LOCK TABLE {table}'); print('held', flush=True)\n"
        "    connection.execute('SELECT pg_sleep(120)')\n"
    )
    holder = site.start("exec-prefect-worker", "python", "-c", code.replace("'", '"'))
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    try:
        yield
    finally:
        site.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE query LIKE 'SELECT pg_sleep%'"
        )
        holder.kill()
        holder.communicate()


def void(_: object) -> None:
    """Drop a value."""
