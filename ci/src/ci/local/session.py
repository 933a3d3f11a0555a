"""A leased local stack: runs jobs and commands on our terminal, within their bounds."""

from __future__ import annotations

import contextlib
import math
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from ci.host.engine import Status
from ci.host.interrupts import forwarding_signals
from ci.local.client import Client, Event
from ci.local.launch import Launch, Launcher
from ci.stack.errors import TimedOut, UnitFailed, UsageError
from ci.stack.model import Job, Stack

CHECK_PAUSE_S = 0.5  # between two checks of the job's bound and of the supervisor
STOP_GRACE_S = 15.0  # a run that is stopped cancels itself first


class LocalSession:
    """Jobs and commands of a stack that is up.

    The lease ends with the client's block, and with us if we are killed.
    """

    def __init__(
        self,
        client: Client,
        stack: Stack,
        launcher: Launcher,
        read_status: Callable[[Event], Status],
    ) -> None:
        self._client, self._stack = client, stack
        self._launcher, self._read_status = launcher, read_status

    def run_job(
        self,
        name: str,
        arguments: Iterable[str],
        *,
        capture: bool,
        files: Iterable[Path] = (),  # noqa: ARG002  # a local job has them at hand
    ) -> tuple[int, str]:
        """Run a job; return its exit code, and with `capture` its standard output.

        Raises TimedOut when it does not end within the bound of its description.
        """
        job = self._stack.unit(name)
        launch = self._launcher.command(job, (*job.command, *arguments))
        interactive = isinstance(job, Job) and job.interactive
        within_s = math.inf if interactive else job.within_s
        return self._run(launch, name, within_s, capture=capture)

    def run_command(self, unit: str, command: list[str]) -> int:
        """Run a command with a unit's programs and environment, without a bound."""
        launch = self._launcher.command(self._stack.unit(unit), tuple(command))
        return self._run(launch, command[0], math.inf, capture=False)[0]

    def _run(
        self, launch: Launch, name: str, within_s: float, *, capture: bool
    ) -> tuple[int, str]:
        with forwarding_signals() as attach:
            process = start(launch, capture=capture)
            attach(process)
            self._client.own_job(process.pid)
            output = self._wait(process, name, within_s)
        code = process.returncode
        return (code if code >= 0 else 128 - code), output

    def _wait(self, process: subprocess.Popen[str], name: str, within_s: float) -> str:
        """Wait for a job; end it when its bound has passed or its stack is gone."""
        deadline = time.monotonic() + within_s
        while True:
            try:
                return process.communicate(timeout=CHECK_PAUSE_S)[0] or ""
            except subprocess.TimeoutExpired:
                if self._client.lost():
                    stop(process, 0)
                    raise UnitFailed(
                        "the supervisor was killed, and the whole stack with it",
                        "run the command again: it starts a new one",
                    ) from None
                if time.monotonic() > deadline:
                    stop(process, STOP_GRACE_S)
                    raise TimedOut(
                        f"{name} did not end within {within_s:,.0f} s and was stopped",
                        f"./etl status; the bound of {name} is in "
                        "ci/src/ci/stack/jobs.py",
                    ) from None

    def status(self) -> Status:
        """Return the state of the stack."""
        return self._read_status(self._client.account())


def start(launch: Launch, *, capture: bool) -> subprocess.Popen[str]:
    """Start a process on our terminal. Raises UsageError when there is no program."""
    try:
        return subprocess.Popen(
            launch.command,
            env=launch.environment,
            cwd=launch.folder,
            stdout=subprocess.PIPE if capture else None,
            text=True,
            **launch.options,
        )
    except FileNotFoundError:
        program = launch.command[0]
        hint = "./etl exec SERVICE CMD…"
        raise UsageError(f"there is no program {program!r}", hint) from None


def stop(process: subprocess.Popen[str], grace_s: float) -> None:
    """Terminate a process, and kill it when it has not ended in time."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=grace_s)
    process.kill()
    process.communicate()
