"""A memory that is gone is not an empty one: a search says so, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from dm_memory.report import search_report
from dm_memory.requests import SessionLearning
from dm_memory.search.results import SearchRequest, SearchResult
from tests.sync.conftest import BRAND, Bench

pytestmark = pytest.mark.anyio


async def ask(bench: Bench) -> SearchResult:
    memory = bench.memory
    try:
        return await memory.search(SearchRequest("gift box", brand=BRAND, author="Mara"))
    finally:
        await memory.close()


@pytest.mark.parametrize("left", ["journal.jsonl", "sync-state.json", ""])
async def test_a_search_tells_a_memory_that_is_gone_from_one_that_never_was(tmp_path: Path, left: str) -> None:
    bench = Bench(tmp_path / "home")
    await bench.sync(session_learnings=(SessionLearning("Gift boxes sell."),))
    for file in [path for path in bench.memory_dir.iterdir() if path.is_file() and path.name != left]:
        file.unlink()
    result = await ask(bench)
    assert [finding.code for finding in result.findings] == ["memory-gone"] * bool(left)
    text = search_report(result).text
    assert ("memory is gone" in text, "Sync: it builds the memory again" in text) == (bool(left), bool(left))
    if left == "journal.jsonl":
        await bench.sync()
        assert (await ask(bench)).findings == ()


async def test_what_was_handed_in_before_the_first_sync_is_no_lost_memory(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "home")
    bench.memory_dir.mkdir()
    (bench.memory_dir / "journal.jsonl").write_text('{"v":1,"op":"journal","id":"a"}\n{"v":1,"op":"entry","key":"s"}\n')
    assert (await ask(bench)).findings == ()
