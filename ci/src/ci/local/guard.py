"""Ends the children of a supervisor that was killed. Waits for the end of its input.

    python -m ci.local.guard HOME

The supervisor holds the other end of our standard input and never writes to it: when
it closes, the supervisor is gone, and every process with its mark is ended.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from ci.host.home import Home
from ci.local.locks import locked
from ci.local.processes import (
    Identity,
    end,
    marked,
    running_module,
    wait_ended,
    working_in,
)
from ci.stack.errors import UnitFailed

GRACE_S = 2.0
SUPERVISOR, GUARD = "ci.local.daemon", "ci.local.guard"
OTHERS_END_WITHIN_S = 20.0


class OrphansFound(UnitFailed):
    """Processes of the stack run without a supervisor."""

    code = "ORPHANS_FOUND"


def leftovers(home: Home) -> tuple[list[Identity], list[Identity]]:
    """Return the processes of a home's units: Postgres's own, and all others."""
    servers = list(working_in(home.pgdata, "postgres"))
    known = {process.pid for process in servers}
    others = [process for process in marked(home.marks) if process.pid not in known]
    return servers, others


def report_orphans(home: Home) -> None:
    """Raise OrphansFound when processes of a home run; it must have no supervisor."""
    servers, others = leftovers(home)
    if orphans := [*servers, *others]:
        shown = [str(process.pid) for process in orphans[:5]]
        pids = ", ".join(shown) + (", …" if len(orphans) > len(shown) else "")
        raise OrphansFound(
            f"the supervisor was killed, but {len(orphans)} processes of its stack "
            f"are still running: {pids}",
            "./etl down   # ends them; so does the next ./etl up or ./etl run",
        )


def sweep(home: Home, grace_s: float = GRACE_S) -> int:
    """End every process of a home that has no supervisor; return how many."""
    servers, others = leftovers(home)
    end(others, signal.SIGTERM, grace_s)
    end([process for process in servers if process.alive()], signal.SIGINT, grace_s)
    return len(others) + len(servers)


def wait_for_predecessors(home: Home, within_s: float = OTHERS_END_WITHIN_S) -> None:
    """Wait until no other supervisor or guard of a home runs; then kill it.

    Only for who holds the supervisor's lock. The others are those that found the lock
    taken and are about to exit, and those of a home that was deleted under them: they
    notice it within a second, and until they have ended would end our children, too.
    """
    others = running_module((SUPERVISOR, GUARD), str(home.root))
    for process in wait_ended(others, within_s):
        process.signal(signal.SIGKILL)


def main() -> None:
    """Wait for the supervisor's end, then sweep.

    The lock keeps a new supervisor from starting children that we would end.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    home = Home(Path(sys.argv[1]))
    with locked(home.guard_lock):
        sys.stdin.buffer.read()
        sweep(home)


if __name__ == "__main__":
    main()
