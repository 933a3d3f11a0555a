"""One client's connection to the supervisor: requests in, answers and events out."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import anyio
import anyio.abc
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.memory import MemoryObjectReceiveStream

from ci.local.processes import Identity

Message = dict[str, Any]
MAX_LINE_BYTES = 1_000_000
CLOSED = (anyio.BrokenResourceError, anyio.ClosedResourceError)


class Connection:
    """One connected client: its stream, its lease, and the jobs it has started.

    Attributes:
        leased: Whether it holds the stack.
        left: Whether it announced that it leaves; a killed client does not.
        jobs: Processes to end when it closes.
    """

    def __init__(self, stream: anyio.abc.SocketStream) -> None:
        self._stream = stream
        self._sending = anyio.Lock()
        self._arrived, self.requests = anyio.create_memory_object_stream[Message](100)
        self.leased = False
        self.left = False
        self.jobs: list[Identity] = []

    async def read(self) -> None:
        """Receive requests until the client closes or sends something malformed."""
        buffered = BufferedByteReceiveStream(self._stream)
        with suppress(anyio.EndOfStream, anyio.IncompleteRead, ValueError, *CLOSED):
            while True:
                line = await buffered.receive_until(b"\n", MAX_LINE_BYTES)
                await self._arrived.send(json.loads(line))

    async def send(self, message: Message) -> None:
        """Send one message; a client that has closed is no error here."""
        with suppress(*CLOSED):
            async with self._sending:
                await self._stream.send(json.dumps(message).encode() + b"\n")

    async def forward(self, messages: MemoryObjectReceiveStream[Message]) -> None:
        """Send messages on until the stream of them ends."""
        async with messages:
            async for message in messages:
                await self.send(message)
