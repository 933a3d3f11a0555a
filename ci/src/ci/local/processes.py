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

POLL_S = 0.01


@dataclass(frozen=True)
class Identity:
    """One process, distinct from a later one with the same pid."""

    pid: int
    started_at: float

    @classmethod
    def of(cls, pid: int) -> Identity:
        """Return the identity of a running process. Raises psutil.Error."""
        return cls(pid, psutil.Process(pid).create_time())

    @classmethod
    def find(cls, pid: int) -> Identity | None:
        """Return the identity of a process; None when it has ended already."""
        with contextlib.suppress(psutil.Error):
            return cls.of(pid)
        return None

    def alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self.pid)
            return (
                abs(process.create_time() - self.started_at) < 0.05
                and process.status() != psutil.STATUS_ZOMBIE
            )
        return False

    def signal(self, number: int) -> None:
        """Signal this process, not its group, if it still runs."""
        if self.alive():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, number)

    def signal_group(self, number: int) -> None:
        """Signal its process group (each child leads its own), if it still runs."""
        if self.alive():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)


def marked(marks: Mapping[str, str]) -> Iterator[Identity]:
    """Find every other process with these environment entries."""
    for process in psutil.process_iter(["pid"]):
        with contextlib.suppress(psutil.Error, OSError):
            if (
                process.pid != os.getpid()
                and marks.items() <= process.environ().items()
            ):
                yield Identity(process.pid, process.create_time())


def working_in(folder: Path, program: str) -> Iterator[Identity]:
    """Find the processes of a program that work in a folder.

    Postgres's backends work in their data directory: this finds those that outlive
    a killed postmaster, even when they have lost their environment.
    """
    for process in psutil.process_iter(["pid", "name"]):
        with contextlib.suppress(psutil.Error, OSError):
            if process.info["name"] == program and Path(process.cwd()) == folder:
                yield Identity(process.pid, process.create_time())


def running_module(modules: Iterable[str], argument: str) -> list[Identity]:
    """Find every other `python -m MODULE …` that has this argument."""
    wanted, found = set(modules), []
    for process in psutil.process_iter(["pid", "cmdline"]):
        words = process.info["cmdline"] or []
        if process.pid != os.getpid() and argument in words and wanted & {*words}:
            with contextlib.suppress(psutil.Error):
                found.append(Identity(process.pid, process.create_time()))
    return found


def wait_ended(identities: Iterable[Identity], within_s: float) -> list[Identity]:
    """Wait until processes have ended; return those that have not in time."""
    waiting = [process for process in identities if process.alive()]
    deadline = time.monotonic() + within_s
    while waiting and time.monotonic() < deadline:
        time.sleep(POLL_S)
        waiting = [process for process in waiting if process.alive()]
    return waiting


def end(identities: Iterable[Identity], number: int, within_s: float) -> None:
    """Signal processes, wait up to `within_s`, then kill those that are left."""
    running = [process for process in identities if process.alive()]
    for process in running:
        process.signal(number)
    for process in wait_ended(running, within_s):
        process.signal(signal.SIGKILL)
