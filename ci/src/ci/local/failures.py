"""What the end of a unit's process means: an error with message, hint and exit code."""

from __future__ import annotations

import re
import time
from collections import deque

from ci.local.child import Child
from ci.local.state import State
from ci.stack.errors import (
    CONTRACT,
    PREREQUISITE,
    TIMED_OUT,
    USAGE,
    TimedOut,
    UnitFailed,
)
from ci.stack.model import RESTARTS, RESTARTS_WITHIN_S, Job

# Exit codes of a job with a meaning of their own; all others become FAILED.
KEPT_EXIT_CODES = (USAGE, PREREQUISITE, CONTRACT, TIMED_OUT)


def exit_cause(code: int) -> str:
    """Return how a process ended, from its return code."""
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


def died_too_often(deaths: deque[float]) -> bool:
    """Count a death now; return whether there were too many within the period."""
    now = time.monotonic()
    deaths.append(now)
    while now - deaths[0] > RESTARTS_WITHIN_S:
        deaths.popleft()
    return len(deaths) > RESTARTS


def service_failure(state: State, cause: str, tail: str) -> UnitFailed:
    """Return the error of a service that ended, with the end of its log."""
    detail = f", {state.detail}" if state.detail else ""
    return UnitFailed(f"{state.name} ended ({cause}{detail})\n{tail}")


def check_job(job: Job, child: Child, *, timed_out: bool) -> None:
    """Check how a job ended. Raises TimedOut or UnitFailed, with the end of its log."""
    if timed_out:
        raise TimedOut(
            f"{job.name} did not end within {job.within_s:,.0f} s\n{child.tail()}"
        )
    if code := child.process.returncode:
        raise job_failure(job.name, code, child.tail())


def job_failure(name: str, code: int, tail: str) -> UnitFailed:
    """Return the error of a job that failed, from the end of its log.

    Our own jobs end with `error: …` and `  fix: …`: these are the message and the hint.
    """
    found = re.search(r"\| error: (.+)(?:\n.*\|   fix: (.+))?", tail)
    if found:
        error = UnitFailed(f"{name} failed: {found[1]}", found[2] or "")
    else:
        error = UnitFailed(f"{name} failed (exit code {code})\n{tail}")
    if code in KEPT_EXIT_CODES:
        error.exit_code = code
    return error
