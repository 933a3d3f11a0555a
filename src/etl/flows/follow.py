"""Follows a flow run to its end: state changes and log lines, as they come.

Polls four times a second (faster polling slows the one-process server that it asks),
rides out a short outage of the server, and does not wait for ever: when no worker is
alive any more and the run's process is gone, it says so and ends the run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from etl.flows.api import PrefectUnavailable
from etl.flows.prefect_api import FlowRun, LogLine, PrefectApi

POLL_SECONDS = 0.25
OUTAGE_SECONDS = 60.0
WORKER_CHECK_SECONDS = 2.0
NO_WORKER_SECONDS = 20.0
# Records are delivered in batches, a source's later than its parent's: look back a bit.
LOG_OVERLAP = timedelta(seconds=10)
OWN_LOGGER = "etl"


class Follower:
    """Watches one run and tells `say` what happens.

    Args:
        api: The server.
        run: The run, as it was created.
        pool: The work pool whose workers may run it.
        process_is_alive: Tells whether the run's process still holds its ledger.
        say: Takes one line of progress.
    """

    def __init__(
        self,
        api: PrefectApi,
        run: FlowRun,
        pool: str,
        *,
        process_is_alive: Callable[[], bool],
        say: Callable[[str], None],
    ) -> None:
        self._api = api
        self._run = run
        self._pool = pool
        self._process_is_alive = process_is_alive
        self._say = say
        self._names = {run.id: "run"}
        self._states: dict[str, str] = {}
        self._seen_logs: set[str] = set()
        self._newest_log: datetime | None = None
        self._worker_seen_at = self._worker_checked_at = time.monotonic()

    def to_the_end(self) -> FlowRun:
        """Return the run in its final state.

        Raises:
            PrefectUnavailable: The server did not answer for a minute.
        """
        answered_at = time.monotonic()
        while True:
            try:
                run = self._look()
                if run.is_final:
                    return run
                self._check_worker(run)
                answered_at = time.monotonic()
            except PrefectUnavailable:
                if time.monotonic() - answered_at > OUTAGE_SECONDS:
                    raise
            time.sleep(POLL_SECONDS)

    def drain_logs(self) -> None:
        """Tell the log lines that arrived after the last look."""
        since = self._newest_log - LOG_OVERLAP if self._newest_log else None
        for line in self._api.logs(self._names, after=since):
            self._newest_log = line.at
            if line.id not in self._seen_logs:
                self._seen_logs.add(line.id)
                self._tell_log(line)

    def _look(self) -> FlowRun:
        """Tell what is new and return the run as it is now."""
        run = self._api.flow_run(self._run.id)
        # A child that has not started does not bear its source's name yet.
        children = [c for c in self._api.children(run.id) if c.has_started]
        self._names |= {child.id: child.name for child in children}
        self.drain_logs()
        for seen in (*children, run):
            if self._states.get(seen.id) != seen.state_name:
                self._states[seen.id] = seen.state_name
                self._tell(self._names[seen.id], seen.state_name)
        return run

    def _tell_log(self, line: LogLine) -> None:
        """Tell our own lines; Prefect's repeat the states, with tracebacks."""
        if line.logger.split(".")[0] == OWN_LOGGER:
            self._tell(self._names[line.flow_run_id], line.message)

    def _tell(self, who: str, what: str) -> None:
        self._say(f"{datetime.now():%H:%M:%S}  {who:<12} {what}")

    def _check_worker(self, run: FlowRun) -> None:
        """End a run whose worker is gone and whose process is gone with it."""
        now = time.monotonic()
        if now - self._worker_checked_at < WORKER_CHECK_SECONDS:
            return
        self._worker_checked_at = now
        if self._api.has_worker_online(self._pool):
            self._worker_seen_at = now
        elif now - self._worker_seen_at > NO_WORKER_SECONDS:
            self._end_without_worker(run)

    def _end_without_worker(self, run: FlowRun) -> None:
        seconds = f"{NO_WORKER_SECONDS:.0f} s"
        missing = f"no worker of pool {self._pool} has been alive for {seconds}"
        if not run.has_started:
            self._api.set_state(run.id, "CANCELLED", missing, force=True)
        elif not self._process_is_alive():
            message = f"{missing} and the run's process is gone"
            self._api.set_state(run.id, "CRASHED", message, force=True)
