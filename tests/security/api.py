"""Requests to Prefect's API, with and without its login, and what must be refused.

Used for every engine: see test_login.py here and test_rows_both.py of the Docker tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx

Request = tuple[str, str, dict[str, Any] | None]
READ: Request = ("GET", "/admin/version", None)
CHANGE: Request = ("POST", "/flow_runs/filter", {})
UNAUTHORIZED, OK = httpx.codes.UNAUTHORIZED, httpx.codes.OK
FOREIGN_ORIGIN = "http://pages.example.org"


@dataclass(frozen=True)
class Api:
    """One server: its address without a path, and its login."""

    ui_url: str
    login: str

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        login: str | None = None,
        origin: str | None = None,
    ) -> httpx.Response:
        """Send one request; without `login` it carries none."""
        user, _, password = (login or "").partition(":")
        return httpx.request(
            method,
            f"{self.ui_url}/api{path}",
            json=body,
            auth=(user, password) if login else None,
            headers={"Origin": origin} if origin else None,
            trust_env=False,
        )


def assert_asks_for_the_login(api: Api) -> None:
    """Check that nothing is answered or done without the right login."""
    user = api.login.partition(":")[0]
    for method, path, body in (READ, CHANGE):
        assert api.ask(method, path, body).status_code == UNAUTHORIZED
        wrong = api.ask(method, path, body, login=f"{user}:not the password")
        assert wrong.status_code == UNAUTHORIZED
        assert api.ask(method, path, body, login=api.login).status_code == OK


def assert_other_origins_get_no_permission(api: Api) -> None:
    """Check the answers by which a browser decides what another page may do."""
    asked = {"Origin": FOREIGN_ORIGIN, "Access-Control-Request-Method": "POST"}
    preflight = httpx.options(f"{api.ui_url}/api/flow_runs/filter", headers=asked)
    assert "access-control-allow-origin" not in preflight.headers
    answer = api.ask(*READ, login=api.login, origin=FOREIGN_ORIGIN)
    assert "access-control-allow-origin" not in answer.headers
    own = api.ask(*READ, login=api.login, origin=api.ui_url)
    assert own.headers["access-control-allow-origin"] == api.ui_url
