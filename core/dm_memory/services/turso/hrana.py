"""Hrana over HTTP: the protocol of Turso Cloud and libsql-server, on httpx.

One request (``POST /v2/pipeline``) carries several statements. No state is kept on the server between requests: a
transaction is one batch whose steps depend on each other, so that nothing stays open when a connection breaks.

Limits: the server answers with at most 10 MB per statement, and so much is read here of a whole answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar
from urllib.parse import parse_qs, urlsplit

import httpx
import orjson
from pydantic import SecretStr

from dm_memory.errors import ConfigurationError, ServiceError
from dm_memory.services.faults import Faults
from dm_memory.services.http import http_client, is_loopback
from dm_memory.services.turso.schema import ReplyTooLargeError, Row, Statement
from dm_memory.services.turso.wire import (
    MalformedReply,
    encode_statement,
    faults_of,
    http_error,
    read_rows,
    statement_error,
)
from dm_memory.services.turso.writing import SharedStore

__all__ = ["HranaClient", "Timeouts", "TursoEngine", "base_url", "open_turso_store"]

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

_MAX_REPLY = 10 * 1024 * 1024
_MAX_ERROR = 64 * 1024
_FRAME = 32
"""Bytes of JSON around a value, about."""

_OFF_THE_LOOP = 64 * 1024
"""Replies and requests from this size on are read and written on a thread, so that the event loop goes on."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. ``read`` is between two pieces of an answer, so ``overall`` bounds a server that drips."""

    connect: float = 3.0
    read: float = 15.0
    overall: float = 30.0


class HranaClient:
    """Runs statements on one database. For one event loop.

    Args:
        url: ``libsql://``, ``turso://`` or ``https://``; ``http://`` for loopback only.
        token: The database's token (JWT), where it wants one.

    Raises:
        ConfigurationError: The URL or the token can't be used.
    """

    def __init__(self, url: str, token: SecretStr | None = None, timeouts: Timeouts | None = None) -> None:
        self._base = base_url(url)
        self._token = _checked(token)
        self._timeouts = timeouts or Timeouts()
        self._client: httpx.AsyncClient | None = None
        self._connecting = asyncio.Lock()
        self.faults = faults_of(self.place)

    @property
    def host(self) -> str:
        """The server's name, for people."""
        return urlsplit(self._base).hostname or ""

    @property
    def place(self) -> str:
        """The server's name with what else distinguishes databases, for people: port and path."""
        parts = urlsplit(self._base)
        return parts.netloc + parts.path

    async def execute(self, statements: Sequence[Statement]) -> list[list[Row]]:
        """Run statements in one request, not in a transaction, and return each one's rows.

        Raises:
            ServiceError: The first error of any of them.
        """
        requests = [{"type": "execute", "stmt": encode_statement(statement)} for statement in statements]
        reply = await self._pipeline(requests, _weight(statements))
        return await _off_the_loop(len(reply), _read_executions, self.faults, reply, len(statements))

    async def batch(self, statements: Sequence[Statement]) -> None:
        """Run statements as one transaction: all of them are committed when this returns.

        Raises:
            ServiceError: Nothing was committed; where it is of class timeout, unavailable or malformed reply, or the
                connection broke, the transaction may have been.
        """
        weight = _weight(statements)
        steps = await _off_the_loop(weight, _transaction, statements)
        reply = await self._pipeline([{"type": "batch", "batch": {"steps": steps}}], weight)
        _check_transaction(self.faults, _response(self.faults, _load(self.faults, reply), 0, "batch"), len(statements))

    async def connect(self) -> None:
        """Make the HTTP client, which reads the certificates of the world: 20 to 60 ms, on a thread. Sends nothing.

        Raises:
            ConfigurationError: The proxy or the certificates that the environment names can't be used.
        """
        await self._connected()

    async def close(self) -> None:
        """Close connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _pipeline(self, requests: list[dict[str, Any]], weight: int) -> bytes:
        body = await _off_the_loop(weight, _dump, [*requests, {"type": "close"}])
        try:
            async with asyncio.timeout(self._timeouts.overall):
                status, headers, reply = await self._post(body)
        except TimeoutError:
            raise self.faults.timeout("timeout") from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise self.faults.of_transport(error) from None
        if status != httpx.codes.OK:
            raise http_error(self.faults, status, headers, reply)
        return reply

    async def _post(self, body: bytes) -> tuple[int, httpx.Headers, bytes]:
        client = await self._connected()
        async with client.stream("POST", "/v2/pipeline", content=body, headers=self._headers()) as response:
            good = response.status_code == httpx.codes.OK
            reply = bytearray()
            if response.status_code == httpx.codes.UNAUTHORIZED:
                # Unread, its connection is not used again: the server hangs up after this answer, at any moment.
                return response.status_code, response.headers, b""
            async for piece in response.aiter_bytes():
                reply += piece
                if len(reply) > (_MAX_REPLY if good else _MAX_ERROR):
                    if good:
                        raise ReplyTooLargeError
                    break
            return response.status_code, response.headers, bytes(reply)

    def _headers(self) -> dict[str, str]:
        # identity: the server compresses in pieces of 90 bytes, which made large answers 250 times slower.
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token.get_secret_value()}"
        return headers

    async def _connected(self) -> httpx.AsyncClient:
        async with self._connecting:
            if self._client is None:
                self._client = await asyncio.to_thread(self._make_client)
            return self._client

    def _make_client(self) -> httpx.AsyncClient:
        times = self._timeouts
        return http_client(self._base, base_url=self._base, timeout=httpx.Timeout(times.read, connect=times.connect))


class TursoEngine:
    """Statements over Hrana: a read is one request, a write is one guarded transaction in one request."""

    remote = True
    batch_rows = 256
    """What one request carries without keeping the database for long."""

    def __init__(self, client: HranaClient) -> None:
        self.client = client

    @property
    def name(self) -> str:
        """For people."""
        return f"Turso ({self.client.place})"

    async def connect(self) -> None:
        """Make the HTTP client."""
        await self.client.connect()

    async def read(self, statements: Sequence[Statement]) -> list[list[Row]]:
        """Return each statement's rows."""
        return await self.client.execute(statements)

    async def write(self, statements: Sequence[Statement]) -> None:
        """Commit all statements, or none."""
        await self.client.batch(statements)

    async def close(self) -> None:
        """Close connections."""
        await self.client.close()


def open_turso_store(url: str, token: SecretStr | None, brand: str, *, timeouts: Timeouts | None = None) -> SharedStore:
    """Return the durable store behind ``TURSO_DATABASE_URL``. Nothing is sent before it is used.

    Raises:
        ConfigurationError: The URL or the token can't be used.
    """
    return SharedStore(TursoEngine(HranaClient(url, token, timeouts)), brand)


_COPY = "Copy it from the provider's page: libsql://NAME-ORGANISATION.turso.io."


def base_url(url: str) -> str:
    """Return the HTTP address behind a database's URL, without a slash at its end.

    Raises:
        ConfigurationError: It is no database's URL, carries a secret, or would send the token in plain text.
    """
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    options = parse_qs(parts.query)
    if parts.username or parts.password or set(options) - {"tls"}:
        raise _bad_url(
            "contains more than an address", "Put the token into TURSO_AUTH_TOKEN and remove it from the URL."
        )
    if parts.scheme not in {"libsql", "turso", "https", "http"} or not host or parts.fragment:
        raise _bad_url("is no database's URL", _COPY)
    plain = parts.scheme == "http" or options.get("tls") == ["0"]
    if plain and not is_loopback(host):
        raise _bad_url(
            "asks for an unencrypted connection", "Use libsql:// or https://; http:// is for this machine only."
        )
    name = f"[{host}]" if ":" in host else host
    address = f"{'http' if plain else 'https'}://{name}{f':{port}' if port else ''}{parts.path.rstrip('/')}"
    try:
        return str(httpx.URL(address))
    except httpx.InvalidURL:
        raise _bad_url("is no database's URL", _COPY) from None


def _checked(token: SecretStr | None) -> SecretStr | None:
    """Return a token without blanks around it, None for an empty one. Nothing of it goes into a message."""
    text = token.get_secret_value().strip() if token is not None else ""
    if not text:
        return None
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigurationError("TURSO_AUTH_TOKEN contains characters no token has.", "Copy the token again, whole.")
    return SecretStr(text)


def _bad_url(problem: str, remedy: str) -> ConfigurationError:
    return ConfigurationError(f"TURSO_DATABASE_URL {problem}.", remedy)


def _transaction(statements: Sequence[Statement]) -> list[dict[str, Any]]:
    """Return BEGIN, statements and COMMIT, each bound to the success of the one before, and ROLLBACK for when not."""
    steps: list[dict[str, Any]] = [{"stmt": {"sql": "BEGIN IMMEDIATE"}}]
    for statement in (*statements, Statement("COMMIT")):
        previous = {"type": "ok", "step": len(steps) - 1}
        steps.append({"condition": previous, "stmt": encode_statement(statement, want_rows=False)})
    committed = {"type": "ok", "step": len(steps) - 1}
    # Where BEGIN itself failed there is nothing to roll back, and trying to would hide the error behind another one.
    begun = {"type": "ok", "step": 0}
    condition = {"type": "and", "conds": [begun, {"type": "not", "cond": committed}]}
    return [*steps, {"condition": condition, "stmt": {"sql": "ROLLBACK"}}]


def _check_transaction(faults: Faults, response: Any, statements: int) -> None:  # noqa: ANN401  # whatever a server sent
    steps = statements + 3
    try:
        errors, results = response["result"]["step_errors"], response["result"]["step_results"]
        shaped = len(errors) == steps == len(results)
    except (KeyError, TypeError):
        raise faults.malformed("batch") from None
    if not shaped:
        raise faults.malformed("batch")
    for error in errors[:-1]:
        if error is not None:
            raise statement_error(faults, error)
    if any(result is None for result in results[:-1]):
        raise faults.malformed("batch")


def _read_executions(faults: Faults, reply: bytes, count: int) -> list[list[Row]]:
    document = _load(faults, reply)
    try:
        return [read_rows(_response(faults, document, place, "execute").get("result")) for place in range(count)]
    except MalformedReply:
        raise faults.malformed("rows") from None


def _response(faults: Faults, document: Any, place: int, kind: str) -> dict[str, Any]:  # noqa: ANN401  # as above
    """Return the response to request number ``place``, of the type it must have. Raises ``ServiceError``."""
    try:
        result = document["results"][place]
        if result["type"] == "error":
            error: ServiceError = statement_error(faults, result["error"])
        elif result["type"] == "ok" and result["response"]["type"] == kind:
            response: dict[str, Any] = result["response"]
            return response
        else:
            error = faults.malformed("type")
    except (KeyError, TypeError, IndexError):
        error = faults.malformed("shape")
    raise error


async def _off_the_loop(
    weight: int, function: Callable[_Arguments, _Result], *args: _Arguments.args, **kwargs: _Arguments.kwargs
) -> _Result:
    """Call a function, on a thread where the bytes it works on are many."""
    if weight < _OFF_THE_LOOP:
        return function(*args, **kwargs)
    return await asyncio.to_thread(function, *args, **kwargs)


def _weight(statements: Sequence[Statement]) -> int:
    return sum(
        _FRAME + (len(value) if isinstance(value, str | bytes) else 0)
        for statement in statements
        for value in statement.arguments
    )


def _dump(requests: list[dict[str, Any]]) -> bytes:
    return orjson.dumps({"requests": requests})


def _load(faults: Faults, reply: bytes) -> Any:  # noqa: ANN401  # as above
    try:
        return orjson.loads(reply)
    except orjson.JSONDecodeError:
        raise faults.malformed("json") from None
