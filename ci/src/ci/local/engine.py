"""The local engine: processes of this machine, owned by one supervisor a checkout."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ci.host.engine import Reporter, Status
from ci.host.home import Home
from ci.local.client import (
    Client,
    Event,
    SupervisorEnded,
    connect,
    connect_or_start,
)
from ci.local.guard import report_orphans, sweep
from ci.local.launch import Launcher
from ci.local.layout import digest
from ci.local.locks import is_locked, try_locked, wait_unlocked
from ci.local.logs import read_logs
from ci.local.postgres import Postgres
from ci.local.processes import Identity, wait_ended
from ci.local.session import LocalSession
from ci.stack.addresses import bind_address
from ci.stack.errors import StackError, StackStopping, TimedOut, UsageError
from ci.stack.model import Endpoints, Job, Stack
from ci.stack.services import describe
from ci.stack.settings import StackSettings

STOP_WITHIN_S = 60.0
GUARD_WITHIN_S = 15.0  # for the guard of a killed supervisor to end its children
POLL_S = 0.05


class LocalEngine:
    """Implements the engine's verbs by requests to the supervisor."""

    name = "local"

    def __init__(self, checkout: Path, home: Home, settings: StackSettings) -> None:
        self.checkout, self.home, self.settings = checkout, home, settings

    def launcher(self, account: Event) -> Launcher:
        """Return what turns units into processes for a stack that is up."""
        port = account["endpoints"]["database_port"]
        return Launcher(
            self.checkout,
            self.home,
            Postgres.at(self.home.pgdata, self.home.pg_sockets, port),
        )

    @contextmanager
    def hold(self, names: Iterable[str], progress: Reporter) -> Iterator[LocalSession]:
        """Hold services, and what jobs need; stop them after the last lease."""
        with self.leased(progress, names, keep=False) as (client, account):
            yield LocalSession(
                client,
                self.stack_of(account),
                self.launcher(account),
                self.read_status,
            )
            last = client.account()
            supervisor = Identity.find(last["pid"])
        if not last["keep"] and last["leases"] == 1:
            self.wait_stopped(supervisor)

    def up(self, progress: Reporter) -> Status:
        """Bring every service up and leave the stack running."""
        with self.leased(progress, None, keep=True) as (_, account):
            return self.read_status(account)

    @contextmanager
    def leased(
        self, progress: Reporter, names: Iterable[str] | None, *, keep: bool
    ) -> Iterator[tuple[Client, Event]]:
        """Connect, starting a supervisor if there is none, and bring units up.

        None means every service. A stack that is stopping is waited for.
        """
        while True:
            with connect_or_start(self.checkout, self.home, progress.say) as client:
                supervisor = None
                try:
                    before = client.account()
                    supervisor = Identity.find(before["pid"])
                    stack = self.stack_of(before)
                    units = [*stack.services] if names is None else wanted(stack, names)
                    with progress:
                        account = client.ensure(units, keep, progress.unit_changed)
                except StackError as error:
                    ended = isinstance(error, SupervisorEnded) and supervisor is None
                    if not (ended or error.code == StackStopping.code):
                        raise
                else:
                    self.print_notices(account, progress)
                    yield client, account
                    return
            self.wait_stopped(supervisor)

    def down(self, *, volumes: bool) -> bool:
        """Stop the stack; with `volumes` delete databases and stored files."""
        stopped = self.stop()
        if not self.home.root.is_dir():
            return stopped
        with try_locked(self.home.supervisor_lock) as lock:
            if lock is None:
                raise StackError(
                    "another command has started the stack again", "./etl down"
                )
            # What is left now has no supervisor: it was killed, and its guard too.
            wait_unlocked(self.home.guard_lock, GUARD_WITHIN_S)
            orphans = sweep(self.home)
            for folder in self.volumes() if volumes else ():
                shutil.rmtree(folder, ignore_errors=True)
        return stopped or orphans > 0

    def stop(self) -> bool:
        """Have the supervisor stop the stack, and wait for its end."""
        deadline = time.monotonic() + STOP_WITHIN_S
        while time.monotonic() < deadline:
            if client := connect(self.home):
                with client, contextlib.suppress(SupervisorEnded):
                    supervisor = Identity.find(client.account()["pid"])
                    client.ask({"do": "stop"})
                    self.wait_stopped(supervisor)
                    return True
            elif not is_locked(self.home.supervisor_lock):
                return False
            time.sleep(POLL_S)  # it is starting, or stopping already
        raise TimedOut(
            f"the stack did not stop in {STOP_WITHIN_S:.0f} s", "./etl logs supervisor"
        )

    def restart(self, service: str | None, progress: Reporter) -> Status:
        """Restart one service, or the whole stack with freshly read settings."""
        if service is None:
            self.down(volumes=False)
            return self.up(progress)
        client = connect(self.home)
        if client is None:
            self.check_orphans()
            raise UsageError(
                "the stack is not up, so there is nothing to restart", "./etl up"
            )
        with client, progress:
            request = {"do": "restart", "units": [service]}
            return self.read_status(client.ask(request, progress.unit_changed))

    def status(self) -> Status:
        """Return the state of the stack, without starting anything.

        Raises UnitFailed when processes are left of a stack without a supervisor.
        """
        client = connect(self.home)
        if client is None:
            self.check_orphans()
            return Status(running=False, ui_url=None, units=[])
        with client:
            return self.read_status(client.account())

    def check_orphans(self) -> None:
        """Report processes of the stack that run without a supervisor."""
        wait_unlocked(self.home.guard_lock, GUARD_WITHIN_S)
        if is_locked(self.home.supervisor_lock):
            return  # it is starting or stopping
        report_orphans(self.home)

    def read_status(self, account: Event) -> Status:
        """Return the status that an answer of the supervisor holds."""
        return Status(
            running=True,
            ui_url=account["endpoints"]["browser_api_url"].removesuffix("/api"),
            api_login=account["endpoints"]["api_login"],
            units=account["units"],
            stale_settings=account["settings_digest"] != digest(self.settings),
        )

    def stack_of(self, account: Event) -> Stack:
        """Describe the stack at the endpoints that the supervisor has chosen."""
        return describe(self.settings, Endpoints(**account["endpoints"]))

    def print_notices(self, account: Event, progress: Reporter) -> None:
        """Print what is open to a network, and whether `.env` has changed meanwhile."""
        at = Endpoints(**account["endpoints"])
        if opened := bind_address(at.server_bind).opened(at.server_port):
            progress.say(f"etl: {opened}")
        if self.read_status(account).stale_settings:
            progress.say("etl: the settings have changed since the stack started;")
            progress.say("  apply them: ./etl restart")

    def wait_stopped(self, supervisor: Identity | None) -> None:
        """Wait until a supervisor has ended, and with it every service."""
        if supervisor and wait_ended([supervisor], STOP_WITHIN_S):
            raise TimedOut(
                f"the stack did not stop in {STOP_WITHIN_S:.0f} s",
                "./etl logs supervisor",
            )

    def seems_up(self) -> bool:
        """Whether a supervisor answers; an unusable home has none."""
        with contextlib.suppress(StackError):
            if client := connect(self.home):
                with client:
                    return True
        return False

    def rebuild(self, progress: Reporter) -> bool:
        """Build nothing: the launcher keeps the environment up to date."""
        return False

    def losses(self) -> list[str]:
        """Return what `down --volumes` deletes, one line each."""
        return [f"{p}: {what}" for p, what in self.volumes().items() if p.exists()]

    def volumes(self) -> dict[Path, str]:
        """Return the folders that hold data, with what each holds."""
        return {
            self.home.pgdata: "both databases (data, history, Prefect's runs)",
            self.home.raw: "the stored input files",
            self.home.prefect: "Prefect's local files",
        }

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
