"""Fixtures of the stack tests: homes that are cleaned up whatever a test did."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from ci.host.home import Home
from ci.local.guard import sweep
from ci.local.processes import Identity, marked

CHECKOUT = Path(__file__).resolve().parents[2]
PROGRAM = Path(sys.executable).parent / "etl"
ORPHANS_GONE_WITHIN_S = 5.0


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio, as the program does."""
    return "asyncio"


@pytest.fixture(scope="module")
def new_home() -> Iterator[Home]:
    """A home for all tests of a module."""
    with made_home() as home:
        yield home


@pytest.fixture
def home() -> Iterator[Home]:
    """A home of its own; nothing of it outlives the test."""
    with made_home() as home:
        yield home


@pytest.fixture(scope="session")
def prepared() -> Iterator[Home]:
    """A home with migrated databases, made once, because that takes seconds."""
    with made_home() as home:
        program = Program(home)
        program("up")
        program("down")
        yield home


@contextmanager
def made_home() -> Iterator[Home]:
    """Make a home, and end what runs in it afterwards."""
    root = Path(tempfile.mkdtemp(prefix="etl-home-"))
    root.chmod(0o755)  # Postgres runs as another user when the tests run as root
    home = Home(root)
    home.make()
    yield home
    sweep(home)
    shutil.rmtree(root, ignore_errors=True)


def processes(home: Home) -> list[Identity]:
    """Every process of a home, its supervisor included."""
    found = list(marked(home.marks))
    for process in psutil.process_iter(["cmdline"]):
        if str(home.root) in (process.info["cmdline"] or []):
            found.append(Identity(process.pid, process.create_time()))
    return found


def wait_gone(home: Home, within_s: float = ORPHANS_GONE_WITHIN_S) -> list[Identity]:
    """Wait until no process of a home is left; return those that stay."""
    deadline = time.monotonic() + within_s
    while (left := processes(home)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


@dataclass(frozen=True)
class Program:
    """The program `etl` on one home, with settings of a user's environment."""

    home: Home
    settings: Mapping[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """Return the environment of a user who has set ETL_HOME and the settings."""
        return {**os.environ, **self.settings, "ETL_HOME": str(self.home.root)}

    def start(
        self, *words: str, output: int = subprocess.PIPE, **options: Any
    ) -> subprocess.Popen[str]:
        """Start a verb and return its process."""
        return subprocess.Popen(
            [str(PROGRAM), *words],
            env=self.environment(),
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.PIPE,
            cwd=CHECKOUT,
            **options,
        )

    def __call__(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a verb to its end and check its exit code."""
        process = self.start(*words)
        out, err = process.communicate(timeout=170)
        assert process.returncode == code, (
            f"{words}: {process.returncode}\n{out}\n{err}"
        )
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def json(self, *words: str, code: int = 0) -> dict[str, Any]:
        """Run a verb with --json; return its document, which is all it may print."""
        document: dict[str, Any] = json.loads(self(*words, "--json", code=code).stdout)
        return document

    def unit(self, name: str) -> dict[str, Any]:
        """Return one unit of the status."""
        units = self.json("status")["data"]["units"]
        return next(unit for unit in units if unit["name"] == name)


def copied(prepared: Home, home: Home) -> Program:
    """Put a copy of the prepared databases into a home."""
    subprocess.run(["cp", "-a", prepared.pgdata, home.pgdata], check=True)
    return Program(home)


@pytest.fixture
def etl(home: Home, prepared: Home) -> Program:
    """The program on a home of its own, with migrated and otherwise empty databases."""
    return copied(prepared, home)


@pytest.fixture(scope="module")
def running(new_home: Home, prepared: Home) -> Iterator[Program]:
    """The program on a stack that is up, shared by the tests of a module."""
    program = copied(prepared, new_home)
    program("up")
    yield program
    program("down")
