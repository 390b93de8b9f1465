"""Search through the product: files are synced, questions are asked, and what people decided is respected."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dm_memory.api import Memory
from dm_memory.brand.files import Limits
from dm_memory.brand.home import Home
from dm_memory.errors import BrandNotFoundError
from dm_memory.items import ContentType, storage_id
from dm_memory.report import search_report
from dm_memory.requests import ForgetRequest, SyncRequest
from dm_memory.results import SyncResult
from dm_memory.search.results import Mode, Relevance, SearchRequest, SearchResult
from dm_memory.search.waiting import BrandFiles
from dm_memory.services.protocol import Capabilities, Proposal, SearchQuery, ServiceBase
from dm_memory.settings import Settings
from tests.support.processes import REPOSITORY

BRAND = "ember-and-oak"
NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)


@dataclass
class Product:
    """One process's ``Memory`` over a copy of the sample home."""

    home: Path
    memory: Memory

    def sync(self, brand: str = BRAND) -> SyncResult:
        return asyncio.run(self.memory.sync(SyncRequest(brand=brand)))

    def ask(self, query: str, **wanted: Any) -> SearchResult:
        return asyncio.run(self.memory.search(SearchRequest(query, **({"brand": BRAND} | wanted))))

    @property
    def brand(self) -> Path:
        return self.home / "brands" / BRAND

    @property
    def pending(self) -> Path:
        return self.brand / "memory" / "pending"

    def put_pending(self, number: int, text: str, **more: object) -> Path:
        self.pending.mkdir(parents=True, exist_ok=True)
        path = self.pending / f"{number:016x}.json"
        path.write_text(json.dumps({"content": text, "content_type": "campaign-learning"} | more), encoding="utf-8")
        return path


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("sample") / "home"
    shutil.copytree(REPOSITORY / "examples" / "home", home)
    product = Product(home, Memory(Settings(home=home), services=lambda _: (), clock=lambda: NOW))
    assert product.sync().counts.failed == 0
    return home


@pytest.fixture
def product(synced: Path, tmp_path: Path) -> Iterator[Product]:
    home = tmp_path / "home"
    shutil.copytree(synced, home)
    memory = Memory(Settings(home=home), services=lambda _: (), clock=lambda: NOW)
    yield Product(home, memory)
    asyncio.run(memory.close())


def _insights(product: Product) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((product.brand / "insights.json").read_text(encoding="utf-8"))
    return found


def _keys(result: SearchResult) -> list[str]:
    return [hit.key for hit in result.hits]


def test_a_named_competitor_brings_what_is_known_of_it_with_sources(product: Product) -> None:
    result = product.ask("What is Northbean up to?")
    northbean = next(entity for entity in result.entities if entity.name == "Northbean")
    assert northbean.type == "competitor"
    assert any("Amsterdam" in fact.text for fact in northbean.facts)
    assert all(fact.key for fact in northbean.facts)


def test_a_named_channel_brings_what_replaced_what(product: Product) -> None:
    result = product.ask("How did the podcast do?")
    (change, *_) = next(entity for entity in result.entities if entity.name == "podcast").changes
    assert [line.invalid_at for line in change][-1] == ""
    assert change[0].invalid_at == change[1].valid_at


def test_facts_are_those_of_the_day_that_is_asked_about(product: Product) -> None:
    def facts(**wanted: Any) -> list[str]:
        return [
            fact.text
            for entity in product.ask("podcast", **wanted).entities
            for fact in entity.facts
            if fact.text.startswith("email outperformed")
        ]

    assert facts(as_of="2026-05-10") != facts(as_of="2026-11-30")
    assert facts(as_of="2026-01-01") == []


def test_an_edited_text_is_found_as_it_was_on_a_day_and_as_it_is(synced: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(synced, home)
    later = Product(
        home, Memory(Settings(home=home), services=lambda _: (), clock=lambda: datetime(2027, 1, 5, tzinfo=UTC))
    )
    path = later.brand / "guidelines" / "channel-styles.md"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("At most three hashtags", "At most seven hashtags"), encoding="utf-8")
    assert later.sync().counts.failed == 0

    def found(**wanted: Any) -> str:
        return next(hit for hit in later.ask("how many hashtags", **wanted).hits if "hashtags" in hit.content).content

    assert "seven hashtags" in found()
    assert "three hashtags" in found(as_of="2026-12-20")
    assert "seven hashtags" in found(as_of="2027-01-05")
    assert [hit for hit in later.ask('"three hashtags"').hits if "three" in hit.content] == []
    assert "three hashtags" in later.ask('"three hashtags"', as_of="2026-12-20").hits[0].content


def test_a_retired_text_stands_last_and_fits_in_the_last_places_when_asked_for(product: Product) -> None:
    path = next(product.brand.glob("guidelines/channel-styles.md"))
    gone = "At most three hashtags"
    text = path.read_text(encoding="utf-8")
    section = next(part for part in text.split("\n## ") if gone in part)
    path.write_text(text.replace(f"\n## {section}", "\n"), encoding="utf-8")
    assert product.sync().counts.failed == 0
    question = "How many hashtags does a post have on Instagram?"
    assert all(hit.state == "current" for hit in product.ask(question).hits)
    asked = product.ask(question, include_retired=True).hits
    assert len(asked) == 10
    states = [hit.state for hit in asked]
    assert states == sorted(states)
    assert gone in asked[-1].content
    assert _keys(product.ask(question, include_retired=True)) == [hit.key for hit in asked]
    assert all(hit.state == "current" for hit in product.ask(question, include_retired=False).hits)


def test_what_was_forgotten_is_never_found_nor_proposed_again(product: Product) -> None:
    insight = next(each for each in _insights(product) if "Amsterdam" in each["insight"])
    key = f"insight/{insight['recorded_at']}"
    assert key in _keys(product.ask(insight["insight"]))
    preview = asyncio.run(product.memory.forget(ForgetRequest(keys=(key,), brand=BRAND)))
    asyncio.run(product.memory.forget(ForgetRequest(keys=(key,), brand=BRAND, dry_run=False, token=preview.token)))
    product.sync()
    memory = _with_service(Settings(home=product.home), _Proposer(key))
    for asked in (product.memory, memory):
        for mode in Mode:
            result = asyncio.run(asked.search(SearchRequest(insight["insight"], brand=BRAND, mode=mode, limit=100)))
            assert key not in _keys(result)
            assert result.elsewhere == ()
            assert not any(fact.key == key for entity in result.entities for fact in entity.facts)


class _Proposer(ServiceBase):
    """A vector service that still has what was forgotten, and another brand's texts."""

    name, role, engine = "vector@here", "vector", "Qdrant (here)"
    capabilities = Capabilities(10, proposes=True)

    def __init__(self, key: str, seconds: float = 0.0) -> None:
        self._key = key
        self._seconds = seconds

    async def search(self, query: SearchQuery) -> list[Proposal]:
        del query
        await asyncio.sleep(self._seconds)
        ours = Proposal(storage_id(BRAND, self._key), 0.9, "text", self._key, "guideline", (), "", BRAND)
        theirs = Proposal(storage_id("other", "insight/1"), 0.9, "text", "insight/1", "guideline", (), "", "other")
        return [ours, theirs]


def _with_service(settings: Settings, service: object) -> Memory:
    services: Any = (service,)  # as much of a service as is asked
    return Memory(settings, services=lambda _: services, clock=lambda: NOW)


def test_a_service_that_hangs_costs_its_deadline_and_adds_a_note(product: Product) -> None:
    hanging = _with_service(Settings(home=product.home, search_timeout=0.1), _Proposer("x", 3600))
    result = asyncio.run(hanging.search(SearchRequest("What is Northbean up to?", brand=BRAND)))
    assert result.hits[0].relevance is Relevance.HIGHLY
    assert [finding.code for finding in result.findings] == ["service-not-asked"]
    assert "within 0.1 s" in result.findings[0].message


def test_two_brands_never_see_each_other(product: Product) -> None:
    folder = product.home / "brands" / "other"
    folder.mkdir()
    (folder / "profile.json").write_text(json.dumps({"brand_name": "Other", "brand_slug": "other"}), encoding="utf-8")
    insight = {"type": "session_learning", "source": "session", "context": "", "actionable": False}
    insight |= {"insight": "Zeppelins over Lyon sold tea", "recorded_at": "2026-08-01T10:00:00.000001"}
    (folder / "insights.json").write_text(json.dumps([insight]), encoding="utf-8")
    product.sync("other")
    for mode in (Mode.HYBRID, Mode.SEMANTIC):
        assert all("Zeppelins" not in hit.content for hit in product.ask("Zeppelins over Lyon", mode=mode).hits)
        others = product.ask("roast dates on the bags", mode=mode, brand="other").hits
        assert [hit.content for hit in others if hit.kind == "insight"] == ["Zeppelins over Lyon sold tea"]
    with pytest.raises(BrandNotFoundError):
        product.ask("tea", brand="none")


@pytest.mark.parametrize(
    ("words", "first", "last"),
    [("Q3 2026", "2026-07", "2026-09"), ("last 90 days", "2026-09", "2026-12"), ("August 2026", "2026-08", "2026-08")],
)
def test_dates_in_words_leave_out_everything_else_before_ranking(
    product: Product, words: str, first: str, last: str
) -> None:
    hits = product.ask("What worked in e-mails?", from_date=words, limit=100).hits
    assert hits
    assert all(first <= (hit.recorded_at or hit.created_at)[:7] <= last for hit in hits)


def test_a_filter_finds_what_a_hundred_better_hits_would_hide(product: Product) -> None:
    question = "coffee"
    wanted = next(insight for insight in _insights(product) if "coffee" not in json.dumps(insight).casefold())
    day = wanted["recorded_at"][:10]
    unfiltered = product.ask(question, limit=20)
    filtered = product.ask(question, from_date=day, to_date=day)
    assert f"insight/{wanted['recorded_at']}" in _keys(filtered)
    assert f"insight/{wanted['recorded_at']}" not in _keys(unfiltered)
    typed = product.ask(question, content_type=ContentType.GUIDELINE, limit=100).hits
    assert {hit.content_type for hit in typed} == {"guideline"}


def test_memory_does_not_know_what_a_filter_leaves_out(product: Product) -> None:
    assert product.ask("What is Northbean up to?").known
    left = product.ask("What is Northbean up to?", content_type=ContentType.GUIDELINE)
    assert not left.known
    assert {hit.relevance for hit in left.hits} <= {Relevance.TANGENTIAL}


def test_a_text_that_waits_is_found_until_its_file_goes_or_changes(product: Product) -> None:
    path = product.put_pending(1, "Zeppelin banners over Hamburg doubled visits")

    def waiting() -> list[str]:
        return [hit.content for hit in product.ask("zeppelin banners").hits if hit.is_waiting]

    assert waiting() == ["Zeppelin banners over Hamburg doubled visits"]
    assert waiting() == ["Zeppelin banners over Hamburg doubled visits"]
    product.put_pending(1, "Zeppelin banners over Bremen halved visits")
    assert waiting() == ["Zeppelin banners over Bremen halved visits"]
    path.unlink()
    assert waiting() == []


def test_a_text_that_waits_passes_the_filters_or_not(product: Product) -> None:
    product.put_pending(1, "Zeppelin banners expired", expires_at="2026-11-01")
    product.put_pending(2, "Zeppelin banners matter", priority="high", tags=["season:autumn"])
    assert [hit.content for hit in product.ask('"zeppelin banners"').hits] == ["Zeppelin banners matter"]
    assert len(product.ask('"zeppelin banners"', include_expired=True).hits) == 2
    assert product.ask('"zeppelin banners"', tags=("season:spring",)).hits == ()
    assert product.ask('"zeppelin banners"', as_of="2026-10-01").hits == ()


def test_unchanged_files_are_not_read_again(product: Product, monkeypatch: pytest.MonkeyPatch) -> None:
    path = product.put_pending(1, "Zeppelin banners over Hamburg")
    long_ago = time.time() - 3600
    for file in (path, product.brand / "profile.json"):
        os.utime(file, (long_ago, long_ago))
    files = BrandFiles(Home(product.home), Limits(), "mask")
    first = files.read(BRAND)
    monkeypatch.setattr("dm_memory.search.waiting.read_brand_file", None)
    monkeypatch.setattr("dm_memory.search.waiting.load_context", None)
    assert files.read(BRAND) == first
    assert first[0][0] == "en"


def test_a_changed_profile_changes_the_languages_of_the_next_question(product: Product) -> None:
    files = BrandFiles(Home(product.home), Limits(), "mask")
    assert files.read(BRAND)[0][0] == "en"
    profile = json.loads((product.brand / "profile.json").read_text(encoding="utf-8"))
    profile["language"] = {"primary_language": "German"}
    (product.brand / "profile.json").write_text(json.dumps(profile), encoding="utf-8")
    assert files.read(BRAND)[0] == ("de",)


def test_the_hits_bring_the_patterns_that_they_state(product: Product) -> None:
    name = "Weekly voice notes from the grower"
    for number in (1, 2):
        campaign = {
            "campaign_id": f"voices-{number}",
            "name": f"Voices {number}",
            "channels": ["email"],
            "retrospective": {"what_worked": [name, "Short subject lines"], "what_failed": ["Posters"]},
        }
        path = product.brand / "campaigns" / f"voices-{number}.json"
        path.write_text(json.dumps(campaign), encoding="utf-8")
    product.sync()
    result = product.ask("weekly voice notes from the grower", limit=3)
    (pattern, *_) = [each for each in result.patterns if each.text == name]
    assert (pattern.worked, pattern.failed, pattern.campaigns) == (2, 0, ("voices-1", "voices-2"))
    assert len(result.patterns) <= 3
    assert "## Patterns" in search_report(result).text
    assert not any(each.text == "Posters" for each in result.patterns), "no hit states it"
    assert product.ask("weekly voice notes from the grower", as_of="2026-11-30").patterns == ()
