"""Brand homes of any size, written as the marketing plugin's scripts write them, and the changes a working team makes.

Knows the file formats only: nothing here uses the product's parser, so that a count made here checks the product's.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

__all__ = ["SIZES", "BrandHome", "brand_texts", "make_home", "make_home_of", "read_json", "write_json"]

_START = datetime(2025, 1, 6, 9, 0, 0, 123456)  # noqa: DTZ001  # the scripts write naive local time
_TYPES = (
    "session_learning",
    "performance_discovery",
    "strategy_adjustment",
    "competitor_insight",
    "benchmark",
    "anomaly",
    "recommendation",
    "learning",
)
_CHANNELS = ("email", "instagram", "linkedin", "tiktok", "google ads", "podcast", "blog", "influencer")
_SUBJECTS = (
    "Founder videos",
    "Subject lines with a number",
    "Carousel posts about brewing",
    "The welcome series",
    "Retargeting of abandoned carts",
    "Customer stories",
    "Short tutorials",
    "The referral page",
)
_VERBS = (
    "outperformed",
    "fell behind",
    "matched",
    "doubled the clicks of",
    "cost less than",
    "kept readers longer than",
)
_OBJECTS = (
    "the usual product shots",
    "last quarter's newsletter",
    "the seasonal discount",
    "paid search on brand terms",
    "the long landing page",
    "the partner's placement",
)
_TAILS = (
    "among first-time buyers in the second week, mostly on phones and in the evening.",
    "once the offer stood in the first sentence and the picture showed people.",
    "although the budget was the same and the audience had seen both before.",
    "for subscribers who had opened at least one mail in the month before.",
    "when the call to action named the benefit and not the product itself.",
)

SIZES = {2_000: (200, 90), 10_500: (500, 500), 100_000: (500, 4_975)}
"""Items -> (insights, campaigns of 20 lessons): the sizes that tests and benchmarks speak of."""


def make_home(
    path: Path,
    *,
    insights: int = 200,
    campaigns: int = 20,
    lessons_per_campaign: int = 20,
    slug: str = "acme",
    seed: int = 1,
) -> BrandHome:
    """Write a home with one active brand of ``insights + campaigns * lessons_per_campaign`` distinct items."""
    home = BrandHome(path, slug, random.Random(seed))
    (home.brand / "campaigns").mkdir(parents=True)
    write_json(path / "brands" / "_active-brand.json", {"active_slug": slug, "updated_at": _START.isoformat()})
    write_json(home.brand / "profile.json", _profile(slug))
    home.write_insights([home.new_insight() for _ in range(insights)])
    for number in range(campaigns):
        home.write_campaign(home.new_campaign(number, lessons_per_campaign))
    return home


def make_home_of(path: Path, items: int, *, slug: str = "acme", seed: int = 1) -> BrandHome:
    """Write a home of exactly ``items`` items: one of ``SIZES``, or about a tenth of them insights."""
    insights, campaigns = SIZES.get(items) or (items - items * 9 // 10 // 20 * 20, items * 9 // 10 // 20)
    return make_home(path, insights=insights, campaigns=campaigns, slug=slug, seed=seed)


@dataclass(slots=True)
class BrandHome:
    """A generated home and the moves that change it. ``rng`` makes every home of one seed the same."""

    root: Path
    slug: str
    rng: random.Random
    serial: int = 0

    @property
    def brand(self) -> Path:
        """The brand's folder."""
        return self.root / "brands" / self.slug

    @property
    def memory(self) -> Path:
        """The only folder below which the product may write."""
        return self.brand / "memory"

    @property
    def insights_file(self) -> Path:
        """The rolling list of insights."""
        return self.brand / "insights.json"

    def sentence(self) -> str:
        """Return a text of about 200 characters that no other call returns."""
        self.serial += 1
        pick = self.rng.choice
        return (
            f"{pick(_SUBJECTS)} {pick(_VERBS)} {pick(_OBJECTS)} on {pick(_CHANNELS)} "
            f"by {self.rng.randint(3, 60)} percent in experiment {self.serial}, {pick(_TAILS)}"
        )

    def moment(self) -> str:
        """Return a recorded_at that no other call returns, as ``datetime.now().isoformat()`` writes it."""
        self.serial += 1
        return (_START + timedelta(minutes=7 * self.serial, microseconds=self.serial % 1000)).isoformat()

    def new_insight(self, text: str | None = None, **fields: object) -> dict[str, Any]:
        """Return an entry of insights.json."""
        return {
            "recorded_at": self.moment(),
            "type": self.rng.choice(_TYPES),
            "source": "weekly review",
            "insight": self.sentence() if text is None else text,
            "context": "",
            "actionable": True,
        } | fields

    def new_campaign(self, number: int, lessons: int = 20) -> dict[str, Any]:
        """Return a campaign of ``lessons`` things to remember: a plan, results, decisions, points, learnings."""
        rest = max(lessons - 2, 0)
        decisions, worked = rest // 6, rest // 6
        campaign: dict[str, Any] = {
            "campaign_id": f"campaign-{number:05d}",
            "created_at": self.moment(),
            "updated_at": self.moment(),
            "name": f"Spring launch {number}",
            "status": self.rng.choice(["planned", "active", "completed"]),
            "channels": self.rng.sample(_CHANNELS, 2),
            "budget": self.rng.randint(5, 80) * 100,
            "goals": ["more subscribers", "fewer cancellations"],
            "strategy_summary": self.sentence(),
            "learnings": [self.sentence() for _ in range(rest - decisions - worked)],
        }
        if lessons > 1:
            campaign["results"] = {
                "clicks": self.rng.randint(100, 9000),
                "conversion_rate": self.rng.random(),
                "run": number,
            }
        if decisions:
            campaign["strategy_decisions"] = [self.sentence() for _ in range(decisions)]
            campaign["retrospective"] = {"what_worked": [self.sentence() for _ in range(worked)]}
        return campaign

    def read_insights(self) -> list[dict[str, Any]]:
        """Return the entries of insights.json."""
        entries: list[dict[str, Any]] = read_json(self.insights_file)
        return entries

    def write_insights(self, entries: list[dict[str, Any]]) -> None:
        """Write insights.json."""
        write_json(self.insights_file, entries)

    def add_insight(self, text: str | None = None, **fields: object) -> dict[str, Any]:
        """Append an entry, as the plugin's script does, and return it."""
        entry = self.new_insight(text, **fields)
        self.write_insights([*self.read_insights(), entry])
        return entry

    def edit_insight(self, position: int, text: str) -> dict[str, Any]:
        """Change the text of one entry in place and return the entry."""
        entries = self.read_insights()
        entries[position]["insight"] = text
        self.write_insights(entries)
        return entries[position]

    def campaign_files(self) -> list[Path]:
        """Return the campaign files in a stable order."""
        return sorted((self.brand / "campaigns").glob("campaign-*.json"))

    def write_campaign(self, campaign: dict[str, Any]) -> None:
        """Write a campaign's file."""
        write_json(self.brand / "campaigns" / f"{campaign['campaign_id']}.json", campaign)

    def modify(self, count: int) -> None:
        """Change the text of ``count`` items: one learning each of as many campaigns, as scattered as edits can be."""
        for path, share in self._spread(count):
            campaign = read_json(path)
            for position in range(share):
                campaign["learnings"][position] = self.sentence()
            write_json(path, campaign)

    def add(self, count: int) -> None:
        """Add ``count`` new items: one learning each in as many campaigns."""
        for path, share in self._spread(count):
            campaign = read_json(path)
            campaign["learnings"] += [self.sentence() for _ in range(share)]
            write_json(path, campaign)

    def _spread(self, count: int) -> Iterator[tuple[Path, int]]:
        files = self.campaign_files()
        chosen = self.rng.sample(files, min(count, len(files)))
        for index, path in enumerate(chosen):
            yield path, count // len(chosen) + (index < count % len(chosen))

    def count_items(self) -> int:
        """Count what is worth remembering in the files, by the formats alone."""
        return sum(1 for _ in brand_texts(self.brand))


def brand_texts(brand: Path, parse: Callable[[bytes], Any] = json.loads) -> Iterator[tuple[str, str]]:
    """Yield (identity, text) of everything worth remembering in a generated brand, for controls that store the same."""
    for number, entry in enumerate(parse((brand / "insights.json").read_bytes())):
        if entry["insight"].strip():
            yield f"insight/{entry['recorded_at']}/{number}", entry["insight"]
    for path in sorted((brand / "campaigns").glob("campaign-*.json")):
        yield from _campaign_texts(parse(path.read_bytes()))


def _campaign_texts(campaign: dict[str, Any]) -> Iterator[tuple[str, str]]:
    name = campaign["campaign_id"]
    yield f"{name}#plan", f"{campaign['name']} ({campaign['status']}): {campaign['strategy_summary']}"
    if "results" in campaign:
        yield f"{name}#results", f"{campaign['name']}: {campaign['results']}"
    for index, text in enumerate(campaign.get("strategy_decisions", ())):
        yield f"{name}#decision/{index}", text
    for index, text in enumerate(campaign.get("retrospective", {}).get("what_worked", ())):
        yield f"{name}#worked/{index}", text
    for index, text in enumerate(campaign["learnings"]):
        yield f"{name}#learning/{index}", text


def read_json(path: Path) -> Any:
    """Read a file of the plugin's."""
    return json.loads(path.read_bytes())


def write_json(path: Path, value: object) -> None:
    """Write a file as the plugin's scripts do: plainly, indented, not escaped."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False), encoding="utf-8")


def _profile(slug: str) -> dict[str, Any]:
    """Return a profile that states nothing worth remembering by itself: the counts above are exact."""
    return {"brand_name": slug.capitalize(), "brand_slug": slug, "schema_version": "1.0.0"}
