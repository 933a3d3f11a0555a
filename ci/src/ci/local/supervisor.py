"""Runs a stack: starts each unit when its needs are met, restarts it, stops it."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from types import TracebackType

import anyio

from ci.local import probes
from ci.local.child import Child
from ci.local.launch import Launch, Launcher
from ci.local.state import Running, State
from ci.stack.errors import StackError, UnitFailed, first_error, unwrapped
from ci.stack.model import (
    RESTARTS,
    RESTARTS_WITHIN_S,
    Condition,
    HttpProbe,
    Job,
    Service,
    SqlProbe,
    Stack,
)

log = logging.getLogger(__name__)

HURRY_S = 1.0  # for each service


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
        on_change: Callable[[State], None] = lambda _state: None,
    ) -> None:
        self.stack, self.launcher = stack, launcher
        self._password, self._on_change = password, on_change
        self.running = {
            name: Running(unit, State(name, type(unit).__name__.lower()))
            for name, unit in stack.units.items()
        }
        self.hurry = False  # whoever held the stack was killed: stop it at once
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
        with unwrapped():
            async with anyio.create_task_group() as group:
                for name in closure:
                    condition = final_condition(self.stack.unit(name))
                    group.start_soon(self._wait, name, condition)

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
        one.was_ready = False
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
        except* Exception as failures:  # noqa: BLE001 - the other units live on
            error = first_error(failures)
            name = "" if isinstance(error, StackError) else f"{one.unit.name}: "
            if not one.stopping:
                self._set(one, "failed", detail=f"{name}{error}", pid=None)
        finally:
            one.finished.set()

    async def _serve(self, one: Running, service: Service) -> None:
        """Start a service, wait for its probe, and start it again when it dies."""
        while not one.stopping:
            started = time.monotonic()
            self._set(one, "starting", took_s=None)
            if service.cluster:
                await anyio.to_thread.run_sync(self.launcher.postgres.prepare)
            child = await self._spawn(one, self.launcher.service(service))
            async with anyio.create_task_group() as group:
                group.start_soon(self._announce_ready, one, child, started)
                code = await child.process.wait()
                group.cancel_scope.cancel()
            self._clear(one, child)
            if not one.stopping:
                self._note_death(one, child, code)

    def _note_death(self, one: Running, child: Child, code: int) -> None:
        """Decide whether a service that died is started again, or has failed."""
        now = time.monotonic()
        one.deaths.append(now)
        while now - one.deaths[0] > RESTARTS_WITHIN_S:
            one.deaths.popleft()
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        if not one.was_ready or len(one.deaths) > RESTARTS:
            late = f", {one.state.detail}" if one.state.detail else ""
            raise UnitFailed(f"{one.unit.name} ended ({how}{late})\n{child.tail()}")
        log.warning("%s died (%s), starting it again", one.unit.name, how)
        one.state.restarts += 1
        self._set(one, "starting", detail=f"died ({how}), starting it again", pid=None)

    async def _announce_ready(self, one: Running, child: Child, started: float) -> None:
        """Set the unit ready when its probe answers; end it if that takes too long."""
        service, since = one.unit, datetime.now(UTC)
        assert isinstance(service, Service)
        with anyio.move_on_after(service.within_s) as bound:
            while not await self._answers(service, since):
                await anyio.sleep(probes.PAUSE_S)
            if service.cluster:
                await anyio.to_thread.run_sync(
                    self.launcher.postgres.ensure, service.cluster, self._password
                )
        if bound.cancelled_caught:
            one.state.detail = f"not ready after {service.within_s:.0f} s"
            await child.stop(service.stop_signal, service.stop_within_s)
            return
        one.was_ready = True
        self._set(one, "ready", took_s=time.monotonic() - started, detail="")

    async def _answers(self, service: Service, since: datetime) -> bool:
        """Ask the probe of a service that was started at a time."""
        if isinstance(service.probe, SqlProbe):
            return self.launcher.postgres.says_ready()
        if isinstance(service.probe, HttpProbe):
            return await probes.http_ready(self._client, service.probe)
        return await probes.worker_ready(self._client, service.probe, since)

    async def _complete(self, one: Running, job: Job) -> None:
        """Run a job to its end."""
        started = time.monotonic()
        self._set(one, "running", took_s=None)
        child = await self._spawn(one, self.launcher.supervised(job))
        with anyio.move_on_after(job.within_s) as bound:
            await child.process.wait()
        if bound.cancelled_caught:
            await child.stop(signal.SIGKILL, 1.0)
        self._clear(one, child)
        code = child.process.returncode
        if one.stopping:
            return
        if code:
            late = f", after {job.within_s:.0f} s" if bound.cancelled_caught else ""
            raise UnitFailed(
                f"{job.name} failed (exit code {code}{late})\n{child.tail()}"
            )
        self._set(one, "completed", took_s=time.monotonic() - started)

    async def _spawn(self, one: Running, launch: Launch) -> Child:
        """Start a unit's process."""
        path = self.launcher.home.logs / f"{one.unit.name}.log"
        one.child = await Child.start(launch, path)
        self._set(one, one.state.status, pid=one.child.process.pid)
        return one.child

    def _clear(self, one: Running, child: Child) -> None:
        """Note the end of a process, and end what it left behind."""
        one.child, one.state.pid = None, None
        one.state.exit_code = child.process.returncode
        child.end_strays()

    async def _stop_one(self, one: Running) -> None:
        """Stop one unit: its stop signal, a bounded wait, then kill."""
        if not one.state.active:
            return
        one.stopping = True
        if one.child and isinstance(one.unit, Service):
            within_s = min(one.unit.stop_within_s, HURRY_S if self.hurry else 3600)
            await one.child.stop(one.unit.stop_signal, within_s)
        elif one.child:
            await one.child.stop(signal.SIGKILL, 1.0)
        elif one.life:
            one.life.cancel()
        await one.finished.wait()
        self._set(one, "stopped", pid=None)

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


def final_condition(unit: Service | Job) -> Condition:
    """What it means for a unit to be there."""
    return Condition.COMPLETED if isinstance(unit, Job) else Condition.HEALTHY
