"""Keeps Prefect's worker from listening on a port.

Prefect's worker, and each run that it starts, opens a TCP port on loopback, to which
every user of the machine can connect. A run sends a token there and then its result; a
connection without a token is closed, but each of them writes a line to the log. Without
the port the worker ends a cancelled run with SIGTERM and learns a run's result from its
exit code and from the server: what Prefect does where it cannot open the port.
"""

from __future__ import annotations

from typing import Self

from prefect.runner import _flow_run_executor, runner
from prefect.runner._control_channel import ControlChannel


class ClosedControlChannel(ControlChannel):
    """A control channel without a listener. Prefect's users of it expect that."""

    async def __aenter__(self) -> Self:
        """Enter the context without opening the port."""
        return self


def close_control_channel() -> None:
    """Let workers and runs of this process open no port.

    Raises:
        AttributeError: Prefect has no such channel any more.
    """
    for module in (_flow_run_executor, runner):
        if "ControlChannel" not in vars(module):
            raise AttributeError(f"{module.__name__} has no ControlChannel")
        vars(module)["ControlChannel"] = ClosedControlChannel
