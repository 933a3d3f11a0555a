"""Answers the supervisor's clients and decides when the stack is no longer needed.

One JSON object a line, both ways. A connection that asks for units is a lease: when the
last one closes, and no client has asked to keep the stack, it stops. So a killed
command line leaves nothing behind, and two of them share one stack.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import anyio
import anyio.abc
import psutil
from anyio.streams.memory import MemoryObjectSendStream

from ci.local.connection import Connection, Message
from ci.local.layout import LocalLayout
from ci.local.processes import Identity, end
from ci.local.state import State
from ci.local.supervisor import Supervisor
from ci.stack.errors import StackError, StackStopping, UsageError, unwrapped

MAX_QUEUED_EVENTS = 1000  # of one client that reads slowly; later ones are dropped
JOB_GRACE_S = 1.0


class Control:
    """The server side of the control socket, and the count of leases."""

    def __init__(self, layout: LocalLayout) -> None:
        self.layout = layout
        self.keep = False
        self.leases = 0
        self.claimed = False
        self.ending = anyio.Event()
        self._listeners: set[MemoryObjectSendStream[Message]] = set()
        self.supervisor: Supervisor

    def publish(self, state: State) -> None:
        """Queue a change of a unit for every client that waits for one."""
        for listener in self._listeners:
            with suppress(anyio.WouldBlock):
                listener.send_nowait({"event": asdict(state)})

    def end_at_once(self) -> None:
        """Stop the stack without the services' usual grace."""
        self.supervisor.hurry = True
        self.ending.set()

    async def serve(self, stream: anyio.abc.SocketStream) -> None:
        """Answer one client until it leaves."""
        connection = Connection(stream)
        self.claimed = True
        async with stream, anyio.create_task_group() as group:
            group.start_soon(self._answer_all, connection)
            # Reading while a request is at work is how a killed client is noticed.
            await connection.read()
            group.cancel_scope.cancel()
        # A command line that was killed cannot end its own job.
        await anyio.to_thread.run_sync(
            end, connection.jobs, signal.SIGTERM, JOB_GRACE_S
        )
        self.leases -= connection.leased
        if self.leases == 0 and not self.keep:
            self.supervisor.hurry = not connection.left
            self.ending.set()

    async def _answer_all(self, connection: Connection) -> None:
        async for request in connection.requests:
            try:
                await self._answer(connection, request)
            except StackError as error:
                await connection.send({"error": error_as_json(error)})
            else:
                await connection.send({"done": True} | self.account())

    async def _answer(self, connection: Connection, request: Message) -> None:
        """Do what one request asks for."""
        match request["do"]:
            case "ensure":
                self.leases += not connection.leased
                connection.leased = True
                await self._streaming(connection, self._ensure, request)
                self.keep = self.keep or bool(request["keep"])
            case "restart":
                await self._streaming(connection, self._restart, request)
            case "job":
                with suppress(psutil.Error):  # it may have ended already
                    connection.jobs.append(Identity.of(int(request["pid"])))
            case "leave":
                connection.left = True
            case "stop":
                self.keep = False
                self.ending.set()

    async def _ensure(self, request: Message) -> None:
        if self.ending.is_set():
            raise StackStopping("the stack is stopping", "./etl up")
        await self.supervisor.ensure(request["units"])

    async def _restart(self, request: Message) -> None:
        for name in request["units"]:
            if name not in self.supervisor.stack.services:
                raise UsageError(f"no service {name!r}", "./etl status")
            await self.supervisor.restart(name)

    async def _streaming(
        self,
        connection: Connection,
        work: Callable[[Message], Awaitable[None]],
        request: Message,
    ) -> None:
        """Do the work, and send each change of a unit while it lasts."""
        changes, to_send = anyio.create_memory_object_stream[Message](MAX_QUEUED_EVENTS)
        for entry in self.supervisor.running.values():
            if entry.state.status != "stopped":
                changes.send_nowait({"event": asdict(entry.state), "already": True})
        self._listeners.add(changes)
        with unwrapped():
            async with anyio.create_task_group() as group:
                group.start_soon(connection.forward, to_send)
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
            "endpoints": asdict(self.layout.endpoints),
            "settings_digest": self.layout.digest,
            "units": self.supervisor.states(),
        }


def error_as_json(error: StackError) -> dict[str, Any]:
    """Return an error as the client rebuilds it."""
    return {
        "code": error.code,
        "what": error.what,
        "hint": error.hint,
        "exit_code": error.exit_code,
    }
