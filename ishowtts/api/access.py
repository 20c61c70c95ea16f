"""Checks of the Host and Origin headers and of the API key.

By DNS rebinding a foreign page's own host name can resolve to this server's address; the Host header then has that
name, so unknown names are refused. A server with a key needs this less, since such a page does not have the key.
"""

from __future__ import annotations

import hmac
import ipaddress
import math
import re
from urllib.parse import parse_qs

from .._service import Guesses
from ..config import ServerConfig
from .faults import Fault

_HOST = re.compile(r"(\[[^\]]+\]|[^:\[\]]+)(:\d{0,5})?")
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


class Access:
    """The access rules of one server. `loopback`: it listens on a loopback address; `key`: the API key or None."""

    def __init__(self, settings: ServerConfig, loopback: bool, key: str | None) -> None:
        self._key = key or None
        self._names = {name.lower() for name in (*_LOOPBACK, settings.host, *settings.allowed_hosts)}
        self._origins = {origin.lower(): origin for origin in settings.cors_origins}
        self._loopback = loopback

    def check_host(self, host: str | None, origin: str | None) -> str | None:
        """The foreign origin that may read the answer, None for our own pages and for clients that are no browsers.

        `host` and `origin`: the headers of the request, None where it has none. Fault 400: the Host header is
        malformed; 403: the name or the origin is not allowed.
        """
        if host is None:
            if origin is not None:
                raise Fault(403, "forbidden_origin", "A request with an Origin needs a Host.")
            return None
        found = _HOST.fullmatch(host)
        if not found:
            raise Fault(400, "malformed_host", "The Host header is malformed.")
        if not self._known(found[1].lower()):
            raise Fault(
                403,
                "forbidden_host",
                "The name in the Host header is not one of this server's; names are listed in server.allowed_hosts.",
            )
        if origin is None or origin.lower().partition("://")[2] == host.lower():
            return None
        listed = origin if "*" in self._origins else self._origins.get(origin.lower())
        if listed is None:
            raise Fault(
                403,
                "forbidden_origin",
                "Pages of this origin may not call this server; origins are listed in server.cors_origins.",
            )
        return listed

    def check_fetch(self, site: str | None, mode: str | None) -> None:
        """Fault 403: a page of another site makes the request without an Origin, such as for an image or a sound.

        `site` and `mode`: the headers `Sec-Fetch-Site` and `Sec-Fetch-Mode`; a link to follow is no such request.
        """
        if (site or "none").lower() in ("none", "same-origin") or (mode or "").lower() == "navigate":
            return
        if not (self._key or "*" in self._origins):
            raise Fault(
                403,
                "forbidden_origin",
                "Pages of other sites may not use this server; origins are listed in server.cors_origins.",
                "Sec-Fetch-Site",
            )

    def _known(self, name: str) -> bool:
        if name in self._names:
            return True
        return not self._loopback and (self._key is not None or _is_address(name))

    def check_key(self, authorization: str | None, query: bytes, guesses: Guesses, address: str) -> None:
        """Fault 401 unless the request has the API key; `query`: the query string, where `key=` is looked for.

        Fault 429: too many wrong keys came from `address`, that of the client; they are counted in `guesses`.
        """
        if self._key is None:
            return
        if authorization is not None:
            scheme, _, given = authorization.partition(" ")
            if scheme.lower() != "bearer":
                raise Fault(401, "unauthorized", 'The Authorization header must be "Bearer" and the API key.')
        elif values := parse_qs(query.decode("latin-1")).get("key"):
            given = values[0]
        else:
            raise Fault(401, "unauthorized", "This server needs an API key: Authorization: Bearer KEY, or ?key=KEY.")
        if (wait := guesses.wait(address)) > 0:
            headers = {"Retry-After": str(math.ceil(wait))}
            raise Fault(429, "too_many_keys", "Too many wrong API keys came from this address.", headers=headers)
        if not hmac.compare_digest(given.strip(" ").encode(), self._key.encode()):
            guesses.add(address)
            raise Fault(401, "unauthorized", "The API key is wrong.")


def _is_address(name: str) -> bool:
    """Whether a Host is an IP address, which DNS rebinding cannot forge."""
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
