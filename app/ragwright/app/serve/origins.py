"""Which addresses a request may name, and which pages may send it: the guard against DNS rebinding and CSRF.

A page of another site can make a browser call this server. It cannot choose the Host and the Origin that the
browser writes down, so these two tell such calls apart.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ragwright.app.serve.errors import HttpError
from ragwright.core.errors import ConfigError

if TYPE_CHECKING:
    from ragwright.app.serve.route_rules import Rule
    from ragwright.core.config_serving import ServerConfig

_PORTS = {"http": 80, "https": 443}
_PREFLIGHT_SECONDS = "600"
_EXPOSED = ", ".join(
    (
        *("x-request-id", "retry-after", "x-ratelimit-limit-requests", "x-ratelimit-remaining-requests"),
        "mcp-session-id",
    )
)
_SENT = ", ".join(
    (
        *("authorization", "content-type", "x-api-key", "x-request-id"),
        # Of MCP over HTTP: a browser sends nothing of it to a server that does not name them.
        *("mcp-protocol-version", "mcp-session-id", "mcp-method", "mcp-name", "last-event-id"),
    )
)


class Origins:
    """Checks Host and Origin against what the settings allow."""

    def __init__(self, settings: ServerConfig) -> None:
        """Allow what the settings say.

        Raises:
            ConfigError: An origin or the public address is none.
        """
        self._origins = {_checked_origin(each, "server.allowed_origins") for each in settings.allowed_origins}
        self._own_origins: set[str] = set()
        self._hosts = {
            each.lower().rstrip(".") for each in (*settings.allowed_hosts, settings.host, "localhost")
        }
        if settings.public_url is not None:
            address = urlsplit(settings.public_url)
            self._own_origins.add(
                _checked_origin(f"{address.scheme}://{address.netloc}", "server.public_url")
            )
            self._hosts.add((address.hostname or "").lower())

    def check(self, headers: Mapping[str, str], rule: Rule, *, method: str) -> dict[str, str]:
        """Refuse a request that names a foreign host, or comes from a foreign page.

        Returns:
            Headers for the response, so that a page that is allowed may read it.

        Raises:
            HttpError: 403.
        """
        host = headers.get("host", "")
        if not self._knows(host):
            raise HttpError(
                403,
                "the request names a host that is not this server's; add it to server.allowed_hosts",
                code="host_not_allowed",
            )
        origin = headers.get("origin")
        if origin is None and _is_of_foreign_page(headers, method):
            raise _not_allowed()
        if origin is None or self._is_own(origin, host):
            return {}
        if origin not in self._origins or rule.writes:
            raise _not_allowed()
        return {
            "access-control-allow-origin": origin,
            "access-control-expose-headers": _EXPOSED,
            "vary": "origin",
        }

    def _knows(self, host: str) -> bool:
        """Whether a Host header is one of ours; a bare address cannot be rebound by anybody's DNS."""
        name = _host_name(host)
        return name is not None and (name in self._hosts or _is_address(name))

    def _is_own(self, origin: str, host: str) -> bool:
        if origin in self._own_origins:
            return True
        parts = _origin_parts(origin)
        if parts is None:
            return False
        scheme, name, port = parts
        try:
            own = urlsplit(f"{scheme}://{host}")
            return (own.hostname, own.port or _PORTS[scheme]) == (name, port)
        except ValueError:
            return False


def preflight_headers(allowed: Mapping[str, str]) -> dict[str, str]:
    """What a browser is told before it sends a request of an allowed page."""
    return {
        **allowed,
        "access-control-allow-methods": "GET, POST, OPTIONS",
        "access-control-allow-headers": _SENT,
        "access-control-max-age": _PREFLIGHT_SECONDS,
    }


def _is_of_foreign_page(headers: Mapping[str, str], method: str) -> bool:
    """Whether a page of another site sends this without an Origin, other than by a link that is followed.

    Browsers write down the Fetch Metadata (W3C) that tell it; no page can.
    """
    is_link = method == "GET" and headers.get("sec-fetch-mode", "").lower() == "navigate"
    return headers.get("sec-fetch-site", "").lower() == "cross-site" and not is_link


def _not_allowed() -> HttpError:
    return HttpError(
        403,
        "pages of this origin may not call this route; see server.allowed_origins",
        code="origin_not_allowed",
    )


def _host_name(host: str) -> str | None:
    """The name in a Host header, in lower case; None where it is none."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # raises where it is no number
    except ValueError:
        return None
    if not parts.hostname or parts.path or parts.username is not None:
        return None
    return parts.hostname.lower().rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _origin_parts(origin: str) -> tuple[str, str, int] | None:
    """Scheme, host name and port of an origin; None for `null` and whatever else is none."""
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname or parts.path or parts.query or parts.fragment:
        return None
    return parts.scheme, parts.hostname.lower(), port or _PORTS[parts.scheme]


def _checked_origin(text: str, setting: str) -> str:
    if _origin_parts(text) is None:
        raise ConfigError(f"{setting} holds {text!r}; wanted an address such as https://chat.example.org")
    return text.lower()
