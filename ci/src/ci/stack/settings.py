"""StackSettings of the stack: every variable, typed, validated, with its origin.

Standard library only: a Dagger call imports this in a fresh interpreter.
The environment wins over the file `.env`, which wins over the defaults here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ci.stack.errors import InvalidSetting

POSTGRES_PORT, PREFECT_PORT = 5432, 4200
OWN_HOSTS = frozenset({"", "db", "localhost", "127.0.0.1", "::1"})


class Secret:
    """A text that shows itself only when asked by name."""

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the plain text."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(****)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


def port_number(text: str) -> int:
    """Parse a TCP port."""
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise ValueError("a port is a whole number from 1 to 65535")
    return int(text)


def identifier(text: str) -> str:
    """Parse a database name or role: what Postgres takes without quotes."""
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", text):
        raise ValueError(
            "lower-case letters, digits and _ only, not starting with a digit"
        )
    return text


def seconds(text: str) -> float:
    """Parse a duration in seconds."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.05 <= value <= 3600:
        raise ValueError("seconds, from 0.05 to 3600")
    return value


def api_url(text: str) -> str:
    """Parse the address of a Prefect API."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("an http:// or https:// address")
    if not parts.path.rstrip("/").endswith("/api"):
        raise ValueError("the address ends with /api, e.g. http://127.0.0.1:4200/api")
    return text.rstrip("/")


def sql_url(driver: str) -> Callable[[str], Secret]:
    """Make a parser for SQLAlchemy URLs of PostgreSQL."""

    def parse(text: str) -> Secret:
        scheme = urlsplit(text).scheme
        if scheme not in ("postgresql", f"postgresql+{driver}"):
            raise ValueError(f"starts with postgresql+{driver}://")
        return Secret(text.replace(scheme + ":", f"postgresql+{driver}:", 1))

    return parse


def variable(help: str, parse: Callable[[str], Any] = str, default: Any = None) -> Any:
    """Declare one variable: its meaning, how its text is read, its default."""
    return field(default=default, metadata={"help": help, "parse": parse})


@dataclass(frozen=True, kw_only=True)
class StackSettings:
    """What a user may set. The variable's name is the field's in capitals.

    None means: not asked for, the engine chooses (a free port, a generated password).
    """

    postgres_host: str = variable(
        "name of the database's host inside the stack", default="db"
    )
    postgres_user: str = variable(
        "role that owns both databases", identifier, "biocirv_user"
    )
    postgres_db: str = variable("application database", identifier, "biocirv_db")
    postgres_password: Secret | None = variable(
        "password of that role; generated when absent", Secret
    )
    postgres_port: int | None = variable(
        f"database port on this machine; {POSTGRES_PORT} or a free one when absent",
        port_number,
    )
    database_url: Secret | None = variable(
        "full SQLAlchemy URL; derived from the parts when absent", sql_url("psycopg")
    )
    prefect_api_url: str | None = variable(
        "Prefect's API as this machine sees it; derived when absent", api_url
    )
    prefect_server_api_host: str = variable(
        "bind address of the server", default="127.0.0.1"
    )
    prefect_server_api_port: int | None = variable(
        f"server port on this machine; {PREFECT_PORT} or a free one when absent",
        port_number,
    )
    prefect_ui_api_url: str | None = variable(
        "the API as the browser sees it; derived when absent", api_url
    )
    prefect_api_database_connection_url: Secret | None = variable(
        "Prefect's own database; derived when absent", sql_url("asyncpg")
    )
    prefect_work_pool_name: str = variable(
        "work pool of deployments and worker", default="biocirv-etl"
    )
    prefect_worker_query_seconds: float = variable(
        "pause between the worker's looks for new runs, s", seconds, 0.2
    )
    prefect_logging_level: str = variable(
        "log level of flows and services", default="INFO"
    )
    usda_nass_api_key: Secret | None = variable("key of the QuickStats API", Secret)
    nass_api_url: str | None = variable("another address of the QuickStats API (tests)")
    landiq_shapefile_url: str | None = variable("address of the LandIQ crop map")
    credentials_path: str | None = variable(
        "file with the credentials of Google sheets"
    )
    oauth2_proxy_client_id: str | None = variable(
        "login proxy of a hosted stack; unused here"
    )
    oauth2_proxy_client_secret: Secret | None = variable(
        "login proxy; unused here", Secret
    )
    oauth2_proxy_cookie_secret: Secret | None = variable(
        "login proxy; unused here", Secret
    )
    tz: str = variable("time zone of the processes", default="UTC")

    def __post_init__(self) -> None:
        check_urls(self)

    @property
    def external_database(self) -> bool:
        """Whether DATABASE_URL names a server that is not this stack's own."""
        if self.database_url is None:
            return False
        host = urlsplit(self.database_url.reveal()).hostname or ""
        return host not in OWN_HOSTS | {self.postgres_host}

    @property
    def prefect_database(self) -> str:
        """Name of Prefect's database."""
        url = self.prefect_api_database_connection_url
        return urlsplit(url.reveal()).path.lstrip("/") if url else "prefect_db"

    @property
    def server_port(self) -> int | None:
        """The server's port on this machine where one was asked for."""
        if self.prefect_server_api_port is None and self.prefect_api_url:
            return urlsplit(self.prefect_api_url).port
        return self.prefect_server_api_port


def variable_names() -> dict[str, str]:
    """Return every variable with its meaning, in the order of declaration."""
    return {f.name.upper(): f.metadata["help"] for f in fields(StackSettings)}


def secret_names() -> frozenset[str]:
    """Return the variables whose values must never be shown or handed on unasked."""
    return frozenset(
        f.name.upper() for f in fields(StackSettings) if "Secret" in str(f.type)
    )


def read_settings(
    environment: Mapping[str, str], env_file: Path | None = None
) -> StackSettings:
    """Build the settings from the environment and, below it, the file `.env`.

    An empty value counts as absent. Raises InvalidSetting naming variable and origin.
    """
    from_file = read_env_file(env_file) if env_file and env_file.is_file() else {}
    values: dict[str, Any] = {}
    for spec in fields(StackSettings):
        name = spec.name.upper()
        origin = "the environment" if environment.get(name) else str(env_file)
        text = environment.get(name) or from_file.get(name)
        if not text:
            continue
        try:
            values[spec.name] = spec.metadata["parse"](text)
        except ValueError as error:
            raise InvalidSetting(
                f"{name} in {origin} is not valid: {error}", f"edit {name} in {origin}"
            ) from None
    return StackSettings(**values)


def read_env_file(path: Path) -> dict[str, str]:
    """Read a `.env` file; a misspelt name of ours is an error, other names pass."""
    from dotenv import dotenv_values

    try:
        values = {k: v or "" for k, v in dotenv_values(path, encoding="utf-8").items()}
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(
            f"{path} cannot be read: {error}", "cp .env.example .env"
        ) from None
    known = variable_names()
    for name in values:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.9)
        if name not in known and near:
            raise InvalidSetting(
                f"{path} sets {name}, which nothing reads; did you mean {near[0]}?",
                f"rename {name} to {near[0]} in {path}",
            )
    return values


def check_urls(settings: StackSettings) -> None:
    """Report a URL that contradicts the variables it could be derived from."""
    prefect = settings.prefect_api_database_connection_url
    if settings.external_database and prefect is None:
        raise InvalidSetting(
            "DATABASE_URL names another server, but nothing says where Prefect's own "
            "database is",
            "set PREFECT_API_DATABASE_CONNECTION_URL too",
        )
    if settings.database_url and not settings.external_database:
        compare_url(
            "DATABASE_URL", settings.database_url, settings, settings.postgres_db
        )
    if prefect and not settings.external_database:
        compare_url("PREFECT_API_DATABASE_CONNECTION_URL", prefect, settings, None)
    if settings.prefect_api_url and settings.prefect_server_api_port:
        port = urlsplit(settings.prefect_api_url).port
        if port != settings.prefect_server_api_port:
            contradiction(
                "PREFECT_API_URL",
                f"port {port}",
                "PREFECT_SERVER_API_PORT",
                str(settings.prefect_server_api_port),
            )


def compare_url(
    name: str, url: Secret, settings: StackSettings, database: str | None
) -> None:
    """Compare user, password and database of a URL with the separate variables."""
    parts = urlsplit(url.reveal())
    if parts.username and unquote(parts.username) != settings.postgres_user:
        contradiction(
            name, f"user {parts.username}", "POSTGRES_USER", settings.postgres_user
        )
    password = settings.postgres_password
    if parts.password and password and unquote(parts.password) != password.reveal():
        contradiction(name, "another password", "POSTGRES_PASSWORD", "(not shown)")
    if parts.password and password is None:
        raise InvalidSetting(
            f"{name} holds a password but POSTGRES_PASSWORD is not set",
            f"set POSTGRES_PASSWORD too, or leave {name} out: it is derived",
        )
    if database and parts.path.lstrip("/") != database:
        contradiction(
            name, f"database {parts.path.lstrip('/')}", "POSTGRES_DB", database
        )


def contradiction(url: str, seen: str, name: str, wanted: str) -> None:
    """Raise the error for a URL that disagrees with a variable."""
    raise InvalidSetting(
        f"{url} says {seen}, but {name} says {wanted}",
        f"remove {url} (it is derived from the parts), or make the two agree",
    )
