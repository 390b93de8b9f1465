"""A memory that is damaged, emptied or gone is built again, a lost journal is written again, and both are told."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dm_memory.cache.results import StorageSyncRequest
from dm_memory.errors import DamagedStoreError
from dm_memory.items import ContentType, Priority
from dm_memory.requests import ForgetRequest, PrepareRequest, SessionLearning
from dm_memory.search.results import SearchRequest
from dm_memory.store import opening
from dm_memory.store.database import FILE_NAME
from dm_memory.store.journal import Journal
from dm_memory.store.opening import open_or_rebuild
from tests.support.dict_service import DictService, down
from tests.sync.conftest import BRAND, Bench, bench, insight, service, stored_texts

__all__ = ["bench", "service"]  # fixtures

pytestmark = pytest.mark.anyio


BARE_JOURNAL = '{"v":1,"op":"journal","id":"x"}\n{"v":1,"op":"store"}\n'
"""What is left of a journal that tells that there was a memory, and nothing else."""


def codes(result: Any) -> list[str]:
    return [finding.code for finding in result.findings]


async def fill(bench: Bench) -> dict[str, str]:
    """Fill a memory with everything that files can't give back, and with what they can; return its texts by key."""
    bench.insights("rolled out, as it was", "still there", "edited, as it was")
    bench.campaign(["Lesson one about mornings.", "Lesson two: video tires."])
    await bench.sync(session_learnings=(SessionLearning("from a session", tags=("mine",)),))
    bench.insights("rolled out, as it was at last", "still there", "edited")
    await bench.sync()
    bench.write("insights.json", [insight("still there", 1), insight("edited", 2)])
    await bench.memory.prepare(PrepareRequest("prepared", ContentType.GUIDELINE, brand=BRAND))
    bench.campaign(["Lesson two: video tires."])
    await bench.sync()
    bench.check()
    return bench.texts() | bench.texts("retired")


def lose(bench: Bench) -> None:
    for path in bench.memory_dir.glob(f"{FILE_NAME}*"):
        path.unlink()


async def test_a_lost_memory_comes_back_from_the_journal_and_the_files(bench: Bench) -> None:
    before = await fill(bench)
    lose(bench)
    result = await bench.sync()
    assert "memory-rebuilt" in codes(result)
    assert result.status == "complete"
    bench.check()
    assert bench.texts() | bench.texts("retired") == before
    tags = bench.rows("SELECT tag FROM tags t JOIN entries e USING (seq) WHERE e.content = 'from a session'")
    assert ("mine",) in tags
    again = await bench.sync()
    assert (codes(again), again.counts.stored) == ([], 0)


async def test_what_an_insight_said_before_is_a_revision_again(bench: Bench) -> None:
    await fill(bench)
    lose(bench)
    await bench.sync()
    sql = "SELECT r.content FROM revisions r JOIN entries e ON e.seq = r.seq WHERE e.key LIKE 'insight/%'"
    assert {text for (text,) in bench.rows(sql)} == {"rolled out, as it was", "edited, as it was"}


def decided(bench: Bench) -> dict[str, tuple[object, ...]]:
    """Return what users decided of entries, by key."""
    sql = "SELECT t.tag, t.removed FROM tags t JOIN entries e ON e.seq = t.seq WHERE e.key = ? AND t.origin = 'user'"
    standing = "SELECT key, content_type, type_origin, priority, expires_at FROM entries WHERE duplicate_of IS NULL"
    rows = bench.rows(standing)
    return {key: (*of_entry, sorted(bench.rows(sql, key))) for key, *of_entry in rows}


async def test_what_users_decided_comes_back_with_a_lost_memory(bench: Bench) -> None:
    bench.insights("one about email", "two")
    bench.campaign(["Lesson one about mornings."])
    bench.write("guidelines/voice.md", "# Warm\n\nWe speak as neighbours do.")
    await bench.sync()
    await bench.sync(tags=("everywhere",), retag=True)
    await bench.sync(untag=("channel:email",))
    await bench.sync(content_type="brand-asset", scope="campaigns-only")
    await bench.sync(content_type="guideline", scope="insights-only")
    await bench.sync(content_type="auto", scope="insights-only")
    request = PrepareRequest("two", brand=BRAND, priority=Priority.HIGH, expires_at="2027-01-01", tags=("asked",))
    assert (await bench.memory.prepare(request)).status == "duplicate"
    bench.campaign(["Lesson one about mornings, and it holds in winter."])
    await bench.sync()
    before = decided(bench)
    assert [("channel:email", 1), ("everywhere", 0)] in [tags for *_, tags in before.values()]
    assert {"user", "source"} == {origin for _, origin, *_ in before.values()}
    assert ("high", "2027-01-01") in [(priority, until) for _, _, priority, until, *_ in before.values()]
    lose(bench)
    result = await bench.sync()
    assert decided(bench) == before
    assert result.counts.modified == 0
    bench.check()


async def test_a_priority_outlives_the_journal_and_then_the_memory(bench: Bench) -> None:
    bench.write("guidelines/voice.md", "# Warm\n\nWe speak as neighbours do.")
    await bench.sync()
    [text] = bench.texts().values()
    request = PrepareRequest(text, brand=BRAND, priority=Priority.HIGH, expires_at="2027-01-01")
    assert (await bench.memory.prepare(request)).status == "duplicate"
    before = decided(bench)
    assert [(priority, until) for _, _, priority, until, *_ in before.values()] == [("high", "2027-01-01")]
    (bench.memory_dir / "journal.jsonl").unlink()
    assert "journal-rewritten" in codes(await bench.sync())
    lose(bench)
    await bench.sync()
    assert decided(bench) == before


async def test_what_was_retired_is_retired_again(bench: Bench) -> None:
    await fill(bench)
    retired = bench.texts("retired")
    assert len(retired) == 1
    lose(bench)
    await bench.sync()
    assert bench.texts("retired") == retired


async def test_services_get_nothing_twice_and_lack_nothing_after_a_loss(bench: Bench) -> None:
    service = DictService()
    bench.services = [service]
    await fill(bench)
    stored, upserted = dict(service.stored), len(service.upserted)
    lose(bench)
    result = await bench.sync()
    assert result.status == "complete"
    assert set(service.stored) == set(stored)
    assert service.needless == []
    assert len(service.upserted) - upserted <= 1, "only the prepared payload's moment may differ"


async def test_what_only_a_service_still_has_comes_back(bench: Bench) -> None:
    service = DictService()
    bench.services = [service]
    await fill(bench)
    lose(bench)
    (bench.memory_dir / "journal.jsonl").write_text(BARE_JOURNAL)
    result = await bench.sync()
    current = set(bench.texts().values())
    assert {"rolled out, as it was at last", "from a session", "prepared", "still there", "edited"} <= current
    assert result.status == "complete"
    bench.check()


async def test_a_service_that_is_down_is_asked_for_what_was_lost_by_a_later_sync(bench: Bench) -> None:
    service = DictService()
    bench.services = [service]
    await fill(bench)
    lose(bench)
    (bench.memory_dir / "journal.jsonl").write_text(BARE_JOURNAL)
    service.down = down()
    await bench.sync()
    assert "from a session" not in bench.texts().values()
    service.down = None
    await bench.sync()
    assert "from a session" in bench.texts().values()


def cut(path: Path, share: float) -> None:
    os.truncate(path, int(path.stat().st_size * share))


def junk(path: Path, seed: int) -> None:
    rng = random.Random(seed)
    data = bytearray(path.read_bytes())
    for _ in range(3):
        page = rng.randrange(len(data) // 8192)
        data[page * 8192 : (page + 1) * 8192] = rng.randbytes(8192)
    path.write_bytes(data)


def flips(path: Path, seed: int) -> None:
    rng = random.Random(seed)
    data = bytearray(path.read_bytes())
    for _ in range(40):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


DAMAGES: list[tuple[str, Callable[[Path], object]]] = [
    ("emptied", lambda path: path.write_bytes(b"")),
    ("text", lambda path: path.write_text("no database")),
    ("header", lambda path: path.write_bytes(b"\0" * 100 + path.read_bytes()[100:])),
    ("sparse", lambda path: os.truncate(path, 10 << 30)),
    *((f"cut {share}", lambda path, share=share: cut(path, share)) for share in (0.01, 0.2, 0.5, 0.8, 0.99)),
    *((f"junk {seed}", lambda path, seed=seed: junk(path, seed)) for seed in range(6)),
]


@pytest.mark.parametrize("damage", [damage for _, damage in DAMAGES], ids=[name for name, _ in DAMAGES])
async def test_a_damaged_memory_is_built_again_whole(bench: Bench, damage: Callable[[Path], object]) -> None:
    before = await fill(bench)
    path = bench.memory_dir / FILE_NAME
    damage(path)
    bench.write("insights.json", [insight("still there", 1), insight("edited", 2), insight("new since", 3)])
    result = await bench.sync(force=True)
    assert result.status == "complete"
    if "memory-rebuilt" not in codes(result):  # pages that nobody needed
        await bench.memory.verify(BRAND, repair=True)
        await bench.sync()
    else:
        assert any(path.name.startswith(f"{FILE_NAME}.damaged-") for path in bench.memory_dir.iterdir()) or (
            "gone" in str(result.findings)
        )
    current = set(bench.texts().values())
    wanted = set(before.values()) - {"spring, learning: Lesson one about mornings."}
    assert wanted <= current | set(bench.texts("retired").values()), wanted - current


@pytest.mark.parametrize("seed", range(10))
async def test_flipped_bits_are_repaired_or_told_and_never_a_traceback(bench: Bench, seed: int) -> None:
    await fill(bench)
    flips(bench.memory_dir / FILE_NAME, seed)
    await bench.sync(force=True)
    with suppress(DamagedStoreError):  # it says that the next sync builds the memory again
        await bench.memory.verify(BRAND, repair=True)
    await bench.sync()
    assert {"still there", "edited", "from a session", "prepared"} <= set(bench.texts().values())


@pytest.mark.parametrize("what", ["folder", "link", "pipe"])
async def test_what_stands_in_the_place_of_the_memory_is_set_aside_unread(
    bench: Bench, tmp_path: Path, what: str
) -> None:
    before = await fill(bench)
    path = bench.memory_dir / FILE_NAME
    elsewhere = tmp_path / "elsewhere.db"
    shutil.move(path, elsewhere)
    if what == "folder":
        path.mkdir()
    elif what == "link":
        path.symlink_to(elsewhere)
    else:
        os.mkfifo(path)
    content = elsewhere.read_bytes()
    result = await bench.sync()
    assert (result.status, codes(result)) == ("complete", ["memory-rebuilt"])
    assert path.is_file()
    assert not path.is_symlink()
    assert elsewhere.read_bytes() == content
    assert bench.texts() | bench.texts("retired") == before


async def test_a_link_to_another_memory_brings_nothing_of_it(bench: Bench, tmp_path: Path) -> None:
    other = Bench(tmp_path / "other")
    other.insights("somebody else's")
    await other.sync()
    bench.insights("our own")
    await bench.sync()
    lose(bench)
    (bench.memory_dir / FILE_NAME).symlink_to(other.memory_dir / FILE_NAME)
    assert codes(await bench.sync()) == ["memory-rebuilt"]
    assert list(bench.texts().values()) == ["our own"]
    assert list(other.texts().values()) == ["somebody else's"]


async def test_a_payload_that_meets_a_damaged_memory_has_it_built_again(bench: Bench) -> None:
    before = await fill(bench)
    cut(bench.memory_dir / FILE_NAME, 0.5)
    result = await bench.memory.prepare(PrepareRequest("meanwhile", ContentType.GUIDELINE, brand=BRAND))
    assert result.status in {"prepared", "duplicate"}, "the journal had it before the memory was built"
    assert (await bench.sync()).status == "complete"
    assert set(bench.texts().values()) >= {*before.values(), "meanwhile"} - set(bench.texts("retired").values())
    bench.check()


# Killed on the way ---------------------------------------------------------------------------------------------------


class Kill(BaseException):
    """Ends a rebuild where it stands."""


@pytest.mark.parametrize("at", ["_salvage", "_replay", "_set_aside", "_put_in_place", "sync_folder"])
@pytest.mark.parametrize("lost", [False, True])
async def test_a_rebuild_that_is_killed_anywhere_is_done_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, at: str, lost: bool
) -> None:
    before = await fill(bench)
    if lost:
        lose(bench)
    else:
        cut(bench.memory_dir / FILE_NAME, 0.7)

    def kill(*_: object, **__: object) -> None:
        raise Kill

    with monkeypatch.context() as patch:
        patch.setattr(opening, at, kill)
        try:
            store, _ = open_or_rebuild(bench.memory_dir, BRAND, lambda: bench.now)
            store.close()  # of a lost memory nothing is salvaged or set aside
        except Kill:
            pass
    result = await bench.sync()
    assert result.status == "complete"
    bench.check()
    assert bench.texts() | bench.texts("retired") == before
    assert not (bench.memory_dir / f"{FILE_NAME}.rebuilt").exists()


# The journal ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [None, 0, 0.3, 0.9])
async def test_a_journal_that_is_gone_or_shorter_is_written_again_from_memory(
    bench: Bench, share: float | None
) -> None:
    before = await fill(bench)
    path = bench.memory_dir / "journal.jsonl"
    if share is None:
        path.unlink()
    else:
        cut(path, share)
    result = await bench.sync()
    assert "journal-rewritten" in codes(result)
    assert codes(await bench.sync()) == []
    lose(bench)
    await bench.sync()
    assert bench.texts() | bench.texts("retired") == before


async def test_what_stood_only_in_a_journal_that_was_replaced_is_kept(bench: Bench) -> None:
    """Something was handed in, a service went without it, and a backup's journal was put in the place of ours."""
    await fill(bench)
    service = DictService()
    bench.services = [service]
    await bench.sync()
    other = Bench(bench.home.parent / "other")
    await other.sync(session_learnings=(SessionLearning("from the other journal"),))
    shutil.copyfile(other.memory_dir / "journal.jsonl", bench.memory_dir / "journal.jsonl")
    assert (await bench.sync()).status == "complete"
    assert "from the other journal" in bench.texts().values()
    assert "from the other journal" in [payload.content for payload in service.stored.values()]


async def test_a_sound_memory_is_checked_weekly_and_after_a_run_that_did_not_end(bench: Bench) -> None:
    def checked_at() -> object:
        return bench.rows("SELECT value FROM meta WHERE name = 'checked_at'")

    bench.insights("one")
    await bench.sync()
    first = checked_at()
    await bench.sync()
    assert checked_at() == first
    bench.now += timedelta(days=8)
    await bench.sync()
    second = checked_at()
    assert second != first
    with closing(sqlite3.connect(bench.memory_dir / FILE_NAME)) as connection, connection:
        connection.execute("UPDATE runs SET status = 'running'")
    await bench.sync()
    assert checked_at() != second


async def test_no_connection_outlives_a_call(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def watched(*given: Any, **options: Any) -> sqlite3.Connection:
        made.append(connect(*given, **options))
        return made[-1]

    bench.insights("one about email", "two")
    monkeypatch.setattr(sqlite3, "connect", watched)
    await bench.sync()
    await bench.sync(dry_run=True)
    await bench.memory.prepare(PrepareRequest("prepared", ContentType.GUIDELINE, brand=BRAND))
    memory = bench.memory
    calls = (
        memory.search(SearchRequest("email", brand=BRAND)),
        memory.status(BRAND),
        memory.recall(BRAND),
        memory.patterns(BRAND),
        memory.forget(ForgetRequest("two", brand=BRAND)),
        memory.verify(BRAND),
        memory.storage_sync(StorageSyncRequest(BRAND)),
        memory.backup(brand=BRAND),
    )
    for call in calls:
        before = len(made)
        await call
        assert len(made) > before
        for connection in made:
            with pytest.raises(sqlite3.ProgrammingError, match="closed"):
                connection.execute("SELECT 1")


async def test_the_weekly_check_finds_what_no_reader_meets(bench: Bench) -> None:
    bench.insights("one", "two")
    await bench.sync()
    with closing(sqlite3.connect(bench.memory_dir / FILE_NAME)) as connection, connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("UPDATE entries SET state = 'neither' WHERE content = 'one'")
    assert codes(await bench.sync()) == []
    bench.now += timedelta(days=8)
    assert "memory-rebuilt" in codes(await bench.sync())
    assert sorted(bench.texts().values()) == ["one", "two"]
    bench.check()


async def test_of_a_long_history_the_newest_texts_come_back(bench: Bench) -> None:
    bench.insights("as it is")
    await bench.sync()
    (key,) = bench.texts()
    told = [{"op": "replaced", "key": key, "content": f"as it was, {number}"} for number in range(60)]
    Journal(bench.memory_dir).append(told)
    lose(bench)
    await bench.sync()
    kept = [content for (content,) in bench.rows("SELECT content FROM revisions ORDER BY number")]
    assert kept == [f"as it was, {number}" for number in range(10, 60)]


async def test_a_twin_of_an_entry_is_remembered_when_its_owner_changes_after_a_loss(
    bench: Bench, service: DictService
) -> None:
    """What was handed in stays for ever, whichever file said the same at that time."""
    bench.insights("the same words")
    await bench.sync()
    await bench.memory.prepare(PrepareRequest("the same words", ContentType.GUIDELINE, brand=BRAND))
    lose(bench)
    bench.insights("other words")
    await bench.sync()
    assert sorted(bench.texts().values()) == ["other words", "the same words"]
    assert stored_texts(service) == ["other words", "the same words"]
    bench.check()


async def test_a_service_is_rid_of_an_entry_that_is_another_s_twin_since_a_loss(
    bench: Bench, service: DictService
) -> None:
    bench.insights("first words")
    await bench.sync()
    await bench.memory.prepare(PrepareRequest("the same words", ContentType.GUIDELINE, brand=BRAND))
    await bench.sync()
    bench.insights("the same words")
    await bench.sync()
    lose(bench)
    assert (await bench.sync()).status == "complete"
    assert stored_texts(service) == ["the same words"]
    bench.check()
