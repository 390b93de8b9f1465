"""Graph databases to test on: a FalkorDB and a Neo4j for all tests of a run, empty for each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from typing import Any

import pytest

from dm_memory.services.graphiti.database import GraphDatabase, Statement
from dm_memory.services.graphiti.service import GraphitiService
from tests.services.graphiti.servers import Server, running_falkordb, running_neo4j
from tests.services.payloads import BRAND


class Graphs:
    """A database that is empty at first, and ways to it.

    Args:
        connect: Returns an adapter of its own, as another process would have one.
        uri: Where it is.
        empty: Removes everything.
    """

    def __init__(self, connect: Callable[[], GraphDatabase], uri: str, empty: Callable[[], object]) -> None:
        self.connect = connect
        self.uri = uri
        self.empty = empty
        empty()

    def service(
        self, brand: str = BRAND, group_id: str | None = None, clock: Callable[[], datetime] | None = None
    ) -> GraphitiService:
        options: dict[str, Any] = {} if clock is None else {"clock": clock}
        return GraphitiService(self.connect(), brand, group_id=group_id, **options)

    def rows(self, cypher: str, group: str = BRAND, **parameters: Any) -> list[list[Any]]:
        """Return what another program reads."""

        async def ask() -> list[list[Any]]:
            database = self.connect()
            try:
                return await database.read(group, Statement(cypher, parameters))
            finally:
                await database.close()

        return asyncio.run(ask())

    def play(self, service: GraphitiService, scenario: Callable[[GraphitiService], Awaitable[Any]]) -> Any:
        """Play a scenario on a service in an event loop, close the service, and return what the scenario does."""

        async def act() -> Any:
            try:
                return await scenario(service)
            finally:
                await service.close()

        return asyncio.run(act())


@pytest.fixture(scope="session")
def falkordb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_falkordb(tmp_path_factory.mktemp("falkordb")) as server:
        yield server


@pytest.fixture(scope="session")
def neo4j_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_neo4j(tmp_path_factory.mktemp("neo4j")) as server:
        yield server


@pytest.fixture
def falkordb(falkordb_server: Server) -> Iterator[Graphs]:
    from redis import Redis  # noqa: PLC0415  # the extra graphiti may be absent

    from dm_memory.services.graphiti.falkordb import FalkorDatabase  # noqa: PLC0415  # beside it

    with Redis.from_url(falkordb_server.uri) as server:
        yield Graphs(lambda: FalkorDatabase(falkordb_server.uri), falkordb_server.uri, server.flushall)


@pytest.fixture
def neo4j(neo4j_server: Server) -> Iterator[Graphs]:
    from neo4j import GraphDatabase as Driver  # noqa: PLC0415  # the extra graphiti may be absent

    from dm_memory.services.graphiti.neo4j import Neo4jDatabase  # noqa: PLC0415  # beside it

    with Driver.driver(neo4j_server.uri) as driver:
        yield Graphs(
            lambda: Neo4jDatabase(neo4j_server.uri, username="neo4j", password=None),
            neo4j_server.uri,
            lambda: driver.execute_query("MATCH (n) DETACH DELETE n"),
        )


@pytest.fixture(
    params=[
        pytest.param("falkordb", marks=[pytest.mark.graphiti, pytest.mark.falkordb]),
        pytest.param("neo4j", marks=[pytest.mark.graphiti, pytest.mark.neo4j]),
    ]
)
def graphs(request: pytest.FixtureRequest) -> Graphs:
    """An empty database of each kind."""
    found: Graphs = request.getfixturevalue(request.param)
    return found
