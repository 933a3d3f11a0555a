"""The supervisor process of one home: owns the children, answers on a unix socket.

    python -m ci.local.daemon CHECKOUT HOME READY_FD

One JSON object a line, both ways. A connection that asks for units is a lease: when
the last one closes and nobody said `keep`, the stack stops. So a killed command line
leaves nothing behind, and two of them share one stack.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import psutil
from anyio.streams.memory import MemoryObjectSendStream

from ci.host.env_file import find_env_file, read_settings
from ci.host.home import Home
from ci.local.connection import Message, Visit
from ci.local.guard import locked, sweep
from ci.local.launch import Launcher
from ci.local.layout import LocalLayout, settle
from ci.local.processes import Identity, end
from ci.local.state import State
from ci.local.supervisor import Supervisor
from ci.stack.errors import StackError, StackStopping, UsageError, unwrapped
from ci.stack.services import describe
from ci.stack.settings import StackSettings

log = logging.getLogger("ci.supervisor")

EVENTS_KEPT = 1000  # of one client that reads slowly; later ones are dropped
JOB_GRACE_S = 1.0


class Control:
    """Answers clients, and knows whether anyone still needs the stack."""

    def __init__(self, home: Home, place: LocalLayout) -> None:
        self.home, self.place = home, place
        self.keep = False
        self.leases = 0
        self.ending = anyio.Event()
        self._listeners: set[MemoryObjectSendStream[Message]] = set()
        self.supervisor: Supervisor

    def publish(self, state: State) -> None:
        """Tell every waiting client of a change; one that does not listen misses it."""
        for listener in self._listeners:
            with suppress(anyio.WouldBlock):
                listener.send_nowait({"event": asdict(state)})

    async def serve(self, stream: anyio.abc.SocketStream) -> None:
        """Answer one client until it leaves."""
        visit = Visit(stream)
        async with stream, anyio.create_task_group() as group:
            group.start_soon(self._answer_all, visit)
            # Reading on while we work is how a client that is killed is noticed.
            await visit.read()
            group.cancel_scope.cancel()
        # A command line that was killed cannot end its own job.
        await anyio.to_thread.run_sync(end, visit.jobs, signal.SIGTERM, JOB_GRACE_S)
        self.leases -= visit.leased
        if self.leases == 0 and not self.keep:
            self.supervisor.hurry = not visit.said_goodbye
            self.ending.set()

    async def _answer_all(self, visit: Visit) -> None:
        async for request in visit.requests:
            try:
                await self._answer(visit, request)
            except StackError as error:
                await visit.send({"error": as_problem(error)})
            else:
                await visit.send({"done": True} | self.account())

    async def _answer(self, visit: Visit, request: Message) -> None:
        """Do what one request asks for."""
        match request["do"]:
            case "ensure":
                self.leases += not visit.leased
                visit.leased = True
                await self._streaming(visit, self._ensure, request)
                self.keep = self.keep or bool(request["keep"])
            case "restart":
                await self._streaming(visit, self._restart, request)
            case "job":
                with suppress(psutil.Error):  # it may have ended already
                    visit.jobs.append(Identity.of(int(request["pid"])))
            case "leave":
                visit.said_goodbye = True
            case "stop":
                self.keep = False
                self.ending.set()

    async def _ensure(self, request: dict[str, Any]) -> None:
        if self.ending.is_set():
            raise StackStopping("the stack is stopping", "./etl up")
        await self.supervisor.ensure(request["units"])

    async def _restart(self, request: dict[str, Any]) -> None:
        for name in request["units"]:
            if name not in self.supervisor.stack.services:
                raise UsageError(f"no service {name!r}", "./etl status")
            await self.supervisor.restart(name)

    async def _streaming(
        self, visit: Visit, work: Callable[[Message], Awaitable[None]], request: Message
    ) -> None:
        """Do the work, and send each change of a unit while it lasts."""
        changes, to_send = anyio.create_memory_object_stream[Message](EVENTS_KEPT)
        for one in self.supervisor.running.values():
            if one.state.status != "stopped":
                changes.send_nowait({"event": asdict(one.state), "already": True})
        self._listeners.add(changes)
        with unwrapped():
            async with anyio.create_task_group() as group:
                group.start_soon(visit.forward, to_send)
                try:
                    await work(request)
                finally:
                    self._listeners.discard(changes)
                    changes.close()

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


def as_problem(error: StackError) -> dict[str, Any]:
    """Return an error as the client rebuilds it."""
    return {
        "code": error.code,
        "what": error.what,
        "hint": error.hint,
        "exit_code": error.exit_code,
    }


async def keep_guard(home: Home) -> None:
    """Keep a guard alive: it ends our children when we are killed."""
    while True:
        # Our end of its input is closed by the kernel, however we end.
        guard = await anyio.open_process(
            [sys.executable, "-m", "ci.local.guard", str(home.root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            await guard.wait()
        finally:
            if guard.returncode is None:  # we end well: there is nothing to guard
                guard.kill()
        log.warning("the guard ended, starting another")


async def stop_on_signal(ending: anyio.Event) -> None:
    """End well on TERM, INT and HUP."""
    with anyio.open_signal_receiver(
        signal.SIGTERM, signal.SIGINT, signal.SIGHUP
    ) as signals:
        async for _ in signals:
            ending.set()


async def run(
    checkout: Path, home: Home, settings: StackSettings, ready_fd: int
) -> None:
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
                json.dumps({"pid": os.getpid(), "ports": place.ports})
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
    # A predecessor that is stopping its services is waited for; one that lives on is
    # found by the client, which then asks it instead.
    with locked(home.supervisor_lock):
        try:
            with locked(
                home.guard_lock
            ):  # a killed predecessor's guard is still at work
                sweep(home)
                shutil.rmtree(home.scratch, ignore_errors=True)
            settings = read_settings(os.environ, find_env_file(checkout))
            anyio.run(run, checkout, home, settings, ready_fd)
        except StackError as error:
            os.write(ready_fd, json.dumps(as_problem(error)).encode())
            sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
