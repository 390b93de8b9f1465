"""Export and import: the same memory elsewhere, and nothing that must not be there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from dm_memory.errors import InputError
from dm_memory.items import Priority
from dm_memory.requests import ForgetRequest, PrepareRequest, SessionLearning, SyncRequest
from dm_memory.results import ExportResult
from tests.support.dict_service import DictService
from tests.sync.conftest import BRAND, Bench, insight

pytestmark = pytest.mark.anyio

SAME = (
    "SELECT e.id, e.key, e.list_key, e.kind, e.content_type, e.type_origin, e.source, e.content, e.content_hash,"
    " e.metadata_hash, e.recorded_at, e.day, e.created_at, e.priority, e.expires_at, e.related, e.version,"
    " e.updated_from, e.state, e.retired_at, o.key, e.language, e.author FROM entries e"
    " LEFT JOIN entries o ON o.seq = e.duplicate_of ORDER BY e.key"
)
TAGS = "SELECT e.key, t.tag, t.origin, t.removed FROM tags t JOIN entries e ON e.seq = t.seq ORDER BY 1, 2"
REVISIONS = (
    "SELECT e.key, r.number, r.content, r.content_hash, r.recorded_at, r.replaced_at, r.reason FROM revisions r"
    " JOIN entries e ON e.seq = r.seq ORDER BY 1, 2"
)


def other(tmp_path: Path, name: str = "other") -> Bench:
    return Bench(tmp_path / name)


async def export(bench: Bench, path: Path, **arguments: Any) -> ExportResult:
    return await bench.memory.export(path, None if arguments.get("all_brands") else BRAND, **arguments)


@pytest.fixture
async def rich(bench: Bench) -> Bench:
    """A memory with everything in it: edits, retired entries, duplicates, tags given and taken, odd texts."""
    bench.insights("as first written", "same words", "same words", "### looks like ours\n\n<!-- dm-memory {} -->\nx")
    bench.campaign(["kept learning", "dropped learning"], channels=["email"])
    await bench.sync(tags=("given",), session_learnings=(SessionLearning("from a session\n\nwith -- two lines"),))
    bench.insights("as edited since", "same words", "same words", "### looks like ours\n\n<!-- dm-memory {} -->\nx")
    bench.campaign(["kept learning"], channels=["email"])
    await bench.sync(untag=("given",))
    await bench.memory.prepare(
        PrepareRequest("grüße 東京 # not a heading", brand=BRAND, priority=Priority.HIGH, expires_at="2031-01-01")
    )
    return bench


@pytest.mark.parametrize("markdown", [False, True])
async def test_an_export_imported_elsewhere_gives_the_same_memory(
    rich: Bench,
    tmp_path: Path,
    markdown: bool,
) -> None:
    path = tmp_path / ("memory.md" if markdown else "memory.jsonl")
    exported = await export(rich, path, markdown=markdown)
    assert (exported.entries, exported.retired, exported.revisions) == ({BRAND: 8}, 1, 1)
    assert exported.bytes == path.stat().st_size
    assert path.stat().st_mode & 0o077 == 0
    there = other(tmp_path)
    there.services = [DictService()]
    result = await there.memory.import_(path)
    assert (result.exit_code, result.new, result.refused) == (0, 9, ())
    for sql in (SAME, TAGS, REVISIONS):
        assert there.rows(sql) == rich.rows(sql)
    there.check()
    synced = await there.sync()
    assert (synced.counts.retired, synced.status) == (0, "complete"), "files that are not here retire nothing"
    assert len(there.services[0].stored) == 7
    assert there.rows(SAME) == rich.rows(SAME)


async def test_importing_it_again_changes_nothing(rich: Bench, tmp_path: Path) -> None:
    path = tmp_path / "memory.jsonl"
    await export(rich, path)
    before = rich.rows(SAME)
    result = await rich.memory.import_(path)
    assert (result.new, result.changed, result.unchanged) == (0, 0, 9)
    assert rich.rows(SAME) == before


async def test_a_dry_run_counts_and_writes_nothing(rich: Bench, tmp_path: Path) -> None:
    path = tmp_path / "memory.jsonl"
    dry = await export(rich, path, dry_run=True)
    assert (dry.path, path.exists()) == ("", False)
    wet = await export(rich, path)
    assert (dry.entries, dry.bytes) == (wet.entries, wet.bytes)
    there = other(tmp_path)
    result = await there.memory.import_(path, dry_run=True)
    assert (result.new, result.dry_run) == (9, True)
    assert there.rows("SELECT count(*) FROM entries") == [(0,)]


async def test_texts_that_stand_here_under_another_key_are_shown_as_duplicates(bench: Bench, tmp_path: Path) -> None:
    bench.insights("shared text", "only there")
    await bench.sync()
    await export(bench, path := tmp_path / "memory.jsonl")
    there = other(tmp_path)
    await there.sync(session_learnings=(SessionLearning("shared text"),))
    (session,) = there.texts()
    result = await there.memory.import_(path)
    assert result.duplicates == {"insight/2026-11-02T10:00:00.000001": session}
    assert sorted(there.texts().values()) == ["only there", "shared text"]
    there.check()


async def test_what_was_changed_here_since_stays_and_an_older_text_here_becomes_a_revision(
    bench: Bench, tmp_path: Path
) -> None:
    bench.insights("one", "two")
    await bench.sync()
    await export(bench, old := tmp_path / "old.jsonl")
    bench.insights("one, edited", "two")
    await bench.sync()
    await export(bench, new := tmp_path / "new.jsonl")
    assert (await bench.memory.import_(old)).changed == 0
    assert sorted(bench.texts().values()) == ["one, edited", "two"]
    there = other(tmp_path)
    await there.memory.import_(old)
    assert (await there.memory.import_(new)).changed == 1
    assert sorted(there.texts().values()) == ["one, edited", "two"]
    there.check()


async def test_an_entry_of_markdown_that_was_edited_by_hand_comes_as_edited(bench: Bench, tmp_path: Path) -> None:
    bench.insights("one", "two")
    await bench.sync()
    await export(bench, path := tmp_path / "memory.md", markdown=True)
    path.write_text(path.read_text().replace("\none\n", "\none, by hand\n"))
    assert (await bench.memory.import_(path)).changed == 1
    assert sorted(bench.texts().values()) == ["one, by hand", "two"]
    bench.check()


async def test_what_was_forgotten_here_and_what_the_guard_refuses_stays_out(bench: Bench, tmp_path: Path) -> None:
    bench.insights("one", "two")
    await bench.sync()
    await export(bench, path := tmp_path / "memory.jsonl")
    shown = await bench.memory.forget(ForgetRequest(brand=BRAND, query="two"))
    await bench.memory.forget(ForgetRequest(brand=BRAND, query="two", dry_run=False, token=shown.token))
    lines = path.read_bytes().splitlines()
    key = {**orjson.loads(lines[1]), "key": "insight/x", "content": "sk-ant-api03-" + "Ab3" * 31 + "AA"}
    mail = {**orjson.loads(lines[1]), "key": "insight/y", "content": "ask jane.doe@acme-shop.com about it"}
    path.write_bytes(b"\n".join((*lines, orjson.dumps(key), orjson.dumps(mail), b"{torn", b'{"key": "no/entry"}')))
    result = await bench.memory.import_(path)
    assert (result.forgotten, result.exit_code, len(result.refused)) == (1, 1, 3)
    assert not any("jane" in text or "sk-ant" in text or text == "two" for text in bench.texts().values())
    assert len(bench.texts()) == 2


async def test_all_brands_go_into_one_file_and_come_back_to_theirs(bench: Bench, tmp_path: Path) -> None:
    second = bench.home / "brands" / "zeta"
    second.mkdir()
    (second / "profile.json").write_bytes(orjson.dumps({"brand_name": "Zeta", "brand_slug": "zeta"}))
    (second / "insights.json").write_bytes(orjson.dumps([insight("of zeta", 1)]))
    bench.insights("of acme")
    await bench.sync()
    await bench.memory.sync(SyncRequest(brand="zeta"))
    result = await export(bench, path := tmp_path / "all.md", all_brands=True, markdown=True)
    assert result.entries == {"acme": 1, "zeta": 1}
    there = other(tmp_path)
    with pytest.raises(InputError, match="zeta"):
        await there.memory.import_(path)
    assert (await there.memory.import_(path, brand=BRAND)).brands == {BRAND: 2}
    assert sorted(there.texts().values()) == ["of acme", "of zeta"]


async def test_a_file_that_is_no_export_is_an_error(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    for content in (b"", b"{}", b"plain text", b"\xff\xfe", b'{"format": "dm-memory-export", "version": 99}'):
        path.write_bytes(content)
        with pytest.raises(InputError):
            await bench.memory.import_(path)
    with pytest.raises(InputError):
        await bench.memory.import_(tmp_path / "none")
    bench.insights("one")
    await bench.sync()
    with pytest.raises(InputError, match="can't be written"):
        await export(bench, tmp_path / "none" / "x.jsonl")


async def test_progress_is_reported(bench: Bench, tmp_path: Path) -> None:
    bench.insights(*(f"text {number}" for number in range(600)))
    await bench.sync()
    seen: list[tuple[str, int, int]] = []

    async def progress(message: str, done: int, total: int) -> None:
        seen.append((message, done, total))

    await export(bench, path := tmp_path / "memory.jsonl", progress=progress)
    await other(tmp_path).memory.import_(path, progress=progress)
    assert ("Exporting", 0, 600) in seen
    assert [done for message, done, _ in seen if message == "Importing"] == [0, 512, 600]
