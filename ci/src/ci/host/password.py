"""The database password: the one that is set, or one generated for this home."""

from __future__ import annotations

from urllib.parse import urlsplit

from ci.host.home import Home
from ci.stack.settings import StackSettings


def password_of(home: Home, settings: StackSettings) -> str:
    """Return the database password: the user's, or the one made for this home."""
    if settings.postgres_password:
        return settings.postgres_password.reveal()
    if settings.database_url and not settings.external_database:
        given = urlsplit(settings.database_url.reveal()).password
        if given:
            return given
    return home.password()
