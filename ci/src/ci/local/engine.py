"""The local engine: processes of this machine, owned by one supervisor a checkout."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from ci.host.engine import Reporter, Status
from ci.host.home import Home
from ci.host.interrupts import passing_interrupts
from ci.local.client import Client, Event, connect, connect_or_start
from ci.local.launch import Launch, Launcher
from ci.local.layout import digest
from ci.local.logs import read_logs
from ci.local.postgres import Postgres
from ci.stack.errors import StackError, StackStopping, TimedOut, UnitFailed, UsageError
from ci.stack.model import Endpoints, Job, Stack
from ci.stack.services import describe
from ci.stack.settings import StackSettings

STOP_WITHIN_S = 60.0
LAST_STEPS_S = 2.0  # from giving the lock back to the end of the process
LOST_PAUSE_S = 0.5  # between two looks whether the supervisor is still there


class LocalSession:
    """A leased stack. The lease ends with the block, and with us if we are killed."""

    def __init__(self, engine: LocalEngine, client: Client, account: Event) -> None:
        self._engine, self._client = engine, client
        endpoints = Endpoints(**account["endpoints"])
        self._stack = describe(engine.settings, endpoints)
        self._launcher = engine.launcher(endpoints)

    def run_job(
        self,
        name: str,
        arguments: Iterable[str],
        *,
        capture: bool,
        files: Iterable[Path] = (),  # they are where the job looks already
    ) -> tuple[int, str]:
        """Run a job on our terminal; with `capture` its standard output is returned."""
        job = self._stack.unit(name)
        launch = self._launcher.command(job, (*job.command, *arguments))
        return self._run(launch, capture=capture)

    def run_command(self, unit: str, command: list[str]) -> int:
        """Run a command with a unit's programs and environment."""
        launch = self._launcher.command(self._stack.unit(unit), tuple(command))
        return self._run(launch, capture=False)[0]

    def _run(self, launch: Launch, *, capture: bool) -> tuple[int, str]:
        try:
            process = subprocess.Popen(
                launch.command,
                env=launch.environment,
                cwd=launch.folder,
                stdout=subprocess.PIPE if capture else None,
                text=True,
                **launch.options,
            )
        except FileNotFoundError:
            program = launch.command[0]
            hint = "./etl exec SERVICE CMD…"
            raise UsageError(f"there is no program {program!r}", hint) from None
        self._client.own_job(process.pid)
        with passing_interrupts():
            output = self._wait(process)
        code = process.returncode
        return (code if code >= 0 else 128 - code), output

    def _wait(self, process: subprocess.Popen[str]) -> str:
        """Wait for a job; end it when the stack that it works with is gone."""
        while True:
            try:
                output, _ = process.communicate(timeout=LOST_PAUSE_S)
            except subprocess.TimeoutExpired:
                if not self._client.lost():
                    continue
                process.kill()
                process.communicate()
                raise UnitFailed(
                    "the supervisor was killed, and the whole stack with it",
                    "run the command again: it starts a new one",
                ) from None
            return output or ""

    def status(self) -> Status:
        """Return how the stack is now."""
        return self._engine.read_status(self._client.account())


class LocalEngine:
    """Implements the engine's verbs by asking the supervisor."""

    name = "local"

    def __init__(self, checkout: Path, home: Home, settings: StackSettings) -> None:
        self.checkout, self.home, self.settings = checkout, home, settings

    def launcher(self, endpoints: Endpoints) -> Launcher:
        """Return what turns units into processes for a stack that is up."""
        port = endpoints.database_port
        return Launcher(
            self.checkout,
            self.home,
            Postgres.at(self.home.pgdata, self.home.pg_sockets, port),
        )

    @contextmanager
    def hold(self, names: Iterable[str], progress: Reporter) -> Iterator[LocalSession]:
        """Hold services, and what jobs need; then stop what nobody else holds."""
        with self.leased(progress, names, keep=False) as (client, account):
            yield LocalSession(self, client, account)
            last = client.account()
        if not last["keep"] and last["leases"] == 1:
            self.wait_stopped(last["pid"])

    def up(self, progress: Reporter) -> Status:
        """Bring every service up and leave the stack running."""
        with self.leased(progress, None, keep=True) as (_, account):
            return self.read_status(account)

    @contextmanager
    def leased(
        self, progress: Reporter, names: Iterable[str] | None, *, keep: bool
    ) -> Iterator[tuple[Client, Event]]:
        """Connect, starting a supervisor if there is none, and bring units up.

        None means every service. A stack that is just stopping is waited for.
        """
        while True:
            with connect_or_start(self.checkout, self.home) as client:
                before = client.account()
                stack = self.stack_of(before)
                units = list(stack.services) if names is None else wanted(stack, names)
                try:
                    with progress:
                        account = client.ensure(units, keep, progress.unit_changed)
                except StackError as error:
                    if error.code != StackStopping.code:
                        raise
                else:
                    self.warn_of_stale_settings(account, progress)
                    yield client, account
                    return
            self.wait_stopped(before["pid"])

    def down(self, *, volumes: bool) -> bool:
        """Stop the stack; with `volumes` delete databases and stored files."""
        client = connect(self.home)
        if client:
            with client:
                pid = client.ask({"do": "stop"})["pid"]
            self.wait_stopped(pid)
        if volumes:
            for folder in (self.home.pgdata, self.home.raw, self.home.prefect):
                shutil.rmtree(folder, ignore_errors=True)
        return client is not None

    def restart(self, service: str | None, progress: Reporter) -> Status:
        """Restart one service, or the whole stack with freshly read settings."""
        if service is None:
            self.down(volumes=False)
            return self.up(progress)
        client = connect(self.home)
        if client is None:
            raise UsageError(
                "the stack is not up, so there is nothing to restart", "./etl up"
            )
        with client, progress:
            request = {"do": "restart", "units": [service]}
            return self.read_status(client.ask(request, progress.unit_changed))

    def status(self) -> Status:
        """Return how the stack is, without starting anything."""
        client = connect(self.home)
        if client is None:
            return Status(running=False, ui_url=None, units=[])
        with client:
            return self.read_status(client.account())

    def read_status(self, account: Event) -> Status:
        """Read the supervisor's account."""
        return Status(
            running=True,
            ui_url=account["endpoints"]["browser_api_url"].removesuffix("/api"),
            api_login=account["endpoints"]["api_login"],
            units=account["units"],
            stale_settings=account["settings_digest"] != digest(self.settings),
        )

    def stack_of(self, account: Event) -> Stack:
        """Describe the stack at the places that the supervisor has settled."""
        return describe(self.settings, Endpoints(**account["endpoints"]))

    def warn_of_stale_settings(self, account: Event, progress: Reporter) -> None:
        """Say so when `.env` has changed since the stack started."""
        if self.read_status(account).stale_settings:
            progress.say("etl: the settings have changed since the stack started;")
            progress.say("  apply them: ./etl restart")

    def wait_stopped(self, pid: int) -> None:
        """Wait until a supervisor has ended, and with it every service."""
        import fcntl

        deadline = time.monotonic() + STOP_WITHIN_S
        with self.home.supervisor_lock.open("w") as lock:
            while time.monotonic() < deadline:
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    with contextlib.suppress(psutil.Error):
                        psutil.Process(pid).wait(LAST_STEPS_S)
                    return
                if client := connect(self.home):
                    with client, contextlib.suppress(UnitFailed):
                        if client.account()["pid"] != pid:
                            return  # somebody else has started a new one
                time.sleep(0.01)
        raise TimedOut(
            f"the stack did not stop in {STOP_WITHIN_S:.0f} s", "./etl logs supervisor"
        )

    def seems_up(self) -> bool:
        """Whether a supervisor answers."""
        client = connect(self.home)
        if client is None:
            return False
        with client:
            return True

    def rebuild(self, progress: Reporter) -> bool:
        """Build nothing: the launcher keeps the environment in step with its lock."""
        return False

    def losses(self) -> list[str]:
        """Say what `down --volumes` deletes."""
        known = {
            self.home.pgdata: "both databases (data, history, Prefect's runs)",
            self.home.raw: "the stored input files",
            self.home.prefect: "Prefect's local files",
        }
        return [f"{path}: {what}" for path, what in known.items() if path.exists()]

    def logs(self, service: str | None, *, follow: bool, lines: int) -> Iterator[str]:
        """Yield the last log lines of one service or of all, then what follows."""
        return read_logs(self.home.logs, service, follow=follow, lines=lines)


def wanted(stack: Stack, names: Iterable[str]) -> list[str]:
    """Return the units to bring up: services themselves, and what jobs need."""
    units: list[str] = []
    for name in names:
        unit = stack.unit(name)
        units.extend(unit.needs if isinstance(unit, Job) else [name])
    return units
