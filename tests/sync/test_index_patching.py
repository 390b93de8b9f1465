"""The script's index after small changes is what it would be if it were written anew."""

from __future__ import annotations

import pytest

from tests.sync.conftest import Bench

pytestmark = pytest.mark.anyio


async def index_written_anew(bench: Bench) -> list[dict[str, object]]:
    (bench.memory_dir / "_index.json").unlink()
    await bench.sync()
    entries: list[dict[str, object]] = bench.read("_index.json")
    return entries


async def test_new_changed_and_withdrawn_entries_are_patched_in(bench: Bench) -> None:
    texts = [f"insight {number}" for number in range(20)]
    bench.insights(*texts)
    await bench.sync()
    for change in (
        [*texts, "new"],
        ["insight 0, corrected", *texts[1:], "new"],
        ["insight 0, corrected", "insight 2", *texts[2:], "new"],  # an edit makes a duplicate: its entry goes
    ):
        bench.insights(*change)
        await bench.sync()
        patched = bench.read("_index.json")
        assert len(patched) == len(bench.texts())
        assert patched == await index_written_anew(bench)


async def test_an_emptied_memory_is_an_empty_list(bench: Bench) -> None:
    await bench.sync()
    assert bench.read("_index.json") == []
    bench.insights("first")
    await bench.sync()
    assert len(bench.read("_index.json")) == 1
