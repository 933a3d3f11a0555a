"""Jobs on a running local stack: their bound, their signals, and how they fail."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from tests.stack.conftest import CHECKOUT, Program

from ci.local.client import connect
from ci.local.engine import LocalEngine
from ci.local.session import LocalSession
from ci.stack.errors import TimedOut
from ci.stack.model import Job, Stack
from ci.stack.settings import StackSettings


def job(name: str, code: str, *, within_s: float, interactive: bool = False) -> Job:
    """Return a job that runs a line of Python."""
    return Job(
        name=name,
        summary="of the tests",
        command=("python", "-c", code),
        within_s=within_s,
        interactive=interactive,
    )


JOBS = (
    job("endless", "import time; time.sleep(600)", within_s=0.2),
    job("shell", "import time; time.sleep(1)", within_s=0.2, interactive=True),
)


@pytest.fixture
def session(running: Program) -> Iterator[LocalSession]:
    """A session on the running stack, with jobs of the tests."""
    engine = LocalEngine(CHECKOUT, running.home, StackSettings())
    client = connect(running.home)
    assert client
    with client:
        stack = Stack({job.name: job for job in JOBS})
        launcher = engine.launcher(client.account())
        yield LocalSession(client, stack, launcher, engine.read_status)


def test_a_job_that_exceeds_the_bound_of_its_description_is_ended(
    session: LocalSession,
) -> None:
    with pytest.raises(TimedOut, match="endless did not end within 0 s") as failure:
        session.run_job("endless", [], capture=True)
    assert failure.value.exit_code == 124


def test_an_interactive_job_has_no_bound(session: LocalSession) -> None:
    assert session.run_job("shell", [], capture=True) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_signal_to_the_command_line_alone_reaches_its_job(
    running: Program, number: signal.Signals
) -> None:
    script = "trap 'exit 9' HUP TERM; echo ready; while :; do sleep 0.1; done"
    process = running.start("exec", "db", "--", "sh", "-c", script)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 9


def test_a_database_ahead_of_the_checkout_ends_every_verb_with_4(
    running: Program,
) -> None:
    version = "SELECT version_num FROM alembic_version"
    seen = running("psql", "--", "-Atc", version).stdout.strip()
    update = "UPDATE alembic_version SET version_num = '{}'"
    running("psql", "--", "-qc", update.format("2999"))
    try:
        for verb in ("migrate", "runs", "run"):
            error = running.json(verb, code=4)["error"]
            assert "2999" in error["message"], verb
            assert "git pull" in error["hint"], verb
    finally:
        running("psql", "--", "-qc", update.format(seen))
