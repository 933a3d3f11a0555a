"""Signals while a job has the terminal: Ctrl-C, a closed terminal, a kill."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

Job = subprocess.Popen[Any]
FORWARDED = (signal.SIGHUP, signal.SIGTERM)


@contextmanager
def passing_interrupts() -> Iterator[None]:
    """Leave Ctrl-C to the job, which gets it from the terminal and then ends."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def forwarding_signals() -> Iterator[Callable[[Job], None]]:
    """Leave Ctrl-C to the job, and forward SIGHUP and SIGTERM to it.

    These may have been sent to us alone. Yields the function that names the job; enter
    the block before the job is started, so that no signal is lost in between.
    """
    jobs: list[Job] = []
    received: list[int] = []

    def forward(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        for job in jobs:
            job.send_signal(number)

    def attach(job: Job) -> None:
        jobs.append(job)
        for number in received:
            job.send_signal(number)

    def leave_to_job(_number: int, _frame: FrameType | None) -> None:
        """Do nothing. Not SIG_IGN: a process that is started would inherit that."""

    handlers = dict.fromkeys(FORWARDED, forward) | {signal.SIGINT: leave_to_job}
    before = {number: signal.signal(number, to) for number, to in handlers.items()}
    try:
        yield attach
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
