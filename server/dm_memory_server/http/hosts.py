"""Whether a request was meant for this server: its Host and its Origin, against DNS rebinding.

The SDK's list of hosts has names and ports only. A browser can be made to send any *name* to an address, never an
address of its choice: so an address is accepted as it stands, and so a server in a container needs no list for them.
"""

from __future__ import annotations

import socket
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers

__all__ = ["Hosts"]


class Hosts:
    """The names of this server, and the web pages that may call it.

    Args:
        names: Names that clients use, beside addresses, ``localhost`` and, if ``public``, the computer's own.
        origins: Origins of web pages, beside those of the server itself.
        public: Whether others than this computer reach it.
    """

    def __init__(self, names: str, origins: str, *, public: bool) -> None:
        self._names = {name.strip().lower() for name in names.split(",") if name.strip()} | {"localhost"}
        if public:
            self._names |= {socket.gethostname().lower(), socket.getfqdn().lower()}
        self._public = public
        self.origins = [origin.strip().rstrip("/") for origin in origins.split(",") if origin.strip()]

    def refusal(self, headers: Headers) -> tuple[int, str] | None:
        """Return the status and the sentences that refuse a request, or None."""
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            text = "This server does not answer for that host. Add its name to DM_MEMORY_HTTP_HOSTS."
            return 421, text
        if origins and not (len(origins) == 1 and self._may_call(origins[0], hosts[0])):
            return 403, "Pages of that origin may not call this server. Add it to DM_MEMORY_HTTP_ORIGINS."
        return None

    def _is_ours(self, host: str) -> bool:
        name = _name_of(host)
        if name in self._names or host.lower() in self._names:
            return True
        try:
            address = ip_address(name)
        except ValueError:
            return False
        return self._public or address.is_loopback

    def _may_call(self, origin: str, host: str) -> bool:
        scheme, _, place = origin.partition("://")
        return origin in self.origins or (scheme in {"http", "https"} and place.lower() == host.lower())


def _name_of(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""
