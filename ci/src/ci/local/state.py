"""The state of one unit of a running stack."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import anyio

from ci.local.child import Child
from ci.stack.errors import StackError
from ci.stack.model import Condition, Job, Service


@dataclass
class State:
    """What `status` shows of a unit."""

    name: str
    kind: str
    status: str = "stopped"  # waiting starting ready running completed failed stopped
    pid: int | None = None
    exit_code: int | None = None
    restarts: int = 0
    detail: str = ""
    took_s: float | None = None

    @property
    def active(self) -> bool:
        """Whether it is starting, or has started."""
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
    """A unit, its state, and its process while it has one."""

    unit: Service | Job
    state: State
    child: Child | None = None
    failure: StackError | None = None  # why its status is "failed"
    stopping: bool = False
    was_ready: bool = False
    deaths: deque[float] = field(default_factory=deque)
    life: anyio.CancelScope | None = None
    finished: anyio.Event = field(default_factory=anyio.Event)


def final_condition(unit: Service | Job) -> Condition:
    """Return the condition of a unit that is up: a service healthy, a job completed."""
    return Condition.COMPLETED if isinstance(unit, Job) else Condition.HEALTHY
