"""One child process of the supervisor: started with a log, stopped within a bound."""

from __future__ import annotations

import logging
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.abc
import psutil

from ci.local.launch import Launch
from ci.local.logs import rotate
from ci.local.processes import Identity, end, marked

log = logging.getLogger(__name__)

LOG_TAIL_LINES, LOG_TAIL_BYTES = 15, 64_000


@dataclass(frozen=True)
class Child:
    """A process in a group of its own, writing straight to its log file.

    Its output does not pass through the supervisor, so it never blocks, and the log is
    complete when the supervisor is killed.
    """

    process: anyio.abc.Process
    identity: Identity
    launch: Launch
    log: Path
    log_from: int  # where in the log file this process begins

    @classmethod
    async def start(cls, launch: Launch, log: Path) -> Child:
        """Start a process. Raises OSError when there is no such program."""
        rotate(log)
        with log.open("ab") as output:
            log_from = output.tell()
            process = await anyio.open_process(
                launch.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=launch.folder,
                env=launch.environment,
                start_new_session=True,
                **launch.options,
            )
        try:
            identity = Identity.of(process.pid)
        except psutil.Error:  # it has ended already
            identity = Identity(process.pid, 0.0)
        return cls(process, identity, launch, log, log_from)

    async def stop(self, number: signal.Signals, within_s: float) -> None:
        """Signal it and wait; kill its whole group when it does not end in time."""
        self.process.send_signal(number)
        with anyio.move_on_after(within_s) as bound:
            await self.process.wait()
        if bound.cancelled_caught:
            log.warning("%s did not stop in time, killing it", self.log.stem)
            self.identity.signal_group(signal.SIGKILL)

    def end_strays(self) -> None:
        """Kill what it has left behind, also in sessions of their own."""
        end(marked(self.launch.marks), signal.SIGKILL, 0)

    def tail(self) -> str:
        """Return the last lines that this process has written, indented."""
        with self.log.open("rb") as handle:
            size = self.log.stat().st_size
            # It has been rotated since where it is shorter.
            begin = self.log_from if self.log_from <= size else 0
            handle.seek(max(begin, size - LOG_TAIL_BYTES))
            lines = handle.read().decode(errors="replace").splitlines()
        return "\n".join(f"  | {line}" for line in lines[-LOG_TAIL_LINES:])
