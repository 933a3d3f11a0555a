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
LONGEST_LINE = 1_000_000
GONE = (anyio.BrokenResourceError, anyio.ClosedResourceError)


class Visit:
    """What the supervisor remembers of a client as long as it is connected."""

    def __init__(self, stream: anyio.abc.SocketStream) -> None:
        self._stream = stream
        self._sending = anyio.Lock()
        self._arrived, self.requests = anyio.create_memory_object_stream[Message](100)
        self.leased = False
        self.said_goodbye = False
        self.jobs: list[Identity] = []

    async def read(self) -> None:
        """Take requests in until the client closes, or sends what is no request."""
        buffered = BufferedByteReceiveStream(self._stream)
        with suppress(anyio.EndOfStream, anyio.IncompleteRead, ValueError, *GONE):
            while True:
                line = await buffered.receive_until(b"\n", LONGEST_LINE)
                await self._arrived.send(json.loads(line))

    async def send(self, message: Message) -> None:
        """Send one message; a client that has gone is no error here."""
        with suppress(*GONE):
            async with self._sending:
                await self._stream.send(json.dumps(message).encode() + b"\n")

    async def forward(self, messages: MemoryObjectReceiveStream[Message]) -> None:
        """Send messages on until there are no more."""
        async with messages:
            async for message in messages:
                await self.send(message)
