"""Reports the progress of long work, at most one line per half minute."""

from __future__ import annotations

import logging
import time

EVERY_S = 30.0


class Progress:
    """Counts what is done; silent for work that is over soon."""

    def __init__(self, logger: logging.Logger, what: str) -> None:
        self._logger, self._what = logger, what
        self._started = self._reported_at = time.monotonic()
        self.done = 0

    def advance(self, count: int) -> None:
        """Add to what is done; report it if half a minute has passed."""
        self.done += count
        now = time.monotonic()
        if now - self._reported_at >= EVERY_S:
            self._reported_at = now
            rate = self.done / (now - self._started)
            self._logger.info("%s: %s rows, %.0f a second", self._what, self.done, rate)

    @property
    def seconds(self) -> float:
        """How long it has taken."""
        return time.monotonic() - self._started
