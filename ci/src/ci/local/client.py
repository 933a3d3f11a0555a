"""The client of the supervisor: start it, send requests, hold a lease.

Synchronous on purpose: it reads one socket, and a command line that needs no event loop
starts 60 ms sooner.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import pwd
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from ci.host.home import Home
from ci.local.locks import OTHER_HOME, is_locked
from ci.stack.errors import PrerequisiteMissing, StackError, TimedOut, UnitFailed

READY_WITHIN_S = 120.0  # of a supervisor that we have started and that has the lock
POLL_S = 0.05
MAX_STARTS = 3
REPORT_AFTER_S = 2.0  # of waiting for another command's supervisor
Event = dict[str, Any]


def failure(problem: dict[str, Any]) -> StackError:
    """Rebuild an error that the supervisor reported."""
    error = StackError(problem["what"], problem["hint"])
    error.code, error.exit_code = problem["code"], problem["exit_code"]
    return error


class SupervisorEnded(UnitFailed):
    """The supervisor closed the connection: it has stopped, or was killed."""

    code = "SUPERVISOR_ENDED"


class Client:
    """One connection to a supervisor. Closing it ends the lease."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lines = connection.makefile("rb")

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(StackError):
            if error is None or isinstance(error, StackError):
                self.ask({"do": "leave"})  # else the stack is stopped without grace
        self._lines.close()
        self._connection.close()

    def ask(
        self, request: dict[str, Any], watch: Callable[[Event], None] | None = None
    ) -> Event:
        """Send one request and return its answer; `watch` gets the events before it."""
        try:
            self._connection.sendall(json.dumps(request).encode() + b"\n")
            for line in self._lines:
                message: Event = json.loads(line)
                if "event" in message:
                    if watch:
                        watch(message["event"] | {"already": "already" in message})
                elif "error" in message:
                    raise failure(message["error"])
                else:
                    return message
        except (BrokenPipeError, ConnectionResetError):
            pass
        raise SupervisorEnded(
            "the supervisor has ended", "./etl status; then run the command again"
        )

    def ensure(
        self, units: list[str], keep: bool, watch: Callable[[Event], None]
    ) -> Event:
        """Bring units up and hold them; with `keep` they stay up afterwards."""
        return self.ask({"do": "ensure", "units": units, "keep": keep}, watch)

    def account(self) -> Event:
        """Return the state of the stack."""
        return self.ask({"do": "status"})

    def lost(self) -> bool:
        """Whether the supervisor has closed the connection; nothing is consumed."""
        if not select.select([self._connection], [], [], 0)[0]:
            return False
        try:
            return not self._connection.recv(1, socket.MSG_PEEK)
        except ConnectionResetError:
            return True

    def own_job(self, pid: int) -> None:
        """Have the supervisor end a job of ours if we are killed."""
        self.ask({"do": "job", "pid": pid})


def connect(home: Home) -> Client | None:
    """Connect to the home's supervisor; None when none answers.

    Raises PrerequisiteMissing when the home is no folder, or another user's.
    """
    check_owner(home)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(home.sockets / "control.sock"))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    except OSError as error:
        connection.close()
        raise PrerequisiteMissing(
            f"{home.root} cannot be used for state: {error.strerror}",
            OTHER_HOME,
        ) from None
    return Client(connection)


def check_owner(home: Home) -> None:
    """Check that a home is ours: its files are for its owner alone, Postgres's too."""
    try:
        uid = home.root.stat().st_uid
    except OSError:  # absent, or reported by who uses it
        return
    if uid != os.geteuid():
        raise PrerequisiteMissing(
            f"{home.root} belongs to {user_name(uid)}, and you are "
            f"{user_name(os.geteuid())}",
            OTHER_HOME,
        )


def user_name(uid: int) -> str:
    """Return a user's name, or the number of one that has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def connect_or_start(
    checkout: Path, home: Home, report: Callable[[str], None]
) -> Client:
    """Connect to the home's supervisor, starting one if there is none.

    While another command's supervisor is starting or stopping, this waits for it
    however long that takes, and reports that it waits.
    """
    starts, waiting_since = 0, 0.0
    while starts <= MAX_STARTS:
        if client := connect(home):
            return client
        if not is_locked(home.supervisor_lock):
            starts += start(checkout, home)
            continue
        waiting_since = waiting_since or time.monotonic()
        if time.monotonic() - waiting_since > REPORT_AFTER_S:
            report(
                "etl: waiting for the supervisor of another command to start or stop"
            )
            waiting_since = math.inf
        time.sleep(POLL_S)
    raise UnitFailed(
        f"the supervisor ends as soon as it has started\n{home.supervisor_log}",
        "./etl logs supervisor",
    )


def start(checkout: Path, home: Home) -> bool:
    """Start a supervisor in a session of its own.

    Returns:
        True when it listens; False when another one got the lock first.

    Raises:
        StackError: It could not start, with its reason.
    """
    home.make()
    reading, writing = os.pipe()
    with home.supervisor_log.open("ab") as log:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "ci.local.daemon",
                str(checkout), str(home.root), str(writing),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=checkout,
            pass_fds=(writing,),
            start_new_session=True,
        )  # fmt: skip
    os.close(writing)
    with open(reading, "rb") as pipe:  # noqa: PTH123 - a file descriptor
        if not select.select([pipe], [], [], READY_WITHIN_S)[0]:
            process.kill()
            raise TimedOut(
                f"the supervisor did not start in {READY_WITHIN_S:.0f} s",
                f"tail {home.supervisor_log}",
            )
        answer = pipe.read()
    if answer.startswith(b"{"):
        raise failure(json.loads(answer))
    if answer not in (b"ready\n", b"busy\n"):
        raise UnitFailed("the supervisor ended at once", f"tail {home.supervisor_log}")
    return answer == b"ready\n"
