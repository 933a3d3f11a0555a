"""The front of a stack in Dagger, on real sockets: passes on, reports what dies."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from tests.waiting import eventually_async

from ci.dagger.proxy import MISSES, ServiceEnded, Watched, forward, watch

pytestmark = pytest.mark.anyio


def free_port() -> int:
    """Return a port that is closed."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


@asynccontextmanager
async def echo(port: int) -> AsyncIterator[None]:
    """A service that sends back what it is sent."""
    served = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.current_task())
        while block := await reader.read(65536):
            writer.write(block)
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", port):
        yield
        while not served:  # a connection that is not taken yet would be left open
            await asyncio.sleep(0.01)
    await asyncio.gather(*(task for task in served if task))


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
    """Connect as soon as the port is open."""
    for _ in range(200):
        with suppress(ConnectionRefusedError):
            return await asyncio.open_connection("127.0.0.1", port)
        await asyncio.sleep(0.01)
    raise AssertionError(f"port {port} is closed")


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


def watched(port: int, host: str = "127.0.0.1") -> Watched:
    """A database on a port of this machine."""
    return Watched("db", host, ["tcp", "127.0.0.1", str(port)])


async def test_it_reports_once_what_is_away_and_when_it_is_back(
    capsys: pytest.CaptureFixture[str],
) -> None:
    port = free_port()
    service = watched(port)
    async with echo(port):
        await service.check()
        assert capsys.readouterr().err == ""
    for _ in range(2 * MISSES):
        await service.check()
    reported = capsys.readouterr().err
    assert reported.count("db does not answer: ConnectionRefusedError") == 1
    async with echo(port):
        await service.check()
    assert capsys.readouterr().err == "etl: db answers again\n"


async def test_a_container_that_has_ended_is_reported_and_ends_the_watch(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A host name goes with its container; one that starts again keeps it."""
    service, other = watched(free_port()), watched(free_port())
    await service.check()
    service.host = other.host = "ended.invalid"
    with pytest.raises(ServiceEnded, match="db"):
        await asyncio.wait_for(watch([other, service], end=True, pause_s=0.01), 20)
    reported = capsys.readouterr().err
    assert "etl: db has ended and is not started again" in reported
    assert "fix: Ctrl-C, remove the cause, dagger call stack up" in reported
    assert not other.ended, "it was never there: it is still to start"


async def test_without_exit_the_report_is_made_and_the_watch_goes_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    service = watched(free_port())
    await service.check()
    service.host = "ended.invalid"
    task = asyncio.create_task(watch([service], end=False, pause_s=0.001))
    async with running(task):
        await eventually_async(lambda: service.unresolved > 2 * MISSES)
        assert not task.done()
    assert capsys.readouterr().err.count("has ended and is not started again") == 1


def test_as_a_program_it_ends_with_a_code_when_asked_to() -> None:
    program = [sys.executable, "-m", "ci.dagger.proxy", "--exit"]
    with subprocess.Popen(
        [*program, "--watch", "db@localhost=tcp 127.0.0.1 1"],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        assert "does not answer" in process.stderr.readline()
        process.terminate()
        assert process.wait(10) == -signal.SIGTERM
