"""The supervisor process of one home: owns the children, answers on a unix socket.

    python -m ci.local.daemon CHECKOUT HOME READY_FD

It writes one line to READY_FD: `ready` when it listens, `busy` when another supervisor
has the home's lock (it then exits), or an error as JSON.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import anyio

from ci.host.env_file import find_env_file, read_settings
from ci.host.home import Home
from ci.local.control import Control, error_as_json
from ci.local.guard import sweep, wait_for_predecessors
from ci.local.launch import Launcher
from ci.local.layout import settle
from ci.local.locks import FileId, file_id, locked, try_locked
from ci.local.supervisor import Supervisor
from ci.stack.errors import StackError
from ci.stack.services import describe
from ci.stack.settings import StackSettings

log = logging.getLogger("ci.supervisor")

READY, BUSY = b"ready\n", b"busy\n"
FILES_CHECK_S = 1.0
FIRST_CLIENT_WITHIN_S = 60.0


async def keep_guard(home: Home) -> None:
    """Keep a guard running: it ends our children when we are killed."""
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
            if guard.returncode is None:  # we stop our children ourselves
                guard.kill()
        log.warning("the guard ended, starting another")


async def stop_on_signal(ending: anyio.Event) -> None:
    """Stop the stack on TERM, INT and HUP."""
    with anyio.open_signal_receiver(
        signal.SIGTERM, signal.SIGINT, signal.SIGHUP
    ) as signals:
        async for _ in signals:
            ending.set()


async def stop_without_files(
    files: dict[Path, FileId | None], control: Control
) -> None:
    """Stop the stack when a file by which commands find it was deleted or replaced.

    No command could stop it any more.
    """
    while all(file_id(path) == seen for path, seen in files.items()):
        await anyio.sleep(FILES_CHECK_S)
    log.warning("the state folder was deleted, stopping the stack")
    control.end_at_once()


async def stop_unclaimed(control: Control) -> None:
    """Stop when no client has connected: the one that started us was killed."""
    await anyio.sleep(FIRST_CLIENT_WITHIN_S)
    if not control.claimed:
        control.ending.set()


def answer(ready_fd: int, line: bytes) -> None:
    """Answer the client that has started us; it may have been killed meanwhile."""
    with suppress(BrokenPipeError):
        os.write(ready_fd, line)
    os.close(ready_fd)


async def run(
    checkout: Path, home: Home, settings: StackSettings, ready_fd: int
) -> None:
    """Serve until the stack is no longer needed, then stop it in reverse order."""
    layout = settle(home, settings)
    control = Control(layout)
    launcher = Launcher(checkout, home, layout.postgres)
    stack = describe(settings, layout.endpoints)
    socket = home.sockets / "control.sock"
    socket.unlink(missing_ok=True)
    async with (
        await anyio.create_unix_listener(socket, mode=0o600) as listener,
        anyio.create_task_group() as group,
    ):
        files = {path: file_id(path) for path in (socket, home.supervisor_lock)}
        group.start_soon(keep_guard, home)
        group.start_soon(stop_on_signal, control.ending)
        async with Supervisor(
            stack, launcher, password=layout.password, on_change=control.publish
        ) as control.supervisor:
            group.start_soon(listener.serve, control.serve)
            group.start_soon(stop_without_files, files, control)
            home.state.write_text(
                json.dumps({"pid": os.getpid(), "ports": layout.ports})
            )
            group.start_soon(stop_unclaimed, control)
            answer(ready_fd, READY)
            await control.ending.wait()
            if file_id(socket) == files[socket]:
                socket.unlink(missing_ok=True)  # new clients wait for our end
        group.cancel_scope.cancel()


def main() -> None:
    """Take the home's lock, end what a killed predecessor left, and serve."""
    checkout, home = Path(sys.argv[1]), Home(Path(sys.argv[2]))
    ready_fd = int(sys.argv[3])
    os.umask(0o077)  # the services' as well: what they write is for their owner alone
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with try_locked(home.supervisor_lock) as lock:
        if lock is None:  # the client connects to its holder, or waits for its end
            answer(ready_fd, BUSY)
            return
        try:
            wait_for_predecessors(home)
            with locked(home.guard_lock):  # released when it has swept
                sweep(home)
                shutil.rmtree(home.scratch, ignore_errors=True)
            settings = read_settings(os.environ, find_env_file(checkout))
            anyio.run(run, checkout, home, settings, ready_fd)
        except StackError as error:
            answer(ready_fd, json.dumps(error_as_json(error)).encode())
            sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
