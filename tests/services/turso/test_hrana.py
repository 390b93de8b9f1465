"""Between us and a database over HTTP anything can happen: each of it has its class, its deadline and its words."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from time import time
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from dm_memory.errors import ConfigurationError, ErrorClass, ServiceError
from dm_memory.services.faults import Faults
from dm_memory.services.turso import hrana
from dm_memory.services.turso.hrana import HranaClient, Timeouts, base_url, open_turso_store
from dm_memory.services.turso.protocol import START, Key, Table
from dm_memory.services.turso.rows import episode_of
from dm_memory.services.turso.schema import ReplyTooLargeError, Statement
from dm_memory.services.turso.wire import faults_of
from dm_memory.services.turso.writing import SharedStore
from tests.cache.proxy import Handler, Proxy, StubServer, answer, proxied, stubbed
from tests.cache.sqld import Server
from tests.services.payloads import payload

HASTY = Timeouts(connect=2.0, read=0.2, overall=1.0)
PATIENT = Timeouts()
"""Of a server that answers: a busy machine is no silent one."""
TOKEN = "token-that-nobody-may-see"  # noqa: S105  # the point of the tests that use it
ONE = Statement("SELECT 1")
FAR = 20.0
"""Seconds in which even a slow machine is done; a hang ends here as a failure."""


async def caught(url: str, timeouts: Timeouts = PATIENT, token: str | None = TOKEN) -> ServiceError:
    """Return the error of one read, and hold that the error of a write is the same."""
    client = HranaClient(url, SecretStr(token) if token else None, timeouts)
    try:
        errors = []
        for act in (client.execute([ONE]), client.batch([ONE])):
            with pytest.raises(ServiceError) as raised:
                async with asyncio.timeout(FAR):
                    await act
            errors.append(raised.value)
    finally:
        await client.close()
    assert errors[0].error_class is errors[1].error_class
    return errors[0]


def error_of(handler: Handler, timeouts: Timeouts = PATIENT) -> ServiceError:
    """Return what a server that treats every request like this leads to."""

    async def act() -> ServiceError:
        async with stubbed(handler) as server:
            return await caught(server.url, timeouts)

    return asyncio.run(act())


def reply(*results: Any) -> bytes:
    return orjson.dumps({"baton": None, "base_url": None, "results": results})


def rows_reply(columns: int, rows: list[list[Any]]) -> bytes:
    result = {"cols": [{"name": "c"}] * columns, "rows": rows}
    return reply({"type": "ok", "response": {"type": "execute", "result": result}})


def failed_reply(message: str, code: str) -> bytes:
    return reply({"type": "error", "error": {"message": message, "code": code}})


class TestFaults:
    """Whatever happens is one typed error, in our words, in time."""

    def test_a_port_nobody_listens_on(self) -> None:
        async def act() -> ServiceError:
            async with stubbed(answer(200)) as server:
                url = server.url
            return await caught(url)

        error = asyncio.run(act())
        assert (error.error_class, error.code) == (ErrorClass.UNAVAILABLE, "ConnectError")

    def test_a_connection_that_is_reset(self) -> None:
        async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.transport.abort()

        assert error_of(reset).error_class is ErrorClass.UNAVAILABLE

    def test_a_server_that_hangs_up_without_an_answer(self) -> None:
        async def leave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        assert error_of(leave).error_class is ErrorClass.UNAVAILABLE

    def test_a_server_that_never_answers(self) -> None:
        async def hang(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
            await asyncio.Event().wait()

        assert error_of(hang, HASTY).error_class is ErrorClass.TIMEOUT

    def test_half_an_answer_and_then_silence(self) -> None:
        async def stall(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{"results": [')
            await asyncio.Event().wait()

        assert error_of(stall, HASTY).error_class is ErrorClass.TIMEOUT

    def test_half_an_answer_and_then_the_end(self) -> None:
        async def cut(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{"results": [')
            await writer.drain()

        assert error_of(cut).error_class is ErrorClass.UNAVAILABLE

    def test_an_answer_that_drips_for_ever(self) -> None:
        async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.02)

        assert error_of(drip, Timeouts(connect=2.0, read=FAR, overall=0.4)).error_class is ErrorClass.TIMEOUT

    @pytest.mark.parametrize(
        ("status", "body", "expected"),
        [
            (400, b"Cannot deserialize client message", ErrorClass.VALIDATION),
            (401, b'{"error":"Unauthorized"}', ErrorClass.AUTH),
            (402, b"", ErrorClass.QUOTA),
            (403, b"", ErrorClass.AUTH),
            (403, b"Operation was blocked: SQL write operations are forbidden", ErrorClass.QUOTA),
            (404, b"no such database", ErrorClass.CONFIGURATION),
            (408, b"", ErrorClass.TIMEOUT),
            (413, b"", ErrorClass.VALIDATION),
            (418, b"", ErrorClass.MALFORMED_REPLY),
            (500, b"panic", ErrorClass.UNAVAILABLE),
            (502, b"<html>", ErrorClass.UNAVAILABLE),
            (504, b"", ErrorClass.TIMEOUT),
        ],
    )
    def test_a_status_that_is_no_success(self, status: int, body: bytes, expected: ErrorClass) -> None:
        error = error_of(answer(status, body))
        assert error.error_class is expected
        assert error.code == str(status)

    def test_a_redirect_is_not_followed_with_the_token(self) -> None:
        async def act() -> None:
            async with (
                stubbed(answer(200)) as other,
                stubbed(answer(307, location=f"{other.url}/v2/pipeline")) as first,
            ):
                error = await caught(first.url)
                assert (error.error_class, error.code) == (ErrorClass.CONFIGURATION, "307")
                assert other.requests == []

        asyncio.run(act())

    @pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("99999999999999999999", 86400.0), ("soon", None)])
    def test_too_many_requests_says_how_long_to_wait(self, header: str, seconds: float | None) -> None:
        error = error_of(answer(429, retry_after=header))
        assert (error.error_class, error.retry_after) == (ErrorClass.RATE_LIMIT, seconds)

    def test_too_many_requests_without_a_time_to_wait(self) -> None:
        error = error_of(answer(429))
        assert (error.error_class, error.retry_after) == (ErrorClass.RATE_LIMIT, None)

    def test_a_time_to_wait_can_be_a_date(self) -> None:
        error = error_of(answer(429, retry_after=formatdate(time() + 3600, usegmt=True)))
        assert error.retry_after is not None
        assert 3000 < error.retry_after <= 3600

    @pytest.mark.parametrize(
        ("code", "expected"),
        [
            ("SQLITE_BUSY", ErrorClass.UNAVAILABLE),
            ("SQLITE_CORRUPT", ErrorClass.UNAVAILABLE),
            ("SQLITE_FULL", ErrorClass.QUOTA),
            ("BLOCKED", ErrorClass.QUOTA),
            ("SQLITE_READONLY", ErrorClass.AUTH),
            ("SQLITE_CONSTRAINT", ErrorClass.VALIDATION),
            ("TRANSACTION_TIMEOUT", ErrorClass.TIMEOUT),
            ("NEVER_HEARD_OF", ErrorClass.UNKNOWN),
            ("not a code; " + TOKEN, ErrorClass.UNKNOWN),
        ],
    )
    def test_a_statement_that_fails(self, code: str, expected: ErrorClass) -> None:
        error = error_of(answer(200, failed_reply(f"SQLite error: {TOKEN}", code)))
        assert error.error_class is expected
        assert TOKEN not in f"{error}{error.code}"

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"<html>It works!</html>",
            b"[" * 100_000,
            b"null",
            b'{"results": []}',
            b'{"results": {"0": 1}}',
            reply(None),
            reply({"type": "ok", "response": {"type": "close"}}),
            reply({"type": "ok", "response": {"type": "execute", "result": {}}}),
            reply({"type": "ok", "response": {"type": "batch", "result": {"step_errors": [], "step_results": []}}}),
            rows_reply(2, [[{"type": "null"}]]),
            rows_reply(1, [[{"type": "integer", "value": 7}]]),
            rows_reply(1, [[{"type": "integer", "value": "1_000"}]]),
            rows_reply(1, [[{"type": "integer", "value": "9" * 5000}]]),
            rows_reply(1, [[{"type": "blob", "base64": "!"}]]),
            rows_reply(1, [[{"type": "surprise"}]]),
        ],
    )
    def test_junk(self, body: bytes) -> None:
        assert error_of(answer(200, body)).error_class is ErrorClass.MALFORMED_REPLY

    def test_an_answer_in_an_encoding_it_is_not_in(self) -> None:
        error = error_of(answer(200, b"not gzip at all", content_encoding="gzip"))
        assert error.error_class is ErrorClass.MALFORMED_REPLY

    def test_an_answer_without_an_end_is_cut_off(self) -> None:
        async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                writer.write(b" " * (1 << 20))
                await writer.drain()

        assert isinstance(error_of(flood, Timeouts(read=FAR, overall=FAR)), ReplyTooLargeError)

    def test_a_compressed_bomb_is_cut_off(self) -> None:
        bomb = gzip.compress(b" " * (64 << 20))
        error = error_of(answer(200, bomb, content_encoding="gzip"), Timeouts(read=FAR, overall=FAR))
        assert isinstance(error, ReplyTooLargeError)

    @settings(max_examples=60, deadline=None)
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4) | st.sampled_from(["ok", "execute"]),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["results", "type", "response", "result", "cols", "rows", "error", "value"]),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=12,
        )
    )
    def test_any_json_is_rows_or_a_typed_error(self, document: Any) -> None:
        try:
            rows = hrana._read_executions(faults_of("db"), orjson.dumps(document), 1)
        except ServiceError:
            return
        assert isinstance(rows[0], list)


class TestTransactions:
    """A transaction is one request that cleans up behind itself, whatever its server does with it."""

    @pytest.mark.parametrize("failing", range(5))
    def test_wherever_it_fails_what_was_begun_is_rolled_back_and_nothing_else_runs(self, failing: int) -> None:
        steps = hrana._transaction([Statement("one"), Statement("two")])
        outcome: list[bool | None] = []

        def holds(condition: Any) -> bool:
            match condition:
                case None:
                    return True
                case {"type": "ok", "step": int(step)}:
                    return outcome[step] is True
                case {"type": "not", "cond": cond}:
                    return not holds(cond)
                case {"type": "and", "conds": conds}:
                    return all(map(holds, conds))
            raise AssertionError(condition)

        for place, step in enumerate(steps):
            outcome.append(place != failing if holds(step.get("condition")) else None)
        ran = [step["stmt"]["sql"] for step, done in zip(steps, outcome, strict=True) if done is not None]
        expected = ["BEGIN IMMEDIATE", "one", "two", "COMMIT"][: failing + 1]
        assert ran == expected + (["ROLLBACK"] if failing in {1, 2, 3} else [])


class TestSecrets:
    """A token goes to the server and nowhere else."""

    def test_no_error_shows_the_token(self) -> None:
        echo = answer(401, f"bad token {TOKEN}".encode())
        error = error_of(echo)
        assert TOKEN not in f"{error!r}{error}{error.code}{error.remedy}{error.__cause__!r}"

    def test_the_token_travels_as_a_bearer(self) -> None:
        async def act() -> StubServer:
            async with stubbed(answer(401)) as server:
                await caught(server.url)
                return server

        request = asyncio.run(act()).requests[0]
        assert f"authorization: bearer {TOKEN}".encode() in request.lower()
        assert b"accept-encoding: identity" in request.lower()

    def test_no_token_no_header(self) -> None:
        async def act() -> StubServer:
            async with stubbed(answer(401)) as server:
                await caught(server.url, token=None)
                return server

        assert b"authorization" not in asyncio.run(act()).requests[0].lower()

    @pytest.mark.parametrize("token", ["two words", "line\nbreak", "schlüssel"])
    def test_a_token_that_cannot_be_one_is_not_quoted(self, token: str) -> None:
        with pytest.raises(ConfigurationError) as raised:
            HranaClient("libsql://db.example", SecretStr(token))
        assert token not in str(raised.value)


class TestAddresses:
    """A database's URL becomes an HTTPS address, or a clear no."""

    @pytest.mark.parametrize(
        ("url", "address"),
        [
            ("libsql://shop-acme.turso.io", "https://shop-acme.turso.io"),
            ("turso://shop-acme.turso.io/", "https://shop-acme.turso.io"),
            (" https://db.example:8443/base/ ", "https://db.example:8443/base"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://localhost:8080", "http://localhost:8080"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("libsql://127.0.0.1:8080?tls=0", "http://127.0.0.1:8080"),
        ],
    )
    def test_good_ones(self, url: str, address: str) -> None:
        assert base_url(url) == address

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "shop-acme.turso.io",
            "file:///etc/passwd",
            "ftp://db.example",
            "libsql://",
            "libsql://db.example:port",
            "http://db.example",
            "http://127.0.0.1.evil.example",
            "libsql://db.example?tls=0",
            f"libsql://db.example?authToken={TOKEN}",
            f"libsql://user:{TOKEN}@db.example",
        ],
    )
    def test_bad_ones_are_refused_without_being_quoted(self, url: str) -> None:
        with pytest.raises(ConfigurationError) as raised:
            base_url(url)
        assert TOKEN not in str(raised.value)
        assert "TURSO_DATABASE_URL" in str(raised.value)


class TestEventLoop:
    """Whatever one server does, the rest of the program goes on."""

    def test_a_server_that_hangs_keeps_nobody_else_waiting(self) -> None:
        arrived = asyncio.Event()

        async def hang(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
            arrived.set()
            await asyncio.Event().wait()

        async def act() -> None:
            async with stubbed(hang) as stuck, stubbed(answer(200, rows_reply(1, [[{"type": "null"}]]))) as well:
                waiting = HranaClient(stuck.url, timeouts=Timeouts(read=FAR, overall=FAR))
                prompt = HranaClient(well.url)
                hanging = asyncio.create_task(waiting.execute([ONE]))
                await arrived.wait()
                assert await prompt.execute([ONE]) == [[(None,)]]
                assert not hanging.done()
                hanging.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await hanging
                await waiting.close()
                await prompt.close()

        asyncio.run(act())

    def test_a_large_answer_is_read_on_another_thread(self, monkeypatch: pytest.MonkeyPatch) -> None:
        threads: list[int] = []
        read = hrana._read_executions

        def watched(faults: Faults, document: bytes, count: int) -> Any:
            threads.append(threading.get_ident())
            return read(faults, document, count)

        monkeypatch.setattr(hrana, "_read_executions", watched)
        large = rows_reply(1, [[{"type": "text", "value": "x" * 1000}]] * 2000)

        async def act() -> None:
            async with stubbed(answer(200, large)) as server:
                client = HranaClient(server.url)
                (rows,) = await client.execute([ONE])
                assert len(rows) == 2000
                await client.close()

        asyncio.run(act())
        assert threads != [threading.get_ident()]


@pytest.mark.sqld
class TestRealServer:
    """What only a real libsql-server can show."""

    @staticmethod
    def play(server: Server, scenario: Callable[[Proxy, SharedStore], Awaitable[None]]) -> None:
        async def act() -> None:
            async with proxied(server.port) as proxy:
                store = open_turso_store(proxy.url, server.token, "acme")
                await scenario(proxy, store)
                await store.close()

        asyncio.run(act())

    def test_numbers_beyond_what_json_readers_round(self, sqld: Server) -> None:
        async def act() -> None:
            client = HranaClient(sqld.url)
            values = (2**63 - 1, -(2**63), 2**53 + 1, 0.1, b"\x00\xff\x01", None, "")
            assert await client.execute([Statement("SELECT ?, ?, ?, ?, ?, ?, ?", values)]) == [[values]]
            await client.close()

        asyncio.run(act())

    @pytest.mark.parametrize("value", [2**63, float("inf"), float("nan")])
    def test_numbers_sqlite_cannot_hold_are_refused(self, sqld: Server, value: float) -> None:
        async def act() -> None:
            client = HranaClient(sqld.url)
            with pytest.raises(ServiceError) as raised:
                await client.execute([Statement("SELECT ?", (value,))])
            assert raised.value.error_class is ErrorClass.VALIDATION
            await client.close()

        asyncio.run(act())

    def test_a_transaction_that_fails_half_way_leaves_nothing_and_blocks_nobody(self, sqld: Server) -> None:
        async def act() -> None:
            client = HranaClient(sqld.url)
            await client.batch([Statement("CREATE TABLE t (a INTEGER PRIMARY KEY)")])
            insert = Statement("INSERT INTO t VALUES (?)", (1,))
            with pytest.raises(ServiceError) as raised:
                await client.batch([insert, insert])
            assert raised.value.error_class is ErrorClass.VALIDATION
            assert await client.execute([Statement("SELECT count(*) FROM t")]) == [[(0,)]]
            await client.batch([insert])
            assert await client.execute([Statement("SELECT count(*) FROM t")]) == [[(1,)]]
            await client.close()

        asyncio.run(act())

    def test_without_the_token_the_door_stays_shut(self, guarded_sqld: Server) -> None:
        error = asyncio.run(caught(guarded_sqld.url, token=None))
        assert error.error_class is ErrorClass.AUTH
        assert asyncio.run(caught(guarded_sqld.url)).error_class is ErrorClass.AUTH

    def test_a_token_that_may_only_read_reads(self, guarded_sqld: Server) -> None:
        async def act() -> None:
            writer = open_turso_store(guarded_sqld.url, guarded_sqld.token, "acme")
            await writer.upsert_episodes([episode_of(payload(1))])
            await writer.close()
            reader = open_turso_store(guarded_sqld.url, guarded_sqld.reading_token, "acme")
            assert (await reader.counts())[Table.EPISODES] == 1
            with pytest.raises(ServiceError) as raised:
                await reader.upsert_episodes([episode_of(payload(2))])
            assert raised.value.error_class is ErrorClass.AUTH
            await reader.close()

        asyncio.run(act())

    def test_what_was_committed_but_never_confirmed_is_not_written_twice(self, sqld: Server) -> None:
        rows = [episode_of(payload(number)) for number in range(10)]

        async def scenario(proxy: Proxy, store: SharedStore) -> None:
            await store.migrate()
            proxy.lose_replies = True
            with pytest.raises(ServiceError) as raised:
                await store.upsert_episodes(rows)
            assert raised.value.error_class is ErrorClass.UNAVAILABLE
            proxy.lose_replies = False
            committed = (await store.page(Table.EPISODES)).rows
            assert len(committed) == 10
            await store.upsert_episodes(rows)
            assert (await store.page(Table.EPISODES)).rows == committed

        self.play(sqld, scenario)

    def test_asking_what_changed_costs_one_round_trip(self, sqld: Server) -> None:
        async def scenario(proxy: Proxy, store: SharedStore) -> None:
            await store.upsert_episodes([episode_of(payload(1))])
            fresh = open_turso_store(proxy.url, None, "acme")
            before = proxy.requests
            survey = await fresh.survey({})
            assert proxy.requests == before + 1
            assert survey.counts[Table.EPISODES] == 1
            await fresh.close()

        self.play(sqld, scenario)

    def test_pages_travel_side_by_side(self, sqld: Server) -> None:
        rows = [episode_of(payload(number)) for number in range(80)]

        async def scenario(proxy: Proxy, store: SharedStore) -> None:
            await store.upsert_episodes(rows)
            seams = await store.splits(Table.EPISODES, START, 10)
            proxy.latency, proxy.most_in_flight = 0.1, 0
            pages = await asyncio.gather(*(self._stretch(store, low, high) for low, high in _stretches(seams)))
            assert [identity for page in pages for identity in page] == [row.id for row in rows]
            assert proxy.most_in_flight >= 4

        self.play(sqld, scenario)

    @staticmethod
    async def _stretch(store: SharedStore, low: Key, high: Key) -> list[Any]:
        return [row[0] for row in (await store.page(Table.EPISODES, low, through=high, limit=10)).rows]


def _stretches(seams: list[Key]) -> list[tuple[Key, Key]]:
    return list(zip([START, *seams], seams, strict=False))
