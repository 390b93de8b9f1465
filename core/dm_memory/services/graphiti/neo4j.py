"""Neo4j, in which Graphiti keeps all groups in one database. Its driver is imported on first use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from dm_memory.errors import ErrorClass, ServiceError
from dm_memory.services.faults import Faults, load
from dm_memory.services.graphiti.database import Statement, host_and_port, require_driver, split_address, unreachable

if TYPE_CHECKING:
    from neo4j import AsyncDriver, AsyncTransaction

__all__ = ["Neo4jDatabase"]

_PORT = 7687
_SCHEMES = {scheme: scheme for scheme in ("bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc")}

_INDEXES = (
    "CREATE CONSTRAINT dm_memory_writer IF NOT EXISTS FOR (w:DmMemoryWriter) REQUIRE w.group_id IS UNIQUE",
    "CREATE INDEX entity_uuid IF NOT EXISTS FOR (n:Entity) ON (n.uuid)",
    "CREATE INDEX episode_uuid IF NOT EXISTS FOR (n:Episodic) ON (n.uuid)",
    "CREATE INDEX episode_group_id IF NOT EXISTS FOR (n:Episodic) ON (n.group_id)",
    "CREATE INDEX relation_uuid IF NOT EXISTS FOR ()-[e:RELATES_TO]-() ON (e.uuid)",
    "CREATE INDEX dm_memory_slot IF NOT EXISTS FOR ()-[e:RELATES_TO]-() ON (e.slot)",
)
"""Those of Graphiti's that writing needs, by Graphiti's names, and two of ours."""

_TAKE_TURNS = Statement("MERGE (w:DmMemoryWriter {group_id: $group}) SET w.written_at = moment($now)")
"""Locks the group's writers out until the transaction ends: without a constraint, merging alone can make twins."""


class Neo4jDatabase:
    """A Neo4j server. See ``GraphDatabase`` for the contract of its methods.

    A write is one transaction. The driver has no time limit for a reply: the guard has.

    Args:
        uri: ``bolt://host:port``, ``neo4j://host:port``; ``+s`` and ``+ssc`` with TLS.
        username: The user's name.
        password: The user's password, or None for a server without.
        database: The database in the server.
        timeout: Seconds to wait for a connection.

    Raises:
        ConfigurationError: The driver is not installed, or the address is none.
    """

    kind = "neo4j"

    def __init__(
        self, uri: str, *, username: str, password: str | None, database: str = "neo4j", timeout: float = 30.0
    ) -> None:
        require_driver("neo4j", "Neo4j")
        parts = split_address(uri, _SCHEMES, "NEO4J_URI")
        address = host_and_port(parts, _PORT)
        self.place = address if database == "neo4j" else f"{address}/{database}"
        self.faults = Faults("Neo4j", self.place, "NEO4J_USER and NEO4J_PASSWORD", "NEO4J_URI")
        self._uri = f"{parts.scheme}://{address}{f'?{parts.query}' if parts.query else ''}"
        self._auth = (username, password) if password is not None else None
        self._name = database
        self._timeout = timeout
        self._driver: AsyncDriver | None = None

    async def load(self) -> None:
        """Import the driver."""
        await load("neo4j", "neo4j.exceptions")

    async def prepare(self, group: str) -> None:  # noqa: ARG002  # the indexes are for all groups
        """Make the indexes, each in a transaction of its own, as Neo4j wants it."""
        for index in _INDEXES:
            async with self._transaction() as transaction:
                await transaction.run(index)

    async def write(self, group: str, statements: Sequence[Statement]) -> None:
        """Run statements in one transaction, after other writers of the group."""
        if not statements:
            return
        now = statements[0].parameters["now"]
        async with self._transaction() as transaction:
            await _run(transaction, Statement(_TAKE_TURNS.cypher, {"group": group, "now": now}))
            for statement in statements:
                await _run(transaction, statement)

    async def read(self, group: str, statement: Statement) -> list[list[Any]]:  # noqa: ARG002  # it is a parameter
        """Run a statement in a transaction that may not write."""
        async with self._transaction(read_only=True) as transaction:
            return await _run(transaction, statement)

    async def close(self) -> None:
        """Close every connection."""
        driver, self._driver = self._driver, None
        if driver is not None:
            await driver.close()

    @asynccontextmanager
    async def _transaction(self, *, read_only: bool = False) -> AsyncIterator[AsyncTransaction]:
        """Yield a transaction; it is committed if the block ends well."""
        await self.load()
        import neo4j  # noqa: PLC0415  # the extra graphiti; imported on first use
        from neo4j.exceptions import DriverError, Neo4jError  # noqa: PLC0415  # as above

        mode = neo4j.READ_ACCESS if read_only else neo4j.WRITE_ACCESS
        try:
            async with (
                self._connected().session(database=self._name, default_access_mode=mode) as session,
                await session.begin_transaction() as transaction,
            ):
                yield transaction
                await transaction.commit()
        except Neo4jError as error:
            raise self._of_reply(error) from error
        except (DriverError, OSError) as error:
            raise self._of_connection(error) from error

    def _connected(self) -> AsyncDriver:
        if self._driver is None:
            from neo4j import AsyncGraphDatabase  # noqa: PLC0415  # as above

            self._driver = AsyncGraphDatabase.driver(
                self._uri,
                auth=self._auth,
                connection_timeout=self._timeout,
                connection_acquisition_timeout=self._timeout,
                telemetry_disabled=True,
                notifications_min_severity="OFF",  # it would log that a group which is empty yet has no labels
            )
        return self._driver

    # Errors ------------------------------------------------------------------------------------------------------

    def _of_connection(self, error: Exception) -> Exception:
        """Return what an error of the driver's own means; one that is not known is a bug and stays as it is."""
        from neo4j import exceptions  # noqa: PLC0415  # as above

        match error:
            case exceptions.ConnectionAcquisitionTimeoutError() | TimeoutError():
                return self.faults.timeout()
            case exceptions.AuthConfigurationError():
                return self.faults.auth()
            case exceptions.UnsupportedServerProduct():
                return self.faults.malformed()
            case exceptions.ServiceUnavailable() | exceptions.SessionExpired() | OSError():
                return unreachable(self.faults, type(error).__name__)
            case _:
                return error

    def _of_reply(self, error: Any) -> Exception:  # noqa: ANN401  # Neo4jError, which is imported late
        """Return what the server's word means; one that is not known is a bug and stays as it is."""
        code = str(error.code or "")
        if "logical size limit" in str(error.message):
            return self.faults.quota(code)
        known = next((meaning for words, meaning in _CODES.items() if words in code), None)
        return known(self, code) if known else error

    def no_database(self, code: str) -> ServiceError:
        """Return what is wrong if the server has no database of that name."""
        return ServiceError(
            f"Neo4j ({self.place}) has no database {self._name!r}.",
            "Correct NEO4J_DATABASE.",
            error_class=ErrorClass.UNAVAILABLE,
            code=code,
        )


_CODES: Mapping[str, Callable[[Neo4jDatabase, str], Exception]] = {
    "Security.AuthenticationRateLimit": lambda database, code: database.faults.rate_limited(code=code),
    ".Security.": lambda database, code: database.faults.auth(code),
    "TransactionTimedOut": lambda database, code: database.faults.timeout(code),
    "LockClientStopped": lambda database, code: database.faults.timeout(code),
    # Half of the batch may fit.
    "OutOfMemory": lambda database, code: database.faults.refused(code),
    "DatabaseNotFound": lambda database, code: database.no_database(code),
    "ReadOnly": lambda database, code: database.faults.unavailable(code),
    "Neo.TransientError.": lambda database, code: database.faults.unavailable(code),
    "Neo.DatabaseError.": lambda database, code: database.faults.unavailable(code),
    "Cluster.NotALeader": lambda database, code: database.faults.unavailable(code),
}
"""What the first part of a status code that fits means."""


async def _run(transaction: AsyncTransaction, statement: Statement) -> list[list[Any]]:
    result = await transaction.run(statement.cypher.replace("moment(", "datetime("), dict(statement.parameters))
    return await result.values()
