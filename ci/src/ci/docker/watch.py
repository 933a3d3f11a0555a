"""Follows Docker's events while a stack starts: shows progress, detects early exits."""

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

    `ended` is the first service, with its exit code, that ended before it was ready.
    Compose itself would go on waiting while Docker restarts it again and again.
    """

    def __init__(self, docker: Docker, stack: Stack, progress: Reporter) -> None:
        self._docker, self._stack, self._progress = docker, stack, progress
        self._compose: subprocess.Popen[str] | None = None
        self._started: dict[str, float] = {}
        self._ready: set[str] = set()
        self.ended: tuple[str, int] | None = None

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

    def terminates(self, compose: subprocess.Popen[str]) -> None:
        """Terminate this process when a service ends before it is ready."""
        self._compose = compose
        if self.ended:
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
            self._report(name, "waiting")
        elif action == "start":
            self._started[name] = time.monotonic()
            self._report(name, "starting" if is_service else "running")
        elif action == "health_status: healthy":
            self._ready.add(name)
            self._report(name, "ready")
        elif action == "die" and name in self._started:  # else: a replaced container
            code = int(attributes.get("exitCode", 1))
            if is_service and name not in self._ready:
                self.ended = self.ended or (name, code)
                if self._compose:
                    self._compose.terminate()
            failed = is_service or code
            self._report(name, "failed" if failed else "completed", exit_code=code)

    def _report(self, name: str, status: str, exit_code: int | None = None) -> None:
        finished = status in ("ready", "completed", "failed")
        started = self._started.get(name)
        state: dict[str, Any] = {
            "name": name,
            "status": status,
            "exit_code": exit_code,
            "restarts": 0,
            "detail": f"exit code {exit_code}" if exit_code else "",
            "took_s": time.monotonic() - started if finished and started else None,
        }
        self._progress.unit_changed(state)
