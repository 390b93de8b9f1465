"""What a stranger read in reports and did not believe: figures that must say what memory really holds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dm_memory.errors import ErrorClass, InputError, LayerError
from dm_memory.items import ContentType, Priority
from dm_memory.report import prepare_report, sync_report
from dm_memory.requests import PrepareRequest
from tests.sync.conftest import BRAND, Bench

pytestmark = pytest.mark.anyio


def _payload(**more: object) -> PrepareRequest:
    return PrepareRequest("Keep this.", ContentType.GUIDELINE, brand=BRAND, **more)  # type: ignore[arg-type]  # a test's options


async def test_a_dry_run_counts_what_is_due_once_and_nothing_as_in_memory(bench: Bench) -> None:
    bench.insights("one", "two", "three")
    result = await bench.sync(dry_run=True)
    assert (result.next_sync.due, result.next_sync.estimated_items) == (3, 3)
    assert (result.checkpoint.total_items, result.checkpoint.delta, result.checkpoint.pending) == (0, 0, 3)


async def test_what_no_layer_took_is_not_counted_as_in_memory(bench: Bench) -> None:
    bench.insights("one", "two")
    bench.layer.down = LayerError("It is off.", "Switch it on.", error_class=ErrorClass.UNAVAILABLE)
    down = await bench.sync()
    assert (down.checkpoint.total_items, down.checkpoint.pending) == (0, 2)
    bench.layer.down = None
    up = await bench.sync()
    assert (up.checkpoint.total_items, up.checkpoint.delta) == (2, 2)


async def test_a_prepared_payload_is_in_memory_once_a_sync_has_stored_it(bench: Bench) -> None:
    await bench.memory.prepare(_payload())
    waiting = await bench.memory.status(BRAND)
    assert waiting.total_items == 0
    result = await bench.sync()
    assert (result.counts.new, result.checkpoint.delta, result.checkpoint.total_items) == (1, 1, 1)


async def test_a_payload_that_is_known_is_described_as_it_is_kept(bench: Bench) -> None:
    await bench.memory.prepare(_payload(priority=Priority.HIGH, expires_at="2027-01-01"))
    again = PrepareRequest("Keep this.", ContentType.BRAND_ASSET, tags=("more",), brand=BRAND, priority=Priority.LOW)
    result = await bench.memory.prepare(again)
    assert (result.status, result.content_type, result.priority) == ("duplicate", "guideline", "high")
    assert result.expires_at == "2027-01-01"
    assert "all else about it stays" in prepare_report(result).text


async def test_a_payload_that_has_expired_already_is_refused(bench: Bench) -> None:
    with pytest.raises(InputError, match="in the past"):
        await bench.memory.prepare(_payload(expires_at="2020-01-01"))
    assert not bench.memory_dir.exists()


async def test_a_brand_with_a_broken_file_is_not_called_up_to_date(bench: Bench) -> None:
    bench.insights("one")
    await bench.sync()
    bench.write("campaigns/spring.json", "{")
    result = await bench.sync()
    assert result.status == "partial"
    assert "up to date" not in sync_report(result).text


@pytest.mark.parametrize("kind", ["link", "dangling link", "folder"])
async def test_a_registry_replaced_by_something_else_is_set_aside_unread(
    bench: Bench, tmp_path: Path, kind: str
) -> None:
    bench.insights("one")
    await bench.sync()
    registry = bench.memory_dir / "registry.db"
    elsewhere = tmp_path / "elsewhere.db"
    shutil.move(registry, elsewhere)
    if kind == "folder":
        registry.mkdir()
    else:
        registry.symlink_to(elsewhere if kind == "link" else tmp_path / "nowhere")
    before = elsewhere.read_bytes()
    result = await bench.sync()
    assert (result.status, result.counts.unchanged, result.counts.embedded) == ("complete", 1, 0)
    assert registry.is_file()
    assert not registry.is_symlink()
    assert elsewhere.read_bytes() == before
