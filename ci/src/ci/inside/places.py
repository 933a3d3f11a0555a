"""Paths, users and addresses inside a container, for Docker and Dagger.

Standard library only. The image (Dockerfile) makes these folders and this user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ci.stack.model import Endpoints

CODE = "/app"
RAW = "/data/raw"
PREFECT_HOME = "/data/prefect"
USER = "10001:10001"

DATABASE_HOST, DATABASE_PORT = "db", 5432
SERVER_HOST, SERVER_PORT = "prefect-server", 4200


def endpoints(
    *,
    password: str | None,
    browser_api_url: str,
    api_login: str | None = None,
    database_port: int = DATABASE_PORT,
    command: str = "./etl",
) -> Endpoints:
    """Return where the stack's containers meet each other.

    Host names are the names of the services. `browser_api_url` is the API as seen from
    outside, which only the caller knows.
    """
    from ci.stack.model import Endpoints  # a Dagger call needs only the names above

    return Endpoints(
        database_host=DATABASE_HOST,
        database_port=database_port,
        server_host=SERVER_HOST,
        server_bind="0.0.0.0",  # noqa: S104  # of its container, not of a machine
        server_port=SERVER_PORT,
        browser_api_url=browser_api_url,
        raw_dir=RAW,
        prefect_home=PREFECT_HOME,
        password=password,
        api_login=api_login,
        command=command,
    )
