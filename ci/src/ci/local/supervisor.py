"""The supervisor process of one home: owns the children, answers on a unix socket.

    python -m ci.local.supervisor CHECKOUT HOME READY_FD

One JSON object a line, both ways. A connection that asks for units is a lease: when
the last one closes and nobody said `keep`, the stack stops. So a killed command line
leaves nothing behind, and two of them share one stack.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
from anyio.streams.buffered import BufferedByteReceiveStream

from ci.errors import StackError, StackStopping, UsageError
from ci.local.guard import sweep
from ci.local.home import Home
from ci.local.launch import Launcher
from ci.local.place import Place, settle
from ci.local.processes import Identity, end
from ci.local.state import State
from ci.local.supervise import Supervisor, first_error
from ci.settings import Settings, read_settings
from ci.stack import describe

log = logging.getLogger("ci.supervisor")
LONGEST_LINE = 1_000_000


class Control:
    """Answers clients, and knows whether anyone still needs the stack."""

    def __init__(self, home: Home, place: Place) -> None:
        self.home, self.place = home, place
        self.keep = False
        self.leases = 0
        self.ending = anyio.Event()
        self._listeners: set[anyio.abc.ObjectSendStream[dict[str, Any]]] = set()
        self.supervisor: Supervisor

    def publish(self, state: State) -> None:
        """Tell every waiting client of a change; one that does not listen misses it."""
        for listener in self._listeners:
            with suppress(anyio.WouldBlock, anyio.ClosedResourceError):
                listener.send_nowait({"event": asdict(state)})  # type: ignore[attr-defined]

    async def serve(self, stream: anyio.abc.SocketStream) -> None:
        """Answer one client until it leaves."""
        leased: list[bool] = []
        jobs: list[Identity] = []
        async with stream:
            try:
                async for request in lines(stream):
                    await self._answer(stream, request, leased, jobs)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError, ValueError):
                pass
        # A command line that was killed cannot end its own job.
        await anyio.to_thread.run_sync(end, jobs, signal.SIGTERM, 3.0)
        self.leases -= len(leased)
        if self.leases == 0 and not self.keep:
            self.ending.set()

    async def _answer(
        self,
        stream: anyio.abc.SocketStream,
        request: dict[str, Any],
        leased: list[bool],
        jobs: list[Identity],
    ) -> None:
        verb = request["do"]
        try:
            if verb == "ensure":
                if not leased:
                    leased.append(True)
                    self.leases += 1
                await self._streaming(stream, self._ensure, request)
                self.keep = self.keep or bool(request.get("keep"))
            elif verb == "restart":
                await self._streaming(stream, self._restart, request)
            elif verb == "job":
                with suppress(Exception):  # it may have ended already
                    jobs.append(Identity.of(int(request["pid"])))
            elif verb == "stop":
                self.keep = False
                self.ending.set()
            await send(stream, {"done": True} | self.account())
        except StackError as error:
            problem = {"code": error.code, "what": error.what, "hint": error.hint}
            await send(stream, {"error": problem | {"exit_code": error.exit_code}})

    async def _ensure(self, request: dict[str, Any]) -> None:
        if self.ending.is_set():
            raise StackStopping("the stack is stopping", "./etl up")
        await self.supervisor.ensure(request["units"])

    async def _restart(self, request: dict[str, Any]) -> None:
        for name in request["units"]:
            if name not in self.supervisor.stack.services:
                raise UsageError(f"no service {name!r}", "./etl status")
            await self.supervisor.restart(name)

    async def _streaming(self, stream: Any, work: Any, request: dict[str, Any]) -> None:
        """Do the work and send each change of a unit while it lasts."""
        out, back = anyio.create_memory_object_stream[dict[str, Any]](1000)
        self._listeners.add(out)
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(forward, back, stream)
                for one in self.supervisor.running.values():
                    if one.state.status != "stopped":
                        await send(stream, {"event": asdict(one.state)})
                await work(request)
                self._listeners.discard(out)
                out.close()
        except* StackError as failures:
            raise first_error(failures) from None
        finally:
            self._listeners.discard(out)
            out.close()

    def account(self) -> dict[str, Any]:
        """Return what a client needs to know of the stack."""
        return {
            "pid": os.getpid(),
            "keep": self.keep,
            "leases": self.leases,
            "endpoints": asdict(self.place.endpoints),
            "settings_digest": self.place.digest,
            "units": self.supervisor.states(),
        }


async def lines(stream: anyio.abc.SocketStream) -> AsyncIterator[dict[str, Any]]:
    """Yield the requests of a client until it closes."""
    buffered = BufferedByteReceiveStream(stream)
    while True:
        try:
            yield json.loads(await buffered.receive_until(b"\n", LONGEST_LINE))
        except (anyio.EndOfStream, anyio.IncompleteRead):
            return


async def send(stream: anyio.abc.SocketStream, message: dict[str, Any]) -> None:
    """Send one message; a client that has gone is no error here."""
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        await stream.send(json.dumps(message).encode() + b"\n")


async def forward(source: Any, stream: anyio.abc.SocketStream) -> None:
    """Send events on until there are no more."""
    async with source:
        async for message in source:
            await send(stream, message)


async def keep_guard(home: Home) -> None:
    """Keep a guard alive: it ends our children when we are killed."""
    while True:
        # Our end of its input is closed by the kernel however we end.
        guard = await anyio.open_process(
            [sys.executable, "-m", "ci.local.guard", str(home.root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        await guard.wait()
        log.warning("the guard ended, starting another")


async def stop_on_signal(ending: anyio.Event) -> None:
    """End well on TERM, INT and HUP."""
    with anyio.open_signal_receiver(
        signal.SIGTERM, signal.SIGINT, signal.SIGHUP
    ) as signals:
        async for _ in signals:
            ending.set()


async def run(checkout: Path, home: Home, settings: Settings, ready_fd: int) -> None:
    """Serve until nobody needs the stack any more, then stop it in reverse order."""
    place = settle(home, settings)
    control = Control(home, place)
    launcher = Launcher(checkout, home, place.postgres)
    stack = describe(settings, place.endpoints)
    socket = home.sockets / "control.sock"
    socket.unlink(missing_ok=True)
    async with (
        await anyio.create_unix_listener(socket, mode=0o600) as listener,
        anyio.create_task_group() as group,
    ):
        group.start_soon(keep_guard, home)
        group.start_soon(stop_on_signal, control.ending)
        async with Supervisor(
            stack, launcher, password=place.password, on_change=control.publish
        ) as control.supervisor:
            group.start_soon(listener.serve, control.serve)
            home.state.write_text(
                json.dumps(
                    {"pid": os.getpid(), "at": time.time(), "ports": place.ports}
                )
            )
            os.write(ready_fd, b"ready\n")
            os.close(ready_fd)
            await control.ending.wait()
            socket.unlink(missing_ok=True)  # a new client starts a new supervisor
        group.cancel_scope.cancel()


def main() -> None:
    """Take the home's lock, clear what a killed predecessor left, and serve."""
    checkout, home, ready_fd = (
        Path(sys.argv[1]),
        Home(Path(sys.argv[2])),
        int(sys.argv[3]),
    )
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with home.supervisor_lock.open("w") as lock:
        # A predecessor that is stopping its services is waited for; one that lives on
        # is found by the client, which then asks it instead.
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            sweep(home)
            settings = read_settings(os.environ, checkout / ".env")
            anyio.run(run, checkout, home, settings, ready_fd)
        except StackError as error:
            problem = {"code": error.code, "what": error.what, "hint": error.hint}
            os.write(
                ready_fd, json.dumps(problem | {"exit_code": error.exit_code}).encode()
            )
            sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
