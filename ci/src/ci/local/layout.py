"""Where this machine puts a stack: ports, sockets, password. Settled once, at start."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass

from ci.host.home import Home
from ci.host.ports import choose
from ci.host.secrets import login_of, password_of
from ci.local.postgres import Postgres
from ci.stack.model import Endpoints, Port
from ci.stack.settings import POSTGRES_PORT, PREFECT_PORT, StackSettings


@dataclass(frozen=True)
class LocalLayout:
    """What the engine fills into the description."""

    endpoints: Endpoints
    postgres: Postgres
    ports: dict[str, int]
    password: str
    digest: str


def settle(home: Home, settings: StackSettings) -> LocalLayout:
    """Choose ports and find Postgres. Raises PortTaken, PrerequisiteMissing."""
    home.make()
    last = last_ports(home)
    wishes = (
        Port("sql", POSTGRES_PORT, settings.database_port),
        Port("http", PREFECT_PORT, settings.server_port),
    )
    # Never released here: they are ours as long as this process lives.
    ports = {wish.name: choose(wish, last.get(wish.name)).number for wish in wishes}
    bind = settings.server_bind
    address = f"http://{bind.url_host}:{ports['http']}/api"
    endpoints = Endpoints(
        database_host=str(home.pg_sockets),
        database_port=ports["sql"],
        server_host=bind.client_host,
        server_bind=bind.text,
        server_port=ports["http"],
        browser_api_url=settings.prefect_ui_api_url or address,
        raw_dir=str(home.raw),
        prefect_home=str(home.prefect),
        api_login=login_of(home, settings),
    )
    return LocalLayout(
        endpoints=endpoints,
        postgres=Postgres.at(home.pgdata, home.pg_sockets, ports["sql"]),
        ports=ports,
        password=password_of(home, settings),
        digest=digest(settings),
    )


def last_ports(home: Home) -> dict[str, int]:
    """Return the ports of the last start, so that addresses stay the same."""
    with contextlib.suppress(OSError, ValueError):
        return dict(json.loads(home.state.read_text())["ports"])
    return {}


def digest(settings: StackSettings) -> str:
    """Return a fingerprint of the settings, which shows a later change of `.env`."""
    plain = {
        name: value.reveal() if hasattr(value, "reveal") else value
        for name, value in vars(settings).items()
    }
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
