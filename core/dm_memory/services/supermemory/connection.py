"""The way to Supermemory: its address, a namespace for a brand, and the calls of its SDK that are used."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import urlsplit

from pydantic import SecretStr

from dm_memory.errors import ConfigurationError, ErrorClass, ServiceError
from dm_memory.extras import how_to_install
from dm_memory.services.faults import Faults, retry_after
from dm_memory.services.http import http_client, is_loopback
from dm_memory.services.supermemory.replies import (
    AddReply,
    DeleteReply,
    JunkReplyError,
    ListReply,
    Reply,
    UpdateReply,
    parsed,
)

if TYPE_CHECKING:
    import httpx
    from supermemory import AsyncSupermemory

__all__ = ["Connection", "namespace_of", "parse_address"]

_PUBLIC = "https://api.supermemory.ai"
_NAMESPACE = re.compile(r"[a-zA-Z0-9_:-]{1,100}")
_READABLE = 80
_NOT_FOUND = 404
_ELSEWHERE = frozenset({_NOT_FOUND, 405})
_CONFLICT = 409


def namespace_of(brand: str) -> str:
    """Return a brand's namespace: its slug, or, where that has characters a namespace can't have, a stable stand-in."""
    if _NAMESPACE.fullmatch(brand):
        return brand
    digest = sha256(brand.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{re.sub(r'[^a-zA-Z0-9_-]+', '-', brand)[:_READABLE]}-{digest}"


@dataclass(frozen=True, slots=True)
class _Address:
    """Where the interface is. ``place`` is ``host[:port][/path]``, without secrets."""

    url: str
    place: str
    is_public: bool


def parse_address(url: str | None) -> _Address:
    """Return what ``SUPERMEMORY_BASE_URL`` names; None: the public interface.

    Raises:
        ConfigurationError: It is no address, or the key would travel in the clear.
    """
    text = (url or _PUBLIC).strip().rstrip("/")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    if not host or (parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host))):
        raise ConfigurationError(
            "SUPERMEMORY_BASE_URL is not an address dm-memory can send a key to.",
            "Leave it out for the public service, or write it as https://host; http is for this machine only.",
        )
    place = f"{host}:{port}" if port else host
    return _Address(text, place + parts.path, text == _PUBLIC)


class _RefusedError(Exception):
    """A reply with another status than success. ``retry_after`` is the header as it came, or None."""

    def __init__(self, status: int, retry_after: str | None) -> None:
        super().__init__(status)
        self.status = status
        self.retry_after = retry_after


@contextmanager
def _translated(faults: Faults) -> Iterator[None]:
    """Turn what a call raises inside the block into a ``ServiceError``; what is not known here is a bug, and passes.

    The SDK is not asked what a status means: it parses the body of an error first and raises whatever the body makes it
    raise (``UnicodeDecodeError`` on a proxy's page in Latin-1). So replies are looked at before it sees them.
    """
    import httpx  # noqa: PLC0415  # loaded with the client
    import supermemory as sdk  # noqa: PLC0415  # as above

    try:
        yield
    except _RefusedError as error:
        wait = retry_after(error.retry_after)
        if error.status in _ELSEWHERE:  # a document that is not there is asked for before this
            remedy = "Check the path in SUPERMEMORY_BASE_URL, or unset it to use the public address."
            raise faults.misplaced("Supermemory at this address", remedy, str(error.status)) from error
        if error.status == _CONFLICT:  # while a namespace is being merged
            raise faults.unavailable(str(error.status), wait) from error
        raise faults.of_status(error.status, retry_after=wait) from error
    except (sdk.APIConnectionError, httpx.TransportError) as error:
        raise faults.of_transport(error) from error
    except (JunkReplyError, httpx.DecodingError) as error:
        raise faults.malformed() from error


_Reply = TypeVar("_Reply", bound=Reply)


@dataclass(slots=True)
class _Expected(Generic[_Reply]):
    """What the call of this task expects, and what came."""

    kind: type[_Reply]
    reply: _Reply | None = None

    def read(self, content: bytes) -> None:
        self.reply = parsed(self.kind, content)


_EXPECTED: ContextVar[_Expected[Any]] = ContextVar("dm_memory_supermemory_expected")


async def _receive(response: httpx.Response) -> None:
    """Look at a reply before the SDK does: it takes anything for an answer, and stumbles over pages of proxies."""
    if not response.is_success:
        raise _RefusedError(response.status_code, response.headers.get("retry-after"))
    _EXPECTED.get().read(await response.aread())


class Connection:
    """A client that is made on first use. Belongs to one event loop from then until it is closed.

    Its methods raise ``ServiceError``.

    Args:
        address: Where the interface is.
        api_key: The key.
        namespace: The brand's namespace.
        timeout: Seconds to wait for a connection, and for each part of a reply.
        faults: For messages.
    """

    def __init__(self, address: _Address, api_key: SecretStr, namespace: str, timeout: float, faults: Faults) -> None:
        self._address = address
        self._key = SecretStr(api_key.get_secret_value().strip())
        self._namespace = namespace
        self._timeout = timeout
        self._faults = faults
        self._http: httpx.AsyncClient | None = None
        self._client: AsyncSupermemory | None = None
        self._opening = asyncio.Lock()

    async def add(self, documents: Sequence[dict[str, Any]]) -> AddReply:
        """Add new documents, at most 600. An id that is there already is appended to."""
        # The SDK walks a list for 7 ms, and what is not in extra_body twice. A deque, which it does not know, pydantic
        # encodes for it in a tenth of that.
        body = {"documents": deque(documents)}
        return await self._ask(
            AddReply, lambda sdk: sdk.documents.batch_add(self._namespace, documents=(), extra_body=body)
        )

    async def update(self, document: str, fields: dict[str, Any]) -> UpdateReply | None:
        """Replace the given fields of a document; None if there is no such document."""
        try:
            return await self._ask(UpdateReply, lambda sdk: sdk.documents.update(self._namespace, document, **fields))
        except ServiceError as error:
            if error.code == str(_NOT_FOUND):
                return None
            raise

    async def delete(self, ids: Sequence[str]) -> DeleteReply:
        """Delete documents, at most 100."""
        return await self._ask(DeleteReply, lambda sdk: sdk.documents.delete(self._namespace, ids=ids))

    async def page(self, where: dict[str, Any], page: int, limit: int, *, content: bool = False) -> ListReply:
        """Return a page of the documents that meet a condition, oldest first; the first page is 1."""
        body = {"filter": where, "include": {"content": content, "memoryCount": False}}
        return await self._ask(
            ListReply,
            lambda sdk: sdk.list(
                self._namespace, "documents", page=page, limit=limit, sort="createdAt", order="asc", extra_body=body
            ),
        )

    async def prepare(self) -> None:
        """Import the SDK and make its client: a third of a second, so on a thread. Raises ``ServiceError``."""
        async with self._opening:
            if self._client is not None:
                return
            key = self._key.get_secret_value()
            if not (key and key.isascii() and key.isprintable()):
                raise self._faults.auth("characters")  # it can't be put into a header
            try:
                self._http, self._client = await asyncio.to_thread(self._make)
            except ImportError as error:
                raise ServiceError(
                    "Supermemory is configured, but its SDK is not installed.",
                    f"{how_to_install('supermemory')} Or unset SUPERMEMORY_API_KEY.",
                    error_class=ErrorClass.CONFIGURATION,
                    code="extra",
                ) from error

    async def close(self) -> None:
        """Let go of connections. Idempotent; a later call makes another client."""
        http, self._http, self._client = self._http, None, None
        self._opening = asyncio.Lock()  # free for another event loop
        if http is not None:
            await http.aclose()

    async def _ask(self, kind: type[_Reply], call: Callable[[AsyncSupermemory], Awaitable[object]]) -> _Reply:
        if self._client is None:
            await self.prepare()
        if (client := self._client) is None:  # it was closed meanwhile
            raise self._faults.unavailable("closed")
        expected = _Expected(kind)
        _EXPECTED.set(expected)
        with _translated(self._faults):
            await call(client)
        if expected.reply is None:
            raise self._faults.malformed()
        return expected.reply

    def _make(self) -> tuple[httpx.AsyncClient, AsyncSupermemory]:
        import supermemory.documents  # noqa: PLC0415  # an extra, on first use only; loaded lazily by it
        import supermemory.raw_client  # noqa: F401, PLC0415  # as above
        from supermemory import AsyncSupermemory  # noqa: PLC0415  # as above

        http = http_client(self._address.url, timeout=self._timeout, event_hooks={"response": [_receive]})
        client = AsyncSupermemory(
            api_key=self._key.get_secret_value(),
            base_url=self._address.url,
            timeout=self._timeout,
            max_retries=0,
            http_client=http,
        )
        return http, client
