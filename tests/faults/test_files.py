"""Every file in ``memory/``, damaged in every way: served, repaired, or told; and clocks and sources that misbehave."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dm_memory.errors import DmMemoryError
from tests.support.brands import BrandHome
from tests.support.product import ITEMS, Product
from tests.support.stored import texts
from tests.sync.conftest import check_memory


def checkpoint_of(home: BrandHome) -> object:
    return json.loads((home.memory / "sync-state.json").read_bytes())["checkpoint"]


# Files in memory/ ----------------------------------------------------------------------------------------------------


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path) -> None:
    rng = random.Random(1)
    data = bytearray(path.read_bytes() or b"\0")
    for _ in range(20):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def delete(path: Path) -> None:
    path.unlink()


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "inside").write_text("not ours")


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def link(path: Path) -> None:
    elsewhere = path.parents[4] / "elsewhere"
    shutil.move(path, elsewhere)
    path.symlink_to(elsewhere)


def sparse(path: Path) -> None:
    os.truncate(path, 10 << 30)


DAMAGES = [cut, flip, empty, delete, folder, pipe, link, sparse]
FILES = [
    "memory.db",
    "journal.jsonl",
    "sync-state.json",
    "_index.json",
    "_last_sync.json",
    ".sync.lock",
    ".journal.lock",
]


def attempt(call: Callable[[], object]) -> str:
    """Return "" for a call that was served, else the sentences it told; anything but our own errors is a failure."""
    told: list[DmMemoryError] = []
    try:
        call()
    except DmMemoryError as error:
        told.append(error)
    assert all(error.problem.endswith(".") and error.remedy.endswith(".") for error in told)
    return " ".join(map(str, told))


def often(number: int, name: str, damage: Callable[[Path], None]) -> bool:
    """Return whether a case is part of every run of the tests: all for memory itself, else some for each file."""
    return name == "memory.db" or DAMAGES.index(damage) % 4 == number % 4


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        pytest.param(
            name,
            damage,
            id=f"{name}-{damage.__name__}",
            marks=[] if often(number, name, damage) else pytest.mark.slow,
        )
        for number, name in enumerate(FILES)
        for damage in DAMAGES
    ],
)
def test_a_damaged_file_is_served_repaired_or_told(
    product: Product, home: BrandHome, name: str, damage: Callable[[Path], None]
) -> None:
    product.sync()
    product.prepare("A zebra text that no file has")
    before = texts(home.memory)
    path = home.memory / name
    if not path.exists():
        path.touch()
    damage(path)
    attempt(product.status)
    attempt(lambda: product.search("zebra"))
    handed_in = attempt(lambda: product.prepare("Another zebra text"))
    home.add(1)
    told = attempt(product.sync)
    if told or handed_in:  # somebody has to look; nothing was written over meanwhile
        assert path.is_symlink() or not path.is_file() or damage in {sparse, flip}, told or handed_in
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    result = product.sync()
    if path.is_dir():  # of a file that is only an export: told by each sync, until somebody takes the folder away
        assert "export-failed" in [finding.code for finding in result.findings]
        shutil.rmtree(path)
    product.verify(repair=True)
    result = product.sync()
    assert result.status == "complete"
    assert product.verify().exit_code == 0
    check_memory(home.memory)
    wanted = {*before, *(() if handed_in else ("Another zebra text",))}
    assert wanted <= set(texts(home.memory))
    assert len(json.loads((home.memory / "_index.json").read_bytes())) == len(texts(home.memory))
    assert any("zebra" in hit.content for hit in product.search("zebra").hits)


@pytest.mark.parametrize("damage", DAMAGES[:3], ids=lambda damage: damage.__name__)
def test_a_damaged_memory_never_answers_with_an_old_or_empty_text(
    product: Product, home: BrandHome, damage: Callable[[Path], None]
) -> None:
    home.edit_insight(0, "The zebra learning as it was")
    product.sync()
    home.edit_insight(0, "The zebra learning as it is now")
    product.sync()
    damage(home.memory / "memory.db")
    for _ in range(2):
        try:
            found = [hit.content for hit in product.search("zebra learning").hits if "zebra" in hit.content]
        except DmMemoryError:
            found = []
        assert set(found) <= {"The zebra learning as it is now"}
        attempt(product.sync)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_random_damage_is_repaired_or_told_and_never_called_complete(
    product: Product, home: BrandHome, seed: int
) -> None:
    rng = random.Random(seed)
    product.sync()
    product.prepare("A zebra text that no file has")
    before = set(texts(home.memory))
    path = home.memory / rng.choice(["memory.db", "memory.db", "journal.jsonl"])
    data = bytearray(path.read_bytes())
    for _ in range(rng.choice([1, 10, 100, 1000])):
        start = rng.randrange(len(data))
        data[start : start + 8] = rng.randbytes(len(data[start : start + 8]))
    path.write_bytes(data[: rng.choice([len(data), len(data), rng.randrange(len(data))])])
    attempt(product.status)
    attempt(lambda: product.search("zebra"))
    home.add(1)
    product.sync(force=True)
    product.verify(repair=True)
    product.sync()
    assert product.verify().exit_code == 0
    check_memory(home.memory)
    assert before <= set(texts(home.memory))


# Sources and clocks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", ["\x00\x00\x00", "[" * 10_000, "not JSON"])
def test_a_corrupt_insights_file_never_moves_the_checkpoint_and_the_rest_still_syncs(
    product: Product, home: BrandHome, content: str
) -> None:
    product.sync()
    before = checkpoint_of(home)
    good = home.insights_file.read_bytes()
    home.insights_file.write_text(content)
    home.add(1)
    result = product.sync()
    assert (result.counts.new, result.counts.stored) == (1, 1)
    assert result.status != "complete"
    assert not result.checkpoint.moved
    assert checkpoint_of(home) == before
    home.insights_file.write_bytes(good)
    repaired = product.sync()
    assert (repaired.status, repaired.counts.new, repaired.counts.unchanged) == ("complete", 0, ITEMS + 1)
    assert checkpoint_of(home) != before


def test_entries_that_rolled_out_of_the_file_stay_in_memory_and_a_forced_sync_keeps_them(
    product: Product, home: BrandHome
) -> None:
    product.sync()
    home.write_insights(home.read_insights()[5:])
    assert product.sync().status == "complete"
    assert product.sync(force=True).counts.forced == ITEMS
    assert len(texts(home.memory)) == ITEMS


@pytest.mark.parametrize("damage", ["[{", "", "7"])
def test_a_truncated_index_is_rebuilt_from_memory(product: Product, home: BrandHome, damage: str) -> None:
    product.sync()
    index = home.memory / "_index.json"
    good = json.loads(index.read_bytes())
    index.write_text(damage)
    result = product.sync()
    assert json.loads(index.read_bytes()) == good
    assert "index-rebuilt" in {finding.code for finding in result.findings}


def test_a_clock_that_jumps_back_damages_nothing(product: Product, home: BrandHome) -> None:
    now = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    product.clock = lambda: now
    product.sync()
    product.clock = lambda: now - timedelta(days=400)
    home.add(1)
    home.edit_insight(0, "A text written before it was written")
    result = product.sync()
    assert (result.counts.new, result.counts.modified, result.counts.stored) == (1, 1, 2)
    assert len(texts(home.memory)) == ITEMS + 1
    assert product.sync().counts.unchanged == ITEMS + 1
    assert (product.status().sync_age_seconds or 0) >= 0
    check_memory(home.memory)


def test_a_dry_run_writes_nothing_at_all(product: Product, home: BrandHome) -> None:
    def tree() -> dict[str, bytes]:
        return {str(path): path.read_bytes() if path.is_file() else b"" for path in home.root.rglob("*")}

    before = tree()
    result = product.sync(dry_run=True)
    assert (result.counts.new, result.counts.stored) == (ITEMS, 0)
    assert tree() == before
    assert not home.memory.exists()


def test_another_embedding_model_is_noticed_and_never_mixed_in(product: Product, home: BrandHome) -> None:
    product.sync()
    product.embedder = "tests.support.embedders:hashed"
    home.add(1)
    result = product.sync()
    assert (result.status, result.counts.new, result.counts.embedded) == ("complete", 1, ITEMS + 1)
    assert "model-changed" in {finding.code for finding in result.findings}
    check_memory(home.memory)


def test_an_insights_file_that_is_suddenly_empty_costs_nothing_and_is_told(product: Product, home: BrandHome) -> None:
    product.sync()
    home.write_insights([])
    result = product.sync()
    assert len(texts(home.memory)) == ITEMS
    assert "empty-source" in {finding.code for finding in result.findings}


CUT = '{"campaign_id": "autumn", "name": "Autumn", "learnings": ["Send on Tuesday.", {"learning": "Never'
TOO_LONG = json.dumps({"campaign_id": "autumn", "learnings": ["long " * 500_000]})


@pytest.mark.parametrize(("text", "words"), [(CUT, "middle of an entry"), (TOO_LONG, "longer than the limit")])
def test_what_a_file_got_wrong_is_said_by_status_as_well_until_it_is_corrected(
    product: Product, home: BrandHome, text: str, words: str
) -> None:
    product.sync()
    before = checkpoint_of(home)
    path = home.brand / "campaigns" / "autumn.json"
    path.write_text(text)
    assert product.sync().status == "partial"
    assert checkpoint_of(home) == before
    product.sync(scope="insights-only")  # does not look at campaigns
    status = product.status()
    assert (status.status, words in " ".join(finding.message for finding in status.findings)) == ("attention", True)
    path.unlink()
    assert product.sync().status == "complete"
    assert product.status().status == "ready"


def test_status_gives_the_size_that_the_sync_gave(product: Product) -> None:
    result = product.sync()
    assert result.store.bytes == product.status().store.bytes > 0
