"""A headless Chromium, driven through its DevTools protocol."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.waiting import eventually
from websockets.sync.client import connect
from websockets.sync.connection import Connection

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
LARGEST_ANSWER = 50_000_000  # bytes: a screenshot


def find_chromium() -> str | None:
    """Return the path of Chromium; None when it is not installed."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


@dataclass
class Page:
    """One page of a browser."""

    socket: Connection
    last: int = field(default=0)

    def send(self, method: str, **parameters: Any) -> Any:
        """Call a method of the protocol; return its result."""
        self.last += 1
        message = {"id": self.last, "method": method, "params": parameters}
        self.socket.send(json.dumps(message))
        while True:
            answer = json.loads(self.socket.recv(timeout=30))
            if answer.get("id") == self.last:
                assert "error" not in answer, answer
                return answer["result"]

    def open(self, url: str) -> None:
        """Go to an address."""
        self.send("Page.navigate", url=url)

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        found = self.send(
            "Runtime.evaluate",
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
        )
        return found["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """Wait until an expression is true in the page."""
        return eventually(lambda: self.evaluate(expression), within_s=40)

    def type(self, text: str) -> None:
        """Type a text where the focus is, then Enter."""
        self.send("Input.insertText", text=text)
        for kind in ("keyDown", "keyUp"):
            self.send(
                "Input.dispatchKeyEvent",
                type=kind,
                key="Enter",
                code="Enter",
                text="\r" if kind == "keyDown" else "",
                windowsVirtualKeyCode=13,
            )

    def screenshot(self, path: Path) -> None:
        """Write what the page looks like."""
        shot = self.send("Page.captureScreenshot")
        path.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def opened(program: str, folder: Path) -> Iterator[Page]:
    """Start a browser with a profile of its own; give its page."""
    command = [
        program,
        "--headless=new",
        "--remote-debugging-port=0",
        f"--user-data-dir={folder}",
        "--no-first-run",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-proxy-server",
        "--window-size=1400,900",
        # It refuses to run as root with its sandbox. Its pages here are ours.
        *(["--no-sandbox"] if os.getuid() == 0 else []),
        "about:blank",
    ]
    environment = os.environ | {"HOME": str(folder)}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            with connect(page_address(process), max_size=LARGEST_ANSWER) as socket:
                yield Page(socket)
        finally:
            process.kill()


def page_address(process: subprocess.Popen[str]) -> str:
    """Return the websocket address of the browser's first page."""
    import httpx

    for line in process.stderr or ():
        if match := re.search(r"DevTools listening on ws://([^/]+)/", line):
            break
    else:
        raise AssertionError("the browser has ended")

    def first_page() -> str | None:
        targets = httpx.get(f"http://{match[1]}/json", trust_env=False).json()
        pages = [t["webSocketDebuggerUrl"] for t in targets if t["type"] == "page"]
        return pages[0] if pages else None

    address: str = eventually(first_page)
    return address
