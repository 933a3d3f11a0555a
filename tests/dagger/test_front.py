"""The TCP proxy and monitor in front of a Dagger stack, on real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from tests.waiting import eventually_async

from ci.dagger.proxy import MISSES, forward, watch

pytestmark = pytest.mark.anyio


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def echo(port: int, served: list[int] | None = None) -> AsyncIterator[None]:
    """A service that sends back what it is sent; `served` grows by each connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if served is not None:
            served.append(port)
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
    """Connect as soon as the port is listened on."""
    for _ in range(200):
        with suppress(ConnectionRefusedError):
            return await asyncio.open_connection("127.0.0.1", port)
        await asyncio.sleep(0.01)
    raise AssertionError(f"no process listens on {port}")


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


async def test_an_outage_is_reported_once_and_so_is_its_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    port, reported = free_port(), ""
    probes: list[int] = []
    task = asyncio.create_task(
        watch("db", ["tcp", "127.0.0.1", str(port)], pause_s=0.01)
    )

    def reports(text: str) -> bool:
        nonlocal reported
        reported += capsys.readouterr().err
        return text in reported

    async with running(task):
        async with echo(port, probes):
            await eventually_async(lambda: len(probes) > MISSES)
            assert not reports("db")
        await eventually_async(lambda: reports("fix: read what db said last"))
        probes.clear()
        async with echo(port, probes):
            await eventually_async(lambda: len(probes) > MISSES)
            assert reports("etl: db answers again")
    assert reported.count("db does not answer any more: ConnectionRefusedError") == 1
    assert reported.count("db answers again") == 1
