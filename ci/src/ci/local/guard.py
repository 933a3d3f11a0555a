"""Ends the children of a supervisor that was killed. Waits for the end of its input.

    python -m ci.local.guard HOME

The supervisor holds the other end of our standard input. Nothing is ever written: when
it closes, the supervisor is gone, and whatever still carries its mark is ended.
"""

from __future__ import annotations

import fcntl
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ci.host.home import Home
from ci.local.processes import end, marked, working_in

GRACE_S = 2.0


def sweep(home: Home, grace_s: float = GRACE_S) -> int:
    """End every process of a home that has no supervisor; return how many."""
    servers = list(working_in(home.pgdata, "postgres"))
    known = {server.pid for server in servers}
    others = [child for child in marked(home.marks) if child.pid not in known]
    end(others, signal.SIGTERM, grace_s)
    end([server for server in servers if server.alive()], signal.SIGINT, grace_s)
    return len(others) + len(servers)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file's lock; the kernel gives it back however we end."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


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
