"""What worked and what failed, merged over campaigns: a pure function over episodes.

Retrospectives say it point by point (``what_worked``, ``what_failed`` and their like in a campaign file; the section
is part of an episode's key). Points of several campaigns are one pattern where their texts are the same but for case,
white space, Unicode form and the punctuation around them: nothing is merged by guessing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from unicodedata import category, normalize

from dm_memory.items import Kind, storage_id
from dm_memory.storage.durable_rows import EpisodeRow, PatternRow

__all__ = ["find_patterns", "normalise_point", "pattern_id"]

_WORKED = frozenset(
    {"what_worked", "worked", "what_went_well", "went_well", "wins", "successes", "strengths", "keep", "keep_doing"}
)
_FAILED = frozenset(
    {
        "what_failed", "failed", "what_did_not_work", "what_didnt_work", "did_not_work", "didnt_work", "failures",
        "what_went_wrong", "went_wrong", "losses", "weaknesses", "stop", "stop_doing",
    }
)  # fmt: skip


@dataclass(slots=True)
class _Merged:
    """One pattern while it is being counted. Campaigns are counted, not mentions."""

    text: str
    worked: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    campaigns: set[str] = field(default_factory=set)
    channels: set[str] = field(default_factory=set)
    episodes: set[str] = field(default_factory=set)
    moments: set[str] = field(default_factory=set)


def find_patterns(brand: str, episodes: Iterable[EpisodeRow]) -> list[PatternRow]:
    """Return the patterns of a brand, the most frequent first.

    The result does not depend on the order of the episodes. Of several spellings the first in alphabetical order is
    shown. Episodes that are no point of a retrospective count for nothing.
    """
    found: dict[str, _Merged] = {}
    for episode in sorted(episodes, key=lambda episode: episode.id):
        outcome = _outcome(episode)
        if outcome is not None:
            for point in _points(episode):
                _count(found, episode, point, worked=outcome)
    rows = [_row(brand, normal, merged) for normal, merged in found.items()]
    return sorted(rows, key=lambda row: (-row.occurrence_count, row.text, row.id))


def pattern_id(brand: str, normal: str) -> str:
    """Return the UUID (version 5) of a pattern; ``normal`` is its text as ``normalise_point`` returns it."""
    return storage_id(brand, f"pattern/{normal}")


def normalise_point(text: str) -> str:
    """Return what two points must share to be one: NFKC, case folded, white space runs as one, no outer punctuation."""
    words = " ".join(normalize("NFKC", normalize("NFKC", text).casefold()).split())
    start, end = 0, len(words)
    while start < end and _is_outer(words[start]):
        start += 1
    while end > start and _is_outer(words[end - 1]):
        end -= 1
    return words[start:end]


def _is_outer(character: str) -> bool:
    """Tell white space and punctuation; not %, currency or other signs, which say something."""
    return character.isspace() or (category(character)[0] == "P" and character != "%")


def _outcome(episode: EpisodeRow) -> bool | None:
    """Return whether an episode says what worked (True) or what failed (False), by the section in its key."""
    if episode.kind != Kind.CAMPAIGN or "#" not in episode.key:
        return None
    for section in episode.key.split("#", 1)[1].casefold().split("/"):
        name = section.replace("'", "").replace("-", "_").replace(" ", "_")
        if name in _WORKED or name in _FAILED:
            return name in _WORKED
    return None


_LEAD = re.compile(r"\A\s*[,—-]\s*[^:\n]{1,120}:\s*")


def _points(episode: EpisodeRow) -> list[str]:
    """Return the points in an episode's text, without the campaign and section that lead it (``Name, section:``)."""
    name = str(_facts(episode).get("campaign_name") or "")
    text = episode.content
    if name and text.startswith(name):
        text = _LEAD.sub("", text[len(name) :], count=1) or text
    lines = text.strip().splitlines()
    bulleted = len(lines) > 1 and all(line.startswith("- ") for line in lines)
    return [line.removeprefix("- ") for line in lines] if bulleted else [text.strip()]


def _count(found: dict[str, _Merged], episode: EpisodeRow, point: str, *, worked: bool) -> None:
    normal = normalise_point(point)
    if not normal:
        return
    facts = _facts(episode)
    merged = found.setdefault(normal, _Merged(point))
    merged.text = min(merged.text, point)
    campaign = str(facts.get("campaign_id") or episode.key.split("#", 1)[0].removeprefix("campaign/"))
    (merged.worked if worked else merged.failed).add(campaign)
    merged.campaigns.add(campaign)
    channels = facts.get("channels")
    if isinstance(channels, list):
        merged.channels.update(channel for channel in channels if isinstance(channel, str))
    merged.episodes.add(episode.id)
    if episode.recorded_at:
        merged.moments.add(episode.recorded_at)


def _facts(episode: EpisodeRow) -> dict[str, Any]:
    """Return an episode's facts; damaged ones count as none, because the text is what counts here."""
    try:
        facts = json.loads(episode.facts)
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}


def _row(brand: str, normal: str, merged: _Merged) -> PatternRow:
    worked, failed = len(merged.worked), len(merged.failed)
    outcome = "mixed" if worked and failed else "worked" if worked else "failed"
    return PatternRow(
        id=pattern_id(brand, normal),
        brand=brand,
        text=merged.text,
        outcome=outcome,
        occurrence_count=worked + failed,
        worked_count=worked,
        failed_count=failed,
        success_rate=worked / (worked + failed),
        campaigns=_json(sorted(merged.campaigns)),
        channels=_json(sorted(merged.channels)),
        episode_ids=_json(sorted(merged.episodes)),
        first_seen=min(merged.moments, default=""),
        last_seen=max(merged.moments, default=""),
    )


def _json(values: Sequence[str]) -> str:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))
