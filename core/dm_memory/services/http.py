"""One decision for every service on proxies, certificates, redirects and this computer: the options of its client.

httpx's own reading of the environment sends requests for this computer to the proxy, with their keys; fails on NO_PROXY
with IPv6; and raises bare errors for a SOCKS proxy or a certificate file that is gone, for plain http as well. So it is
set to ignore the environment (``trust_env``), and what is right is decided here. A setting that can't work is a
``ConfigurationError`` that names the variable. docs/decisions/0018-wrappers.md

Reading the certificates takes about 20 ms: make clients on a thread.
"""

from __future__ import annotations

import os
import re
import ssl
from importlib.util import find_spec
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from dm_memory.errors import ConfigurationError
from dm_memory.extras import how_to_install

if TYPE_CHECKING:
    import httpx

__all__ = ["client_options", "http_client", "is_loopback", "proxy_for", "ssl_context"]

_PORTS = {"http": 80, "https": 443}


def http_client(url: str, **options: Any) -> httpx.AsyncClient:  # noqa: ANN401  # httpx's own
    """Return a client for the service at ``url``; ``options`` are httpx's, and go before ours.

    Raises:
        ConfigurationError: See ``client_options``.
    """
    import httpx  # noqa: PLC0415  # a tenth of a second, on first use

    return httpx.AsyncClient(**(client_options(url) | options))


def client_options(url: str) -> dict[str, Any]:
    """Return what a client of httpx for the service at ``url`` is made with.

    Raises:
        ConfigurationError: The environment names a proxy or certificates that can't be used.
    """
    import httpx  # noqa: PLC0415  # as above

    address = proxy_for(url)
    proxy = None
    if address is not None:
        is_https = address.startswith("https:")
        proxy = httpx.Proxy(address, ssl_context=ssl_context() if is_https else None)
    # Without https there are no certificates to check, and a context that trusts none costs nothing.
    verify = ssl_context() if url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return {"trust_env": False, "proxy": proxy, "verify": verify, "follow_redirects": False}


def is_loopback(host: str) -> bool:
    """Return whether a host is this computer; ``0.0.0.0``, which servers print, is one of its names."""
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return host.rstrip(".").lower() == "localhost" or host.lower().endswith(".localhost")
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_unspecified


# Proxies -------------------------------------------------------------------------------------------------------------


def proxy_for(url: str) -> str | None:
    """Return the proxy through which ``url`` is reached, or None.

    By HTTP_PROXY or HTTPS_PROXY, else ALL_PROXY, unless NO_PROXY lists the host; lower case goes first. Without these
    variables Windows and macOS have settings of their own.

    Raises:
        ConfigurationError: The proxy can't be used.
    """
    parts = urlsplit(url)
    proxies = getproxies()
    kind = next((kind for kind in (parts.scheme, "all") if proxies.get(kind, "").strip()), "")
    host = parts.hostname or ""
    if not kind or is_loopback(host) or _is_exempt(host, parts.port or _PORTS.get(parts.scheme), proxies.get("no", "")):
        return None
    address = proxies[kind].strip()
    return _usable(address if "://" in address else f"http://{address}", kind, host)


def _usable(address: str, kind: str, host: str) -> str:
    names = (f"{kind}_proxy", f"{kind}_proxy".upper())
    variable = next((name for name in names if os.environ.get(name)), "The system's proxy setting")
    otherwise = f"or list {host} in NO_PROXY"
    try:
        parts = urlsplit(address)
        works = parts.hostname is not None and parts.port != 0
    except ValueError:
        works = False
    if not works or parts.scheme not in {"http", "https", "socks5", "socks5h"}:
        raise ConfigurationError(
            f"{variable} names a proxy that can't be used.",
            f"Write it as http://host:port or socks5://host:port, {otherwise}.",
        )
    if parts.scheme.startswith("socks") and find_spec("socksio") is None:
        raise ConfigurationError(
            f"{variable} is a SOCKS proxy, for which the package socksio is not installed.",
            f"{how_to_install('socks')} Or set HTTPS_PROXY to an HTTP proxy, {otherwise}.",
        )
    return address


def _is_exempt(host: str, port: int | None, listed: str) -> bool:
    """Return whether NO_PROXY, as it was set, lists a host.

    As curl reads it: names with or without a leading dot stand for themselves and all below, addresses may be IPv6, in
    brackets or not, and networks (CIDR); a port may follow. What can't be read is passed over.
    """
    for entry in listed.replace(" ", ",").lower().split(","):
        if entry == "*" or (entry and _covers(entry, host.lower().rstrip("."), port)):
            return True
    return False


_ENTRY = re.compile(r"(?:\w+://)?(?:\[([^]]*)\](/\d+)?|([^:]*|.*:.*:.*))(?::(\d+))?")
"""An entry of NO_PROXY: an address in brackets, or a name or address as it is, and perhaps a port."""


def _covers(entry: str, host: str, port: int | None) -> bool:
    found = _ENTRY.fullmatch(entry)
    if found is None or (found[4] and found[4] != str(port)):
        return False
    name = (found[1] or found[3]) + (found[2] or "")
    try:
        network = ip_network(name, strict=False)
    except ValueError:
        name = name.removeprefix("*").strip(".")
        return bool(name) and (host == name or (host.endswith(f".{name}") and not _is_address(host)))
    return _is_address(host) and ip_address(host) in network


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


# Certificates --------------------------------------------------------------------------------------------------------


def ssl_context() -> ssl.SSLContext:
    """Return the certificates that are trusted: SSL_CERT_FILE, else SSL_CERT_DIR, else those of certifi.

    Raises:
        ConfigurationError: What the variable names is not there, or has no certificates.
    """
    file, folders = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    try:
        if file:
            return ssl.create_default_context(cafile=file)
        if folders and any(Path(folder).is_dir() for folder in folders.split(os.pathsep)):
            return ssl.create_default_context(capath=folders)
    except (OSError, ValueError) as error:
        raise _no_certificates("SSL_CERT_FILE", "a file") from error
    if folders:
        raise _no_certificates("SSL_CERT_DIR", "a folder")
    import certifi  # noqa: PLC0415  # comes with httpx

    return ssl.create_default_context(cafile=certifi.where())


def _no_certificates(variable: str, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"{variable} does not name {what} with certificates.",
        f"Set {variable} to {what} with the certificates your network needs, or unset it.",
    )
