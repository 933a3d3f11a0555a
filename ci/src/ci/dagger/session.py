"""The stack of one call: starts units in order, each once, and runs jobs on them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import anyio
import dagger

from ci.dagger.containers import Containers
from ci.stack.errors import TimedOut, unwrapped
from ci.stack.model import Job, Runtime, Service, Stack

# A service with an exclusive volume also waits for the session that holds it.
VOLUME_WITHIN_S, VOLUME_NOTICE_S = 300.0, 15.0
BUSY = "another session may use the volume: end it, or dagger call --project NAME …"


class Session:
    """The services that a call has started; they live until the call ends."""

    def __init__(self, containers: Containers) -> None:
        self.containers = containers
        self._done: dict[str, anyio.Event] = {}
        self._built: set[Runtime] = set()

    @property
    def stack(self) -> Stack:
        """The description that is being run."""
        return self.containers.stack

    async def ensure(self, names: Iterable[str]) -> None:
        """Bring units up, and all they need; independent ones side by side.

        A service counts as started when it is healthy, so a need of STARTED is met a
        little later here than on other engines. The first failure ends all: the error
        of a failed command passes on as it is, and with it its exit code.
        """
        missing = [n for n in self.stack.closure(names) if n not in self._done]
        await self.build(missing)
        self._done |= {name: anyio.Event() for name in missing}
        with unwrapped():
            async with anyio.create_task_group() as group:
                for name in missing:
                    group.start_soon(self._bring_up, name)

    async def run(
        self, name: str, *arguments: str, inputs: dagger.Directory | None = None
    ) -> dagger.Container:
        """Run a job on what it needs; return its container after it has succeeded."""
        container = await self.ready(name)
        if inputs:
            container = container.with_mounted_directory("/inputs", inputs)
        unit = self.stack.unit(name)
        with in_time(unit):
            command = [*self.containers.command(name), *arguments]
            return await container.with_exec(command).sync()

    async def ready(self, name: str) -> dagger.Container:
        """Return a job's container, not run yet, with what it needs up."""
        await self.ensure(self.stack.unit(name).needs)
        await self.build([name])
        return self.containers.job(name)

    async def build(self, names: Iterable[str]) -> None:
        """Pull and build the images of units, side by side.

        Before anything is timed: the first call on an engine takes minutes for it, and
        no limit of a unit is meant for that.
        """
        own = [name for name in names if name not in self.containers.brought]
        wanted = {self.stack.unit(name).runtime for name in own} - self._built
        with unwrapped():
            async with anyio.create_task_group() as group:
                for runtime in wanted:
                    group.start_soon(self.containers.bases[runtime].sync)
        self._built |= wanted

    async def _bring_up(self, name: str) -> None:
        unit = self.stack.unit(name)
        for need in unit.needs:
            await self._done[need].wait()
        try:
            if isinstance(unit, Service):
                await started(unit, self.containers.service(name))
            else:
                job = self.containers.job(name)
                with in_time(unit):
                    await job.with_exec(self.containers.command(name)).sync()
        except dagger.DaggerError:
            report(f"{name} failed; the reason is in its log")
            raise
        self._done[name].set()


def report(line: str) -> None:
    """Write a line to the log of the function."""
    sys.stderr.write(f"etl: {line}\n")


async def started(unit: Service, service: dagger.Service) -> None:
    """Start a service and wait until it is healthy. Raises TimedOut."""
    if not unit.cluster:
        # Its supervisor ends a start without progress, however slow the machine is.
        await service.start()
        return
    async with anyio.create_task_group() as group:
        group.start_soon(notice, unit)
        with in_time(unit, VOLUME_WITHIN_S):
            await service.start()
        group.cancel_scope.cancel()


async def notice(unit: Service) -> None:
    """Report why a start may take longer: Dagger waits for a volume in silence."""
    await anyio.sleep(VOLUME_NOTICE_S)
    report(f"{unit.name} is not ready after {VOLUME_NOTICE_S:.0f} s; {BUSY}")


@contextmanager
def in_time(unit: Service | Job, within_s: float | None = None) -> Iterator[None]:
    """Bound the block by a limit, by default the unit's own. Raises TimedOut."""
    within_s = within_s or unit.within_s
    try:
        with anyio.fail_after(within_s):
            yield
    except TimeoutError:
        exclusive = isinstance(unit, Service) and unit.cluster is not None
        late = f"{unit.name} was not ready or done after {within_s:.0f} s"
        raise TimedOut(late, BUSY if exclusive else "") from None
