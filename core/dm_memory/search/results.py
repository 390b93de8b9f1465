"""What search takes and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from dm_memory.findings import Finding
from dm_memory.items import ContentType, Priority
from dm_memory.results import PatternLine

__all__ = [
    "PASSAGE_CHARS",
    "EntityFacts",
    "Explanation",
    "FactLine",
    "Hit",
    "Mode",
    "Relevance",
    "RevisionLine",
    "SearchRequest",
    "SearchResult",
    "WordFound",
]


PASSAGE_CHARS = 600
"""As much of a text as an answer shows: of a longer one, the part that fits best."""


class Mode(StrEnum):
    """How to search: by meaning and words, by meaning alone, or by all words as they are written."""

    HYBRID = "hybrid"
    SEMANTIC = "semantic"
    EXACT = "exact"


class Relevance(StrEnum):
    """How well a hit fits, from its raw similarity and the rare words of the question that it contains."""

    HIGHLY = "highly relevant"
    RELATED = "related"
    TANGENTIAL = "tangentially related"


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """The arguments of ``search_memory``.

    Attributes:
        query: A question or words; "quoted phrases" have to occur as written. May be empty with ``history_of``.
        from_date: A day, or words: "2026-03-31", "last 90 days", "Q4 2025", "this year"; "" for any. If it names a
            period and ``to_date`` is empty, both ends are the period's.
        to_date: As above, included.
        as_of: A day: what was in force on it.
        min_priority: Entries of a lower one are left out.
        include_retired: None: below the current hits, without guidelines; true: with guidelines; false: not at all.
        history_of: An entry's key: what it said when, and what changed it.
        explain: Say of each hit why it is there.
        author: Only what they stored: a name or a part of it, in any case; "" for everybody.
    """

    query: str
    brand: str | None = None
    content_type: ContentType | None = None
    tags: tuple[str, ...] = ()
    from_date: str = ""
    to_date: str = ""
    limit: int = 10
    mode: Mode = Mode.HYBRID
    as_of: str = ""
    min_priority: Priority = Priority.LOW
    include_expired: bool = False
    include_retired: bool | None = None
    history_of: str = ""
    explain: bool = False
    author: str = ""


@dataclass(frozen=True, slots=True)
class WordFound:
    """A word of the question: how rare it is (its weight), and whether the hit contains it."""

    word: str
    weight: float
    found: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a hit is where it is.

    ``score = (1 - weight) * by_words + weight * by_meaning + by_single_words + by_neighbours``; hits below the best
    15, whose single words are not compared, may have less, so that they stay below those.

    Attributes:
        words: The question's words.
        bm25: The raw score by words.
        by_words: The same between 0 and 1: the best candidate has 1.
        similarity: The raw similarity; None without a vector.
        by_meaning: The same between 0 and 1.
        weight: Of meaning against words; belongs to the model.
        by_single_words: What words of similar meaning added.
        by_neighbours: What entries of the same session added.
        reasons: In words, for people.
    """

    words: tuple[WordFound, ...]
    bm25: float
    by_words: float
    similarity: float | None
    by_meaning: float
    weight: float
    by_single_words: float
    by_neighbours: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hit:
    """An entry that was found.

    Attributes:
        passage: The part of a long text that fits best; the whole of a short one.
        score: What orders the hits; comparable within one answer only.
        similarity: Cosine to the question, centred on the brand's mean; None without vectors.
        share: How much of the question's words, weighted by rarity, occurs in it: 0 to 1.
        words: Those words.
        is_expired: Shown because ``include_expired`` asked for it.
        is_waiting: It waits in ``memory/pending/`` for the next sync.
        revision: The number of the revision whose text this is (``as_of``); None for the present text.
        service: The connected service that proposed it; "" for what is stored here.
    """

    id: str
    key: str
    content: str
    passage: str
    kind: str
    content_type: str
    source: str
    tags: tuple[str, ...]
    recorded_at: str
    score: float
    relevance: Relevance
    similarity: float | None = None
    share: float = 0.0
    words: tuple[str, ...] = ()
    priority: str = "normal"
    created_at: str = ""
    expires_at: str = ""
    is_expired: bool = False
    state: str = "current"
    retired_at: str = ""
    version: int = 1
    author: str = ""
    is_waiting: bool = False
    revision: int | None = None
    service: str = ""
    explanation: Explanation | None = None


@dataclass(frozen=True, slots=True)
class FactLine:
    """A fact: since when it was valid, until when ("" if it still is), and the entry it comes from."""

    text: str
    valid_at: str
    invalid_at: str
    key: str
    is_retired: bool = False


@dataclass(frozen=True, slots=True)
class EntityFacts:
    """An entity that the question names: the facts valid at that time, the latest first, and what replaced what."""

    name: str
    type: str
    facts: tuple[FactLine, ...]
    changes: tuple[tuple[FactLine, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class RevisionLine:
    """What an entry said from one moment to another ("" for now), and why that ended."""

    number: int
    content: str
    recorded_at: str
    replaced_at: str
    reason: str


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The answer.

    Attributes:
        hits: Best first: current, then retired entries.
        elsewhere: What only a connected service has, in its order.
        known: Whether memory has an answer; if not, the hits are the nearest there is.
        evidence: What ``known`` was decided by, and the threshold.
        entries: How many entries were searched, after filters.
        model: Tag of the embedding model, or "" if the search was by words alone.
        words: What counted in the question; ``ignored`` are its question words and stop words.
        entities: What the question names.
        patterns: What worked or failed over campaigns, of what the hits state; at most three.
        history: For ``history_of``: the entry's texts, the oldest first.
        findings: What the reader should know: a service that did not answer, entries without vectors.
    """

    brand: str
    query: str
    filters: Mapping[str, str]
    hits: tuple[Hit, ...]
    known: bool = True
    elsewhere: tuple[Hit, ...] = ()
    evidence: tuple[float, float] = (0.0, 0.0)
    entries: int = 0
    model: str = ""
    mode: Mode = Mode.HYBRID
    words: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    entities: tuple[EntityFacts, ...] = ()
    patterns: tuple[PatternLine, ...] = ()
    history: tuple[RevisionLine, ...] = ()
    findings: tuple[Finding, ...] = ()
