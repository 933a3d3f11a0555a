"""What stands before a stack in Dagger: passes connections on, and says who died.

One service is tunnelled to the host, so this one listens in the place of all that are
to be reached, and asks after every service each second: Dagger itself says nothing when
a service dies after its start. Standard library only.

    python -m ci.dagger.proxy --forward PORT:HOST:PORT … --watch 'NAME=PROBE …' …
"""

from __future__ import annotations

import argparse
import asyncio
import shlex
import sys

from ci.inside.healthcheck import seen_instead

PAUSE_S = 1.0
MISSES = 3  # a restart takes its time; one miss is no death
BLOCK = 65536


def say(line: str) -> None:
    """Write one line where Dagger shows it."""
    sys.stderr.write(f"etl: {line}\n")
    sys.stderr.flush()


async def forward(listen: int, host: str, port: int) -> None:
    """Pass every connection to a port on to a service, for ever."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(host, port)
        except OSError as error:
            say(f"{host} takes no connection: {error}")
            writer.close()
            return
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))
        for one in (writer, far_writer):
            one.close()

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


async def watch(name: str, question: list[str], *, pause_s: float = PAUSE_S) -> None:
    """Ask after a service for ever; say when it goes and when it is back."""
    misses = 0
    while True:
        seen = await asyncio.to_thread(seen_instead, question)
        if seen is None and misses >= MISSES:
            say(f"{name} answers again")
        misses = 0 if seen is None else misses + 1
        if misses == MISSES:
            say(f"{name} does not answer any more: {seen}")
            say(f"  fix: read what {name} said last, then Ctrl-C and start it again")
        await asyncio.sleep(pause_s)


async def stand(forwards: list[str], watches: list[str]) -> None:
    """Pass on and watch until this process is stopped."""
    async with asyncio.TaskGroup() as group:
        for words in forwards:
            listen, host, port = words.split(":")
            group.create_task(forward(int(listen), host, int(port)))
        for words in watches:
            name, _, question = words.partition("=")
            group.create_task(watch(name, shlex.split(question)))


def main() -> int:
    """Read the command line and stand there."""
    parser = argparse.ArgumentParser(
        "ci.dagger.proxy", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--forward", action="append", default=[])
    parser.add_argument("--watch", action="append", default=[])
    given = parser.parse_args()
    asyncio.run(stand(given.forward, given.watch))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
