"""Pages in a real browser: the UI works with its login; other pages get nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.security.api import Api
from tests.security.browser import Page, find_chromium, opened

pytestmark = pytest.mark.timeout(180)

# What a page may try without the login: read, write in three ways, and listen.
ATTEMPTS = """
(async () => {
  const api = %s, deployment = %s, seen = {};
  const run = api + "/deployments/" + deployment + "/create_flow_run";
  const attempt = async (name, work) => {
    try { seen[name] = await work(); } catch (error) { seen[name] = "refused"; }
  };
  await attempt("read", async () => (await fetch(api + "/admin/version")).text());
  await attempt("read as JSON", async () => (await fetch(api + "/flow_runs/filter",
    {method: "POST", headers: {"Content-Type": "application/json"}, body: "{}"}
  )).text());
  await attempt("read with a guess", async () => (await fetch(api + "/admin/version",
    {headers: {"Authorization": "Basic ZXRsOmd1ZXNz"}})).text());
  for (const type of ["", "text/plain", "application/x-www-form-urlencoded"])
    await attempt("write " + type, async () => (await fetch(run, {
      method: "POST", mode: "no-cors", credentials: "include",
      body: new Blob([JSON.stringify({state: {type: "SCHEDULED"}})], {type})
    })).type);
  await attempt("listen", () => new Promise((resolve, reject) => {
    const socket = new WebSocket(api.replace("http", "ws") + "/events/out", "prefect");
    socket.onopen = () => socket.send(JSON.stringify({type: "auth", token: null}));
    socket.onmessage = (event) => resolve(event.data);
    socket.onclose = socket.onerror = reject;
  }));
  return JSON.stringify(seen);
})()
"""


class Blank(BaseHTTPRequestHandler):
    """Serves an empty page."""

    def do_GET(self) -> None:
        """Answer any address with the page."""
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<title>another origin</title>")

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@contextmanager
def another_origin() -> Iterator[str]:
    """Serve a page of another origin on this machine; give its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Blank) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    """A page of a browser that has no login."""
    program = find_chromium()
    if program is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    with opened(program, tmp_path) as page:
        yield page


def count_runs(api: Api) -> int:
    """Return the number of flow runs."""
    answer = api.ask("POST", "/flow_runs/count", {}, login=api.login)
    return int(answer.raise_for_status().json())


def test_a_page_of_another_origin_reads_and_triggers_nothing(
    api: Api, page: Page
) -> None:
    name = "/deployments/name/master-etl/master-etl-deployment"
    deployment = api.ask("GET", name, login=api.login).json()["id"]
    before = count_runs(api)
    with another_origin() as address:
        page.open(address)
        page.wait_for("document.title === 'another origin'")
        code = ATTEMPTS % (json.dumps(f"{api.ui_url}/api"), json.dumps(deployment))
        seen = json.loads(page.evaluate(code))
    blind = {name for name in seen if name.startswith("write")}
    assert len(blind) == 3
    assert {seen[name] for name in blind} <= {"opaque", "refused"}
    assert {seen[name] for name in seen.keys() - blind} == {"refused"}
    assert count_runs(api) == before


def test_the_ui_works_with_the_login(api: Api, page: Page) -> None:
    page.open(api.ui_url)
    page.wait_for("document.querySelector('input[type=password]') !== null")
    text = "document.body.innerText"
    assert "Flow Runs" not in page.evaluate(text)
    page.evaluate("document.querySelector('input[type=password]').focus()")
    page.type(api.login)
    page.wait_for(f"{text}.includes('Flow Runs')")
    page.open(f"{api.ui_url}/deployments")
    page.wait_for(f"{text}.includes('master-etl-deployment')")
