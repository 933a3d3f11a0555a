"""Follows a flow run to its end: state changes and log lines, as they come.

Polls four times a second (faster polling slows the one-process server that it asks) and
survives a short outage of the server. A run that cannot start is reported with the
reason, e.g. a paused work pool. When no worker is online any more and the run's process
is gone, the run is ended.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from etl.flows.prefect_api import FlowRun, LogLine, PrefectApi, PrefectUnavailable
from etl.flows.waiting import waiting_reason

POLL_SECONDS = 0.25
OUTAGE_SECONDS = 60.0
WORKER_CHECK_SECONDS = 2.0
NO_WORKER_SECONDS = 20.0
# Records are delivered in batches, a source's later than its parent's: look back a bit.
LOG_OVERLAP = timedelta(seconds=10)
OWN_LOGGER = "etl"
NAME_WIDTH = 16


class Follower:
    """Watches one run and reports its progress.

    Args:
        api: The server.
        run: The run, as it was created.
        pool: The work pool that the run belongs to.
        process_is_alive: Returns whether the run's process still holds its ledger.
        report: Prints one line of progress.
        no_worker_seconds: How long the pool may be without an online worker.
    """

    def __init__(
        self,
        api: PrefectApi,
        run: FlowRun,
        pool: str,
        *,
        process_is_alive: Callable[[], bool],
        report: Callable[[str], None],
        no_worker_seconds: float = NO_WORKER_SECONDS,
    ) -> None:
        self._api = api
        self._run = run
        self._pool = pool
        self._process_is_alive = process_is_alive
        self._report = report
        self._no_worker_seconds = no_worker_seconds
        self._names = {run.id: "run"}
        self._states: dict[str, str] = {}
        self._seen_logs: set[str] = set()
        self._newest_log: datetime | None = None
        self._reasons: set[str] = set()
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
        """Report the log lines that arrived after the last poll."""
        since = self._newest_log - LOG_OVERLAP if self._newest_log else None
        for line in self._api.logs(self._names, after=since):
            self._newest_log = line.at
            if line.id not in self._seen_logs:
                self._seen_logs.add(line.id)
                self._report_log(line)

    def _poll(self) -> FlowRun:
        """Report what is new and return the run as it is now."""
        run = self._api.flow_run(self._run.id)
        # A child that has not started does not have its source's name yet.
        children = [c for c in self._api.children(run.id) if c.has_started]
        self._names |= {child.id: child.name for child in children}
        self.drain_logs()
        for seen in (*children, run):
            if self._states.get(seen.id) != seen.state_name:
                self._states[seen.id] = seen.state_name
                self._report_line(self._names[seen.id], seen.state_name)
        return run

    def _report_log(self, line: LogLine) -> None:
        """Report our own lines; Prefect's repeat the states, with tracebacks."""
        if line.logger.split(".")[0] == OWN_LOGGER:
            self._report_line(self._names[line.flow_run_id], line.message)

    def _report_line(self, name: str, text: str) -> None:
        text = text.removeprefix(f"{name}: ")  # a source's own lines begin with it
        self._report(f"{datetime.now():%H:%M:%S}  {name:<{NAME_WIDTH}}  {text}")

    def _check_worker(self, run: FlowRun) -> None:
        """Report why a run waits; end one that no worker and no process works on."""
        now = time.monotonic()
        if now - self._worker_checked_at < WORKER_CHECK_SECONDS:
            return
        self._worker_checked_at = now
        online = self._api.has_worker_online(self._pool)
        if not run.has_started:
            self._report_reason(waiting_reason(self._api, run, self._pool, online))
        if online:
            self._worker_seen_at = now
        elif now - self._worker_seen_at > self._no_worker_seconds:
            self._end_without_worker(run)

    def _report_reason(self, reason: str | None) -> None:
        """Report why a run waits, once for each reason."""
        if reason and reason not in self._reasons:
            self._reasons.add(reason)
            self._report_line("run", reason)

    def _end_without_worker(self, run: FlowRun) -> None:
        seconds = f"{self._no_worker_seconds:.0f} s"
        missing = f"no worker of pool {self._pool} has been online for {seconds}"
        if not run.has_started:
            self._api.set_state(run.id, "CANCELLED", missing, force=True)
        elif not self._process_is_alive():
            message = f"{missing} and the run's process is gone"
            self._api.set_state(run.id, "CRASHED", message, force=True)
