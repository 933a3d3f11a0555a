"""Parsers of single settings: text in, typed value or ValueError out.

Standard library only, as the whole description. A message says what is allowed; it does
not hold the value, which may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from ci.stack.addresses import bind_address

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
LOGIN_OFF = "off"
SHORTEST_PASSWORD = 12  # of the API's login, which can be tried without limit
DEFAULT_PORTS = {"http": 80, "https": 443}


class Secret:
    """A text that is shown only by `reveal`."""

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
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise ValueError("a whole number from 1 to 65535")
    return int(text)


def count(text: str) -> int:
    """Parse a positive number of things."""
    if not re.fullmatch(r"[0-9]{1,4}", text) or int(text) < 1:
        raise ValueError("a whole number from 1 to 9999")
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


def pool_name(text: str) -> str:
    """Parse a work pool's name. Prefect has names in URLs and reserves `prefect…`."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", text):
        raise ValueError("letters, digits, - _ and . only, a letter or digit first")
    if text.lower().startswith("prefect"):
        raise ValueError("a name that does not start with prefect, which is reserved")
    return text


def log_level(text: str) -> str:
    """Parse a log level, in capitals or not."""
    if text.upper() not in LOG_LEVELS:
        raise ValueError(f"one of {', '.join(LOG_LEVELS)}")
    return text.upper()


def time_zone(text: str) -> str:
    """Parse TZ: a name of the time zone database, or what POSIX allows besides."""
    from zoneinfo import ZoneInfo, available_timezones

    name = text.removeprefix(":")
    if Path(name).is_absolute() and Path(name).is_file():
        return text
    if re.match(r"[A-Za-z]{3,}[+-]?[0-9]", name) or not available_timezones():
        return text
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(
            "a name of the time zone database, e.g. UTC or America/Los_Angeles"
        ) from None
    return text


def host_name(text: str) -> str:
    """Parse the name or address of a machine."""
    if re.fullmatch(r"[0-9.]+", text) or ":" in text:
        ip_address(text)
    elif not re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})", text):
        raise ValueError
    return text


def checked_host(text: str) -> str:
    """Parse a host name. Raises ValueError with what is allowed."""
    try:
        return host_name(text)
    except ValueError:
        raise ValueError("a host name or an IP address") from None


def listen_address(text: str) -> str:
    """Parse the address that a server listens on; `localhost` is 127.0.0.1."""
    return bind_address(text).text


def split_url(text: str) -> SplitResult:
    """Split a URL, with its host and port checked. Raises ValueError."""
    try:
        parts = urlsplit(text)
        port, host = parts.port, parts.hostname
        if host:
            host_name(host)
    except ValueError:
        raise ValueError(
            "a URL with a valid host name or address, and a port from 1 to 65535"
        ) from None
    if port == 0:
        raise ValueError("a URL with a port from 1 to 65535")
    return parts


def http_url(text: str) -> str:
    """Parse the address of a web service."""
    parts = split_url(text)
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise ValueError("an http:// or https:// address")
    return text.rstrip("/")


def api_url(text: str) -> str:
    """Parse the address of a Prefect API."""
    text = http_url(text)
    if not urlsplit(text).path.endswith("/api"):
        raise ValueError("an address that ends with /api: http://127.0.0.1:4200/api")
    return text


def api_login(text: str) -> Secret:
    """Parse the login of Prefect's API: user:password, or `off`.

    ASCII alone: browsers and HTTP libraries encode other characters differently.
    """
    if text.lower() == LOGIN_OFF:
        return Secret(LOGIN_OFF)
    password = text.partition(":")[2]
    if not re.fullmatch(r"[!-9;-~]+:[!-~]+", text):
        raise ValueError(
            "user:password, of ASCII letters, digits and signs without spaces; "
            f"or {LOGIN_OFF}"
        )
    if len(password) < SHORTEST_PASSWORD:
        raise ValueError(f"a password of at least {SHORTEST_PASSWORD} characters")
    return Secret(text)


def sql_url(driver: str) -> Callable[[str], Secret]:
    """Make a parser for SQLAlchemy URLs of PostgreSQL."""

    def parse(text: str) -> Secret:
        parts = split_url(text)
        if parts.scheme not in ("postgresql", f"postgresql+{driver}"):
            raise ValueError(
                f"starts with postgresql+{driver}://, then user:password@host:port/name"
            )
        if not parts.path.strip("/"):
            raise ValueError("a URL that ends with the name of the database")
        return Secret(text.replace(parts.scheme + ":", f"postgresql+{driver}:", 1))

    return parse
