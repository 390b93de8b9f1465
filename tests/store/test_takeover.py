"""A home of 0.2 becomes a memory of ours: whole, or as far as it can be read, whenever it is interrupted."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock
import pytest

from dm_memory.embedding.batch import chunk
from dm_memory.errors import DmMemoryError, HomeError, StoreError
from dm_memory.findings import Finding, Severity
from dm_memory.items import storage_id
from dm_memory.requests import no_progress
from dm_memory.store.database import open_store
from dm_memory.store.from_0_2 import entries as old_entries
from dm_memory.store.from_0_2 import takeover
from dm_memory.store.from_0_2.files import UNFINISHED, is_home_0_2
from dm_memory.store.from_0_2.home import read_home_0_2
from dm_memory.store.from_0_2.takeover import LEFTOVERS, remove_leftovers_of_0_2, take_over, taken_over_copy
from dm_memory.store.importing import list_of
from dm_memory.store.journal import Journal
from dm_memory.store.locks import brand_lock
from dm_memory.store.opening import open_or_rebuild
from dm_memory.store.schema import APPLICATION_ID
from dm_memory.text.timestamps import utc_now

_REPOSITORY = Path(__file__).parents[2]
_HOMES = _REPOSITORY / "tests" / "fixtures" / "home-0.2"
_BRAND = "ember-and-oak"
_MEMORY = Path("brands") / _BRAND / "memory"
_NOW = "2026-11-20T09:00:00.000Z"
_WHOLE = ("typical", "interrupted", "team", "logged")
_DAMAGED = ("registry.db", "memory.db")
_TURSO = "durable@turso:127.0.0.1:18734"


def _unpacked(name: str, folder: Path) -> Path:
    """Return the memory folder of a fixture home; ``damaged/registry.db`` is one of two in an archive.

    ``logged`` is ``typical`` as a kill leaves it whose last transactions stand in logs beside all three files.
    """
    if name == "logged":
        return _logged(_unpacked("typical", folder / "whole"), folder / "logged")
    archive, _, inner = name.partition("/")
    with tarfile.open(_HOMES / f"{archive}.tar.xz") as packed:
        packed.extractall(folder, filter="data")
    return folder / inner / _MEMORY


def _logged(memory: Path, copy: Path) -> Path:
    with ExitStack() as stack:
        for name in ("registry.db", "memory.db", "graph.db"):
            connection = stack.enter_context(closing(sqlite3.connect(memory / name, isolation_level=None)))
            connection.execute("PRAGMA wal_autocheckpoint = 0").fetchall()
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '%meta'")
            table = (tables.fetchone() or ["mentions"])[0]
            connection.execute(f"CREATE TABLE before AS SELECT * FROM {table}")  # noqa: S608  # 0.2's own
            connection.execute("DROP TABLE before")
        shutil.copytree(memory, copy)
    for name in ("registry.db-wal", "memory.db-wal", "graph.db-wal"):
        assert (copy / name).stat().st_size
    return copy


def _expected(name: str) -> dict[str, Any]:
    name = "typical" if name == "logged" else name
    expected: dict[str, Any] = json.loads((_HOMES / f"{name}.json").read_bytes())
    return expected


def _taken_over(memory: Path) -> list[Finding]:
    findings = take_over(memory, _BRAND, _NOW, ("en",))
    assert not is_home_0_2(memory)
    return findings


@contextmanager
def _edited(memory: Path, name: str) -> Iterator[sqlite3.Connection]:
    """Let a test change a file of 0.2's as 0.2 would."""
    with closing(sqlite3.connect(memory / name)) as connection, connection:
        yield connection


def _rows(memory: Path, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(memory / "memory.db")) as connection:
        return connection.execute(sql, arguments).fetchall()


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


_ENTRIES = (
    "SELECT e.id, e.key, e.kind, e.content_type, e.source, e.content, e.content_hash, e.metadata_hash, e.recorded_at,"
    " e.created_at, e.version, e.updated_from, e.origin, e.prepared_hash, e.priority, e.expires_at, e.related, e.facts,"
    " coalesce(o.key, '') AS duplicate_of, e.type_origin,"
    " (SELECT json_group_array(tag) FROM (SELECT tag FROM tags WHERE seq = e.seq ORDER BY tag)) AS tags"
    " FROM entries e LEFT JOIN entries o ON o.seq = e.duplicate_of WHERE e.state = 'current' ORDER BY e.key"
)


def _entries(memory: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(memory / "memory.db")) as connection:
        cursor = connection.execute(_ENTRIES)
        names = [column[0] for column in cursor.description]
        entries = [dict(zip(names, row, strict=True)) for row in cursor]
    return [entry | {name: json.loads(entry[name]) for name in ("tags", "facts", "related")} for entry in entries]


def _assert_sound(memory: Path) -> None:
    """Check that memory.db is whole, that nothing is missing in it, and that nothing of 0.2's is left beside it."""
    assert _rows(memory, "PRAGMA integrity_check") == [("ok",)]
    assert _rows(memory, "PRAGMA foreign_key_check") == []
    standing = {seq for (seq,) in _rows(memory, "SELECT seq FROM entries WHERE duplicate_of IS NULL")}
    for sql in ("SELECT rowid FROM words", "SELECT DISTINCT entry FROM facts"):
        assert {seq for (seq,) in _rows(memory, sql)} == standing
    hashes = _rows(memory, "SELECT content_hash FROM entries WHERE duplicate_of IS NULL")
    assert len(hashes) == len(set(hashes)), "a text is in memory twice"
    names = {path.name for path in memory.iterdir()}
    assert not names & {"graph.db", "graph.db-wal", "vector", "registry.db-wal", UNFINISHED, f"{UNFINISHED}-wal"}
    _assert_stops_0_2(memory)


def _assert_everything(memory: Path, name: str) -> None:
    """Check that everything of a whole fixture home is in memory once."""
    expected = _expected(name)["entries"]
    found = _entries(memory)
    assert [entry["key"] for entry in found] == [entry["key"] for entry in expected]
    for ours, theirs in zip(found, expected, strict=True):
        wanted = {field: theirs[field] for field in ours if field in theirs}
        assert {field: ours[field] for field in wanted} == wanted | {"tags": sorted(theirs["tags"])}
        assert (ours["type_origin"] == "user") == bool(theirs["sticky_type"])
    _assert_sound(memory)


def _assert_stops_0_2(memory: Path) -> None:
    """Check the registry that 0.2 finds: sound, of a newer format, with its table ``meta``, in WAL mode already."""
    data = (memory / "registry.db").read_bytes()
    assert len(data) == 2 * 8192
    assert data[18:20] == b"\2\2", "it is in WAL mode"
    assert (int.from_bytes(data[60:64], "big"), int.from_bytes(data[68:72], "big")) == (2, 0)
    with closing(sqlite3.connect(f"file:{memory / 'registry.db'}?mode=ro&immutable=1", uri=True)) as registry:
        assert registry.execute("SELECT name FROM sqlite_master").fetchall() == [("meta",)]
        assert registry.execute("SELECT name FROM meta").fetchall() == []
    if os.name != "nt":
        assert (memory / "registry.db").stat().st_mode & 0o777 == 0o600


# Whole homes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", _WHOLE)
def test_everything_that_0_2_knew_is_in_memory_once(tmp_path: Path, name: str) -> None:
    memory = _unpacked(name, tmp_path)
    assert is_home_0_2(memory)
    (finding,) = _taken_over(memory)
    _assert_everything(memory, name)
    standing = sum(not entry["duplicate_of"] for entry in _expected(name)["entries"])
    assert finding.severity is Severity.INFO
    assert finding.message.startswith(f"The memory of version 0.2 was taken over: {standing} entries, ")


@pytest.mark.parametrize("name", _WHOLE)
def test_a_second_time_there_is_nothing_to_take_over(tmp_path: Path, name: str) -> None:
    memory = _unpacked(name, tmp_path)
    _taken_over(memory)
    before = _digests(memory)
    assert _taken_over(memory) == []
    assert _digests(memory) == before


@pytest.mark.parametrize("name", _WHOLE)
def test_a_private_copy_shows_what_a_takeover_would_make_and_changes_nothing(tmp_path: Path, name: str) -> None:
    memory = _unpacked(name, tmp_path)
    before = _digests(memory)
    with taken_over_copy(memory, _BRAND, _NOW, ("en",)) as folder:
        keys = [entry["key"] for entry in _entries(folder)]
    assert keys == [entry["key"] for entry in _expected(name)["entries"]]
    assert not folder.exists()
    assert _digests(memory) == before


def test_opening_a_home_of_0_2_takes_it_over_and_says_so(tmp_path: Path) -> None:
    memory = _unpacked("typical", tmp_path)
    clock = lambda: datetime(2026, 11, 20, 9, tzinfo=UTC)  # noqa: E731  # a clock
    store, findings = open_or_rebuild(memory, _BRAND, clock, languages=("en",))
    store.close()
    assert [finding.code for finding in findings] == ["taken-over"]
    store, findings = open_or_rebuild(memory, _BRAND, clock, languages=("en",))
    store.close()
    assert findings == []
    _assert_everything(memory, "typical")


def test_vectors_are_taken_over_where_all_chunks_of_a_text_have_one(tmp_path: Path) -> None:
    memory = _unpacked("typical", tmp_path)
    home = read_home_0_2(memory)
    assert home is not None
    _taken_over(memory)
    rows = _rows(memory, "SELECT e.key, v.model, v.chunk, v.vector, v.crc, v.dimension, e.embedded, e.content"
                         " FROM vectors v JOIN entries e ON e.seq = v.seq AND e.content_hash = v.content_hash"
                         " ORDER BY e.key, v.chunk")  # fmt: skip
    whole = [(entry.key, each.model, each.chunk, each.data) for entry in home.entries for each in entry.vectors]
    assert [row[:4] for row in rows] == whole
    assert len(whole) == sum(len(chunk(entry.content)) for entry in home.entries if entry.vectors)
    assert all(crc == zlib.crc32(vector) and len(vector) == 4 * dimension for *_, vector, crc, dimension, _, _ in rows)
    assert {row[6] for row in rows} == {"wordllama-l2-supercat-256@c2c596675fd6"}
    assert _rows(memory, "SELECT value FROM meta WHERE name = 'model'") == [("wordllama-l2-supercat-256@c2c596675fd6",)]
    without = "SELECT key FROM entries WHERE embedded = '' AND duplicate_of IS NULL"
    assert _rows(memory, without) == [("prepared/d0a4c4994a8f8ab8bb38d87fa6a7d4b8b66b153aaffa3de3b1ed0050cd062d2a",)]


def test_incomplete_vectors_are_left_out_and_the_text_is_embedded_again(tmp_path: Path) -> None:
    memory = _unpacked("typical", tmp_path)
    with _edited(memory, "memory.db") as durable:
        durable.execute("DELETE FROM embeddings WHERE chunk = 1")
    _taken_over(memory)
    key = "insight/2026-09-20T08:12:00"
    assert _rows(memory, "SELECT embedded FROM entries WHERE key = ?", key) == [("",)]
    assert not _rows(memory, "SELECT 1 FROM vectors v JOIN entries e ON e.seq = v.seq WHERE e.key = ?", key)


def test_of_two_models_vectors_those_of_the_one_in_use_are_taken_over(tmp_path: Path) -> None:
    memory = _unpacked("typical", tmp_path)
    with _edited(memory, "memory.db") as durable:
        durable.execute(
            "INSERT INTO embeddings SELECT 'other-' || id, updated_at, brand, item_id, item_type, chunk, content_hash,"
            " 'another@000000000000', dimension, vector FROM embeddings"
        )
    _taken_over(memory)
    assert _rows(memory, "SELECT DISTINCT model FROM vectors") == [("wordllama-l2-supercat-256@c2c596675fd6",)]


def test_vectors_of_texts_that_were_cut_otherwise_are_left_out(tmp_path: Path) -> None:
    memory = _unpacked("typical", tmp_path)
    with _edited(memory, "registry.db") as registry:
        registry.execute("UPDATE meta SET value = replace(value, 'chunking 1', 'chunking 0')")
    _taken_over(memory)
    assert not _rows(memory, "SELECT 1 FROM vectors")


def test_tags_say_where_they_come_from(tmp_path: Path) -> None:
    memory = _unpacked("typical", tmp_path)
    _taken_over(memory)
    sql = "SELECT t.tag, t.origin FROM tags t JOIN entries e ON e.seq = t.seq WHERE e.key = ?"
    asked = dict(_rows(memory, sql, "insight/2026-08-11T08:30:00.450117"))
    standing = dict(_rows(memory, sql, "insight/2026-09-17T08:12:00"))
    learned = _rows(memory, sql, "session/472a73f9983e96e27d3f3b8ca8f747e81aa754dfd8717f5b5b77ffd7d40bde99")
    assert asked["board-review"] == "user"
    assert (standing["type:competitor-insight"], standing["voice-of-customer"]) == ("merged", "user")
    assert ("season:advent", "source") in learned, "no detection would bring it back"


def test_entries_of_lists_and_of_one_moment_are_known_by_what_they_have_in_common(tmp_path: Path) -> None:
    memory = _unpacked("typical", tmp_path)
    _taken_over(memory)
    lists = dict(_rows(memory, "SELECT key, list_key FROM entries"))
    campaign = "campaign/first-harvest-2026#"
    assert lists[f"{campaign}learnings/0"] == f"{campaign}learnings"
    assert lists[f"{campaign}retrospective/what_failed/1"] == f"{campaign}retrospective/what_failed"
    assert lists["insight/2026-09-14T10:00:00~2"] == "insight/2026-09-14T10:00:00"
    alone = ("retrospective/next_time", "results/email", "plan")
    assert {lists[f"{campaign}{section}"] for section in alone} == {""}
    assert lists["guideline/messaging.md#Messaging/Core promise"] == ""


@pytest.mark.parametrize(
    ("key", "list_key"),
    [
        ("campaign/x#learnings/12", "campaign/x#learnings"),
        ("campaign/x#learnings/0123456789ab~2", "campaign/x#learnings"),
        ("guideline/a.md#Words/rows/0123456789ab", "guideline/a.md#Words/rows"),
        ("guideline/a.md#Plan/2026", ""),
        ("performance/x/1", ""),
        ("session/0123456789ab", ""),
    ],
)
def test_a_list_is_told_from_a_heading(key: str, list_key: str) -> None:
    assert list_of(key) == list_key


@pytest.mark.parametrize("name", _WHOLE)
def test_facts_keep_how_long_they_were_valid(tmp_path: Path, name: str) -> None:
    memory = _unpacked(name, tmp_path)
    with closing(sqlite3.connect(f"file:{memory / 'graph.db'}?mode=ro", uri=True)) as graph:
        sql = (
            "SELECT f.id, e.key, s.id, f.relation, o.id, f.stated_at, f.valid_at, f.ended_at, f.invalid_at"
            " FROM facts f JOIN entries e ON e.seq = f.entry"
            " JOIN entities s ON s.seq = f.subject JOIN entities o ON o.seq = f.object"
        )
        before = set(graph.execute(sql))
        own = set(graph.execute("SELECT id, text FROM facts WHERE ended_at <> '' AND text IS NOT NULL"))
    _taken_over(memory)
    after = set(_rows(memory, sql))
    undelivered = {entry["key"] for entry in _expected(name)["entries"] if not entry["durable_hash"]}
    assert before <= after
    assert {fact[1] for fact in after - before} <= undelivered
    assert own <= set(_rows(memory, "SELECT id, text FROM facts"))


def test_a_text_that_never_reached_the_graph_ends_what_the_one_before_stated(tmp_path: Path) -> None:
    memory = _unpacked("typical", tmp_path)
    key, old = "guideline/messaging.md#Messaging/Proof points", "What was said before."
    with _edited(memory, "graph.db") as graph:
        digest = hashlib.sha256(old.encode()).hexdigest()
        graph.execute("UPDATE entries SET content = ?, content_hash = ? WHERE key = ?", (old, digest, key))
    _taken_over(memory)
    facts = _rows(
        memory,
        "SELECT coalesce(f.text, e.content), f.invalid_at FROM facts f JOIN entries e ON e.seq = f.entry"
        " WHERE e.key = ? AND f.slot IS NULL ORDER BY f.seq",
        key,
    )
    text = _rows(memory, "SELECT content FROM entries WHERE key = ?", key)[0][0]
    assert (old, _NOW) in facts
    assert (text, "") in facts


def test_patterns_are_counted_again(tmp_path: Path) -> None:
    memory = _unpacked("typical", tmp_path)
    with _edited(memory, "memory.db") as durable:
        names = "id, text, outcome, occurrence_count, campaigns, channels, episode_ids, first_seen, last_seen"
        before = durable.execute(f"SELECT {names} FROM patterns ORDER BY id").fetchall()  # noqa: S608  # ours
    _taken_over(memory)
    assert _rows(memory, f"SELECT {names} FROM patterns ORDER BY id") == before  # noqa: S608  # ours


def test_the_text_before_the_last_change_becomes_a_revision_and_is_in_the_journal(tmp_path: Path) -> None:
    memory = _unpacked("interrupted", tmp_path)
    _taken_over(memory)
    key = "campaign/first-harvest-2026#learnings/0"
    sql = "SELECT r.content, r.replaced_at, r.reason FROM revisions r JOIN entries e ON e.seq = r.seq WHERE e.key = ?"
    ((text, replaced_at, reason),) = _rows(memory, sql, key)
    assert text.endswith("reason to open the next e-mail.")
    assert (replaced_at, reason) == ("2026-11-03T09:00:02.000Z", "changed")
    records = Journal(memory).read().records
    assert [record["content"] for record in records if record["op"] == "replaced" and record["key"] == key] == [text]


def test_runs_checkpoint_and_sources_are_known(tmp_path: Path) -> None:
    memory = _unpacked("interrupted", tmp_path)
    _taken_over(memory)
    meta = dict(_rows(memory, "SELECT name, value FROM meta"))
    expected = _expected("interrupted")
    assert meta["last_complete_sync"] == expected["meta"]["last-complete-sync"]
    assert json.loads(meta["checkpoint"]) == json.loads(expected["meta"]["checkpoint"])
    assert _rows(memory, "SELECT status FROM runs ORDER BY number") == [("complete",), ("interrupted",)]
    stated = {entry["origin"] for entry in expected["entries"]} - {""}
    sources = _rows(memory, "SELECT path, digest, items FROM source_files")
    assert {path for path, *_ in sources} == stated
    assert {digest for _, digest, _ in sources} == {None}, "every file is parsed by the next sync"
    seen = {path for (path,) in _rows(memory, "SELECT DISTINCT path FROM sightings")}
    assert seen == {"campaigns/first-harvest-2026.json"}, "what leaves a rolling file is not gone"


def test_the_clock_goes_on_from_where_0_2_was(tmp_path: Path) -> None:
    memory = _unpacked("typical", tmp_path)
    late = 4_102_444_800_000_000
    with _edited(memory, "memory.db") as durable:
        durable.execute("UPDATE dm_memory_meta SET value = ? WHERE name = 'clock'", (late,))
    _taken_over(memory)
    assert _rows(memory, "SELECT min(updated_at) FROM entries")[0][0] > late


# Connected services --------------------------------------------------------------------------------------------------


def test_what_a_service_confirmed_stays_confirmed(tmp_path: Path) -> None:
    memory = _unpacked("team", tmp_path)
    _taken_over(memory)
    expected = _expected("team")
    rows = _rows(memory, "SELECT id, wanted, confirmed, confirmed_at FROM deliveries WHERE service = ?", _TURSO)
    assert {row[0]: row[1:] for row in rows} == {
        storage_id(_BRAND, key): (f"{content}:{metadata}", f"{content}:{metadata}", stored_at)
        for key, (_, content, metadata, stored_at) in expected["deliveries"][_TURSO].items()
    }
    meta = dict(_rows(memory, "SELECT name, value FROM meta"))
    assert meta[f"made:{_TURSO}"] == "episodes-1"
    assert meta[f"seen:{_TURSO}"] == "1793610020000004/d1c7fd23-e5cd-5a04-afdd-38cfa9d497a4"


def test_what_was_due_failed_or_had_to_go_is_due_still(tmp_path: Path) -> None:
    memory = _unpacked("typical", tmp_path)
    service = "vector@qdrant:example.org:6333/brands"
    keys = {
        "due": "insight/2026-08-03T09:14:22.318201",
        "changed": "insight/2026-08-04T16:40:10.772914",
        "failed": "insight/2026-08-07T11:02:55.120034",
        "duplicate": "insight/2026-09-18T08:12:00",
    }
    states = {"due": (0, "", ""), "changed": (0, "c", "m"), "failed": (2, "c", "m"), "duplicate": (3, "", "")}
    with _edited(memory, "registry.db") as registry:
        registry.execute("INSERT INTO meta VALUES (?, 'a model')", (f"rebuilding:{service}",))
        for name, (state, content, metadata) in states.items():
            registry.execute(
                "INSERT INTO deliveries (layer, seq, state, run, action, content_hash, metadata_hash)"
                " SELECT ?, seq, ?, 9, 'new', ?, ? FROM items WHERE key = ?",
                (service, state, content, metadata, keys[name]),
            )
    _taken_over(memory)
    rows = _rows(memory, "SELECT id, wanted, confirmed FROM deliveries WHERE service = ? AND run <> 0", service)
    found = {row[0]: row[1:] for row in rows}
    wanted = {e["key"]: f"{e['content_hash']}:{e['metadata_hash']}" for e in _expected("typical")["entries"]}
    assert {name: found[storage_id(_BRAND, key)] for name, key in keys.items()} == {
        "due": (wanted[keys["due"]], ""),
        "changed": (wanted[keys["changed"]], "c:m"),
        "failed": (wanted[keys["failed"]], "c:m"),
        "duplicate": ("", "?"),
    }
    assert (f"rebuilding:{service}", "a model") in _rows(memory, "SELECT name, value FROM meta")


# The journal ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", _WHOLE)
def test_the_journal_gives_back_what_no_file_has(tmp_path: Path, name: str) -> None:
    memory = _unpacked(name, tmp_path)
    _taken_over(memory)
    (memory / "memory.db").unlink()
    store, _ = open_or_rebuild(memory, _BRAND, lambda: datetime(2026, 11, 21, 9, tzinfo=UTC))
    store.close()
    expected = [entry for entry in _expected(name)["entries"] if not entry["duplicate_of"]]
    contents = {entry["key"]: entry["content"] for entry in _entries(memory)}
    for entry in expected:
        if entry["kind"] in {"session", "prepared", "insight"} or not entry["origin"]:
            assert contents[entry["key"]] == entry["content"]


def test_what_was_handed_in_before_the_takeover_waits_in_the_journal(tmp_path: Path) -> None:
    memory = _unpacked("typical", tmp_path)
    handed_in = {"op": "entry", "key": "session/1", "content": "Told while 0.2 was still here.", "kind": "session"}
    Journal(memory).append([handed_in, {"op": "refused", "content_hash": "0" * 64, "reason": "a key"}])
    _taken_over(memory)
    records = Journal(memory).read().records
    assert any(record.get("key") == "session/1" for record in records)
    assert any(record["op"] == "refused" for record in records)
    meta = dict(_rows(memory, "SELECT name, value FROM meta"))
    assert "journal_read" not in meta, "the next sync reads it from its beginning"
    tail = Journal(memory).read()
    assert meta["journal"] == f"{tail.identity}:{tail.end}"


# What is damaged, or in the way --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", _DAMAGED)
def test_of_a_damaged_home_everything_readable_is_taken_over(tmp_path: Path, name: str) -> None:
    memory = _unpacked(f"damaged/{name}", tmp_path)
    home = read_home_0_2(memory)
    assert home is not None
    taken, damaged = _taken_over(memory)
    assert taken.code == "taken-over"
    assert damaged.severity is Severity.WARNING
    assert damaged.message.startswith(f"Version 0.2's {name} was damaged")
    found = {entry["key"]: entry["content"] for entry in _entries(memory)}
    assert found == {entry.key: entry.content for entry in home.entries}
    assert len(found) >= len([entry for entry in _expected("typical")["entries"] if entry["durable_hash"]])
    assert _rows(memory, "SELECT 1 FROM meta WHERE name = 'rebuilt'"), "services are asked for what only they have"
    _assert_sound(memory)


@pytest.mark.parametrize("name", ["registry.db", "memory.db", "graph.db"])
def test_whatever_becomes_of_a_file_there_is_a_sound_memory_afterwards(tmp_path: Path, name: str) -> None:
    packed = _unpacked("typical", tmp_path / "packed")
    contents = {entry["content"] for entry in _expected("typical")["entries"]}
    rng = random.Random(name)
    for number in range(15):
        memory = tmp_path / str(number)
        shutil.copytree(packed, memory)
        data = bytearray((memory / name).read_bytes())
        if rng.random() < 0.5:
            del data[rng.randrange(len(data)) :]
        for _ in range(rng.randrange(60) if data else 0):
            data[rng.randrange(len(data))] = rng.randrange(256)
        (memory / name).write_bytes(data)
        _taken_over(memory)
        _assert_sound(memory)
        found = {" ".join(entry["content"].split()) for entry in _entries(memory)}
        assert found <= {" ".join(content.split()) for content in contents}
        assert len(found) >= 45


def test_damaged_vectors_are_made_again(tmp_path: Path) -> None:
    memory = _unpacked("damaged/memory.db", tmp_path)
    home = read_home_0_2(memory)
    assert home is not None
    broken = next(entry for entry in home.entries if entry.vectors)
    data = (memory / "memory.db").read_bytes()
    vector = broken.vectors[0].data
    (memory / "memory.db").write_bytes(data.replace(vector[:64], b"\x7f" * 64))
    _taken_over(memory)
    assert _rows(memory, "SELECT embedded FROM entries WHERE key = ?", broken.key) == [("",)]


@pytest.mark.parametrize("gone", ["registry.db", "memory.db", "graph.db"])
def test_a_home_without_one_of_its_files_is_taken_over(tmp_path: Path, gone: str) -> None:
    memory = _unpacked("typical", tmp_path)
    (memory / gone).unlink()
    assert is_home_0_2(memory)
    _taken_over(memory)
    assert len(_entries(memory)) >= 50
    _assert_sound(memory)


def test_a_folder_and_a_link_in_the_place_of_files_are_moved_away_and_never_followed(tmp_path: Path) -> None:
    memory = _unpacked("typical", tmp_path / "home")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"somebody's")
    (memory / "registry.db").unlink()
    (memory / "registry.db").mkdir()
    shutil.rmtree(memory / "vector")
    (memory / "vector").symlink_to(elsewhere)
    _taken_over(memory)
    _assert_sound(memory)
    assert elsewhere.read_bytes() == b"somebody's"
    assert (memory / LEFTOVERS / "vector").is_symlink()


def test_a_file_that_may_not_be_read_stops_the_takeover(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = _unpacked("typical", tmp_path)
    before = _digests(memory)
    whole = Path.open

    def refuse(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == "graph.db":  # to root everything is readable
            raise PermissionError(13, "Permission denied", str(path))
        return whole(path, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", refuse)
        assert is_home_0_2(memory)
        with pytest.raises(HomeError, match="Permission denied"):
            take_over(memory, _BRAND, _NOW, ())
    assert _digests(memory) == before


def test_a_takeover_that_fails_leaves_0_2_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = _unpacked("typical", tmp_path)
    before = _digests(memory)

    def fail(*_: object) -> None:
        raise StoreError("The disk is full.", "Free some space.")

    monkeypatch.setattr(old_entries, "_put_bookkeeping", fail)
    with pytest.raises(StoreError):
        take_over(memory, _BRAND, _NOW, ("en",))
    assert _digests(memory) == before
    monkeypatch.undo()
    _taken_over(memory)
    _assert_everything(memory, "typical")


def test_a_file_that_cannot_be_moved_is_an_error_and_the_next_call_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = _unpacked("typical", tmp_path)

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(takeover, "_move", refuse)  # as Windows does with a file that a program has open
    with pytest.raises(HomeError, match="Permission denied") as caught:
        take_over(memory, _BRAND, _NOW, ("en",))
    assert isinstance(caught.value, DmMemoryError)
    assert is_home_0_2(memory)
    _assert_stops_0_2(memory)
    monkeypatch.undo()
    _taken_over(memory)
    _assert_everything(memory, "typical")


def test_without_hard_links_files_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = _unpacked("interrupted", tmp_path)

    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    _taken_over(memory)
    _assert_everything(memory, "interrupted")
    assert (memory / LEFTOVERS / "memory.db").stat().st_mode & 0o077 == 0


# Whose home it is ----------------------------------------------------------------------------------------------------


def test_what_is_not_0_2s_is_no_home_of_it(tmp_path: Path) -> None:
    assert not is_home_0_2(tmp_path / "missing")
    assert not is_home_0_2(tmp_path)
    open_store(tmp_path, _BRAND).close()
    assert not is_home_0_2(tmp_path)
    (tmp_path / "graph.db").write_bytes(b"left by somebody")
    assert not is_home_0_2(tmp_path)
    assert take_over(tmp_path, _BRAND, _NOW, ()) == []


def test_a_memory_of_ours_that_was_just_made_is_no_home_of_0_2(tmp_path: Path) -> None:
    (tmp_path / "memory.db").touch()
    assert not is_home_0_2(tmp_path)
    with closing(sqlite3.connect(tmp_path / "memory.db")) as new:
        new.execute("PRAGMA page_size = 8192")
        new.execute("PRAGMA journal_mode = WAL").fetchall()
    assert (tmp_path / "memory.db").stat().st_size
    assert not is_home_0_2(tmp_path)


def test_a_damaged_memory_of_ours_is_not_taken_for_0_2s(tmp_path: Path) -> None:
    memory = _unpacked("typical", tmp_path)
    _taken_over(memory)
    for name in ("memory.db", "registry.db"):
        with (memory / name).open("rb+") as file:
            file.write(b"\0" * 100)
    before = _digests(memory)
    assert take_over(memory, _BRAND, _NOW, ()) == []
    assert _digests(memory) == before


def test_a_first_sync_of_0_2_that_was_killed_is_found_in_its_log(tmp_path: Path) -> None:
    memory = _unpacked("typical", tmp_path / "home")
    there = tmp_path / "there"
    there.mkdir()
    with closing(sqlite3.connect(memory / "registry.db")) as registry:
        dump = "\n".join(registry.iterdump())
    with closing(sqlite3.connect(there / "registry.db")) as killed:
        killed.execute("PRAGMA journal_mode = WAL").fetchall()
        killed.execute("PRAGMA wal_autocheckpoint = 0").fetchall()
        killed.executescript(dump)
        killed.execute("PRAGMA user_version = 1")
        killed.commit()
        here = tmp_path / "here"
        shutil.copytree(there, here)
    assert is_home_0_2(here)
    _taken_over(here)
    assert len(_entries(here)) == len(_expected("typical")["entries"])


# Leftovers -----------------------------------------------------------------------------------------------------------


def test_the_old_files_stay_until_they_are_removed(tmp_path: Path) -> None:
    memory = _unpacked("interrupted", tmp_path)
    whole = read_home_0_2(memory)
    _taken_over(memory)
    there = memory / LEFTOVERS
    assert {path.name for path in there.iterdir()} >= {"registry.db", "memory.db", "graph.db", "vector"}
    kept = read_home_0_2(there)
    assert kept is not None
    assert whole is not None
    assert kept.entries == whole.entries, "whoever wants to go back can move them back"
    if os.name != "nt":
        assert there.stat().st_mode & 0o077 == 0
    (finding,) = remove_leftovers_of_0_2(memory)
    assert finding.code == "leftovers-deleted"
    assert not there.exists()
    assert remove_leftovers_of_0_2(memory) == []
    _assert_everything(memory, "interrupted")


def test_leftovers_of_an_earlier_takeover_give_way(tmp_path: Path) -> None:
    memory = _unpacked("typical", tmp_path)
    _taken_over(memory)
    shutil.copytree(memory / LEFTOVERS, memory, dirs_exist_ok=True)  # somebody goes back to 0.2, for a while
    _taken_over(memory)
    _assert_everything(memory, "typical")


def test_a_link_in_the_place_of_the_leftovers_is_removed_and_not_followed(tmp_path: Path) -> None:
    memory = _unpacked("typical", tmp_path / "home")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "registry.db").write_bytes(b"somebody's")
    (memory / LEFTOVERS).symlink_to(elsewhere)
    _taken_over(memory)
    assert [path.read_bytes() for path in elsewhere.iterdir()] == [b"somebody's"]
    (memory / LEFTOVERS).rename(tmp_path / "kept")
    (memory / LEFTOVERS).symlink_to(elsewhere)
    remove_leftovers_of_0_2(memory)
    assert (elsewhere / "registry.db").exists()


def test_nothing_is_removed_before_a_takeover_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = _unpacked("typical", tmp_path)
    monkeypatch.setattr(takeover, "_replace_files", lambda _: (_ for _ in ()).throw(OSError("stopped here")))
    with pytest.raises(HomeError):
        take_over(memory, _BRAND, _NOW, ("en",))
    assert remove_leftovers_of_0_2(memory) == []
    assert (memory / LEFTOVERS / "registry.db").exists()
    with taken_over_copy(memory, _BRAND, _NOW, ("en",)) as folder:
        assert len(_entries(folder)) == len(_expected("typical")["entries"])


# Other processes, and kills ------------------------------------------------------------------------------------------


def _killed(rounds: Sequence[tuple[Path, int, float]]) -> list[tuple[int, bool]]:
    """Take homes over in processes that are killed; return the steps of each, and whether it was killed."""
    process = subprocess.run(
        [sys.executable, "-m", "tests.fixtures.killed_takeover"],
        input=json.dumps([(str(memory), step, seconds) for memory, step, seconds in rounds]),
        capture_output=True,
        text=True,
        check=True,
        cwd=_REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(_REPOSITORY)},
    )
    return [(steps, killed) for steps, killed in json.loads(process.stdout)]


def _assert_finishes(memory: Path, packed: Path, check: Callable[[Path], None]) -> None:
    """Check that 0.2 still has everything or is stopped, and that the next opening ends the takeover."""
    if is_home_0_2(memory):
        if (
            not (memory / UNFINISHED).exists()
            or int.from_bytes((memory / "registry.db").read_bytes()[60:64], "big") < 2
        ):
            here, there = read_home_0_2(memory), read_home_0_2(packed)
            assert here is not None
            assert there is not None
            assert here.entries == there.entries, "until 0.2 is stopped, it has everything"
            assert here.services == there.services
        else:
            _assert_stops_0_2(memory)
        _taken_over(memory)
    check(memory)
    records = [json.dumps(record, sort_keys=True) for record in Journal(memory).read().records]
    assert len(records) == len(set(records)), "a record was written twice"
    assert sum(json.loads(record)["op"] == "journal" for record in records) == 1


def _check_of(name: str, packed: Path) -> Callable[[Path], None]:
    """Return what checks that everything of a home is in memory once."""
    if name in _WHOLE:
        return lambda memory: _assert_everything(memory, name)
    home = read_home_0_2(packed)
    assert home is not None
    wanted = {entry.key: entry.content for entry in home.entries}

    def check(memory: Path) -> None:
        assert {entry["key"]: entry["content"] for entry in _entries(memory)} == wanted
        _assert_sound(memory)

    return check


@pytest.mark.slow
@pytest.mark.parametrize("name", [*_WHOLE, *(f"damaged/{file}" for file in _DAMAGED)])
def test_a_takeover_that_is_killed_at_any_step_is_ended_by_the_next_opening(tmp_path: Path, name: str) -> None:
    packed = _unpacked(name, tmp_path / "packed")
    check = _check_of(name, packed)
    shutil.copytree(packed, tmp_path / "whole" / "memory")
    ((steps, killed),) = _killed([(tmp_path / "whole" / "memory", 0, 0)])
    assert not killed
    rounds = []
    for step in range(1, steps + 1):
        memory = tmp_path / str(step) / "memory"
        shutil.copytree(packed, memory)
        rounds.append((memory, step, 0.0))
    assert all(killed for _, killed in _killed(rounds))
    stages = set()
    for memory, *_ in rounds:
        stages.add((is_home_0_2(memory), (memory / UNFINISHED).exists()))
        _assert_finishes(memory, packed, check)
    assert {(True, False), (True, True)} <= stages, "some were killed before the new store was there, some after"


@pytest.mark.slow
@pytest.mark.parametrize("name", [*_WHOLE, *(f"damaged/{file}" for file in _DAMAGED)])
def test_a_takeover_that_is_killed_at_any_instant_twice_is_ended_by_the_next_opening(tmp_path: Path, name: str) -> None:
    packed = _unpacked(name, tmp_path / "packed")
    check = _check_of(name, packed)
    rng = random.Random(name)
    memories = [tmp_path / str(number) / "memory" for number in range(10)]
    for memory in memories:
        shutil.copytree(packed, memory)
    rounds = [(memory, 0, rng.uniform(0.001, 0.15)) for _ in range(2) for memory in memories]
    assert any(killed for _, killed in _killed(rounds))
    for memory in memories:
        _assert_finishes(memory, packed, check)


def test_what_0_2_stores_after_a_takeover_was_killed_is_taken_over_as_well(tmp_path: Path) -> None:
    packed = _unpacked("typical", tmp_path / "packed")
    shutil.copytree(packed, tmp_path / "whole" / "memory")
    ((steps, _),) = _killed([(tmp_path / "whole" / "memory", 0, 0)])
    rounds = []
    for step in range(1, steps + 1, 3):
        memory = tmp_path / str(step) / "memory"
        shutil.copytree(packed, memory)
        rounds.append((memory, step, 0.0))
    _killed(rounds)
    text = "Learned by 0.2 in between."
    went_on = 0
    for memory, *_ in rounds:
        if int.from_bytes((memory / "registry.db").read_bytes()[60:64], "big") >= 2:
            continue
        went_on += 1
        with _edited(memory, "registry.db") as registry:
            registry.execute(
                "INSERT INTO items SELECT 1000, 'session/between', kind, content_type, source, ?, ?, metadata_hash,"
                " details, recorded_at, origin, created_at, 1, '', NULL, '', '', '', '', '', 9 FROM items"
                " WHERE kind = 'session' LIMIT 1",
                (text, hashlib.sha256(text.encode()).hexdigest()),
            )
        _taken_over(memory)
        assert [entry["content"] for entry in _entries(memory) if entry["key"] == "session/between"] == [text]
        assert len(_entries(memory)) == len(_expected("typical")["entries"]) + 1
    assert went_on


def test_a_search_of_0_2_that_has_the_old_file_open_costs_nothing(tmp_path: Path) -> None:
    memory = _unpacked("typical", tmp_path)
    script = (
        "import sqlite3, sys\n"
        "connections = [sqlite3.connect(path) for path in sys.argv[1:]]\n"
        "for connection in connections: connection.execute('SELECT count(*) FROM sqlite_master').fetchone()\n"
        "print('open', flush=True)\n"
        "sys.stdin.readline()\n"
        "for connection in connections: connection.execute('SELECT count(*) FROM sqlite_master').fetchone()\n"
        "for connection in connections: connection.close()\n"
        "print('closed', flush=True)\n"
    )
    paths = [str(memory / name) for name in ("registry.db", "memory.db", "graph.db")]
    command = [sys.executable, "-c", script, *paths]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as search:
        assert search.stdin is not None
        assert search.stdout is not None
        assert search.stdout.readline() == "open\n"
        _taken_over(memory)
        store = open_store(memory, _BRAND)
        with store.transaction():
            store.set_meta("written", "while 0.2 still had the old file open")
        search.stdin.write("\n")
        search.stdin.flush()
        assert search.stdout.readline() == "closed\n"
        assert search.wait() == 0
        with store.transaction():
            store.set_meta("written too", "after it had closed it")
        shutil.copytree(memory, tmp_path / "as after a kill")  # the log is what counts
        store.close()
    for place in (memory, tmp_path / "as after a kill"):
        assert len(_rows(place, "SELECT 1 FROM meta WHERE name LIKE 'written%'")) == 2
        _assert_everything(place, "typical")


def test_a_process_of_0_2_stops_and_changes_nothing(tmp_path: Path) -> None:
    """``DM_MEMORY_0_2`` names the program ``dm-memory`` of version 0.2; without it, what that looks at is checked."""
    memory = _unpacked("typical", tmp_path)
    _taken_over(memory)
    _assert_stops_0_2(memory)
    assert (memory / "memory.db").read_bytes()[68:72] == APPLICATION_ID.to_bytes(4, "big")
    before = _digests(memory)
    if program := os.environ.get("DM_MEMORY_0_2"):
        home = ["--home", str(tmp_path), "--brand", _BRAND]
        for command in (
            ["sync"],
            ["sync", "--dry-run"],
            ["sync", "--force"],
            ["search", "coffee"],
            ["status"],
            ["verify"],
        ):
            ended = subprocess.run([program, *command, *home], capture_output=True, text=True, check=False)
            assert "was written by a newer dm-memory (format 2)" in ended.stdout + ended.stderr
            assert ended.returncode
    assert _digests(memory) == before


def test_the_lock_of_a_brand_is_0_2s(tmp_path: Path) -> None:
    """As above: without 0.2 at hand, a lock is taken as 0.2 does."""
    memory = _unpacked("typical", tmp_path)
    theirs = filelock.FileLock(memory / ".sync.lock", mode=0o600, thread_local=False)

    async def look() -> None:
        async with brand_lock(memory, 1, utc_now, no_progress):
            with pytest.raises(filelock.Timeout):
                theirs.acquire(blocking=False)
            if program := os.environ.get("DM_MEMORY_0_2"):
                command = [program, "sync", "--home", str(tmp_path), "--brand", _BRAND]
                process = await asyncio.create_subprocess_exec(
                    *command,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.STDOUT,
                    env=os.environ | {"DM_MEMORY_LOCK_TIMEOUT": "1"},
                )
                said, _ = await process.communicate()
                assert b"has been syncing this brand" in said
        theirs.acquire(blocking=False)
        theirs.release()

    asyncio.run(look())
