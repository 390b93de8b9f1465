"""A Qdrant server's address and the client that talks to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import SecretStr

from dm_memory.errors import ConfigurationError

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient

__all__ = ["Address", "Connection", "parse_address"]

_PORT = 6333
"""The port that qdrant-client takes where an address names none, for https too."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is, without the secrets an address can carry.

    Attributes:
        place: ``host:port`` and the path, if there is one.
        in_the_clear: True where what is sent there could be read on its way.
    """

    host: str
    place: str
    in_the_clear: bool


def parse_address(url: str) -> Address:
    """Return what ``QDRANT_URL`` names.

    Raises:
        ConfigurationError: It is no http or https address.
    """
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname or "", parts.port or _PORT
    except ValueError:
        host, port, parts = "", 0, urlsplit("")
    if parts.scheme not in {"http", "https"} or not host:
        raise ConfigurationError(
            "QDRANT_URL is not an address of a Qdrant server.",
            "Write it as https://host:6333, or http://localhost:6333 for a server on this machine.",
        )
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return Address(host, place + parts.path.rstrip("/"), parts.scheme == "http" and not _is_loopback(host))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Connection:
    """A client that is made on first use. Belongs to one event loop from then until it is closed.

    Args:
        url: The server's address.
        api_key: Its key, or None.
        timeout: Seconds to wait for a connection, and for each part of a reply.
        factory: Makes another client, for tests.
    """

    def __init__(
        self,
        url: str,
        api_key: SecretStr | None,
        timeout: float,
        factory: Callable[[], AsyncQdrantClient] | None,
    ) -> None:
        self._url = url.strip()
        self._api_key = api_key
        self._timeout = timeout
        self._factory = factory or self._make
        self._client: AsyncQdrantClient | None = None

    @property
    def key_fits_a_header(self) -> bool:
        """False where the key can't be one: a header holds printable ASCII."""
        key = self._api_key.get_secret_value() if self._api_key else ""
        return key.isascii() and (not key or key.isprintable())

    async def client(self, thread: Executor) -> AsyncQdrantClient:
        """Return the client. It is made on ``thread``, one at a time: importing the SDK takes a second."""
        if self._client is not None:
            return self._client
        return await asyncio.get_running_loop().run_in_executor(thread, self._made)

    async def close(self) -> None:
        """Let go of connections. Idempotent; a later call makes another client."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _made(self) -> AsyncQdrantClient:
        client = self._client or self._factory()
        self._client = client
        return client

    def _make(self) -> AsyncQdrantClient:
        from qdrant_client import AsyncQdrantClient  # noqa: PLC0415  # 1 s of CPU: on first use only

        # As a header: given as api_key, the client warns on stderr about plain http, which health says in its words.
        headers = {"api-key": self._api_key.get_secret_value()} if self._api_key else None
        return AsyncQdrantClient(
            url=self._url,
            headers=headers,
            timeout=max(1, round(self._timeout)),
            check_compatibility=False,
            cloud_inference=True,  # nobody is to look for texts to embed: that walks through every vector
        )
