"""The durable store keeps its contract on every engine: a file, a server, a server that wants a token."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dm_memory.embedding.batch import pack
from dm_memory.errors import ErrorClass, ServiceError
from dm_memory.facts.patterns import Episode
from dm_memory.services.turso import schema, writing
from dm_memory.services.turso import store as durable_store
from dm_memory.services.turso.protocol import START, Page, Table
from dm_memory.services.turso.rows import (
    EmbeddingRow,
    EpisodeRow,
    episode_of,
    payload_of,
    row_checksum,
)
from dm_memory.services.turso.schema import ReplyTooLargeError
from dm_memory.services.turso.writing import SharedStore
from dm_memory.store.indexes import vector_id
from tests.cache.conftest import Database
from tests.services.payloads import payload
from tests.support.patterns import find_patterns

Scenario = Callable[[SharedStore], Awaitable[Any]]


async def checksums(store: SharedStore, table: Table, wanted: list[str]) -> dict[Any, str]:
    return {row[0]: row_checksum(row) for row in (await store.rows(table, wanted)).rows}


def play(database: Database, scenario: Scenario, **options: Any) -> Any:
    """Run a scenario on a store of its own and close it."""

    async def act() -> Any:
        store = database.store(**options)
        try:
            return await scenario(store)
        finally:
            await store.close()

    return asyncio.run(act())


def episodes(count: int, brand: str = "acme", **changes: Any) -> list[EpisodeRow]:
    made = [episode_of(payload(number, **changes)) for number in range(count)]
    return [replace(row, brand=brand, id=row.id if brand == "acme" else f"{brand}-{row.id}") for row in made]


def embedding(episode: EpisodeRow, vector: list[float]) -> EmbeddingRow:
    identity = vector_id(episode.brand, episode.id, "model", 0)
    packed = pack(vector)
    return EmbeddingRow(
        identity, episode.brand, episode.id, "episode", 0, episode.content_hash, "model", len(vector), packed
    )


def episode_from(page: Page, place: int = 0) -> EpisodeRow:
    values = dict(zip(page.columns, page.rows[place], strict=True))
    del values["updated_at"]
    return EpisodeRow(**values)  # type: ignore[arg-type]  # columns are the fields' names


def ids(page: Page) -> list[str]:
    return [str(row[0]) for row in page.rows]


async def everything(store: SharedStore, table: Table, limit: int) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    after = START
    while (page := await store.page(table, after, limit=limit)).rows:
        rows += page.rows
        after = (page.rows[-1][1], page.rows[-1][0])  # type: ignore[assignment]  # the key of the last row
    return rows


def test_a_store_that_was_never_written_reads_as_empty_and_stays_unmade(database: Database) -> None:
    async def scenario(store: SharedStore) -> None:
        assert (await store.ping()).layout == "empty"
        assert set((await store.counts()).values()) == {0}
        assert (await store.page(Table.EPISODES)).rows == []
        assert (await store.tombstones()).rows == []
        assert await store.newest_episodes(5) == []
        assert await store.splits(Table.PATTERNS, START, 10) == []
        assert (await store.survey({})).newest[Table.EPISODES] == START
        assert (await store.ping()).schema_version == 0

    play(database, scenario)


def test_the_first_write_makes_the_tables(database: Database) -> None:
    async def scenario(store: SharedStore) -> None:
        await store.upsert_episodes(episodes(3))
        assert (await store.ping()).schema_version == 2
        assert (await store.counts())[Table.EPISODES] == 3

    play(database, scenario)


def test_an_episode_comes_back_as_the_payload_it_was(database: Database) -> None:
    stored = payload(
        1, text="Zürich 🚀 'quoted'; \x00 and\nlines", facts={"n": 2**53 + 1, "x": 0.1, "b": True, "l": ["ä"]}
    )

    async def scenario(store: SharedStore) -> None:
        await store.upsert_episodes([episode_of(stored)])
        assert payload_of(episode_from(await store.page(Table.EPISODES))) == stored

    play(database, scenario)


def test_more_rows_than_one_transaction_takes_keep_their_order(database: Database) -> None:
    rows = [replace(row, content="x" * 2000) for row in episodes(2500)]

    async def scenario(store: SharedStore) -> None:
        await store.upsert_episodes(rows)
        assert ids(await store.page(Table.EPISODES, limit=3000)) == [row.id for row in rows]
        await store.delete(Table.EPISODES, [row.id for row in rows[1:]])
        assert (await store.counts())[Table.EPISODES] == 1
        assert len((await store.tombstones(limit=3000)).rows) == 2499

    play(database, scenario)


def test_a_vector_comes_back_bit_by_bit(database: Database) -> None:
    row = episodes(1)[0]
    vector = array("f", pack([0.1, -0.0, 1e-40, 3.4e38])).tolist()

    async def scenario(store: SharedStore) -> None:
        await store.upsert_embeddings([embedding(row, vector)])
        page = await store.embeddings_of([row.id])
        values = dict(zip(page.columns, page.rows[0], strict=True))
        assert array("f", values["vector"]).tolist() == vector  # type: ignore[arg-type]  # a blob column
        assert values["dimension"] == 4

    play(database, scenario)


def test_storing_the_same_again_changes_nothing(database: Database) -> None:
    async def scenario(store: SharedStore) -> None:
        await store.upsert_episodes(episodes(40))
        before = (await store.page(Table.EPISODES)).rows
        await store.upsert_episodes(episodes(40))
        assert (await store.page(Table.EPISODES)).rows == before

    play(database, scenario)


def test_a_changed_row_moves_to_the_end_and_only_that_one(database: Database) -> None:
    async def scenario(store: SharedStore) -> None:
        rows = episodes(5)
        await store.upsert_episodes(rows)
        newest = (await store.survey({})).newest[Table.EPISODES]
        await store.upsert_episodes([rows[0], replace(rows[2], tags='["new"]'), rows[4]])
        survey = await store.survey({Table.EPISODES: newest})
        assert survey.changed[Table.EPISODES] == 1
        page = await store.page(Table.EPISODES, newest)
        assert ids(page) == [rows[2].id]
        assert episode_from(page).tags == '["new"]'

    play(database, scenario)


def test_moments_grow_strictly_even_where_the_writers_clock_goes_back(database: Database) -> None:
    moments = iter([5_000_000, 4_000_000, 5_000_001, 1])

    async def scenario(store: SharedStore) -> None:
        await store.migrate()
        rows = episodes(4)
        for row in rows:
            await store.upsert_episodes([row])
        page = await store.page(Table.EPISODES)
        assert ids(page) == [row.id for row in rows]
        assert page.rows[0][1] == 5_000_000
        assert len({row[1] for row in page.rows}) == 4

    play(database, scenario, now=lambda: next(moments))


def test_writers_at_once_never_share_a_moment(database: Database) -> None:
    async def scenario(store: SharedStore) -> None:
        await store.migrate()
        others = [database.store() for _ in range(4)]
        rows = episodes(60)
        await asyncio.gather(
            *(other.upsert_episodes(rows[place::4]) for place, other in enumerate(others)),
        )
        for other in others:
            await other.close()
        moments = [row[1] for row in (await store.page(Table.EPISODES)).rows]
        assert len(set(moments)) == 60

    play(database, scenario, now=lambda: 7)


def test_processes_that_make_the_tables_at_once_all_succeed(database: Database) -> None:
    async def scenario(store: SharedStore) -> None:
        stores = [store, *(database.store() for _ in range(3))]
        await asyncio.gather(*(each.migrate() for each in stores))
        for other in stores[1:]:
            await other.close()
        assert (await store.ping()).schema_version == 2

    play(database, scenario)


@pytest.mark.parametrize("limit", [1, 7, 100])
def test_pages_return_every_row_once_in_order(database: Database, limit: int) -> None:
    async def scenario(store: SharedStore) -> None:
        await store.upsert_episodes(episodes(20))
        rows = await everything(store, Table.EPISODES, limit)
        assert [row[0] for row in rows] == [row.id for row in episodes(20)]

    play(database, scenario)


def test_pages_between_splits_are_the_whole_table(database: Database) -> None:
    async def scenario(store: SharedStore) -> None:
        await store.upsert_episodes(episodes(50))
        seams = await store.splits(Table.EPISODES, START, 8)
        assert len(seams) == 6
        ends = [*seams, (await store.survey({})).newest[Table.EPISODES]]
        parts = await asyncio.gather(
            *(
                store.page(Table.EPISODES, low, through=high, limit=8)
                for low, high in zip([START, *seams], ends, strict=True)
            )
        )
        assert [identity for part in parts for identity in ids(part)] == [row.id for row in episodes(50)]

    play(database, scenario)


def test_a_watermark_can_be_read_again_inclusively(database: Database) -> None:
    async def scenario(store: SharedStore) -> None:
        await store.upsert_episodes(episodes(3))
        moment, identity = (await store.survey({})).newest[Table.EPISODES]
        assert ids(await store.page(Table.EPISODES, (moment, ""))) == [identity]

    play(database, scenario)


def test_deleting_leaves_tombstones_and_takes_the_embeddings_along(database: Database) -> None:
    async def scenario(store: SharedStore) -> None:
        rows = episodes(3)
        await store.upsert_episodes(rows)
        await store.upsert_embeddings([embedding(row, [1.0, 2.0]) for row in rows])
        before = (await store.survey({})).newest[Table.EMBEDDINGS]
        await store.delete(Table.EPISODES, [rows[1].id, "never stored"])
        assert (await store.counts())[Table.EPISODES] == 2
        assert (await store.counts())[Table.EMBEDDINGS] == 2
        buried = (await store.tombstones()).rows
        assert {(row[0], row[2]) for row in buried} == {
            (rows[1].id, "episodes"),
            (vector_id("acme", rows[1].id, "model", 0), "embeddings"),
        }
        moments = [row[1] for row in buried if isinstance(row[1], int)]
        assert len(set(moments)) == 2
        assert min(moments) > before[0]

    play(database, scenario)


def test_a_row_that_is_stored_again_has_no_tombstone(database: Database) -> None:
    async def scenario(store: SharedStore) -> None:
        rows = episodes(2)
        await store.upsert_episodes(rows)
        await store.delete(Table.EPISODES, [rows[0].id])
        survey = await store.survey({})
        assert survey.tombstones == 1
        await store.upsert_episodes(rows)
        assert (await store.tombstones()).rows == []
        after = await store.page(Table.EPISODES, survey.newest[Table.EPISODES])
        assert ids(after) == [rows[0].id]

    play(database, scenario)


def test_deleting_twice_buries_once(database: Database) -> None:
    async def scenario(store: SharedStore) -> None:
        rows = episodes(1)
        await store.upsert_episodes(rows)
        await store.delete(Table.EPISODES, [rows[0].id])
        buried = (await store.tombstones()).rows
        await store.delete(Table.EPISODES, [rows[0].id])
        assert (await store.tombstones()).rows == buried

    play(database, scenario)


def test_brands_that_share_a_database_do_not_see_each_other(database: Database) -> None:
    async def scenario(store: SharedStore) -> None:
        other = database.store("bolt")
        await store.upsert_episodes(episodes(2))
        await other.upsert_episodes(episodes(3, "bolt"))
        await other.delete(Table.EPISODES, [row.id for row in episodes(2)])
        assert (await store.counts())[Table.EPISODES] == 2
        assert (await other.counts())[Table.EPISODES] == 3
        assert len((await other.page(Table.EPISODES)).rows) == 3
        assert (await store.tombstones()).rows == []
        await other.close()

    play(database, scenario)


def test_the_newest_episodes_are_those_that_changed_last(database: Database) -> None:
    async def scenario(store: SharedStore) -> None:
        rows = episodes(6)
        await store.upsert_episodes(rows)
        await store.upsert_episodes([replace(rows[0], priority="high")])
        assert [identity for _, identity in await store.newest_episodes(2)] == [rows[0].id, rows[5].id]

    play(database, scenario)


def test_revisions_are_read_in_as_many_pieces_as_it_takes(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(store: SharedStore) -> None:
        before = episodes(4)
        await store.upsert_episodes(before)
        await store.upsert_episodes([replace(row, content="other", content_hash="other") for row in before])
        wanted = [row.id for row in before]
        whole = await store.revisions(wanted)
        assert sorted(row[2] for row in whole) == sorted(row.content for row in before)
        read = SharedStore._by_ids

        async def refusing(self: SharedStore, ids: list[str], make: Any) -> Any:
            if len(ids) > 1 or ids == wanted[:1]:
                raise ReplyTooLargeError
            return await read(self, ids, make)

        monkeypatch.setattr(SharedStore, "_by_ids", refusing)
        assert sorted(await store.revisions(wanted)) == sorted(row for row in whole if row[0] != wanted[0])

    play(database, scenario)


def test_checksums_are_those_of_the_rows_as_they_are_now(database: Database) -> None:
    async def scenario(store: SharedStore) -> None:
        rows = episodes(2)
        await store.upsert_episodes(rows)
        copy = {row[0]: row_checksum(row) for row in (await store.page(Table.EPISODES)).rows}
        assert await checksums(store, Table.EPISODES, [rows[0].id, rows[1].id, "unknown"]) == copy
        await database.run("UPDATE episodes SET content = 'edited by hand' WHERE key = 'insight/1'")
        now = await checksums(store, Table.EPISODES, [rows[0].id, rows[1].id])
        assert now[rows[0].id] == copy[rows[0].id]
        assert now[rows[1].id] != copy[rows[1].id]

    play(database, scenario)


def test_patterns_are_kept_with_their_rates(database: Database) -> None:
    async def scenario(store: SharedStore) -> None:
        point = Episode("e1", "campaign/q1#retrospective/what_worked/0", "campaign", "Short forms", {}, "2026-01-01")
        await store.upsert_patterns(find_patterns("acme", [point]))
        page = await store.page(Table.PATTERNS)
        values = dict(zip(page.columns, page.rows[0], strict=True))
        assert (values["text"], values["outcome"], values["success_rate"]) == ("Short forms", "worked", 1.0)

    play(database, scenario)


def test_a_batch_is_whole_or_not_there(database: Database) -> None:
    async def scenario(store: SharedStore) -> None:
        await store.migrate()
        rows = episodes(3)
        broken = replace(rows[2], content=None)  # type: ignore[arg-type]  # what NOT NULL is for
        with pytest.raises(ServiceError) as caught:
            await store.upsert_episodes([*rows[:2], broken])
        assert caught.value.error_class is ErrorClass.VALIDATION
        assert (await store.counts())[Table.EPISODES] == 0

    play(database, scenario)


def test_half_a_character_is_refused_before_anything_is_stored(database: Database) -> None:
    async def scenario(store: SharedStore) -> None:
        with pytest.raises(ServiceError) as caught:
            await store.upsert_episodes([*episodes(1), replace(episodes(2)[1], content="broken \ud800")])
        assert caught.value.error_class is ErrorClass.VALIDATION
        assert (await store.ping()).layout == "empty"

    play(database, scenario)


def test_long_texts_are_stored_and_read_in_as_many_pieces_as_it_takes(database: Database) -> None:
    async def scenario(store: SharedStore) -> None:
        rows = [replace(row, content=f"{place}" + "x" * 1_500_000) for place, row in enumerate(episodes(9))]
        await store.upsert_episodes(rows)
        page = await store.page(Table.EPISODES, limit=100)
        assert ids(page) == [row.id for row in rows]
        by_id = await store.rows(Table.EPISODES, [row.id for row in rows])
        assert set(ids(by_id)) == {row.id for row in rows}
        assert episode_from(page, 8) == rows[8]

    play(database, scenario)


def test_a_store_of_a_newer_program_is_left_alone(database: Database) -> None:
    async def scenario(store: SharedStore) -> None:
        await store.migrate()
        await database.run("UPDATE dm_memory_meta SET value = 99 WHERE name = 'schema_version'")
        fresh = database.store()
        row = episodes(1)
        for act in (fresh.ping(), fresh.migrate(), fresh.upsert_episodes(row), fresh.delete(Table.EPISODES, ["e1"])):
            with pytest.raises(ServiceError, match="newer dm-memory"):
                await act
        await fresh.close()
        assert (await store.counts())[Table.EPISODES] == 0

    play(database, scenario)


def test_a_store_of_an_older_program_is_brought_up_and_keeps_its_rows(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the next version added a column: what has to hold on the day when there is one."""

    async def scenario(store: SharedStore) -> None:
        await store.upsert_episodes(episodes(3))
        monkeypatch.setattr(schema, "_MIGRATIONS", (*schema._MIGRATIONS, "ALTER TABLE episodes ADD COLUMN mood TEXT"))
        for module in (durable_store, writing):
            monkeypatch.setattr(module, "SCHEMA_VERSION", 3)
        newer = [database.store() for _ in range(3)]
        await asyncio.gather(*(each.upsert_episodes(episodes(number)) for number, each in enumerate(newer, 4)))
        await newer[0].migrate()
        assert (await newer[0].ping()).schema_version == 3
        assert (await newer[0].counts())[Table.EPISODES] == 6
        (columns,) = await newer[0]._engine.read([schema.DETECT])
        assert ("episodes", "mood") in columns
        for module in (durable_store, writing):
            monkeypatch.setattr(module, "SCHEMA_VERSION", 2)
        with pytest.raises(ServiceError, match="newer dm-memory"):  # the older program, which was running all the while
            await store.upsert_episodes(episodes(7))
        for each in newer:
            await each.close()

    play(database, scenario)


def test_a_store_that_lacks_the_newest_columns_is_known_for_our_own() -> None:
    found = {table.value: ["id", "updated_at", "brand"] for table in Table} | {"dm_memory_meta": ["name", "value"]}
    layout = schema.recognise(found)
    assert layout is not None
    assert (layout.name, layout.writable) == ("dm-memory", True)
    assert layout.tables[Table.EPISODES].columns == ("brand",)
    assert schema.recognise({"dm_memory_meta": ["name", "value"]}) is schema.EMPTY


DO_MEMORY = """
CREATE TABLE episodes (episode_id TEXT PRIMARY KEY NOT NULL, task_description TEXT NOT NULL,
    start_time INTEGER NOT NULL, created_at INTEGER NOT NULL DEFAULT (strftime('%s', 'now')), archived_at INTEGER);
CREATE TABLE patterns (pattern_id TEXT PRIMARY KEY NOT NULL, pattern_data TEXT NOT NULL, success_rate REAL NOT NULL,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL);
CREATE TABLE embeddings (embedding_id TEXT PRIMARY KEY NOT NULL, item_id TEXT NOT NULL, item_type TEXT NOT NULL,
    embedding_data TEXT NOT NULL, dimension INTEGER NOT NULL, model TEXT NOT NULL, created_at INTEGER NOT NULL);
INSERT INTO episodes VALUES
    ('e1', 'first', 90, 100, NULL), ('e2', 'second', 91, 100, NULL), ('e3', 'third', 92, 99, 300);
INSERT INTO patterns VALUES ('p1', '{}', 0.5, 50, 120);
INSERT INTO embeddings VALUES ('v1', 'e2', 'episode', '[0.5]', 1, 'm', 101)
"""


def test_a_database_of_do_memory_is_read_through_the_same_calls(database: Database) -> None:
    async def scenario(store: SharedStore) -> None:
        await database.run(DO_MEMORY)
        assert (await store.ping()).layout == "do-memory"
        survey = await store.survey({Table.EPISODES: (100_000_000, "e1")})
        assert dict(survey.counts) == {Table.EPISODES: 3, Table.PATTERNS: 1, Table.EMBEDDINGS: 1}
        assert survey.changed[Table.EPISODES] == 2
        assert survey.newest[Table.EPISODES] == (300_000_000, "e3")
        page = await store.page(Table.EPISODES, limit=2)
        assert page.columns[:3] == ("id", "updated_at", "task_description")
        assert [row[:3] for row in page.rows] == [("e1", 100_000_000, "first"), ("e2", 100_000_000, "second")]
        assert ids(await store.page(Table.EPISODES, (100_000_000, "e2"))) == ["e3"]
        assert ids(await store.embeddings_of(["e2"])) == ["v1"]
        assert await store.splits(Table.EPISODES, START, 2) == [(100_000_000, "e2")]
        assert (await store.tombstones()).rows == []
        assert ids(await store.rows(Table.PATTERNS, ["p1"])) == ["p1"]

    play(database, scenario)


def test_an_edit_without_a_timestamp_shows_in_the_checksum(database: Database) -> None:
    async def scenario(store: SharedStore) -> None:
        await database.run(DO_MEMORY)
        before = await checksums(store, Table.EPISODES, ["e1"])
        await database.run("UPDATE episodes SET task_description = 'other' WHERE episode_id = 'e1'")
        assert await checksums(store, Table.EPISODES, ["e1"]) != before

    play(database, scenario)


def test_nothing_is_written_into_another_programs_database(database: Database) -> None:
    async def scenario(store: SharedStore) -> None:
        await database.run(DO_MEMORY)
        for act in (store.upsert_episodes(episodes(1)), store.delete(Table.EPISODES, ["e1"]), store.migrate()):
            with pytest.raises(ServiceError, match="belongs to do-memory"):
                await act
        assert (await store.counts())[Table.EPISODES] == 3

    play(database, scenario)


def test_tables_that_are_nobodys_are_named_as_such(database: Database) -> None:
    async def scenario(store: SharedStore) -> None:
        await database.run("CREATE TABLE episodes (season INTEGER, title TEXT)")
        for act in (store.ping(), store.counts(), store.upsert_episodes(episodes(1))):
            with pytest.raises(ServiceError) as caught:
                await act
            assert caught.value.code == "unknown-layout"

    play(database, scenario)


def test_names_of_columns_are_not_trusted(database: Database) -> None:
    async def scenario(store: SharedStore) -> None:
        await database.run(DO_MEMORY)
        await database.run('ALTER TABLE episodes ADD COLUMN "x"" FROM patterns --" TEXT')
        page = await store.page(Table.EPISODES)
        assert page.columns[-1] == "archived_at"
        assert len(page.rows) == 3

    play(database, scenario)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60))
def test_any_text_survives(database: Database, text: str) -> None:
    row = replace(episodes(1)[0], content=text, key=text[:20], facts=text)

    async def scenario(store: SharedStore) -> None:
        await store.upsert_episodes([row])
        assert episode_from(await store.rows(Table.EPISODES, [row.id])) == row

    play(database, scenario)
