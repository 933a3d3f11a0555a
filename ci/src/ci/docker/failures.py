"""Turns what docker and compose print when they fail into the stack's errors."""

from __future__ import annotations

import re

from ci.stack.errors import (
    DiskFull,
    NamesTaken,
    PortTaken,
    PrerequisiteMissing,
    StackError,
    UnitFailed,
)

START_DAEMON = "start Docker Desktop, or: sudo systemctl start docker"
# Lower-case parts of messages: of docker's client, its daemon, BuildKit, and compose.
DAEMON_AWAY = (
    "cannot connect to the docker daemon",
    "error during connect",
    "unexpected eof",
    "connection reset by peer",
    "transport is closing",
    "the docker daemon is shutting down",
)
DISK_FULL = ("no space left on device", "disk quota exceeded")
PORT_TAKEN = ("address already in use", "port is already allocated")
NAME_TAKEN = re.compile(r"container name \"/?([^\"]+)\" is already in use")
# The last line that a builder prints names its own step only.
NOISE = ("error: failed to solve", "------", "view build details")


def failure(output: str, doing: str, hint: str = "./etl logs") -> StackError:
    """Return the error for a command of docker that failed.

    Args:
        output: What the command printed.
        doing: What it was for, e.g. "compose up".
        hint: The next command, where the output has no known cause.
    """
    text = output.lower()
    line = telling_line(output)
    if any(words in text for words in DAEMON_AWAY):
        return PrerequisiteMissing(
            f"the Docker daemon stopped answering during {doing}: {line}", START_DAEMON
        )
    if any(words in text for words in DISK_FULL):
        return DiskFull(
            f"Docker's disk is full ({doing}): {line}",
            "docker system df shows what fills it; docker system prune removes "
            "what no container uses",
        )
    if taken := NAME_TAKEN.search(output):
        return NamesTaken(
            f"another container has the name {taken[1]}", f"docker rm -f {taken[1]}"
        )
    if any(words in text for words in PORT_TAKEN):
        return PortTaken(line, "stop what listens there, or set another port in .env")
    return UnitFailed(f"{doing} failed: {line}", hint)


def telling_line(output: str) -> str:
    """Return the last line that holds the cause."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    causes = [line for line in lines if not line.lower().startswith(NOISE)]
    known = DAEMON_AWAY + DISK_FULL + PORT_TAKEN
    for line in reversed(causes):
        if any(words in line.lower() for words in known):
            return line
    return (causes or lines or ["nothing was printed"])[-1]
