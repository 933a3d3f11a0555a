"""Prefect's control channel on a unix socket of our own, not on a TCP port.

Prefect's worker, and each run that it starts, listens on a random port of loopback, to
which every user of the machine can connect. A run sends a token there, receives the
order to stop, and sends its result. Here both sides use a socket in a folder that only
we can enter.

Both are patched: Prefect has no setting for it. The tests find out when that fails.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any, Self

FOLDER = "ETL_CONTROL_FOLDER"  # variable by which runs find the sockets
LONGEST_FOLDER = 80  # bytes: the path of a socket takes 103
numbers = count(1)  # in the place of port numbers


def socket_path(number: int) -> str:
    """Return the path of a channel's socket."""
    return str(Path(os.environ[FOLDER]) / str(number))


@contextmanager
def private_control_channel() -> Iterator[None]:
    """Let workers of this process, and runs that they start, use unix sockets.

    Raises:
        AttributeError: Prefect has no such channel any more.
    """
    from prefect.runner import _flow_run_executor, runner
    from prefect.runner._control_channel import ControlChannel

    class SocketControlChannel(ControlChannel):
        """A control channel that listens on a unix socket."""

        async def __aenter__(self) -> Self:
            self._port = next(numbers)
            self._server = await asyncio.start_unix_server(
                self._handle_connection, socket_path(self._port)
            )
            return self

    place = gettempdir()
    if len(os.fsencode(place)) > LONGEST_FOLDER:
        place = "/tmp"  # noqa: S108 - the folder in it is private
    for module in (_flow_run_executor, runner):
        if "ControlChannel" not in vars(module):
            raise AttributeError(f"{module.__name__} has no ControlChannel")
        vars(module)["ControlChannel"] = SocketControlChannel
    with TemporaryDirectory(prefix="etl-", dir=place) as folder:
        os.environ[FOLDER] = folder
        yield


class WorkerSocket(socket.socket):
    """A socket that connects to the channel with a number, given as a TCP port."""

    def __init__(self, *_: object) -> None:
        super().__init__(socket.AF_UNIX, socket.SOCK_STREAM)

    def connect(self, address: Any) -> None:
        """Connect to the worker."""
        super().connect(socket_path(address[1]))


class UnixSockets:
    """The module `socket` for Prefect's listener, which connects to the worker."""

    socket = WorkerSocket

    def __getattr__(self, name: str) -> Any:
        """Return what the module has by this name."""
        return getattr(socket, name)


def connect_to_worker() -> None:
    """Let Prefect's engine in this process connect to the worker's unix socket."""
    from prefect._internal import control_listener

    if FOLDER in os.environ:
        vars(control_listener)["socket"] = UnixSockets()
