"""Fixtures of the Docker tests: a daemon, and a stack a whole file works with."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.docker.machine.daemon import Machine
from tests.docker.site import Site, copy_checkout
from tests.everything import EVERYTHING, everything_is_asked_for

FIRST_LOG = "first-start.log"  # of the database, beside the checkout
KEPT = "ETL_TEST_DOCKER"
ON_DOCKER = pytest.mark.parametrize("site", ["docker"], indirect=True)


@pytest.fixture(scope="session")
def machine() -> Iterator[Mapping[str, str]]:
    """Variables by which programs find a Docker that the tests may use.

    The machine's own if it has no stack of this project, else one of the tests' own
    where every test is asked for. Otherwise these tests are skipped.
    """
    if kept := os.environ.get(KEPT):
        own = Machine(Path(kept))
        own.start()
        yield own.environment
    elif usable_docker():
        yield {}
    elif everything_is_asked_for():
        with new_machine() as own:
            yield own.environment
    else:
        pytest.skip(
            "no Docker daemon answers, or its container names are in use "
            f"({EVERYTHING}=1 makes a daemon of its own)"
        )


@contextmanager
def new_machine() -> Iterator[Machine]:
    """Make a Docker for this session; remove it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="etl-docker-"))
    folder.chmod(0o755)
    own = Machine(folder)
    os.environ[KEPT] = str(folder)  # the tests of another folder find it, too
    try:
        own.start()
        yield own
    finally:
        del os.environ[KEPT]
        own.stop()
        shutil.rmtree(folder, ignore_errors=True)


def usable_docker() -> bool:
    """Whether a daemon answers that has no stack of this project."""
    listed = ["docker", "ps", "--all", "--quiet", "--filter", "name=BioCirV_ETL_"]
    try:
        done = subprocess.run(listed, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return False
    return done.returncode == 0 and not done.stdout


class Sites:
    """The stacks that test files share, one for each engine."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[Site, ExitStack]] = {}

    def get(self, engine: str, variables: Mapping[str, str]) -> Site:
        """Return a stack that is up and loaded, in a copy of the checkout."""
        if engine in self._open:
            site, _ = self._open[engine]
            if site.task("start-services", code=None).returncode == 0:
                return site
            self.close(engine)  # a failed test has left it so
        stack = ExitStack()
        site = stack.enter_context(new_site(engine, variables))
        self._open[engine] = site, stack
        site.task("start-services")
        if engine == "docker":
            log = site.docker("logs", "BioCirV_ETL_db")
            (site.checkout.parent / FIRST_LOG).write_text(log)
        site.task("deploy")
        site.task("run-etl")
        return site

    def close(self, engine: str) -> None:
        """Remove an engine's stack: the names of its containers are free again."""
        if engine in self._open:
            self._open.pop(engine)[1].close()


SITES = Sites()


@pytest.fixture(scope="session")
def sites(machine: Mapping[str, str]) -> Iterator[Sites]:
    """The shared stacks; they are removed before the machine is."""
    yield SITES
    for engine in ("local", "docker"):
        SITES.close(engine)


@pytest.fixture(scope="module", params=["local", "docker"])
def site(
    request: pytest.FixtureRequest, sites: Sites, machine: Mapping[str, str]
) -> Site:
    """A stack that is up and loaded, by the documented way.

    Test files share it, so each test leaves it up and with the settings that it found.
    The rows take minutes, so the local engine's are left out where Docker's are.
    """
    return sites.get(request.param, machine if request.param == "docker" else {})


@contextmanager
def new_site(engine: str, variables: Mapping[str, str]) -> Iterator[Site]:
    """Copy the checkout with the template of the settings; leave nothing behind."""
    root = Path(tempfile.mkdtemp(prefix="etl-site-"))
    root.chmod(0o755)  # Postgres runs as another user when the tests run as root
    site = Site(engine, copy_checkout(root / "checkout"), variables)
    folder = site.checkout / "resources" / "docker"
    shutil.copy(folder / ".env.example", folder / ".env")
    try:
        yield site
    finally:
        site.task("teardown-services-volumes", "--yes", code=None)
        site.remove_image()
        shutil.rmtree(root, ignore_errors=True)
