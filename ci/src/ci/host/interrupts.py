"""Ctrl-C while another program has the terminal."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def passing_interrupts() -> Iterator[None]:
    """Leave Ctrl-C to the job: it has it from the terminal too, and ends by itself."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
