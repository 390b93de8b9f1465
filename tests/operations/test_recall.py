"""What matters now: complete, small, from this computer alone, whatever state memory is in."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dm_memory.api import Memory
from dm_memory.errors import BrandNotFoundError
from dm_memory.items import ContentType, Priority
from dm_memory.report import last_sync_report, recall_report
from dm_memory.requests import PrepareRequest, SyncRequest
from dm_memory.results import LastSyncResult, RecallResult
from dm_memory.services.protocol import Service
from dm_memory.settings import Settings
from tests.support.brands import BrandHome, make_home
from tests.support.product import CONSTANT

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Desk:
    """The product over one brand, at a moment that the test sets."""

    def __init__(self, home: BrandHome) -> None:
        self.home = home
        self.now = NOW

    def memory(self, **settings: Any) -> Memory:
        """Return the core; a service that is made fails the test where a recall is asked for."""
        return Memory(Settings(home=self.home.root, embedder=CONSTANT, **settings), clock=lambda: self.now)

    def sync(self, **request: Any) -> None:
        asyncio.run(self.memory().sync(SyncRequest(brand=self.home.slug, **request)))

    def recall(self) -> RecallResult:
        return asyncio.run(self.memory().recall(self.home.slug))

    def last_sync(self) -> LastSyncResult:
        return asyncio.run(self.memory().last_sync(self.home.slug))


@pytest.fixture
def desk(tmp_path: Any) -> Desk:
    home = make_home(tmp_path / "home", insights=4, campaigns=2, lessons_per_campaign=8)
    guidelines = home.brand / "guidelines"
    guidelines.mkdir(exist_ok=True)
    (guidelines / "restrictions.md").write_text(
        "# Restrictions\n\n## Banned words\n\n- miracle\n- cheap\n\n## Restricted claims\n\n- carbon neutral\n"
    )
    return Desk(home)


def test_restrictions_are_there_before_anything_was_synced(desk: Desk) -> None:
    result = desk.recall()
    assert result.banned_words == ("miracle", "cheap")
    assert result.restricted_claims == ("carbon neutral",)
    assert (result.entries, result.last_sync_at, result.problem) == (0, "", "")
    assert not desk.home.memory.exists()
    text = recall_report(result).text
    assert "Nothing has been synced yet." in text
    assert "- Never write: “miracle”, “cheap”" in text


def test_the_latest_learnings_come_first_and_what_matters_most_before_them(desk: Desk) -> None:
    desk.home.add_insight("An old lesson.", recorded_at="2024-02-01T10:00:00")
    desk.home.add_insight("The newest lesson.", recorded_at="2026-11-19T10:00:00")
    desk.sync()
    request = PrepareRequest(
        "Never mail on Sundays.", ContentType.GUIDELINE, brand=desk.home.slug, priority=Priority.HIGH
    )
    asyncio.run(desk.memory().prepare(request))
    contents = [each.content for each in desk.recall().learnings]
    assert contents[0] == "Never mail on Sundays."
    assert contents[1].startswith("The newest lesson.")
    assert not contents[-1].startswith("The newest lesson.")


def test_what_expired_is_left_out(desk: Desk) -> None:
    desk.sync()
    for text, days in (("Free shipping this week.", 1), ("Free shipping this month.", 20)):
        expires = (NOW + timedelta(days=days)).isoformat()
        request = PrepareRequest(text, ContentType.CAMPAIGN_LEARNING, brand=desk.home.slug, expires_at=expires)
        asyncio.run(desk.memory().prepare(request))
    desk.now = NOW + timedelta(days=5)
    contents = [each.content for each in desk.recall().learnings]
    assert "Free shipping this month." in contents
    assert "Free shipping this week." not in contents


def test_what_worked_and_what_was_retired_lately_is_named(desk: Desk) -> None:
    campaign = desk.home.campaign_files()[0]
    stated = json.loads(campaign.read_text())
    stated["retrospective"] = {"what_worked": ["Cards in the parcel."], "what_failed": ["Pop-ups on phones."]}
    campaign.write_text(json.dumps(stated))
    desk.sync()
    known = {(each.outcome, each.text) for each in desk.recall().patterns}
    assert {("failed", "Pop-ups on phones."), ("worked", "Cards in the parcel.")} <= known
    stated["learnings"] = stated["learnings"][1:]
    campaign.write_text(json.dumps(stated))
    desk.sync()
    retired = desk.recall().retired
    assert [each.state for each in retired] == ["retired"]
    assert "· retired 2026-11-20" in recall_report(desk.recall()).text
    desk.now = NOW + timedelta(days=60)
    assert desk.recall().retired == ()


def test_what_waits_is_counted(desk: Desk) -> None:
    desk.sync()
    pending = desk.home.memory / "pending"
    pending.mkdir()
    (pending / "0123456789abcdef.json").write_text(
        json.dumps(
            {"content": "A text of the plugin.", "content_type": "guideline", "content_hash": "0123456789abcdef"}
        )
    )
    down = desk.memory(qdrant_url="http://127.0.0.1:9", layer_attempts=1)
    asyncio.run(down.sync(SyncRequest(brand=desk.home.slug)))
    (pending / "fedcba9876543210.json").write_text(
        json.dumps({"content": "Another text.", "content_type": "guideline", "content_hash": "fedcba9876543210"})
    )
    result = desk.recall()
    assert result.pending > 0
    assert result.prepared == 1
    assert "due in connected services" in recall_report(result).text


def test_no_service_and_no_model_is_asked(desk: Desk) -> None:
    desk.sync()

    def no_service(_: str) -> list[Service]:
        raise AssertionError("a recall made a service")

    no_model: Any = object()  # whatever is asked of it fails
    memory = Memory(Settings(home=desk.home.root), no_service, embedder=no_model)
    assert asyncio.run(memory.recall(desk.home.slug)).entries > 0


def test_a_recall_imports_no_model_no_service_and_no_protocol(desk: Desk) -> None:
    code = (
        "import sys; from pathlib import Path; from dm_memory.brand.files import Limits;"
        "from dm_memory.brand.home import Home; from dm_memory.operations.recall import recall_of_brand;"
        "from dm_memory.report.recall import recall_report; from dm_memory.text.timestamps import utc_now;"
        f"recall_report(recall_of_brand(Home(Path({str(desk.home.root)!r})), {desk.home.slug!r}, Limits(), utc_now));"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()).isdisjoint(
        {"numpy", "wordllama", "mcp", "httpx", "qdrant_client", "pydantic_settings"}
    )


def test_an_unknown_brand_is_an_error_with_the_brands_there_are(desk: Desk) -> None:
    with pytest.raises(BrandNotFoundError) as refused:
        asyncio.run(desk.memory().recall("nobody"))
    assert refused.value.brands == (desk.home.slug,)


def test_a_damaged_memory_leaves_what_the_files_say(desk: Desk) -> None:
    desk.sync()
    database = desk.home.memory / "memory.db"
    data = database.read_bytes()
    for damaged in (b"x" * len(data), data[: len(data) // 2], data[:8192] + b"\xff" * (len(data) - 8192)):
        for suffix in ("-wal", "-shm"):
            database.with_name(database.name + suffix).unlink(missing_ok=True)
        database.write_bytes(damaged)
        result = desk.recall()
        assert result.problem
        assert result.banned_words == ("miracle", "cheap")
        assert "from the brand's files alone" in recall_report(result).text


def test_nothing_is_written(desk: Desk) -> None:
    desk.sync()
    before = {path: path.read_bytes() for path in desk.home.root.rglob("*") if path.is_file()}
    desk.recall()
    assert {path: path.read_bytes() for path in desk.home.root.rglob("*") if path.is_file()} == before


def test_the_last_sync_is_on_record(desk: Desk) -> None:
    assert "Nothing has been synced yet." in last_sync_report(desk.last_sync()).text
    desk.sync()
    desk.home.add_insight("One more lesson.")
    desk.sync()
    result = desk.last_sync()
    assert (result.status, result.counts["new"]) == ("complete", 1)
    assert [each.content.startswith("One more lesson.") for each in result.entries] == [True]
    assert "One more lesson." in last_sync_report(result).text


def test_tags_and_campaigns_are_found_by_a_part_of_their_names(desk: Desk) -> None:
    desk.sync(tags=("Spring-2026",))
    memory = desk.memory()
    assert asyncio.run(memory.tags(desk.home.slug, "spring")) == ["spring-2026"]
    assert len(asyncio.run(memory.tags(desk.home.slug, "", 3))) == 3
    assert len(asyncio.run(memory.campaigns(desk.home.slug))) == 2
