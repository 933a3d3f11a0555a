"""The address that Prefect's server listens on, and what it opens.

Standard library only, as the whole description.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

LOOPBACK = "127.0.0.1"
LOCALHOST = "localhost"  # means 127.0.0.1 here, whatever /etc/hosts makes of it


@dataclass(frozen=True)
class BindAddress:
    """An IP address to listen on: of this machine, of a network, or all (`0.0.0.0`).

    Made by `bind_address`.
    """

    ip: IPv4Address | IPv6Address

    @property
    def text(self) -> str:
        """The address as programs take it after `--host`."""
        return str(self.ip)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect to it."""
        return self.ip.is_loopback

    @property
    def is_ipv6(self) -> bool:
        """Whether a URL needs brackets around it."""
        return self.ip.version == 6

    @property
    def client_host(self) -> str:
        """The address at which this machine itself connects, without brackets."""
        if not self.ip.is_unspecified:
            return self.text
        return "::1" if self.is_ipv6 else LOOPBACK

    @property
    def url_host(self) -> str:
        """The same for a URL: an IPv6 address in brackets."""
        return url_host(self.client_host)

    def opened(self, port: int) -> str | None:
        """Return what the address opens to a network; None for loopback."""
        if self.is_loopback:
            return None
        reach = (
            "every network of this machine" if self.ip.is_unspecified else "a network"
        )
        return (
            f"Prefect's UI and API are open to {reach}, "
            f"at {url_host(self.text)}:{port} (PREFECT_SERVER_API_HOST)"
        )


def bind_address(text: str) -> BindAddress:
    """Parse an IP address or `localhost`. Raises ValueError with what is allowed."""
    try:
        return BindAddress(ip_address(LOOPBACK if text == LOCALHOST else text))
    except ValueError:
        raise ValueError(
            "an IP address or localhost, e.g. 127.0.0.1 (this machine alone) or "
            "0.0.0.0 (open to the network)"
        ) from None


def url_host(host: str) -> str:
    """Return a host as a URL holds it: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def is_loopback(host: str) -> bool:
    """Whether a host name or address, as a URL holds it, is this machine."""
    if host == LOCALHOST:
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
