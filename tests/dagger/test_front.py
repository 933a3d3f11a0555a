"""The front of a stack in Dagger, on real sockets: passes on, says who dies."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from ci.dagger.proxy import MISSES, forward, watch

pytestmark = pytest.mark.anyio


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@asynccontextmanager
async def echo(port: int) -> AsyncIterator[None]:
    """A service that sends back what it is sent."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while block := await reader.read(65536):
            writer.write(block)
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", port):
        yield


@asynccontextmanager
async def running(task: asyncio.Task[None]) -> AsyncIterator[None]:
    """Run a task for the block."""
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def connected(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect as soon as somebody listens."""
    for _ in range(200):
        with suppress(ConnectionRefusedError):
            return await asyncio.open_connection("127.0.0.1", port)
        await asyncio.sleep(0.01)
    raise AssertionError(f"nobody listens on {port}")


async def test_what_is_sent_arrives_in_both_directions_and_ends() -> None:
    near, far = free_port(), free_port()
    task = asyncio.create_task(forward(near, "127.0.0.1", far))
    async with echo(far), running(task):
        reader, writer = await connected(near)
        sent = b"x" * 1_000_000
        writer.write(sent)
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 20) == sent
        writer.close()


async def test_a_service_that_is_away_ends_the_connection_at_once() -> None:
    near = free_port()
    task = asyncio.create_task(forward(near, "127.0.0.1", free_port()))
    async with running(task):
        reader, writer = await connected(near)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_it_says_once_who_died_and_when_it_is_back(
    capsys: pytest.CaptureFixture[str],
) -> None:
    port = free_port()
    question = ["tcp", "127.0.0.1", str(port)]
    task = asyncio.create_task(watch("db", question, pause_s=0.01))
    told = ""
    async with running(task):
        async with echo(port):
            await asyncio.sleep(0.1)
            assert capsys.readouterr().err == ""
        await asyncio.sleep(0.05 * MISSES + 0.2)
        told = capsys.readouterr().err
        async with echo(port):
            await asyncio.sleep(0.2)
        back = capsys.readouterr().err
    assert told.count("db does not answer any more: ConnectionRefusedError") == 1
    assert "fix: read what db said last" in told
    assert back.startswith("etl: db answers again")
