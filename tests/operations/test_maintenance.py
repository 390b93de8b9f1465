"""``verify`` finds and repairs drift, in memory itself and in services; ``migrate`` fills another vector database."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from dm_memory.api import Memory
from dm_memory.errors import ConfigurationError, DamagedStoreError, ErrorClass, ServiceError
from dm_memory.items import storage_id
from dm_memory.operations.migrate import migrate_brand
from dm_memory.report import status_report
from dm_memory.requests import SessionLearning, no_progress
from dm_memory.results import MigrateResult, VerifyResult
from dm_memory.settings import Settings
from dm_memory.text.hashing import content_hash
from tests.support.dict_service import DictService, down
from tests.sync.conftest import BRAND, Bench, bench, service, stored_texts

__all__ = ["bench", "service"]  # fixtures

pytestmark = pytest.mark.anyio


async def verified(bench: Bench, *, repair: bool = False) -> VerifyResult:
    memory = bench.memory
    try:
        return await memory.verify(BRAND, repair=repair)
    finally:
        await memory.close()


async def test_a_healthy_memory_agrees(bench: Bench, service: DictService) -> None:
    bench.insights("one", "two", "two")
    await bench.sync()
    result = await verified(bench)
    assert [(part.name, part.checked, part.differing) for part in result.parts] == [
        ("memory", 2, 0),
        (service.name, 2, 0),
    ]
    assert result.exit_code == 0


# Memory itself -------------------------------------------------------------------------------------------------------


def change(bench: Bench, sql: str, *arguments: object) -> None:
    with closing(sqlite3.connect(bench.memory_dir / "memory.db")) as connection, connection:
        connection.execute(sql, arguments)


DAMAGES = {
    "words": "DELETE FROM words WHERE rowid = (SELECT seq FROM entries WHERE content = 'one')",
    "facts": "DELETE FROM facts WHERE entry = (SELECT seq FROM entries WHERE content = 'one')",
    "vectors": "DELETE FROM vectors WHERE seq = (SELECT seq FROM entries WHERE content = 'one')",
    "vector of another text": (
        "UPDATE vectors SET content_hash = 'x' WHERE seq = (SELECT seq FROM entries WHERE content = 'one')"
    ),
    "flipped vector": (
        "UPDATE vectors SET vector = zeroblob(8) WHERE seq = (SELECT seq FROM entries WHERE content = 'one')"
    ),
    "text": "UPDATE entries SET content = 'onE flipped' WHERE content = 'one'",
    "hash": "UPDATE entries SET content_hash = replace(content_hash, 'a', 'b') WHERE content = 'one'",
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_what_is_wrong_in_memory_is_seen_repaired_and_then_gone(
    bench: Bench, service: DictService, damage: str
) -> None:
    bench.insights("one", "two")
    await bench.sync()
    change(bench, DAMAGES[damage])
    before = (await verified(bench)).parts[0]
    assert before.missing + before.stale == 1
    assert (await verified(bench)).exit_code == 1
    await verified(bench, repair=True)
    await bench.sync()
    after = await verified(bench)
    assert (after.exit_code, after.parts[0].differing) == (0, 0)
    assert sorted(bench.texts().values()) == stored_texts(service) == ["one", "two"]
    bench.check()


UNSEEN = {
    "a text that is no UTF-8": "UPDATE entries SET content = CAST(X'80ff' AS TEXT) WHERE content = 'one'",
    "a text that is no text": "UPDATE entries SET content = X'00' WHERE content = 'one'",
    "a tag of no entry": "INSERT INTO tags VALUES (99, 'type:x', 'detected', 0)",
}
"""What SQLite's own check of the file's structure does not see, and no sync that has nothing to do meets."""


@pytest.mark.parametrize("damage", UNSEEN)
async def test_damage_that_only_verify_meets_is_repaired_by_the_sync_it_asks_for(bench: Bench, damage: str) -> None:
    bench.insights("one", "two")
    await bench.sync()
    change(bench, UNSEEN[damage])
    with pytest.raises(DamagedStoreError, match="is damaged"):
        await verified(bench, repair=True)
    result = await bench.sync()
    assert "memory-rebuilt" in [finding.code for finding in result.findings]
    assert (await verified(bench)).exit_code == 0
    assert sorted(bench.texts().values()) == ["one", "two"]
    bench.check()


@pytest.mark.parametrize("name", ["tags_by_tag", "entries_by_text", "sqlite_autoindex_entries_2", "words_data"])
async def test_an_index_that_lies_is_seen_and_made_again(bench: Bench, name: str) -> None:
    bench.insights(*(f"text {number}" for number in range(200)))
    await bench.sync()
    damage_table(bench.memory_dir / "memory.db", name)
    result = await verified(bench)
    assert (result.exit_code, [finding.code for finding in result.findings]) == (1, ["memory-damaged"])
    result = await verified(bench, repair=True)
    assert [finding.code for finding in result.findings] == ["indexes-rebuilt"]
    assert (await verified(bench)).exit_code == 0
    bench.check()


def damage_table(path: Path, name: str) -> None:
    """Flip letters on the pages of a table or an index, so that what it says is wrong and its form is right."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if name == "words_data":
            connection.execute("UPDATE words_data SET block = zeroblob(length(block)) WHERE id > 10")
            connection.commit()
            return
        root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()[0]
    data = bytearray(path.read_bytes())
    end = root * 8192
    data[end - 600 : end] = bytes(byte + 1 if chr(byte) in "abcdefgh" else byte for byte in data[end - 600 : end])
    path.write_bytes(data)


@pytest.mark.parametrize("damage", ["text", "hash"])
async def test_a_damaged_text_that_no_file_has_is_restored_from_the_journal(bench: Bench, damage: str) -> None:
    await bench.sync(session_learnings=(SessionLearning("one"),))
    change(bench, DAMAGES[damage])
    await verified(bench, repair=True)
    await bench.sync()
    assert list(bench.texts().values()) == ["one"]
    bench.check()
    assert (await verified(bench)).exit_code == 0


# Services ------------------------------------------------------------------------------------------------------------


def drift(service: DictService) -> None:
    """Take one entry away, damage one, and add one from another hand."""
    one, two, _ = sorted(service.stored.values(), key=lambda payload: payload.content)
    del service.stored[one.id]
    service.stored[two.id] = replace(two, content="old", content_hash="0" * 64)
    text = "from another hand"
    key = f"session/{content_hash(text)}"
    service.stored[storage_id(BRAND, key)] = replace(
        one, id=storage_id(BRAND, key), key=key, kind="session", content=text, content_hash=content_hash(text)
    )


async def test_what_is_missing_stale_or_unknown_is_told_apart_and_nothing_is_changed(
    bench: Bench, service: DictService
) -> None:
    bench.insights("one", "three", "two")
    await bench.sync()
    drift(service)
    before = dict(service.stored)
    part = (await verified(bench)).parts[1]
    assert (part.missing, part.stale, part.unknown, part.repaired) == (1, 1, 1, 0)
    assert service.stored == before


async def test_repair_ends_all_of_it_and_writes_nothing_else(bench: Bench, service: DictService) -> None:
    bench.insights("one", "three", "two")
    await bench.sync()
    drift(service)
    service.upserted.clear()
    result = await verified(bench, repair=True)
    assert (result.exit_code, result.parts[1].repaired) == (0, 3)
    assert len(service.upserted) == 2
    assert stored_texts(service) == ["from another hand", "one", "three", "two"]
    again = await verified(bench)
    assert (again.exit_code, again.parts[1].checked) == (0, 4)
    assert (await bench.sync()).counts.stored == 0


async def test_status_says_what_a_comparison_found_until_it_is_repaired(bench: Bench, service: DictService) -> None:
    bench.insights("one", "two")
    await bench.sync()
    two = next(payload for payload in service.stored.values() if payload.content == "two")
    service.stored[two.id] = replace(two, content="edited there", content_hash="0" * 64)  # a count sees nothing
    assert (await bench.memory.status(BRAND)).status == "ready"
    await verified(bench)
    status = await bench.memory.status(BRAND)
    assert status.status == "attention"
    said = status_report(status).text
    assert "1 entry there differed from memory" in said
    assert "dm-memory verify --repair" in said
    service.down = down()
    await verified(bench)
    service.down = None
    assert (await bench.memory.status(BRAND)).status == "attention", "who does not answer is as he was"
    await verified(bench, repair=True)
    assert (await bench.memory.status(BRAND)).status == "ready"


async def test_an_entry_that_spoils_the_listing_is_repaired_before_it(
    bench: Bench, service: DictService, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.insights("one", "two")
    await bench.sync()
    service.stored.popitem()
    whole = service.entries

    async def listed(after: str | None, limit: int) -> Any:
        if len(service.stored) < 2:
            raise ServiceError("Junk.", "-", error_class=ErrorClass.MALFORMED_REPLY)
        return await whole(after, limit)

    monkeypatch.setattr(service, "entries", listed)
    assert (await verified(bench)).parts[1].failure is not None
    result = await verified(bench, repair=True)
    assert (result.exit_code, result.parts[1].repaired, len(service.stored)) == (0, 1, 2)


async def test_a_service_that_is_down_is_told_and_the_others_are_compared(bench: Bench, service: DictService) -> None:
    bench.services.append(DictService("graph@dictionary"))
    bench.insights("one")
    await bench.sync()
    service.down = down()
    result = await verified(bench)
    assert result.exit_code == 1
    assert result.parts[1].failure is not None
    assert (result.parts[2].failure, result.parts[2].checked) == (None, 1)


async def test_a_bug_in_an_adapter_is_told_without_its_text(
    bench: Bench, service: DictService, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.insights("one")
    await bench.sync()

    async def fails(*_: object) -> Any:
        raise RuntimeError("secret")

    monkeypatch.setattr(service, "fetch", fails)
    result = await verified(bench)
    assert result.exit_code == 1
    assert "secret" not in str(result)


async def test_two_at_once_wait_for_each_other(bench: Bench, service: DictService) -> None:
    bench.insights("one", "two")
    await bench.sync()
    service.stored.popitem()
    results = await asyncio.gather(verified(bench, repair=True), bench.sync(), verified(bench, repair=True))
    assert len(service.stored) == 2
    assert {result.exit_code for result in results} == {0}


# Migration -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def migrate(bench: Bench) -> Callable[..., Any]:
    async def run(target: DictService, stop: asyncio.Event | None = None) -> MigrateResult:
        environment = bench.memory._environment(BRAND)
        return await migrate_brand(environment, BRAND, target, progress=no_progress, stop=stop or asyncio.Event())

    return run


async def test_another_database_is_filled_from_memory_alone(bench: Bench, migrate: Callable[..., Any]) -> None:
    bench.insights("one", "two")
    await bench.sync(session_learnings=(SessionLearning("three"),))
    (bench.folder / "insights.json").unlink()
    target = DictService("vector@qdrant:host/c")
    result = await migrate(target)
    assert (result.exit_code, result.due, result.sampled, result.differing) == (0, 3, 3, 0)
    assert stored_texts(target) == ["one", "three", "two"]
    bench.services = [target]
    synced = await bench.sync()
    assert (synced.status, synced.counts.stored, len(target.upserted)) == ("complete", 0, 3)


async def test_a_migration_that_was_stopped_goes_on_where_it_was(bench: Bench, migrate: Callable[..., Any]) -> None:
    bench.insights(*(f"text {number}" for number in range(600)))
    await bench.sync()
    target = DictService("vector@pinecone:host/c")
    stop = asyncio.Event()
    target.after_upsert = stop.set
    first = await migrate(target, stop)
    assert (first.exit_code, first.stopped) == (1, True)
    done = len(target.upserted)
    assert 0 < done < 600
    target.after_upsert = lambda: None
    second = await migrate(target)
    assert (second.exit_code, second.due, len(target.upserted)) == (0, 600 - done, 600)
    assert target.needless == []


async def test_a_target_that_fails_or_lies_is_not_called_complete(bench: Bench, migrate: Callable[..., Any]) -> None:
    bench.insights("one", "two")
    await bench.sync()
    dead = DictService("vector@a")
    dead.down = down()
    assert (await migrate(dead)).failure is not None
    forgetful = DictService("vector@b")
    forgetful.after_upsert = forgetful.stored.clear
    result = await migrate(forgetful)
    assert (result.exit_code, result.differing) == (1, 2)
    picky = DictService("vector@c")
    refused = ServiceError("No.", "-", error_class=ErrorClass.VALIDATION)
    picky.refuse = lambda payload: refused if payload.content == "two" else None
    result = await migrate(picky)
    assert (result.exit_code, result.failed, len(picky.stored)) == (1, 1, 1)


async def test_a_sync_in_between_is_not_held_up_by_a_half_done_migration(
    bench: Bench, migrate: Callable[..., Any]
) -> None:
    bench.insights("one", "two")
    await bench.sync()
    target = DictService("vector@qdrant:host/c")
    target.down = down()
    await migrate(target)
    assert (await bench.sync()).status == "complete"
    target.down = None
    assert (await migrate(target)).exit_code == 0


async def test_an_empty_memory_is_nothing_to_move(migrate: Callable[..., Any]) -> None:
    result = await migrate(DictService("vector@qdrant:host/c"))
    assert (result.due, result.stored) == (0, 0)


async def test_the_target_is_the_choice_if_two_databases_are_configured(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "home")
    both: dict[str, Any] = {"qdrant_url": "http://127.0.0.1:9", "pinecone_api_key": SecretStr("pcsk_key")}
    dead: dict[str, Any] = {"pinecone_host": "http://127.0.0.1:9", "layer_attempts": 1}
    memory = Memory(Settings(home=bench.home, embedder="tests.support.embedders:hashed", **both, **dead))
    result = await memory.migrate("pinecone", BRAND)
    assert result.failure is not None
    assert result.target.startswith("Pinecone")
    await memory.close()


async def test_a_target_that_is_not_configured_is_told_by_the_variable_that_is_missing(tmp_path: Path) -> None:
    memory = Memory(Settings(home=Bench(tmp_path / "home").home, embedder="tests.support.embedders:hashed"))
    with pytest.raises(ConfigurationError) as caught:
        await memory.migrate("pinecone", BRAND)
    assert "PINECONE_API_KEY is not set" in caught.value.problem
