"""The command line's side of the supervisor: start it, ask it, hold a lease.

Synchronous on purpose: it reads one socket, and a command line that needs no event loop
starts 60 ms sooner.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from ci.host.home import Home
from ci.stack.errors import StackError, TimedOut, UnitFailed

START_WITHIN_S = 60.0  # a predecessor may still be stopping its services
Event = dict[str, Any]


def failure(problem: dict[str, Any]) -> StackError:
    """Rebuild an error that the supervisor reported."""
    error = StackError(problem["what"], problem["hint"])
    error.code, error.exit_code = problem["code"], problem["exit_code"]
    return error


class Client:
    """One connection to a supervisor. Closing it gives the lease back."""

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
                self.ask({"do": "leave"})  # or the stack is stopped in a hurry
        self._lines.close()
        self._connection.close()

    def ask(
        self, request: dict[str, Any], watch: Callable[[Event], None] | None = None
    ) -> Event:
        """Send one request and return the answer, passing events on as they come."""
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
        raise UnitFailed(
            "the supervisor is gone", "./etl status; then run the command again"
        )

    def ensure(
        self, units: list[str], keep: bool, watch: Callable[[Event], None]
    ) -> Event:
        """Bring units up and hold them; with `keep` they stay when we leave."""
        return self.ask({"do": "ensure", "units": units, "keep": keep}, watch)

    def account(self) -> Event:
        """Return how the stack is."""
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
        """Let the supervisor end a job of ours should we be killed."""
        self.ask({"do": "job", "pid": pid})


def connect(home: Home) -> Client | None:
    """Connect to the home's supervisor; None when none answers."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(home.sockets / "control.sock"))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    return Client(connection)


def connect_or_start(checkout: Path, home: Home) -> Client:
    """Connect to the home's supervisor, starting one if there is none."""
    for _ in range(3):  # one that is just ending may still take a connection
        if client := connect(home):
            return client
        start(checkout, home)
    raise UnitFailed(
        f"the supervisor does not stay\n{home.supervisor_log}", "./etl logs supervisor"
    )


def start(checkout: Path, home: Home) -> None:
    """Start a supervisor in a session of its own; return when it listens."""
    home.make()
    reading, writing = os.pipe()
    with home.supervisor_log.open("ab") as log:
        subprocess.Popen(
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
        if not select.select([pipe], [], [], START_WITHIN_S)[0]:
            raise TimedOut(
                "the supervisor did not start", f"tail {home.supervisor_log}"
            )
        word = pipe.read()
    if word.startswith(b"{"):
        raise failure(json.loads(word))
    if word != b"ready\n":
        raise UnitFailed("the supervisor ended at once", f"tail {home.supervisor_log}")
