"""Runs a stack: starts each unit when its needs are met, restarts it, stops it."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import anyio

from ci.local import failures, probes
from ci.local.child import Child
from ci.local.launch import Launch, Launcher
from ci.local.logs import keep_small
from ci.local.state import Running, State, final_condition
from ci.stack.errors import (
    StackError,
    UnitFailed,
    first_error,
    unwrapped,
)
from ci.stack.model import (
    Condition,
    Job,
    Service,
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
        self._tasks.start_soon(keep_small, self.launcher.home.logs)
        return self

    async def __aexit__(self, *failure: Any) -> None:
        with anyio.CancelScope(shield=True):
            await self.stop(self.running)
        self._tasks.cancel_scope.cancel()
        await self._exit.__aexit__(*failure)

    def states(self) -> list[dict[str, object]]:
        """Return the state of every unit, in the stack's order."""
        return [asdict(entry.state) for entry in self.running.values()]

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
        """Stop a unit and bring it up again; what needs it stays as it is."""
        await self._stop_one(self.running[name])
        await self.ensure([name])

    def _launch(self, name: str) -> None:
        entry = self.running[name]
        entry.stopping, entry.life, entry.finished = (
            False,
            anyio.CancelScope(),
            anyio.Event(),
        )
        entry.deaths.clear()
        entry.was_ready = False
        self._set(entry, "waiting", detail="", exit_code=None, restarts=0)
        self._tasks.start_soon(self._live, entry)

    async def _live(self, entry: Running) -> None:
        """Take a unit through its life; every end of it is noted in its state."""
        try:
            with entry.life or anyio.CancelScope():
                async with anyio.create_task_group() as group:
                    for need, condition in entry.unit.needs.items():
                        group.start_soon(self._wait, need, condition)
                if isinstance(entry.unit, Job):
                    await self._complete(entry, entry.unit)
                else:
                    await self._serve(entry, entry.unit)
        except* Exception as errors:  # noqa: BLE001 - the other units live on
            error = first_error(errors)
            if not isinstance(error, StackError):
                error = UnitFailed(f"{entry.unit.name}: {error}")
            if not entry.stopping:
                entry.failure = error
                self._set(entry, "failed", detail=error.what, pid=None)
        finally:
            entry.finished.set()

    async def _serve(self, entry: Running, service: Service) -> None:
        """Start a service, wait for its probe, and start it again when it dies."""
        while not entry.stopping:
            started = time.monotonic()
            self._set(entry, "starting", took_s=None)
            if service.cluster:
                await anyio.to_thread.run_sync(self.launcher.postgres.prepare)
            child = await self._spawn(entry, self.launcher.service(service))
            async with anyio.create_task_group() as group:
                group.start_soon(self._announce_ready, entry, child, started)
                code = await child.process.wait()
                group.cancel_scope.cancel()
            self._clear(entry, child)
            if not entry.stopping:
                self._note_death(entry, child, code)

    def _note_death(self, entry: Running, child: Child, code: int) -> None:
        """Decide whether a service that died is started again, or has failed."""
        cause = failures.exit_cause(code)
        if not entry.was_ready or failures.died_too_often(entry.deaths):
            raise failures.service_failure(entry.state, cause, child.tail())
        log.warning("%s died (%s), starting it again", entry.unit.name, cause)
        entry.state.restarts += 1
        detail = f"died ({cause}), starting it again"
        self._set(entry, "starting", detail=detail, pid=None)

    async def _announce_ready(
        self, entry: Running, child: Child, started: float
    ) -> None:
        """Set the unit ready when its probe answers; end it if that takes too long."""
        service, since = entry.unit, datetime.now(UTC)
        postgres = self.launcher.postgres
        assert isinstance(service, Service)
        with anyio.move_on_after(service.within_s) as bound:
            while not await probes.answers(self._client, service, since, postgres):
                await anyio.sleep(probes.PAUSE_S)
            if service.cluster:
                await anyio.to_thread.run_sync(
                    postgres.ensure, service.cluster, self._password
                )
        if bound.cancelled_caught:
            entry.state.detail = f"not ready after {service.within_s:.0f} s"
            await child.stop(service.stop_signal, service.stop_within_s)
            return
        entry.was_ready = True
        self._set(entry, "ready", took_s=time.monotonic() - started, detail="")

    async def _complete(self, entry: Running, job: Job) -> None:
        """Run a job to its end."""
        started = time.monotonic()
        self._set(entry, "running", took_s=None)
        child = await self._spawn(entry, self.launcher.supervised(job))
        with anyio.move_on_after(job.within_s) as bound:
            await child.process.wait()
        if bound.cancelled_caught:
            await child.stop(signal.SIGKILL, 1.0)
        self._clear(entry, child)
        if entry.stopping:
            return
        failures.check_job(job, child, timed_out=bound.cancelled_caught)
        self._set(entry, "completed", took_s=time.monotonic() - started)

    async def _spawn(self, entry: Running, launch: Launch) -> Child:
        """Start a unit's process."""
        path = self.launcher.home.logs / f"{entry.unit.name}.log"
        entry.child = await Child.start(launch, path)
        self._set(entry, entry.state.status, pid=entry.child.process.pid)
        return entry.child

    def _clear(self, entry: Running, child: Child) -> None:
        """Note the end of a process, and end what it left behind."""
        entry.child, entry.state.pid = None, None
        entry.state.exit_code = child.process.returncode
        child.end_strays()

    async def _stop_one(self, entry: Running) -> None:
        """Stop a unit: its stop signal, a bounded wait, then kill."""
        if not entry.state.active:
            return
        entry.stopping = True
        if entry.child and isinstance(entry.unit, Service):
            within_s = min(entry.unit.stop_within_s, HURRY_S if self.hurry else 3600)
            await entry.child.stop(entry.unit.stop_signal, within_s)
        elif entry.child:
            await entry.child.stop(signal.SIGKILL, 1.0)
        elif entry.life:
            entry.life.cancel()
        await entry.finished.wait()
        self._set(entry, "stopped", pid=None)

    async def _wait(self, name: str, condition: Condition) -> None:
        """Wait until a unit meets a condition; raise UnitFailed when it cannot."""
        entry = self.running[name]
        state = entry.state
        while not state.meets(condition):
            if state.status == "failed":
                error = entry.failure or UnitFailed(state.detail)
                error.hint = error.hint or f"./etl logs {name}"
                raise error
            if state.status == "stopped":
                raise UnitFailed(f"{name} was stopped", "./etl up")
            await self._changed.wait()

    def _set(self, entry: Running, status: str, **changes: object) -> None:
        entry.state.status = status
        for name, value in changes.items():
            setattr(entry.state, name, value)
        self._on_change(entry.state)
        self._changed.set()
        self._changed = anyio.Event()
