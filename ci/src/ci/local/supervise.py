"""Runs a stack: starts each unit when its needs are met, restarts it, stops it."""

from __future__ import annotations

import logging
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType

import anyio
import anyio.abc

from ci import probes
from ci.errors import StackError, UnitFailed
from ci.local.launch import Launch, Launcher
from ci.local.processes import Identity, end, marked
from ci.stack import Condition, HttpProbe, Job, Service, SqlProbe, Stack

log = logging.getLogger(__name__)

RESTARTS, WITHIN_S = 3, 60.0  # more deaths than that in that time, and it has failed
LOG_TAIL_LINES = 15
LOG_ROTATE_BYTES = 20_000_000


@dataclass
class State:
    """How one unit is; what `status` shows, one per unit."""

    name: str
    kind: str
    status: str = "stopped"  # stopped waiting starting ready running completed failed
    pid: int | None = None
    exit_code: int | None = None
    restarts: int = 0
    detail: str = ""
    took_s: float | None = None
    ready_at: float | None = None

    @property
    def active(self) -> bool:
        """Whether it is on its way or there."""
        return self.status in ("waiting", "starting", "ready", "running", "completed")

    def meets(self, condition: Condition) -> bool:
        """Whether a unit that needs this one may start."""
        if condition is Condition.STARTED:
            return self.status in ("starting", "ready", "running", "completed")
        if condition is Condition.HEALTHY:
            return self.status == "ready"
        return self.status == "completed"


@dataclass
class Running:
    """A unit's state, and its process while it has one."""

    unit: Service | Job
    state: State
    process: anyio.abc.Process | None = None
    identity: Identity | None = None
    stopping: bool = False
    log_from: int = 0  # where in its log file the present process begins
    deaths: deque[float] = field(default_factory=deque)
    life: anyio.CancelScope | None = None
    finished: anyio.Event = field(default_factory=anyio.Event)


class Supervisor:
    """Owns the processes of one stack. Use as an async context manager.

    `on_change` is called with each unit's state whenever it changes.
    """

    def __init__(
        self,
        stack: Stack,
        launcher: Launcher,
        *,
        password: str,
        on_change: Callable[[State], None] = lambda state: None,
    ) -> None:
        self.stack, self.launcher = stack, launcher
        self._password, self._on_change = password, on_change
        self.running = {
            name: Running(unit, State(name, type(unit).__name__.lower()))
            for name, unit in stack.units.items()
        }
        self._changed = anyio.Event()
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> Supervisor:
        self._client = await self._exit.enter_async_context(probes.new_client())
        self._tasks = await self._exit.enter_async_context(anyio.create_task_group())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with anyio.CancelScope(shield=True):
            await self.stop(self.running)
        self._tasks.cancel_scope.cancel()
        await self._exit.__aexit__(kind, error, trace)

    def states(self) -> list[dict[str, object]]:
        """Return the state of every unit, in the stack's order."""
        return [asdict(one.state) for one in self.running.values()]

    async def ensure(self, names: Iterable[str]) -> None:
        """Bring these units, and all they need, to readiness or completion.

        Units start as soon as their own needs are met, side by side. Raises UnitFailed
        naming the link that failed, with the last lines of its log.
        """
        closure = self.stack.closure(names)
        for name in closure:
            if not self.running[name].state.active:
                self._launch(name)
        try:
            async with anyio.create_task_group() as group:
                for name in closure:
                    condition = final_condition(self.stack.unit(name))
                    group.start_soon(self._wait, name, condition)
        except* UnitFailed as failures:
            raise first_error(failures) from None

    async def stop(self, names: Iterable[str]) -> None:
        """Stop services, those that need others before those others."""
        wanted = set(names)
        for name in reversed(self.stack.closure(self.stack.units)):
            if name in wanted:
                await self._stop_one(self.running[name])

    async def restart(self, name: str) -> None:
        """Stop one unit and bring it up again; what needs it stays as it is."""
        await self._stop_one(self.running[name])
        await self.ensure([name])

    def _launch(self, name: str) -> None:
        one = self.running[name]
        one.stopping, one.life, one.finished = False, anyio.CancelScope(), anyio.Event()
        one.deaths.clear()
        self._set(one, "waiting", detail="", exit_code=None, restarts=0)
        self._tasks.start_soon(self._live, one)

    async def _live(self, one: Running) -> None:
        """Take a unit through its life; every end of it is noted in its state."""
        try:
            with one.life or anyio.CancelScope():
                async with anyio.create_task_group() as group:
                    for need, condition in one.unit.needs.items():
                        group.start_soon(self._wait, need, condition)
                if isinstance(one.unit, Job):
                    await self._complete(one, one.unit)
                else:
                    await self._serve(one, one.unit)
        except* StackError as failures:
            why = first_error(failures)
            if not one.stopping:
                self._set(one, "failed", detail=str(why), pid=None)
        except* OSError as failures:
            self._set(
                one,
                "failed",
                detail=f"{one.unit.name}: {first_error(failures)}",
                pid=None,
            )
        finally:
            one.finished.set()

    async def _serve(self, one: Running, service: Service) -> None:
        """Start a service, wait for its probe, and start it again when it dies."""
        while not one.stopping:
            started = time.monotonic()
            self._set(one, "starting", took_s=None)
            if service.cluster:
                await anyio.to_thread.run_sync(self.launcher.postgres.prepare)
            process = await self._spawn(one, self.launcher.service(service))
            async with anyio.create_task_group() as group:
                group.start_soon(self._announce_ready, one, service, started)
                code = await process.wait()
                group.cancel_scope.cancel()
            self._clear(one)
            one.state.exit_code = code
            if one.stopping:
                return
            self._note_death(one, code)

    def _note_death(self, one: Running, code: int) -> None:
        """Decide whether a service that died is started again, or has failed."""
        was_ready = one.state.ready_at is not None
        now = time.monotonic()
        one.deaths.append(now)
        while one.deaths and now - one.deaths[0] > WITHIN_S:
            one.deaths.popleft()
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        if not was_ready or len(one.deaths) > RESTARTS:
            raise UnitFailed(
                f"{one.unit.name} ended ({how})\n{self.tail(one.unit.name)}"
            )
        log.warning("%s died (%s), starting it again", one.unit.name, how)
        one.state.restarts += 1
        self._set(one, "starting", detail=f"died ({how}), starting it again", pid=None)

    async def _announce_ready(
        self, one: Running, service: Service, started: float
    ) -> None:
        """Set the unit ready when its probe answers; end it if that takes too long."""
        with anyio.move_on_after(service.within_s) as bound:
            while not await self._answers(service):
                await anyio.sleep(probes.PAUSE_S)
            if service.cluster:
                await anyio.to_thread.run_sync(
                    self.launcher.postgres.ensure, service.cluster, self._password
                )
        if bound.cancelled_caught:
            one.state.detail = f"not ready after {service.within_s:.0f} s"
            await self._signal(one, service)
            return
        took = time.monotonic() - started
        self._set(one, "ready", took_s=took, ready_at=time.time(), detail="")

    async def _answers(self, service: Service) -> bool:
        """Ask a service's probe once."""
        if isinstance(service.probe, SqlProbe):
            return self.launcher.postgres.says_ready()
        if isinstance(service.probe, HttpProbe):
            return await probes.http_ready(self._client, service.probe)
        return await probes.worker_ready(self._client, service.probe)

    async def _complete(self, one: Running, job: Job) -> None:
        """Run a job to its end."""
        started = time.monotonic()
        self._set(one, "running", took_s=None)
        process = await self._spawn(one, self.launcher.supervised(job))
        with anyio.move_on_after(job.within_s) as bound:
            await process.wait()
        if bound.cancelled_caught:
            process.kill()
            await process.wait()
        self._clear(one)
        if one.stopping:
            return
        one.state.exit_code = process.returncode
        if process.returncode:
            why = f"after {job.within_s:.0f} s" if bound.cancelled_caught else ""
            raise UnitFailed(
                f"{job.name} failed (exit code {process.returncode}) {why}".rstrip()
                + f"\n{self.tail(job.name)}"
            )
        self._set(one, "completed", took_s=time.monotonic() - started)

    async def _spawn(self, one: Running, launch: Launch) -> anyio.abc.Process:
        """Start a process in a group of its own, writing straight to its log file."""
        path = self.log_path(one.unit.name)
        rotate(path)
        with path.open("ab") as output:
            one.log_from = output.tell()
            process = await anyio.open_process(
                launch.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=launch.folder,
                env=launch.environment,
                start_new_session=True,
                **launch.options,
            )
        one.process, one.identity = process, Identity.of(process.pid)
        one.state.ready_at = None
        self._set(one, one.state.status, pid=process.pid)
        return process

    def _clear(self, one: Running) -> None:
        """Forget a process that ended, and end what it left behind."""
        one.process = one.identity = None
        one.state.pid = None
        end(marked(self.launcher.marks(one.unit)), signal.SIGKILL, 0)

    async def _stop_one(self, one: Running) -> None:
        """Stop one unit: its stop signal, a bounded wait, then kill."""
        if not one.state.active:
            return
        one.stopping = True
        if one.process and isinstance(one.unit, Service):
            await self._signal(one, one.unit)
        elif one.process:
            one.process.kill()
        elif one.life:
            one.life.cancel()
        await one.finished.wait()
        self._set(one, "stopped", pid=None)

    async def _signal(self, one: Running, service: Service) -> None:
        if one.process is None or one.identity is None:
            return
        identity = one.identity
        one.process.send_signal(service.stop_signal)
        with anyio.move_on_after(service.stop_within_s) as bound:
            await one.process.wait()
        if bound.cancelled_caught:
            log.warning("%s did not stop in time, killing it", service.name)
            identity.signal_group(signal.SIGKILL)

    async def _wait(self, name: str, condition: Condition) -> None:
        """Wait until a unit meets a condition; raise UnitFailed when it cannot."""
        state = self.running[name].state
        while not state.meets(condition):
            if state.status == "failed":
                raise UnitFailed(state.detail, f"./etl logs {name}")
            if state.status == "stopped":
                raise UnitFailed(f"{name} was stopped", "./etl up")
            await self._changed.wait()

    def _set(self, one: Running, status: str, **changes: object) -> None:
        one.state.status = status
        for name, value in changes.items():
            setattr(one.state, name, value)
        self._on_change(one.state)
        self._changed.set()
        self._changed = anyio.Event()

    def log_path(self, name: str) -> Path:
        """Return the log file of a unit."""
        return self.launcher.home.logs / f"{name}.log"

    def tail(self, name: str, lines: int = LOG_TAIL_LINES) -> str:
        """Return the last lines of a unit's log, indented."""
        return tail(self.log_path(name), self.running[name].log_from, lines)


def tail(path: Path, start: int, lines: int) -> str:
    """Return a file's last lines after a position, indented; empty if there is none."""
    try:
        with path.open("rb") as handle:
            handle.seek(max(start, path.stat().st_size - 64_000))
            text = handle.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(f"  | {line}" for line in text.splitlines()[-lines:])


def rotate(path: Path) -> None:
    """Set a log file aside once it has grown large."""
    if path.exists() and path.stat().st_size > LOG_ROTATE_BYTES:
        path.replace(path.with_suffix(".log.1"))


def final_condition(unit: Service | Job) -> Condition:
    """What it means for a unit to be there."""
    return Condition.COMPLETED if isinstance(unit, Job) else Condition.HEALTHY


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Unwrap nested groups down to the first error in them."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
