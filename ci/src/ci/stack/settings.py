"""StackSettings: every variable a user may set, typed and checked, described once.

Standard library only: a Dagger call imports this in a fresh interpreter. The reference
page and `.env.example` are written from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import urlsplit

from ci.stack import values
from ci.stack.addresses import LOOPBACK, BindAddress, bind_address, is_loopback
from ci.stack.consistency import check_consistency, is_own_database
from ci.stack.errors import InvalidSetting
from ci.stack.values import Secret as Secret
from ci.stack.values import sql_url as sql_url

POSTGRES_PORT, PREFECT_PORT = 5432, 4200


def variable(
    help: str,
    parse: Callable[[str], Any] = str,
    default: Any = None,
    *,
    section: str | None = None,
) -> Any:
    """Declare one variable.

    Args:
        help: Its meaning, and what happens when it is empty. Whole sentences.
        parse: Reads its text; raises ValueError with what is allowed.
        default: None: not set, the engine chooses.
        section: Title of the group of variables that begins here.
    """
    return field(
        default=default, metadata={"help": help, "parse": parse, "section": section}
    )


@dataclass(frozen=True, kw_only=True)
class StackSettings:
    """What a user may set. The variable's name is the field's in capitals."""

    postgres_host: str = variable(
        "Name of the database's host inside the stack (containers use this name).",
        values.checked_host,
        "db",
        section="Database",
    )
    postgres_user: str = variable(
        "Role that owns both databases.", values.identifier, "biocirv_user"
    )
    postgres_db: str = variable(
        "Application database.", values.identifier, "biocirv_db"
    )
    postgres_password: Secret | None = variable(
        "Password of that role. Empty: one is generated for this checkout and kept in "
        ".etl/postgres_password.",
        Secret,
    )
    postgres_port: int | None = variable(
        f"Database port on this machine. Empty: {POSTGRES_PORT}, or a free one when "
        "that is taken.",
        values.port_number,
    )
    database_url: Secret | None = variable(
        "SQLAlchemy URL of the application database. Empty: derived from the parts "
        "above. Another host, or a port of this machine other than POSTGRES_PORT: that "
        "server is used and none is started; set PREFECT_API_DATABASE_CONNECTION_URL "
        "too.",
        values.sql_url("psycopg"),
    )
    prefect_api_url: str | None = variable(
        "Prefect's API as this machine reaches it. Empty: derived, "
        f"http://127.0.0.1:{PREFECT_PORT}/api.",
        values.api_url,
        section="Prefect",
    )
    prefect_server_api_host: str = variable(
        "IP address (or localhost, which is 127.0.0.1) on which Prefect's server "
        "listens. Anything but loopback opens its UI and API to a network; each start "
        "then prints what is open.",
        values.listen_address,
        LOOPBACK,
    )
    prefect_server_api_port: int | None = variable(
        f"Server port on this machine. Empty: {PREFECT_PORT}, or a free one when that "
        "is taken.",
        values.port_number,
    )
    prefect_api_login: Secret | None = variable(
        "Login of Prefect's API and UI, user:password. Empty: made for this checkout "
        "and kept in .etl/prefect_login; ./etl status --show-login shows it. off: no "
        "login, so every user and program of this machine can run commands as you.",
        values.api_login,
    )
    prefect_ui_api_url: str | None = variable(
        "Prefect's API as the browser reaches it. Empty: derived.", values.api_url
    )
    prefect_api_database_connection_url: Secret | None = variable(
        "SQLAlchemy URL of Prefect's own database. Empty: prefect_db beside the "
        "application's.",
        values.sql_url("asyncpg"),
    )
    prefect_work_pool_name: str = variable(
        "Work pool of the deployments and the worker.", values.pool_name, "biocirv-etl"
    )
    prefect_worker_query_seconds: float = variable(
        "Pause between two polls of the worker for new runs, in seconds.",
        values.seconds,
        0.2,
    )
    prefect_worker_limit: int | None = variable(
        "How many runs the worker executes at the same time; the others wait. Empty: "
        "one per processor, and at most one per GB of memory.",
        values.count,
    )
    prefect_logging_level: str = variable(
        f"Log level of flows and services: {', '.join(values.LOG_LEVELS)}.",
        values.log_level,
        "INFO",
    )
    usda_nass_api_key: Secret | None = variable(
        "Key of the USDA QuickStats API (https://quickstats.nass.usda.gov/api). Only "
        "for ./etl run --input nass=api",
        Secret,
        section="Sources",
    )
    nass_api_url: str | None = variable("Another address of that API.", values.http_url)
    etl_keep_days: int | None = variable("Days `./etl prune` keeps; 365.", values.count)
    landiq_shapefile_url: str | None = variable(
        "Address of the LandIQ crop map; read by a source that is still to come.",
        values.http_url,
    )
    credentials_path: str | None = variable(
        "File with the credentials of Google sheets; read by a source that is still to "
        "come."
    )
    oauth2_proxy_client_id: str | None = variable(
        "Login proxy in front of the UI. Accepted, not used by this stack.",
        section="Hosted stacks",
    )
    oauth2_proxy_client_secret: Secret | None = variable(
        "The same: accepted, not used.", Secret
    )
    oauth2_proxy_cookie_secret: Secret | None = variable(
        "The same: accepted, not used.", Secret
    )
    tz: str = variable(
        "Time zone of the processes. Stored times are UTC in any case.",
        values.time_zone,
        "UTC",
        section="Processes",
    )
    container_memory_gb: int = variable(
        "Memory limit of each container in GB (Docker engine). A process that needs "
        "more is killed, and its run or service fails.",
        values.count,
        4,
    )

    def __post_init__(self) -> None:
        check_consistency(self)

    @property
    def server_bind(self) -> BindAddress:
        """The address that Prefect's server listens on, parsed."""
        return bind_address(self.prefect_server_api_host)

    @property
    def external_database(self) -> bool:
        """Whether DATABASE_URL names a server that is not this stack's own."""
        return not is_own_database(self.database_url, self)

    @property
    def external_prefect_database(self) -> bool:
        """Whether PREFECT_API_DATABASE_CONNECTION_URL names such a server."""
        return not is_own_database(self.prefect_api_database_connection_url, self)

    @property
    def login_off(self) -> bool:
        """Whether Prefect's API is to answer without a login."""
        return self.prefect_api_login == Secret(values.LOGIN_OFF)

    @property
    def prefect_database(self) -> str:
        """Name of Prefect's database."""
        url = self.prefect_api_database_connection_url
        return urlsplit(url.reveal()).path.lstrip("/") if url else "prefect_db"

    @property
    def database_port(self) -> int | None:
        """The stack's own database port, if POSTGRES_PORT or DATABASE_URL sets it."""
        if self.postgres_port is None and self.database_url:
            host = urlsplit(self.database_url.reveal()).hostname
            if host and is_loopback(host) and not self.external_database:
                return POSTGRES_PORT
        return self.postgres_port

    @property
    def server_port(self) -> int | None:
        """The server's port on this machine, if a setting requests one."""
        if self.prefect_server_api_port is None and self.prefect_api_url:
            url = urlsplit(self.prefect_api_url)
            return url.port or values.DEFAULT_PORTS[url.scheme]
        return self.prefect_server_api_port


def variable_names() -> dict[str, str]:
    """Return every variable with its meaning, in the order of declaration."""
    return {f.name.upper(): f.metadata["help"] for f in fields(StackSettings)}


def secret_names() -> frozenset[str]:
    """Return the variables with values that must never be shown."""
    return frozenset(
        f.name.upper() for f in fields(StackSettings) if "Secret" in str(f.type)
    )


def parse_settings(
    environment: Mapping[str, str], from_file: Mapping[str, str], file: str
) -> StackSettings:
    """Build the settings from the environment, then the file; empty is absent.

    Raises:
        InvalidSetting: A value is malformed (with its name, its value unless it is
            secret, and what is allowed), or two settings contradict each other.
    """
    parsed: dict[str, Any] = {}
    secrets = secret_names()
    for spec in fields(StackSettings):
        name = spec.name.upper()
        origin = "the environment" if environment.get(name) else file
        text = environment.get(name) or from_file.get(name)
        if not text:
            continue
        try:
            parsed[spec.name] = spec.metadata["parse"](text)
        except ValueError as error:
            shown = "(its value is not shown)" if name in secrets else repr(text)
            raise InvalidSetting(
                f"{name} {shown} in {origin} is not valid; it must be: {error}",
                f"edit {name} in {origin}",
            ) from None
    return StackSettings(**parsed)
