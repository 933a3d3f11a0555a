"""The secrets of a stack: those that are set, or those generated for this home."""

from __future__ import annotations

from urllib.parse import urlsplit

from ci.host.home import Home
from ci.stack.settings import StackSettings

LOGIN_USER = "etl"


def password_of(home: Home, settings: StackSettings) -> str:
    """Return the database password: the user's, or the one made for this home."""
    if settings.postgres_password:
        return settings.postgres_password.reveal()
    if settings.database_url and not settings.external_database:
        given = urlsplit(settings.database_url.reveal()).password
        if given:
            return given
    return home.secret("postgres_password")


def login_of(home: Home, settings: StackSettings) -> str | None:
    """Return user:password of Prefect's API; None where the user has switched it off.

    The user's own, or the one generated for this home.
    """
    if settings.login_off:
        return None
    if settings.prefect_api_login:
        return settings.prefect_api_login.reveal()
    return f"{LOGIN_USER}:{home.secret('prefect_login')}"


def exposure(settings: StackSettings) -> list[str]:
    """Return the lines to print at each start of a stack without a login."""
    if not settings.login_off:
        return []
    return [
        "etl: warning: PREFECT_API_LOGIN=off: Prefect's API answers without a login;",
        "  every user and program of this machine, and every web page in its browsers,",
        "  can run commands as you and read what runs can read; to close it: remove",
        "  PREFECT_API_LOGIN from .env, then ./etl restart",
    ]
