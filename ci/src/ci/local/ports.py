"""TCP ports of this machine: choosing one, and naming who holds one that is taken."""

from __future__ import annotations

import socket

import psutil

from ci.errors import PortTaken
from ci.units import Port

LOOPBACK = "127.0.0.1"


def choose(port: Port, preferred: int | None = None) -> int:
    """Return the port to listen on.

    One that was asked for must be free; else the usual one, the one used last time,
    or any free one. Raises PortTaken naming the holder.
    """
    if port.asked is not None:
        if not is_free(port.asked):
            raise PortTaken(
                f"port {port.asked} ({port.name}) is held by {holder(port.asked)}",
                "stop it, or ask for another port in .env "
                "(or leave the port out: a free one is taken)",
            )
        return port.asked
    for candidate in (preferred, port.inside):
        if candidate and is_free(candidate):
            return candidate
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


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
    """Say which process listens on a port, as far as we may know."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return "another process (run as root to see which)"
    for one in connections:
        if one.laddr and one.laddr.port == number and one.status == psutil.CONN_LISTEN:
            if one.pid is None:
                return "another user's process"
            return f"process {one.pid} ({psutil.Process(one.pid).name()})"
    return "another process"
