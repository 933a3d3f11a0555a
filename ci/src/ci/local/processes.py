"""Processes by identity: pid and start time together, so a reused pid is never hit."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Identity:
    """One process, which differs from a later one with the same pid."""

    pid: int
    started_at: float

    @classmethod
    def of(cls, pid: int) -> Identity:
        """Return the identity of a process that is alive now."""
        return cls(pid, psutil.Process(pid).create_time())

    def alive(self) -> bool:
        """Whether it still runs; an unreaped zombie counts as ended."""
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self.pid)
            return (
                abs(process.create_time() - self.started_at) < 0.05
                and process.status() != psutil.STATUS_ZOMBIE
            )
        return False

    def signal_group(self, number: int) -> None:
        """Signal its process group (each child leads its own), if it is still it."""
        if self.alive():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)


def marked(marks: Mapping[str, str]) -> Iterator[Identity]:
    """Find every process with these environment entries, ourselves excepted."""
    for process in psutil.process_iter(["pid"]):
        with contextlib.suppress(psutil.Error, OSError):
            if (
                process.pid != os.getpid()
                and marks.items() <= process.environ().items()
            ):
                yield Identity(process.pid, process.create_time())


def working_in(folder: Path, program: str) -> Iterator[Identity]:
    """Find the processes of a program in the working directory `folder`.

    Postgres's backends work in their data directory: this finds those that outlive
    a killed postmaster, whatever became of their environment.
    """
    for process in psutil.process_iter(["pid", "name"]):
        with contextlib.suppress(psutil.Error, OSError):
            if process.info["name"] == program and Path(process.cwd()) == folder:
                yield Identity(process.pid, process.create_time())


def end(identities: Iterable[Identity], number: int, within_s: float) -> None:
    """Signal processes, wait up to `within_s`, then kill what is left."""
    waiting = [process for process in identities if process.alive()]
    for process in waiting:
        kill(process, number)
    deadline = time.monotonic() + within_s
    while waiting and time.monotonic() < deadline:
        time.sleep(0.01)
        waiting = [process for process in waiting if process.alive()]
    for process in waiting:
        kill(process, signal.SIGKILL)


def kill(process: Identity, number: int) -> None:
    """Signal one process, not its group, if it is still the one meant."""
    if process.alive():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process.pid, number)
