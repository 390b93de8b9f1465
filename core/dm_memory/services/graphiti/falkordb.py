"""FalkorDB, in which Graphiti keeps each group in a graph of that name.

FalkorDB is a module of Redis, so the driver is ``redis`` (asyncio), imported on first use. FalkorDB's own package wraps
it, and asks the server in its constructor over a blocking connection: see docs/decisions/0020-graphiti.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dm_memory.errors import ErrorClass, ServiceError
from dm_memory.services.faults import Faults, load
from dm_memory.services.graphiti.database import (
    Statement,
    Value,
    host_and_port,
    require_driver,
    split_address,
    unreachable,
)

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["FalkorDatabase"]

_PORT = 6379
_SCHEMES = {"redis": "redis", "rediss": "rediss", "falkor": "redis", "falkors": "rediss"}

_INDEXES = (
    "CREATE INDEX FOR (n:Entity) ON (n.uuid, n.group_id, n.name, n.created_at)",
    "CREATE INDEX FOR (n:Episodic) ON (n.uuid, n.group_id, n.created_at, n.valid_at)",
    (
        "CREATE INDEX FOR ()-[e:RELATES_TO]-() ON"
        " (e.uuid, e.group_id, e.name, e.created_at, e.expired_at, e.valid_at, e.invalid_at)"
    ),
    "CREATE INDEX FOR ()-[e:MENTIONS]-() ON (e.uuid, e.group_id)",
    "CREATE INDEX FOR ()-[e:RELATES_TO]-() ON (e.slot)",
)
"""Graphiti's own, word for word but for the last: it takes an index that covers one of the properties for all of them.

The full-text indexes are left to Graphiti: it makes them when it opens a group, with its own stop words.
"""


class FalkorDatabase:
    """A FalkorDB server. See ``GraphDatabase`` for the contract of its methods.

    Each statement is atomic; a write that fails half-way leaves what its first statements did.

    Args:
        uri: ``redis://[user:password@]host:port``, ``rediss://`` with TLS; ``falkor://`` and ``falkors://`` likewise.
        username: Used if the address has none.
        password: Used if the address has none.
        timeout: Seconds to wait for a connection, and for each part of a reply.

    Raises:
        ConfigurationError: The driver is not installed, or the address is none.
    """

    kind = "falkordb"

    def __init__(
        self, uri: str, *, username: str | None = None, password: str | None = None, timeout: float = 30.0
    ) -> None:
        require_driver("redis", "FalkorDB")
        parts = split_address(uri, _SCHEMES, "FALKORDB_URI")
        self.place = host_and_port(parts, _PORT)
        self.faults = Faults("FalkorDB", self.place, "FALKORDB_PASSWORD", "FALKORDB_URI")
        self._uri = parts.geturl()
        self._username = username
        self._password = password
        self._timeout = timeout
        self._redis: Redis | None = None

    async def load(self) -> None:
        """Import the driver."""
        await load("redis.asyncio", "redis.exceptions")

    async def prepare(self, group: str) -> None:
        """Make Graphiti's indexes and one on slots."""
        for index in _INDEXES:
            try:
                await self._query(group, Statement(index), read_only=False)
            except _AlreadyIndexedError:
                continue

    async def write(self, group: str, statements: Sequence[Statement]) -> None:
        """Run statements one after the other."""
        for statement in statements:
            await self._query(group, statement, read_only=False)

    async def read(self, group: str, statement: Statement) -> list[list[Any]]:
        """Run a statement that the server refuses to let write."""
        try:
            return await self._query(group, statement, read_only=True)
        except _NoSuchGraphError:
            return []

    async def close(self) -> None:
        """Close every connection."""
        client, self._redis = self._redis, None
        if client is not None:
            await client.aclose()

    async def _query(self, group: str, statement: Statement, *, read_only: bool) -> list[list[Any]]:
        command = "GRAPH.RO_QUERY" if read_only else "GRAPH.QUERY"
        reply = await self._send(command, group, _with_parameters(statement))
        try:
            return _rows(reply)
        except (TypeError, ValueError) as error:
            raise self.faults.malformed() from error

    async def _send(self, *command: str) -> object:
        await self.load()
        from redis import exceptions  # noqa: PLC0415  # the extra graphiti; imported on first use

        try:
            reply: object = await self._client().execute_command(*command)  # type: ignore[no-untyped-call]  # the driver's
        except exceptions.ResponseError as error:
            raise self._of_reply(error) from error
        except (exceptions.RedisError, OSError) as error:
            raise self._of_connection(error) from error
        except ValueError as error:  # the reply's lengths are no numbers, or its text is not UTF-8
            raise self.faults.malformed() from error
        return reply

    def _client(self) -> Redis:
        if self._redis is None:
            from redis.asyncio import Redis  # noqa: PLC0415  # as above
            from redis.asyncio.retry import Retry  # noqa: PLC0415  # as above
            from redis.backoff import NoBackoff  # noqa: PLC0415  # as above

            self._redis = Redis.from_url(
                self._uri,
                username=self._username,
                password=self._password,
                protocol=2,  # replies of one shape, and no greeting that hides "a password is needed"
                decode_responses=True,
                socket_timeout=self._timeout,
                socket_connect_timeout=self._timeout,
                retry=Retry(NoBackoff(), 0),  # the guard retries
                driver_info=None,
            )
        return self._redis

    # Errors ------------------------------------------------------------------------------------------------------

    def _of_connection(self, error: Exception) -> Exception:
        from redis import exceptions  # noqa: PLC0415  # as above

        match error:
            case exceptions.TimeoutError() | TimeoutError():
                return self.faults.timeout()
            case exceptions.AuthenticationError() | exceptions.AuthorizationError():
                return self.faults.auth("NOAUTH")
            case exceptions.BusyLoadingError():
                return self.faults.unavailable("LOADING")
            case exceptions.InvalidResponse():
                return self.faults.malformed()
            case exceptions.ConnectionError() | OSError():
                return unreachable(self.faults, type(error).__name__)
            case _:
                return error

    def _of_reply(self, error: Exception) -> Exception:
        """Return what an error reply means; one that is not known is a bug and stays as it is."""
        from redis import exceptions  # noqa: PLC0415  # as above

        if isinstance(error, exceptions.OutOfMemoryError):
            return self.faults.quota("OOM")
        if isinstance(error, exceptions.NoPermissionError):
            return self.faults.auth("NOPERM")
        if isinstance(error, exceptions.ReadOnlyError | exceptions.ClusterError | exceptions.AskError):
            return self.faults.unavailable(type(error).__name__)
        text = str(error)
        known = next((meaning for words, meaning in _REPLIES.items() if words in text), None)
        return known(self) if known else error

    def no_falkordb(self) -> ServiceError:
        """Return what is wrong if the server does not know FalkorDB's commands."""
        return ServiceError(
            f"At {self.place} there is a Redis without FalkorDB.",
            "Point FALKORDB_URI at the FalkorDB that Graphiti uses.",
            error_class=ErrorClass.UNAVAILABLE,
            code="GRAPH.QUERY",
        )


class _AlreadyIndexedError(Exception):
    """An index is there."""


class _NoSuchGraphError(Exception):
    """Nothing was ever written to the group."""


_REPLIES: Mapping[str, Callable[[FalkorDatabase], Exception]] = {
    "already indexed": lambda _: _AlreadyIndexedError(),
    "empty key": lambda _: _NoSuchGraphError(),
    "Query timed out": lambda database: database.faults.timeout("TIMEOUT"),
    # Half of the batch may fit.
    "mem consumption exceeded": lambda database: database.faults.refused("QUERY_MEM_CAPACITY"),
    "Max pending queries": lambda database: database.faults.rate_limited(code="MAX_QUEUED_QUERIES"),
    "MISCONF": lambda database: database.faults.unavailable("MISCONF"),
    "NOREPLICAS": lambda database: database.faults.unavailable("NOREPLICAS"),
    "WRONGTYPE": lambda database: database.faults.unavailable("WRONGTYPE"),
    "unknown command": lambda database: database.no_falkordb(),
}
"""Words of error replies that have no class of their own in the driver, and what they mean."""


# The wire ------------------------------------------------------------------------------------------------------------


def _with_parameters(statement: Statement) -> str:
    """Return a statement preceded by its parameters, as FalkorDB takes them; those it does not name are left out.

    Graphiti stores moments in FalkorDB as texts.
    """
    text = statement.cypher.replace("moment(", "(")
    named = [f"{name}={_literal(value)}" for name, value in statement.parameters.items() if f"${name}" in text]
    return f"CYPHER {' '.join(named)} {text}" if named else text


def _literal(value: Value) -> str:
    """Return a value as a Cypher literal."""
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if value is None or isinstance(value, bool):
        return _WORDS[value]
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ",".join([f"{name}:{_literal(member)}" for name, member in value.items()]) + "}"
    return "[" + ",".join([_literal(member) for member in value]) + "]"


_WORDS = {None: "null", True: "true", False: "false"}


def _rows(reply: object) -> list[list[Any]]:
    """Return the rows of a reply: ``[statistics]`` or ``[header, rows, statistics]``.

    It is not the compact reply, in which every value is a list with its type: three times as much to read, and our
    statements ask for texts and counts only.

    Raises:
        TypeError, ValueError: It is no such reply.
    """
    if not isinstance(reply, list):
        raise TypeError
    *found, statistics = reply
    if not isinstance(statistics, list):
        raise TypeError
    if not found:
        return []
    _, rows = found
    return [list(row) for row in rows]
