"""Follows a flow run to its end and reports its state changes and log lines.

It polls four times a second; faster polling slows the server, which is one process. A
short outage of the server is tolerated. When no worker is online and the run's process
no longer exists, it ends the run with that reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from etl.flows.prefect_api import FlowRun, LogLine, PrefectApi, PrefectUnavailable

POLL_SECONDS = 0.25
OUTAGE_SECONDS = 60.0
WORKER_CHECK_SECONDS = 2.0
NO_WORKER_SECONDS = 20.0
# Records are delivered in batches, a source's later than its parent's: look back a bit.
LOG_OVERLAP = timedelta(seconds=10)
OWN_LOGGER = "etl"


class Follower:
    """Watches one run and reports its progress.

    Args:
        api: The server.
        run: The run, as it was created.
        pool: The work pool with the workers that may run it.
        process_is_alive: Returns whether the run's process still holds its ledger.
        report: Receives each line of progress.
    """

    def __init__(
        self,
        api: PrefectApi,
        run: FlowRun,
        pool: str,
        *,
        process_is_alive: Callable[[], bool],
        report: Callable[[str], None],
    ) -> None:
        self._api = api
        self._run = run
        self._pool = pool
        self._process_is_alive = process_is_alive
        self._report_line = report
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
                run = self._poll()
                if run.is_final:
                    return run
                self._check_worker(run)
                answered_at = time.monotonic()
            except PrefectUnavailable:
                if time.monotonic() - answered_at > OUTAGE_SECONDS:
                    raise
            time.sleep(POLL_SECONDS)

    def drain_logs(self) -> None:
        """Report the log lines that arrived since the last poll."""
        since = self._newest_log - LOG_OVERLAP if self._newest_log else None
        for line in self._api.logs(self._names, after=since):
            self._newest_log = line.at
            if line.id not in self._seen_logs:
                self._seen_logs.add(line.id)
                self._report_log(line)

    def _poll(self) -> FlowRun:
        """Report what is new and return the run in its present state."""
        run = self._api.flow_run(self._run.id)
        # A child run gets its source's name when it starts.
        children = [c for c in self._api.children(run.id) if c.has_started]
        self._names |= {child.id: child.name for child in children}
        self.drain_logs()
        for seen in (*children, run):
            if self._states.get(seen.id) != seen.state_name:
                self._states[seen.id] = seen.state_name
                self._report(self._names[seen.id], seen.state_name)
        return run

    def _report_log(self, line: LogLine) -> None:
        """Report lines of this package; Prefect's repeat the states with tracebacks."""
        if line.logger.split(".")[0] == OWN_LOGGER:
            self._report(self._names[line.flow_run_id], line.message)

    def _report(self, name: str, text: str) -> None:
        self._report_line(f"{datetime.now():%H:%M:%S}  {name:<12} {text}")

    def _check_worker(self, run: FlowRun) -> None:
        """End a run without a worker and without a process."""
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
        missing = f"no worker of pool {self._pool} has been online for {seconds}"
        if not run.has_started:
            self._api.set_state(run.id, "CANCELLED", missing, force=True)
        elif not self._process_is_alive():
            message = f"{missing} and the run's process no longer exists"
            self._api.set_state(run.id, "CRASHED", message, force=True)
