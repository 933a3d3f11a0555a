"""The far side of the worker's probe: an API with a login that knows some workers."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Api:
    """Where it listens, the login that it asks for, and the workers that it lists."""

    address: str = ""
    login: str | None = None
    workers: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def served(api: Api) -> Iterator[Api]:
    """Serve it on a port of the loopback."""

    class Handler(BaseHTTPRequestHandler):
        """Answers health without a login, as Prefect does, and workers with it."""

        def do_GET(self) -> None:
            self.reply(200, True)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            wanted = api.login and base64.b64encode(api.login.encode()).decode()
            known = not wanted or self.headers["Authorization"] == f"Basic {wanted}"
            self.reply(200 if known else 401, api.workers if known else [])

        def reply(self, status: int, body: object) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *arguments: object) -> None:
            """Write no log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    api.address = f"127.0.0.1:{server.server_address[1]}"
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
