"""Turso as a service: the contract on a real server, and what a team's machines read from each other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from dm_memory.embedding.batch import pack
from dm_memory.errors import ErrorClass, ServiceError
from dm_memory.facts.patterns import Counted, PatternRow
from dm_memory.items import Payload
from dm_memory.services.turso.protocol import START
from dm_memory.services.turso.rows import episode_from_row, payload_of, row_checksum
from dm_memory.services.turso.schema import Statement, Table, migration
from dm_memory.services.turso.service import TursoService
from dm_memory.text.hashing import content_mac
from tests.cache.conftest import Database
from tests.cache.faults import watched
from tests.cache.sqld import Server
from tests.services.contract import ServiceContract
from tests.services.payloads import BRAND, payload

pytestmark = pytest.mark.sqld

CHUNKS = (pack([1.0, 2.0]), pack([0.5, -1.0]))


@pytest.mark.sqld
class TestContract(ServiceContract):
    """The contract of every service."""

    @pytest.fixture
    def make_service(self, sqld: Server) -> Callable[[], TursoService]:
        return lambda: TursoService(sqld.url, None, BRAND)


def play(server: Server, scenario: Callable[[TursoService, TursoService], Awaitable[Any]]) -> Any:
    """Run a scenario on two machines that share a database."""

    async def act() -> Any:
        here, there = (TursoService(server.url, server.token, BRAND) for _ in range(2))
        try:
            return await scenario(here, there)
        finally:
            await here.close()
            await there.close()

    return asyncio.run(act())


def embedded(number: int, text: str = "", **changes: Any) -> Payload:
    return payload(number, text, vectors=CHUNKS, vector_model="model@0123456789ab", **changes)


def errors(outcomes: Any) -> list[str]:
    return [outcome.error.code if outcome.error else "" for outcome in outcomes]


def test_an_entry_comes_back_whole_with_its_state_and_its_vectors(sqld: Server) -> None:
    retired = embedded(2, state="retired", retired_at="2026-11-01T00:00:00Z", author="ana")

    async def scenario(here: TursoService, there: TursoService) -> None:
        await here.upsert([embedded(1), retired, payload(3)])
        found = await there.payloads([embedded(1).id, retired.id, payload(3).id, "unknown"])
        assert sorted(found, key=lambda p: p.key) == [embedded(1), retired, payload(3)]
        listed, after = await there.entries(None, 2)
        rest, end = await there.entries(after, 2)
        assert (sorted([*listed, *rest], key=lambda p: p.key), end) == ([embedded(1), retired, payload(3)], None)
        assert await there.count() == 3

    play(sqld, scenario)


def test_a_changed_text_leaves_no_vector_of_the_old_one_and_the_old_text_as_a_revision(sqld: Server) -> None:
    async def scenario(here: TursoService, there: TursoService) -> None:
        await here.upsert([embedded(1)])
        changed = payload(1, "Another text.", version=2)
        await there.upsert([changed])
        assert await here.payloads([changed.id]) == [changed]
        (old,) = await here.revisions([changed.id])
        assert (old.number, old.content, old.reason) == (1, embedded(1).content, "edited")
        await there.upsert([changed])
        assert await here.revisions([changed.id]) == [old]

    play(sqld, scenario)


def test_of_two_machines_that_edit_one_entry_the_last_wins_and_no_text_is_lost(sqld: Server) -> None:
    async def scenario(here: TursoService, there: TursoService) -> None:
        await here.upsert([payload(1)])
        await asyncio.gather(
            here.upsert([payload(1, "edited here", version=2)]), there.upsert([payload(1, "edited there", version=2)])
        )
        (winner,) = await here.payloads([payload(1).id])
        texts = {winner.content, *(each.content for each in await there.revisions([payload(1).id]))}
        assert texts == {payload(1).content, "edited here", "edited there"}

    play(sqld, scenario)


def test_of_many_revisions_the_last_fifty_are_kept(sqld: Server) -> None:
    async def scenario(here: TursoService, _: TursoService) -> None:
        for number in range(54):
            await here.upsert([payload(1, f"text {number}", version=number + 1)])
        found = await here.revisions([payload(1).id])
        assert [each.content for each in found] == [f"text {number}" for number in range(3, 53)]

    play(sqld, scenario)


def test_the_feed_names_what_changed_in_order_and_a_retirement_is_a_change(sqld: Server) -> None:
    async def scenario(here: TursoService, there: TursoService) -> None:
        assert await there.changes(None) == ([], None)
        await here.upsert([payload(number) for number in range(5)])
        digests, place = await there.changes(None)
        assert {(digest.key, digest.state) for digest in digests} == {(f"insight/{n}", "current") for n in range(5)}
        assert await there.changes(place) == ([], None)
        await here.upsert([payload(1), payload(3, state="retired", retired_at="2026-11-25")])
        ((digest,), _) = await there.changes(place)
        assert (digest.id, digest.content_hash, digest.state) == (payload(3).id, payload(3).content_hash, "retired")

    play(sqld, scenario)


def test_what_one_machine_forgets_no_other_brings_back_but_an_edited_text_is_new(sqld: Server) -> None:
    async def scenario(here: TursoService, there: TursoService) -> None:
        await here.upsert([embedded(1), payload(2), payload(3)])
        key = await here.shared_key()
        await here.forget({p.id: content_mac(key, p.content_hash) for p in (payload(1), payload(2))})
        assert errors(await there.upsert([payload(1), payload(2), payload(4)])) == ["forgotten", "forgotten", ""]
        assert await there.count() == 2
        buried, place = await there.tombstones(None)
        assert await there.shared_key() == key
        assert {(each.id, each.content_mac) for each in buried} == {
            (p.id, content_mac(key, p.content_hash)) for p in (payload(1), payload(2))
        }
        assert await there.tombstones(place) == ([], None)
        assert errors(await there.upsert([payload(1, "An edited text.")])) == [""]
        assert errors(await there.upsert([payload(1)])) == ["forgotten"], "the old text stays forgotten"
        await here.restore([payload(2).id])
        assert errors(await there.upsert([payload(2)])) == [""]

    play(sqld, scenario)


def test_what_was_forgotten_before_it_arrived_is_not_stored(sqld: Server) -> None:
    async def scenario(here: TursoService, there: TursoService) -> None:
        own = b"k" * 32
        assert await here.shared_key(own) == own
        assert await there.shared_key(b"another" * 5) == own
        await here.forget({payload(1).id: content_mac(own, payload(1).content_hash)})
        before = (await here.tombstones(None))[1]
        await here.forget({payload(1).id: content_mac(own, payload(1).content_hash)})
        assert (await here.tombstones(None))[1] == before
        assert errors(await there.upsert([payload(1)])) == ["forgotten"]

    play(sqld, scenario)


def test_metadata_is_not_put_on_another_text(sqld: Server) -> None:
    async def scenario(here: TursoService, _: TursoService) -> None:
        await here.upsert([embedded(1)])
        (outcome,) = await here.update_metadata([payload(1, "Another text.", tags=("new",))])
        assert outcome.error is not None
        await here.update_metadata([payload(1, tags=("new",))])
        (found,) = await here.payloads([payload(1).id])
        assert (found.tags, found.vectors) == (("new",), CHUNKS)

    play(sqld, scenario)


def test_a_server_that_dropped_rows_is_seen_by_counting(sqld: Server) -> None:
    async def scenario(here: TursoService, there: TursoService) -> None:
        await here.upsert([embedded(number) for number in range(10)])
        await there.store._writer.write([Statement("DELETE FROM episodes WHERE key IN ('insight/1', 'insight/2')")])
        assert await here.count() == 8
        assert (await here.capacity()).entries == 8
        assert (await here.store.lost_embeddings())[0] == 4
        assert (await here.fetch([payload(1).id, payload(3).id])).keys() == {payload(3).id}

    play(sqld, scenario)


def pattern(text: str, campaigns: str = '["q1"]') -> PatternRow:
    return PatternRow(text, BRAND, text, "worked", 1, 1, 0, 1.0, campaigns, "[]", "[]", "2026-01-01", "2026-01-01")


def test_patterns_of_other_machines_stay(sqld: Server) -> None:
    async def scenario(here: TursoService, there: TursoService) -> None:
        await here.put_patterns(Counted([pattern("short"), pattern("long")], ["q1"]), [])
        await there.put_patterns(Counted([pattern("short", '["q2"]')], ["q2"]), [])
        page = await here.store.page(Table.PATTERNS)
        place = page.columns.index("campaigns")
        assert {row[0]: row[place] for row in page.rows} == {"short": '["q1","q2"]', "long": '["q1"]'}
        await here.put_patterns(Counted([], ["q1"]), ["short", "long"])
        page = await here.store.page(Table.PATTERNS)
        assert {row[0]: row[place] for row in page.rows} == {"short": '["q2"]'}

    play(sqld, scenario)


async def older(service: TursoService) -> None:
    """Make a store as version 0.2 made it, with one entry."""
    await service.store._writer.write(migration(1))
    p = payload(1)
    values = (
        p.id, 5, BRAND, p.key, p.kind, p.content_type, p.source, p.content, p.content_hash, p.metadata_hash, "[]", "{}",
        p.recorded_at, p.created_at, 1, "", "normal", "", "[]",
    )  # fmt: skip
    marks = ", ".join("?" * len(values))
    await service.store._writer.write([Statement(f"INSERT INTO episodes VALUES ({marks})", values)])  # noqa: S608  # marks


def test_a_store_of_version_one_is_read_as_it_is_and_brought_up_by_the_first_write(sqld: Server) -> None:
    async def scenario(here: TursoService, there: TursoService) -> None:
        await older(here)
        (row,) = (await there.store.page(Table.EPISODES)).rows
        assert row_checksum(row)
        assert await there.count() == 1
        assert (await there.store.ping()).schema_version == 1
        await here.upsert([payload(2)])
        assert (await there.store.ping()).schema_version == 2
        (found,) = await there.payloads([payload(1).id])
        assert (found.content, found.state, found.author) == (payload(1).content, "current", "")

    play(sqld, scenario)


def test_the_feed_of_a_store_of_version_one_brings_it_up(sqld: Server) -> None:
    async def scenario(here: TursoService, there: TursoService) -> None:
        await older(here)
        digests, _ = await there.changes(None)
        assert [digest.state for digest in digests] == ["current"]

    play(sqld, scenario)


def test_many_large_entries_keep_the_event_loop_for_moments_only(sqld: Server) -> None:
    async def scenario(here: TursoService, there: TursoService) -> int:
        await here.prepare()
        await here.upsert([embedded(number, f"{number} " + "text " * 800) for number in range(256)])
        found, after = [], None
        while True:
            page, after = await there.entries(after, 200)
            found += page
            if after is None:
                return len(found)

    with watched() as large:
        assert play(sqld, scenario) == 256
    assert large.aside
    assert not large.on_the_loop


@pytest.mark.parametrize(
    "tables",
    [
        "CREATE TABLE episodes (episode_id TEXT PRIMARY KEY, start_time INTEGER, created_at INTEGER)",
        "CREATE TABLE episodes (id TEXT PRIMARY KEY, task TEXT, timestamp TEXT)",
        "CREATE TABLE episodes (season INTEGER, title TEXT)",
    ],
    ids=["do-memory", "timestamps", "unknown"],
)
def test_a_database_of_another_program_is_named_and_never_written(sqld: Server, tables: str) -> None:
    async def scenario(here: TursoService, _: TursoService) -> None:
        await here.store._writer.write([Statement(tables)])
        health = await here.health()
        assert not health.ok
        assert ("Unknown layout" if "season" in tables else "belongs to") in health.detail
        for act in (here.changes(None), here.upsert([payload(1)])):
            with pytest.raises(ServiceError) as caught:
                await act
            assert caught.value.error_class is ErrorClass.CONFIGURATION
            assert caught.value.concerns_whole_service

    play(sqld, scenario)


def test_what_is_written_on_any_engine_reads_back_the_same(database: Database) -> None:
    """Every engine stores the same values: what a machine reads is what another one wrote."""

    async def act() -> None:
        store = database.store()
        service = TursoService("libsql://unused.example", None, BRAND)
        service._opened = store
        await service.upsert([embedded(1)])
        (found,) = await service.payloads([embedded(1).id])
        assert found == embedded(1)
        page = await service.store.page(Table.EPISODES, START, limit=1)
        row = episode_from_row(dict(zip(page.columns, page.rows[0], strict=True)))
        assert payload_of(row) == payload(1)
        await service.close()

    asyncio.run(act())
