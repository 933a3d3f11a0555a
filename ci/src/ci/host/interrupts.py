"""Signals while a job has the terminal: Ctrl-C, a closed terminal, a kill."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

FORWARDED = (signal.SIGHUP, signal.SIGTERM)


@contextmanager
def passing_interrupts(job: subprocess.Popen[Any] | None = None) -> Iterator[None]:
    """Leave the end of the block to the job: it cancels its work and then ends.

    Ctrl-C reaches it from the terminal, so we ignore it. SIGHUP and SIGTERM may have
    been sent to us alone: they are forwarded to `job`, or ignored without one.
    """

    def forward(number: int, _frame: FrameType | None) -> None:
        if job is not None and job.returncode is None:
            job.send_signal(number)

    handlers = dict.fromkeys(FORWARDED, forward) | {signal.SIGINT: signal.SIG_IGN}
    before = {number: signal.signal(number, to) for number, to in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
