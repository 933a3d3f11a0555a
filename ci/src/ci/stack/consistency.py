"""Checks settings against each other: contradictions are reported, never ignored.

Standard library only, as the whole description.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from ci.stack.addresses import is_loopback
from ci.stack.errors import InvalidSetting
from ci.stack.values import Secret

if TYPE_CHECKING:
    from ci.stack.settings import StackSettings

DATABASE, PREFECT_DATABASE = "DATABASE_URL", "PREFECT_API_DATABASE_CONNECTION_URL"
DEFAULT_DATABASE_PORT = 5432
OWN_DATABASE_HOST, OWN_SERVER_HOSTS = "db", ("prefect-server", "0.0.0.0", "::")  # noqa: S104


def is_own_database(url: Secret | None, settings: StackSettings) -> bool:
    """Whether a URL names the stack's own database server, or is not set.

    Own is the server's name inside the stack, and this machine with the port that the
    stack's server has by the settings. Everything else is another server.
    """
    if url is None:
        return True
    parts = urlsplit(url.reveal())
    if not parts.hostname:
        return "host" not in parse_qs(parts.query)
    if parts.hostname in (OWN_DATABASE_HOST, settings.postgres_host):
        return True
    own_port = settings.postgres_port or DEFAULT_DATABASE_PORT
    port = parts.port or DEFAULT_DATABASE_PORT
    return is_loopback(parts.hostname) and port == own_port


def check_consistency(settings: StackSettings) -> None:
    """Raise InvalidSetting for settings that contradict each other."""
    check_database_urls(settings)
    check_api_url(settings)
    if settings.database_port and settings.database_port == settings.server_port:
        raise InvalidSetting(
            f"the database and Prefect's server have the same port "
            f"{settings.database_port}",
            "set POSTGRES_PORT and PREFECT_SERVER_API_PORT to different ports",
        )


def check_database_urls(settings: StackSettings) -> None:
    """Compare the two database URLs with each other and with their parts."""
    url = settings.database_url
    prefect = settings.prefect_api_database_connection_url
    if url and settings.external_database:
        if prefect is None or not settings.external_prefect_database:
            raise InvalidSetting(
                f"DATABASE_URL names another server ({server_of(url)}), but nothing "
                "says where Prefect's own database is",
                f"set {PREFECT_DATABASE} too; or, if the stack's own server is meant, "
                "leave DATABASE_URL empty and set POSTGRES_PORT",
            )
        return
    if url:
        compare_url(DATABASE, url, settings, settings.postgres_db)
    if prefect and not settings.external_prefect_database:
        compare_url(PREFECT_DATABASE, prefect, settings, None)


def server_of(url: Secret) -> str:
    """Return host and port of a URL, without user and password."""
    parts = urlsplit(url.reveal())
    host = parts.hostname or parse_qs(parts.query).get("host", ["?"])[0]
    return f"{host}, port {parts.port or DEFAULT_DATABASE_PORT}"


def check_api_url(settings: StackSettings) -> None:
    """Compare PREFECT_API_URL with the address of the stack's own server."""
    if settings.prefect_api_url is None:
        return
    url = urlsplit(settings.prefect_api_url)
    if settings.server_port != (url.port or settings.server_port):
        report(
            "PREFECT_API_URL",
            f"port {url.port}",
            "PREFECT_SERVER_API_PORT",
            str(settings.prefect_server_api_port),
        )
    host = url.hostname or ""
    own = is_loopback(host) or host in OWN_SERVER_HOSTS
    if settings.server_bind.is_loopback and not own:
        raise InvalidSetting(
            f"PREFECT_API_URL names {host}, but the stack's own server listens on "
            f"{settings.server_bind.text} alone",
            "leave PREFECT_API_URL empty, or open the server with "
            "PREFECT_SERVER_API_HOST",
        )


def compare_url(
    name: str, url: Secret, settings: StackSettings, database: str | None
) -> None:
    """Compare user, password and database of a URL with the separate variables."""
    parts = urlsplit(url.reveal())
    if parts.username and unquote(parts.username) != settings.postgres_user:
        report(name, f"user {parts.username}", "POSTGRES_USER", settings.postgres_user)
    password = settings.postgres_password
    if parts.password and password and unquote(parts.password) != password.reveal():
        report(name, "another password", "POSTGRES_PASSWORD", "(not shown)")
    if parts.password and password is None:
        raise InvalidSetting(
            f"{name} holds a password but POSTGRES_PASSWORD is not set",
            f"set POSTGRES_PASSWORD too, or leave {name} out: it is derived",
        )
    if database and parts.path.lstrip("/") != database:
        report(name, f"database {parts.path.lstrip('/')}", "POSTGRES_DB", database)


def report(url: str, seen: str, name: str, wanted: str) -> None:
    """Raise the error for a URL that disagrees with a variable."""
    raise InvalidSetting(
        f"{url} has {seen}, but {name} is {wanted}",
        f"remove {url} (it is derived from the parts), or make the two agree",
    )
