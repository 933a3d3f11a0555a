"""Follows the project's containers while they start: shows progress, notices deaths."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from types import TracebackType
from typing import Any

from ci.docker.client import LABEL, Docker
from ci.host.engine import Reporter
from ci.stack.model import Service, Stack


class Watch:
    """Reads docker's events in a thread for as long as the block lasts.

    `dead` is the first service that ended before it was ready: compose itself would go
    on waiting while Docker starts it again and again.
    """

    def __init__(self, docker: Docker, stack: Stack, progress: Reporter) -> None:
        self._docker, self._stack, self._progress = docker, stack, progress
        self._compose: subprocess.Popen[str] | None = None
        self._started: dict[str, float] = {}
        self._ready: set[str] = set()
        self.dead: tuple[str, int] | None = None

    def __enter__(self) -> Watch:
        self._events = subprocess.Popen(
            [
                *(self._docker.program, "events", "--format", "{{json .}}"),
                *("--since", f"{time.time():.3f}", "--filter", "type=container"),
                *("--filter", f"label={LABEL}.project={self._docker.project}"),
            ],
            env=self._docker.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._events:  # waits for its end, and closes the pipe
            self._events.terminate()
            self._thread.join()

    def stops(self, compose: subprocess.Popen[str]) -> None:
        """End this process when a service has died."""
        self._compose = compose
        if self.dead:
            compose.terminate()

    def _read(self) -> None:
        for line in self._events.stdout or ():
            event = json.loads(line)
            attributes = event["Actor"]["Attributes"]
            if attributes.get(f"{LABEL}.oneoff") != "True":
                name = attributes.get(f"{LABEL}.service", "")
                self._note(name, event["Action"], attributes)

    def _note(self, name: str, action: str, attributes: dict[str, str]) -> None:
        unit = self._stack.units.get(name)
        if unit is None:
            return
        is_service = isinstance(unit, Service)
        if action == "create":
            self._tell(name, "waiting")
        elif action == "start":
            self._started[name] = time.monotonic()
            self._tell(name, "starting" if is_service else "running")
        elif action == "health_status: healthy":
            self._ready.add(name)
            self._tell(name, "ready")
        elif action == "die" and name in self._started:  # else: one that is replaced
            code = int(attributes.get("exitCode", 1))
            if is_service and name not in self._ready:
                self.dead = self.dead or (name, code)
                if self._compose:
                    self._compose.terminate()
            failed = is_service or code
            self._tell(name, "failed" if failed else "completed", exit_code=code)

    def _tell(self, name: str, status: str, exit_code: int | None = None) -> None:
        ended = status in ("ready", "completed", "failed")
        started = self._started.get(name)
        state: dict[str, Any] = {
            "name": name,
            "status": status,
            "exit_code": exit_code,
            "restarts": 0,
            "detail": f"exit code {exit_code}" if exit_code else "",
            "took_s": time.monotonic() - started if ended and started else None,
        }
        self._progress.unit_changed(state)
