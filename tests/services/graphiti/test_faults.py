"""Every error of a graph database has its class and says what to do; nothing raw from a driver is shown."""

from __future__ import annotations

import asyncio
import importlib.util
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from socket import SO_LINGER, SOL_SOCKET
from typing import Any

import pytest

from dm_memory.errors import ConfigurationError, ErrorClass, ServiceError
from dm_memory.services.graphiti.database import GraphDatabase, Statement
from dm_memory.services.graphiti.falkordb import FalkorDatabase
from dm_memory.services.graphiti.neo4j import Neo4jDatabase
from dm_memory.services.graphiti.service import GraphitiService
from tests.services.graphiti.conftest import Graphs
from tests.services.graphiti.servers import free_port, running_falkordb, running_neo4j
from tests.services.payloads import payload

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Connect = Callable[[int], GraphDatabase]

SHORT = 0.3
WORD = "open-sesame"


def falkordb_at(port: int, **options: Any) -> GraphDatabase:
    return FalkorDatabase(f"redis://127.0.0.1:{port}", **{"timeout": SHORT, **options})


def neo4j_at(port: int, **options: Any) -> GraphDatabase:
    settings = {"username": "neo4j", "password": WORD, "timeout": SHORT, **options}
    return Neo4jDatabase(f"bolt://127.0.0.1:{port}", **settings)


@pytest.fixture(params=[pytest.param(falkordb_at, id="falkordb"), pytest.param(neo4j_at, id="neo4j")])
def connect(request: pytest.FixtureRequest) -> Connect:
    found: Connect = request.param
    return found


@asynccontextmanager
async def listening(handler: Handler) -> AsyncIterator[int]:
    """Serve a handler on a loopback port; what it still does at the end is cancelled."""
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await handler(reader, writer)
        except (asyncio.CancelledError, ConnectionError):
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    try:
        yield port
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def error_of(database: GraphDatabase) -> ServiceError:
    """Return the error a service meets, asked for its health first, which never raises."""
    service = GraphitiService(database, "acme", group_id=None)
    try:
        health = await service.health()
        with pytest.raises(ServiceError) as caught:
            await service.upsert([payload(1)])
    finally:
        await service.close()
    assert not health.ok
    assert health.error is not None
    assert health.error.error_class is caught.value.error_class
    assert caught.value.remedy
    assert "Error" not in str(caught.value)
    return caught.value


def error_with(connect: Connect, handler: Handler) -> ServiceError:
    async def meet() -> ServiceError:
        async with listening(handler) as port:
            return await error_of(connect(port))

    return asyncio.run(meet())


def answering(reply: bytes) -> Handler:
    """Answer everything alike."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            writer.write(reply)
            await writer.drain()
        writer.close()

    return handler


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(1024):
        pass
    writer.close()


async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(b"*2\r\n*1000\r\n")
    while True:
        writer.write(b":1\r\n")
        await writer.drain()
        await asyncio.sleep(0.02)  # the error itself: a reply that comes, and never ends


async def resetting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(b"*3\r\n*1\r\n$8\r\ncount")
    await writer.drain()
    writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@pytest.mark.graphiti
class TestNetwork:
    def test_nobody_listens(self, connect: Connect) -> None:
        error = asyncio.run(error_of(connect(free_port())))
        assert error.error_class is ErrorClass.UNAVAILABLE
        assert "_URI" in error.remedy

    def test_a_connection_that_is_reset_in_mid_reply(self, connect: Connect) -> None:
        assert error_with(connect, resetting).error_class in {ErrorClass.UNAVAILABLE, ErrorClass.MALFORMED_REPLY}
        assert error_with(falkordb_at, resetting).error_class is ErrorClass.UNAVAILABLE

    def test_a_server_that_hangs(self) -> None:
        assert error_with(falkordb_at, silent).error_class is ErrorClass.TIMEOUT

    def test_a_server_whose_greeting_hangs(self) -> None:
        assert error_with(neo4j_at, silent).error_class is ErrorClass.UNAVAILABLE

    def test_a_reply_that_never_ends(self) -> None:
        assert error_with(falkordb_at, dripping).error_class is ErrorClass.TIMEOUT

    @pytest.mark.parametrize("reply", [b"*abc\r\n", b"$-5\r\n", b"+OK\r\n", b":1\r\n", b"*0\r\n", b"*-1\r\n"])
    def test_a_reply_of_another_server(self, connect: Connect, reply: bytes) -> None:
        assert error_with(connect, answering(reply)).error_class is ErrorClass.MALFORMED_REPLY

    @pytest.mark.parametrize(
        "reply",
        [
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            b"$3\r\n\xff\xfe\xfd\r\n",
            b"*1\r\n+x\r\n",
            b"*3\r\n:1\r\n:1\r\n*0\r\n",
            b"*3\r\n*1\r\n$1\r\nx\r\n*1\r\n*1\r\n$1\r\nx\r\n*0\r\n",
            b"*3\r\n*1\r\n$1\r\nx\r\n*1\r\n*2\r\n:1\r\n:1\r\n*0\r\n",
        ],
    )
    def test_a_reply_that_is_none_of_falkordbs(self, reply: bytes) -> None:
        assert error_with(falkordb_at, answering(reply)).error_class is ErrorClass.MALFORMED_REPLY


REPLIES = {
    "NOAUTH Authentication required.": ErrorClass.AUTH,
    "WRONGPASS invalid username-password pair or user is disabled.": ErrorClass.AUTH,
    "NOPERM User ro has no permissions to run the 'graph.QUERY' command": ErrorClass.AUTH,
    "OOM command not allowed when used memory > 'maxmemory'.": ErrorClass.QUOTA,
    "LOADING Redis is loading the dataset in memory": ErrorClass.UNAVAILABLE,
    "READONLY You can't write against a read only replica.": ErrorClass.UNAVAILABLE,
    "MISCONF Redis is configured to save RDB snapshots, but it's unable to persist to disk.": ErrorClass.UNAVAILABLE,
    "MASTERDOWN Link with MASTER is down": ErrorClass.UNAVAILABLE,
    "CLUSTERDOWN Hash slot not served": ErrorClass.UNAVAILABLE,
    "WRONGTYPE Operation against a key holding the wrong kind of value": ErrorClass.UNAVAILABLE,
    "ERR max number of clients reached": ErrorClass.UNAVAILABLE,
    "ERR unknown command 'GRAPH.QUERY', with args beginning with: 'acme'": ErrorClass.UNAVAILABLE,
    "Query timed out": ErrorClass.TIMEOUT,
    "Max pending queries exceeded": ErrorClass.RATE_LIMIT,
    "Query's mem consumption exceeded capacity": ErrorClass.VALIDATION,
}


@pytest.mark.graphiti
class TestFalkorDBReplies:
    @pytest.mark.parametrize(("reply", "error_class"), REPLIES.items())
    def test_an_error_reply_has_its_class(self, reply: str, error_class: ErrorClass) -> None:
        error = error_with(falkordb_at, answering(f"-{reply}\r\n".encode()))
        assert error.error_class is error_class
        assert reply not in str(error)

    def test_a_refused_statement_is_a_bug_and_stays_one(self) -> None:
        handler = answering(b"-errMsg: Invalid input 'X' line: 1\r\n")

        async def ask() -> None:
            async with listening(handler) as port:
                database = falkordb_at(port)
                try:
                    await database.read("acme", Statement("X"))
                finally:
                    await database.close()

        with pytest.raises(Exception, match="Invalid input") as caught:
            asyncio.run(ask())
        assert not isinstance(caught.value, ServiceError)


@pytest.mark.graphiti
@pytest.mark.falkordb
class TestFalkorDBItself:
    def test_a_password_is_asked_for(self, tmp_path: Path) -> None:
        with running_falkordb(tmp_path / "falkordb", "--requirepass", WORD) as server:
            port = int(server.uri.rsplit(":", 1)[1])
            for wrong in (None, "wrong"):
                assert asyncio.run(error_of(falkordb_at(port, password=wrong))).error_class is ErrorClass.AUTH
            for right in (falkordb_at(port, password=WORD), FalkorDatabase(f"falkor://:{WORD}@127.0.0.1:{port}")):
                service = GraphitiService(right, "acme", group_id=None)
                assert asyncio.run(_stores(service))
                assert WORD not in f"{service.name} {service.engine}"

    def test_a_redis_without_falkordb_says_so(self, tmp_path: Path) -> None:
        with running_falkordb(tmp_path / "redis", module=False) as server:
            error = asyncio.run(error_of(falkordb_at(int(server.uri.rsplit(":", 1)[1]))))
        assert "without FalkorDB" in error.problem
        assert error.error_class is ErrorClass.UNAVAILABLE

    def test_a_full_server_is_full_and_takes_entries_again_when_there_is_room(self, falkordb: Graphs) -> None:
        from redis import Redis  # noqa: PLC0415  # the extra graphiti may be absent

        async def scenario(service: GraphitiService) -> None:
            await service.upsert([payload(1)])
            server.config_set("maxmemory", "1")
            try:
                with pytest.raises(ServiceError) as caught:
                    await service.upsert([payload(2)])
                assert set(await service.fetch([payload(1).id, payload(2).id])) == {payload(1).id}
            finally:
                server.config_set("maxmemory", "0")
            assert caught.value.error_class is ErrorClass.QUOTA
            assert (await service.upsert([payload(2)]))[0].error is None

        with Redis.from_url(falkordb.uri) as server:
            falkordb.play(falkordb.service(), scenario)


def test_a_call_that_is_cancelled_does_not_answer_the_next_one(graphs: Graphs) -> None:
    async def scenario(service: GraphitiService) -> None:
        await service.upsert([payload(number) for number in range(20)])
        for number in range(20):
            call = asyncio.create_task(service.fetch([payload(1).id]))
            for _ in range(number % 7):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            assert set(await service.fetch([payload(number).id])) == {payload(number).id}

    graphs.play(graphs.service(), scenario)


async def _stores(service: GraphitiService) -> bool:
    try:
        return (await service.upsert([payload(1)]))[0].error is None
    finally:
        await service.close()


CODES = {
    "Neo.ClientError.Security.Unauthorized": ErrorClass.AUTH,
    "Neo.ClientError.Security.CredentialsExpired": ErrorClass.AUTH,
    "Neo.ClientError.Security.TokenExpired": ErrorClass.AUTH,
    "Neo.ClientError.Security.Forbidden": ErrorClass.AUTH,
    "Neo.ClientError.Security.AuthenticationRateLimit": ErrorClass.RATE_LIMIT,
    "Neo.ClientError.Transaction.TransactionTimedOut": ErrorClass.TIMEOUT,
    "Neo.ClientError.Transaction.TransactionTimedOutClientConfiguration": ErrorClass.TIMEOUT,
    "Neo.TransientError.Transaction.LockClientStopped": ErrorClass.TIMEOUT,
    "Neo.TransientError.Transaction.DeadlockDetected": ErrorClass.UNAVAILABLE,
    "Neo.TransientError.General.DatabaseUnavailable": ErrorClass.UNAVAILABLE,
    "Neo.TransientError.General.MemoryPoolOutOfMemoryError": ErrorClass.VALIDATION,
    "Neo.ClientError.Cluster.NotALeader": ErrorClass.UNAVAILABLE,
    "Neo.ClientError.General.ForbiddenOnReadOnlyDatabase": ErrorClass.UNAVAILABLE,
    "Neo.ClientError.Database.DatabaseNotFound": ErrorClass.UNAVAILABLE,
    "Neo.DatabaseError.General.UnknownError": ErrorClass.UNAVAILABLE,
}


class FailingDriver:
    """A driver whose sessions fail with a status code, as the real one makes it of what a server sends."""

    def __init__(self, code: str, message: str = "the server's own words") -> None:
        from neo4j.exceptions import Neo4jError  # noqa: PLC0415  # the extra graphiti may be absent

        self.error = Neo4jError._hydrate_neo4j(code=code, message=message)

    def session(self, **_: Any) -> Any:
        raise self.error

    async def close(self) -> None:
        pass


@pytest.mark.graphiti
class TestNeo4jCodes:
    @pytest.mark.parametrize(("code", "error_class"), CODES.items())
    def test_a_status_code_has_its_class(self, code: str, error_class: ErrorClass) -> None:
        assert self.error_of(FailingDriver(code)).error_class is error_class

    def test_a_full_plan_is_full(self) -> None:
        message = "You have exceeded the logical size limit of 200000 nodes in your database"
        driver = FailingDriver("Neo.ClientError.General.TransactionRefused", message)
        assert self.error_of(driver).error_class is ErrorClass.QUOTA

    @pytest.mark.parametrize("code", ["Neo.ClientError.Statement.SyntaxError", "Neo.ClientError.Statement.TypeError"])
    def test_a_refused_statement_is_a_bug_and_stays_one(self, code: str) -> None:
        driver = FailingDriver(code)
        database = neo4j_at(1)
        database._driver = driver  # type: ignore[attr-defined]  # in the place of a connected one
        with pytest.raises(type(driver.error)):
            asyncio.run(database.read("acme", Statement("X")))

    def error_of(self, driver: FailingDriver) -> ServiceError:
        async def meet() -> ServiceError:
            database = neo4j_at(1)
            database._driver = driver  # type: ignore[attr-defined]  # in the place of a connected one
            with pytest.raises(ServiceError) as caught:
                await database.read("acme", Statement("RETURN 1"))
            assert "own words" not in str(caught.value)
            return caught.value

        return asyncio.run(meet())


@pytest.mark.graphiti
@pytest.mark.neo4j
class TestNeo4jItself:
    def test_a_wrong_password_is_refused(self, tmp_path: Path) -> None:
        with running_neo4j(tmp_path / "guarded", with_password=True) as server:
            port = int(server.uri.rsplit(":", 1)[1])
            error = asyncio.run(error_of(neo4j_at(port, timeout=30.0)))
        assert error.error_class is ErrorClass.AUTH
        assert "NEO4J_PASSWORD" in error.remedy

    def test_a_database_that_does_not_exist_is_named(self, neo4j: Graphs) -> None:
        port = int(neo4j.uri.rsplit(":", 1)[1])
        error = asyncio.run(error_of(neo4j_at(port, password=None, database="nowhere", timeout=30.0)))
        assert "'nowhere'" in error.problem
        assert "NEO4J_DATABASE" in error.remedy

    def test_a_refused_statement_changes_nothing_of_its_write(self, neo4j: Graphs) -> None:
        async def scenario(service: GraphitiService) -> None:
            await service.upsert([payload(1)])
            now = {"now": "2026-03-05T10:00:00.000+00:00"}
            with pytest.raises(Exception, match="Invalid input"):
                await service._database.write(
                    "acme", [Statement("MATCH (n) DETACH DELETE n", now), Statement("X", now)]
                )
            assert payload(1).id in await service.fetch([payload(1).id])

        neo4j.play(neo4j.service(), scenario)


class TestSettings:
    @pytest.mark.graphiti
    @pytest.mark.parametrize("uri", ["", "localhost:6379", "http://localhost:6379", "redis://", "redis://host:port"])
    def test_an_address_that_is_none_is_named_by_its_setting(self, uri: str) -> None:
        with pytest.raises(ConfigurationError, match="FALKORDB_URI is no address of the form redis://host:port"):
            FalkorDatabase(uri)

    @pytest.mark.graphiti
    def test_an_address_keeps_its_secrets(self) -> None:
        service = GraphitiService(FalkorDatabase("redis://me:open-sesame@graph.example"), "acme", group_id=None)
        assert service.name == "graph@falkordb:graph.example:6379/acme"
        named = GraphitiService(
            Neo4jDatabase("neo4j+s://me:open-sesame@x.example:1", username="neo4j", password=WORD, database="brands"),
            "acme",
            group_id="marketing",
        )
        assert WORD not in f"{service.engine} {named.engine}"
        assert named.name == "graph@neo4j:x.example:1/brands/marketing"

    @pytest.mark.parametrize("make", [falkordb_at, neo4j_at])
    def test_a_driver_that_is_missing_is_named_by_its_extra(
        self, make: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
        with pytest.raises(ConfigurationError, match="the extra graphiti"):
            make(1)

    @pytest.mark.graphiti
    @pytest.mark.parametrize(
        ("brand", "group_id", "group"),
        [
            ("acme", None, "acme"),
            ("acme", "marketing", "marketing"),
            ("Café Zürich", None, "Caf-Z-rich-da74656d"),
            ("漢字", None, "c6d29771"),
        ],
    )
    def test_a_group_is_one_that_graphiti_takes(self, brand: str, group_id: str | None, group: str) -> None:
        assert GraphitiService(falkordb_at(1), brand, group_id=group_id).group == group

    @pytest.mark.graphiti
    def test_a_group_that_graphiti_does_not_take_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match="GRAPHITI_GROUP_ID"):
            GraphitiService(falkordb_at(1), "acme", group_id="two words")
