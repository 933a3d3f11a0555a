"""Chooses TCP ports of this machine, and finds the process that holds one."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

import psutil

from ci.stack.errors import PortTaken
from ci.stack.model import Port

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Reserved:
    """A port that is reserved on this machine until it is released.

    Seconds pass between the choice of a port and a server listening on it, and in that
    time another stack would find it free. The reservation is the UDP port of the same
    number: no server uses it, it is exclusive across users, and the kernel releases it
    however we end.
    """

    number: int
    mark: int  # the file descriptor of that UDP port

    def release(self) -> None:
        """Release the port; the end of this process does so too."""
        os.close(self.mark)


def choose(port: Port, preferred: int | None = None) -> Reserved:
    """Reserve the port to listen on.

    A port that a setting asks for must be free. Otherwise it is the one of the last
    start, the default, or any free one. Raises PortTaken naming the holder.
    """
    if port.asked is not None:
        if not (reserved := reserve(port.asked)):
            raise PortTaken(
                f"port {port.asked} ({port.name}) is held by {holder(port.asked)}",
                "stop it, or ask for another port in .env "
                "(or leave the port out: a free one is taken)",
            )
        return reserved
    for candidate in (preferred, port.inside):
        if candidate and (reserved := reserve(candidate)):
            return reserved
    while True:
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            number = int(probe.getsockname()[1])
        if reserved := reserve(number):
            return reserved


def reserve(number: int) -> Reserved | None:
    """Reserve a port; None if it is reserved, or a process listens on it."""
    mark = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        mark.bind((LOOPBACK, number))
    except OSError:
        mark.close()
        return None
    if is_free(number):
        return Reserved(number, mark.detach())
    mark.close()
    return None


def is_free(number: int) -> bool:
    """Whether we can listen on a loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, number))
        except OSError:
            return False
    return True


def holder(number: int) -> str:
    """Return which process listens on a port, as far as we may see it."""
    try:
        connections = psutil.net_connections(kind="inet4")
    except psutil.AccessDenied:
        return "another process (run as root to see which)"
    for connection in connections:
        listens = connection.status in (psutil.CONN_LISTEN, psutil.CONN_NONE)
        if connection.laddr and connection.laddr.port == number and listens:
            if connection.pid is None:
                return "another user's process"
            return f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
    return "another process"
