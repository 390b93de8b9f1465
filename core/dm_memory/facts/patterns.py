"""What worked and what failed, merged over campaigns: pure functions over entries.

Retrospectives say it point by point (``what_worked``, ``what_failed`` and their like in a campaign file; the section
is part of an entry's key). Points of several campaigns are one pattern if their texts are the same but for case, white
space, Unicode form and the punctuation around them: nothing is merged by guessing.

A pattern depends on nothing but the points that have its id, so what changed entries state, and stated before, names
all the patterns that have to be counted again; see ``store.patterns``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from unicodedata import category, normalize

from dm_memory.facts.draft import section_of
from dm_memory.items import Facts, Kind, storage_id

__all__ = [
    "Counted",
    "Episode",
    "PatternRow",
    "Point",
    "normalise_point",
    "outcome_of",
    "pattern_id",
    "pattern_of",
    "points_of",
    "with_others",
]

_WORKED = frozenset(
    {"what_worked", "worked", "what_went_well", "went_well", "wins", "successes", "strengths", "keep", "keep_doing"}
)
_FAILED = frozenset(
    {
        "what_failed", "failed", "what_did_not_work", "what_didnt_work", "did_not_work", "didnt_work", "failures",
        "what_went_wrong", "went_wrong", "losses", "weaknesses", "stop", "stop_doing",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Episode:
    """What patterns need of an entry.

    Attributes:
        id: Storage id of the entry; of the one that stands for it, if it is a duplicate.
    """

    id: str
    key: str
    kind: str
    content: str
    facts: Facts
    recorded_at: str


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that worked or failed, as an entry states it. ``id`` is its pattern's."""

    id: str
    text: str
    worked: bool
    episode: Episode


@dataclass(frozen=True, slots=True)
class PatternRow:
    """What worked or failed, merged over campaigns. ``campaigns``, ``channels`` and ``episode_ids`` are JSON lists.

    Attributes:
        outcome: ``worked``, ``failed`` or ``mixed``.
        campaigns: Those in which it worked, then those in which it failed: ``occurrence_count`` ids, each part sorted.
        occurrence_count: In how many campaigns it was met; one that reports both outcomes counts twice.
        success_rate: Share of the occurrences that worked, 0 to 1.
    """

    id: str
    brand: str
    text: str
    outcome: str
    occurrence_count: int
    worked_count: int
    failed_count: int
    success_rate: float
    campaigns: str
    channels: str
    episode_ids: str
    first_seen: str
    last_seen: str


@dataclass(frozen=True, slots=True)
class Counted:
    """What a machine counted.

    Attributes:
        rows: Patterns that are to be stored.
        files: Ids of the campaigns whose files are on this machine.
        whole: ``rows`` are all the patterns it knows: what else the store contains is looked at as well.
    """

    rows: Sequence[PatternRow]
    files: Collection[str] = ()
    whole: bool = False


# Points --------------------------------------------------------------------------------------------------------------


def points_of(brand: str, episode: Episode) -> list[Point]:
    """Return the points an entry states; none unless it is a part of a retrospective that says what worked or failed.

    Each pattern at most once, in the spelling that comes first in alphabetical order.
    """
    outcome = outcome_of(episode.key) if episode.kind == Kind.CAMPAIGN else None
    if outcome is None:
        return []
    texts: dict[str, str] = {}
    for text in _texts(episode):
        if normal := normalise_point(text):
            texts[normal] = min(text, texts.get(normal, text))
    return [Point(pattern_id(brand, normal), text, outcome, episode) for normal, text in texts.items()]


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
    """Return whether it is white space or punctuation; not %, currency or other signs, which say something."""
    return character.isspace() or (category(character)[0] == "P" and character != "%")


def outcome_of(key: str) -> bool | None:
    """Return from a campaign entry's key whether its section says what worked (True) or what failed (False)."""
    return _outcome_in(section_of(key))


@lru_cache(maxsize=1024)  # a brand's campaigns have the same few sections, ten thousand times
def _outcome_in(sections: str) -> bool | None:
    for section in sections.casefold().split("/"):
        name = section.replace("'", "").replace("-", "_").replace(" ", "_")
        if name in _WORKED or name in _FAILED:
            return name in _WORKED
    return None


_LEAD = re.compile(r"\A\s*[,—-]\s*[^:\n]{1,120}:\s*")


def _texts(episode: Episode) -> list[str]:
    """Return the points in an entry's text, without the campaign and section that lead it (``Name, section:``)."""
    name = str(episode.facts.get("campaign_name") or "")
    text = episode.content
    if name and text.startswith(name):
        text = _LEAD.sub("", text[len(name) :], count=1) or text
    lines = text.strip().splitlines()
    bulleted = len(lines) > 1 and all(line.startswith("- ") for line in lines)
    return [line.removeprefix("- ") for line in lines] if bulleted else [text.strip()]


# Patterns ------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Merged:
    """One pattern while it is being counted. Campaigns are counted, not mentions."""

    worked: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    channels: set[str] = field(default_factory=set)
    episodes: set[str] = field(default_factory=set)
    moments: set[str] = field(default_factory=set)


def pattern_of(brand: str, points: Sequence[Point]) -> PatternRow:
    """Return the pattern of all its points; of several spellings the first in alphabetical order is shown."""
    merged = _Merged()
    for point in points:
        episode = point.episode
        campaign = str(episode.facts.get("campaign_id") or episode.key.split("#", 1)[0].removeprefix("campaign/"))
        (merged.worked if point.worked else merged.failed).add(campaign)
        channels = episode.facts.get("channels")
        if isinstance(channels, list):
            merged.channels.update(channel for channel in channels if isinstance(channel, str))
        merged.episodes.add(episode.id)
        if episode.recorded_at:
            merged.moments.add(episode.recorded_at)
    row = PatternRow(
        id=points[0].id,
        brand=brand,
        text=min(point.text for point in points),
        outcome="",
        occurrence_count=0,
        worked_count=0,
        failed_count=0,
        success_rate=0.0,
        campaigns="",
        channels=_json(sorted(merged.channels)),
        episode_ids=_json(sorted(merged.episodes)),
        first_seen=min(merged.moments, default=""),
        last_seen=max(merged.moments, default=""),
    )
    return _counted(row, merged.worked, merged.failed)


def _counted(row: PatternRow, worked: set[str], failed: set[str]) -> PatternRow:
    """Return the row with what follows from the campaigns in which it worked and failed."""
    return replace(
        row,
        outcome="mixed" if worked and failed else "worked" if worked else "failed",
        occurrence_count=len(worked) + len(failed),
        worked_count=len(worked),
        failed_count=len(failed),
        success_rate=len(worked) / (len(worked) + len(failed)),
        campaigns=_json([*sorted(worked), *sorted(failed)]),
    )


def _json(values: Sequence[str]) -> str:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


# Teams ---------------------------------------------------------------------------------------------------------------


def with_others(
    own: Mapping[str, PatternRow], stored: Mapping[str, PatternRow], files: Collection[str]
) -> list[PatternRow]:
    """Return the patterns of a team: those found here, and what the store says of campaigns whose files are elsewhere.

    A text that two campaigns of one name share is stored once, so only the machine with their files can count both.

    Args:
        own: What was counted on this machine, by id.
        stored: What the team's store has, by id; a pattern that only campaigns of this machine bear out is left out.
        files: Ids of the campaigns whose files are on this machine: what it says of them counts.
    """
    found = [_joined(row, stored.get(id_), files) for id_, row in own.items()]
    others = (_of_others(row, files) for id_, row in stored.items() if id_ not in own)
    return [*found, *(row for row in others if row is not None)]


def _of_others(stored: PatternRow, files: Collection[str]) -> PatternRow | None:
    """Return a stored pattern without the campaigns of this machine; None if nothing else bears it out."""
    worked, failed = (names - set(files) for names in _campaigns(stored))
    return _counted(stored, worked, failed) if worked or failed else None


def _joined(own: PatternRow, stored: PatternRow | None, files: Collection[str]) -> PatternRow:
    here = _campaigns(own)
    others = stored and _of_others(stored, {*files, *here[0], *here[1]})
    if not others:
        return own
    there = _campaigns(others)
    joined = replace(
        own,
        text=min(own.text, others.text),
        channels=_json(_union(own.channels, others.channels)),
        episode_ids=_json(_union(own.episode_ids, others.episode_ids)),
        first_seen=min(filter(None, (own.first_seen, others.first_seen)), default=""),
        last_seen=max(own.last_seen, others.last_seen),
    )
    return _counted(joined, here[0] | there[0], here[1] | there[1])


def _campaigns(row: PatternRow) -> tuple[set[str], set[str]]:
    """Return in which campaigns it worked and in which it failed; nothing if the row does not tell them apart."""
    try:
        names = json.loads(row.campaigns)
    except ValueError:
        return set(), set()
    if not isinstance(names, list) or len(names) != row.worked_count + row.failed_count:
        return set(), set()
    return set(names[: row.worked_count]), set(names[row.worked_count :])


def _union(one: str, other: str) -> list[str]:
    return sorted({*json.loads(one), *json.loads(other)})
