"""TCP proxy and health monitor of a Dagger stack.

The CLI tunnels one service to the host, so this service listens for all of them. It
also checks every service each second, because Dagger reports no service that ends after
its start. Standard library only.

    python -m ci.dagger.proxy --forward PORT:HOST:PORT … --watch 'NAME@HOST=PROBE …' …
        [--exit]

With `--exit` it ends with exit code 1 when a service has ended for good. Without, it
goes on, so that the UI stays reachable, and repeats the report each minute.
"""

from __future__ import annotations

import argparse
import asyncio
import shlex
import socket
import sys
from dataclasses import dataclass

from ci.inside.healthcheck import reason_not_ready

PAUSE_S = 1.0
MISSES = 3  # a service that is started again misses some
REPEAT_S = 60.0
BLOCK = 65536


class ServiceEnded(Exception):
    """A service's container has ended: its supervisor has given it up."""


def report(line: str) -> None:
    """Write a line where Dagger shows it."""
    sys.stderr.write(f"etl: {line}\n")
    sys.stderr.flush()


async def forward(listen: int, host: str, port: int) -> None:
    """Pass every connection to a port on to a service, without end."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(host, port)
        except OSError as error:
            report(f"port {port}: the service takes no connection: {error}")
            writer.close()
            return
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))
        for end in (writer, far_writer):
            end.close()

    everywhere = "0.0.0.0"  # noqa: S104  # of its container
    server = await asyncio.start_server(serve, everywhere, listen)
    await server.serve_forever()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy one direction of a connection until its end; the other may go on."""
    try:
        while block := await reader.read(BLOCK):
            writer.write(block)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.close()  # broken: the other direction ends with it


@dataclass
class Watched:
    """A service that is checked, and what was seen of it.

    Its host name resolves as long as its container runs: a service that is started
    again keeps it, one that its supervisor has given up loses it.
    """

    name: str
    host: str
    probe: list[str]
    seen: bool = False
    misses: int = 0
    unresolved: int = 0

    @property
    def ended(self) -> bool:
        """Whether its container was there and has gone."""
        return self.seen and self.unresolved >= MISSES

    async def check(self) -> None:
        """Check once; report when the service goes away and when it is back."""
        if not await asyncio.to_thread(resolves, self.host):
            self.unresolved += 1
            return
        self.seen, self.unresolved = True, 0
        problem = await asyncio.to_thread(reason_not_ready, self.probe)
        if problem is None and self.misses >= MISSES:
            report(f"{self.name} answers again")
        self.misses = 0 if problem is None else self.misses + 1
        if self.misses == MISSES:
            report(f"{self.name} does not answer: {problem}")


def resolves(host: str) -> bool:
    """Whether a name has an address."""
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        return False
    return True


async def watch(
    services: list[Watched], *, end: bool, pause_s: float = PAUSE_S
) -> None:
    """Check services without end.

    Raises:
        ServiceEnded: One has ended for good, and `end` asks for it.
    """
    quiet = 0.0
    while True:
        await asyncio.gather(*(service.check() for service in services))
        gone = [service.name for service in services if service.ended]
        if gone and quiet <= 0:
            report(f"{gone[0]} has ended and is not started again")
            report(f"  why: its exit code and last lines follow 'etl: {gone[0]} died'")
            for name in gone[1:]:
                report(f"  {name} ended too; it may need {gone[0]}")
            report("  fix: Ctrl-C, remove the cause, dagger call stack up")
            if end:
                raise ServiceEnded(gone[0])
            quiet = REPEAT_S
        quiet -= pause_s
        await asyncio.sleep(pause_s)


async def run(forwards: list[str], watches: list[str], *, end: bool) -> None:
    """Pass on and watch until this process is stopped."""
    services = []
    for option in watches:
        where, _, probe = option.partition("=")
        name, _, host = where.partition("@")
        services.append(Watched(name, host, shlex.split(probe)))
    async with asyncio.TaskGroup() as group:
        for option in forwards:
            listen, host, port = option.split(":")
            group.create_task(forward(int(listen), host, int(port)))
        group.create_task(watch(services, end=end))


def main() -> int:
    """Read the command line, pass on and watch."""
    parser = argparse.ArgumentParser(
        "ci.dagger.proxy", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--forward", action="append", default=[])
    parser.add_argument("--watch", action="append", default=[])
    parser.add_argument("--exit", action="store_true")
    given = parser.parse_args()
    ended = False
    try:
        asyncio.run(run(given.forward, given.watch, end=given.exit))
    except* ServiceEnded:
        ended = True
    return 1 if ended else 0


if __name__ == "__main__":
    raise SystemExit(main())
