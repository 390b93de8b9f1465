"""Tags: what an item is about, detected from its facts and its text.

One scheme, ``dimension:value``, both in lower case with hyphens:

===============  =====================================================================================================
``type:``        the insight type; ``campaign-{section}`` for campaigns; else the kind (``guideline``, ``performance``)
``source:``      who recorded the insight; else the kind of file it came from
``channel:``     the campaign's channels, and channels the text names (``email``, ``paid-search``, ``linkedin``, ...)
``campaign:``    the campaign's id
``quarter:``     ``2026-q3``: of the item's date, and quarters the text names
``industry:``    the brand's primary industry
``market:``      target markets the text or the campaign's name mentions; the brand's market where it has just one
``competitor:``  the brand's competitors the text mentions
===============  =====================================================================================================

Tags that people give have no dimension of ours unless they write one. Detected values are at most 50 characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property, lru_cache
from typing import Protocol
from unicodedata import normalize

from dm_memory.errors import InputError
from dm_memory.items import Facts, Item, Kind
from dm_memory.text.channels import channel_terms, channels_named
from dm_memory.text.markets import names_of
from dm_memory.text.terms import Term, TermIndex, Words, words_of

__all__ = [
    "MAX_TAGS",
    "MAX_TAG_CHARS",
    "TAGGING_VERSION",
    "Tagger",
    "TaggingContext",
    "checked_tags",
    "normalise_tag",
    "normalise_tags",
]

TAGGING_VERSION = 2
"""Changes when the same item and context would be tagged otherwise."""

MAX_TAGS = 50
MAX_TAG_CHARS = 64
_MAX_VALUE_CHARS = 50

# Kept are letters, digits and marks of every script, and : . / between them; all else becomes a hyphen.
_NOT_IN_TAG = re.compile(
    r"[\s\x00-\x2d\x3b-\x40\x5b-\x60\x7b-\xa9\xab-\xb1\xb4\xb6-\xb8\xbb\xbf\u2000-\u206f\ud800-\udfff]+"
)
_EDGES = "-:./"
_QUARTER_WORDS = frozenset(f"q{number}".encode() for number in range(1, 5))
# Both start with a literal, which the engine finds fast; what must not stand before them is checked afterwards.
_QUARTER_FIRST = re.compile(r"q([1-4])[\s\-/_,]{1,3}(?:of )?(?:fy ?)?['\u2019]?((?:20)?[0-9]{2})(?![0-9a-z%.,])")
_YEAR_FIRST = re.compile(r"20([0-9]{2})[\s\-/_]{0,3}q([1-4])(?![0-9a-z])")


class TaggingContext(Protocol):
    """What tags and flags need of a brand's context; ``BrandContext`` has it all."""

    @property
    def industry(self) -> str:
        """The primary industry, or ""."""
        ...

    @property
    def target_markets(self) -> tuple[str, ...]:
        """Where the brand sells, as its profile writes it."""
        ...

    @property
    def competitors(self) -> tuple[str, ...]:
        """The competitors' names."""
        ...

    @property
    def banned_words(self) -> tuple[str, ...]:
        """Words the guidelines ban."""
        ...

    @property
    def restricted_claims(self) -> tuple[str, ...]:
        """Claims the guidelines restrict."""
        ...

    @property
    def avoid_words(self) -> tuple[str, ...]:
        """Words the brand would rather not use."""
        ...

    @property
    def preferred(self) -> tuple[tuple[str, str], ...]:
        """(word in lower case, what to write instead)."""
        ...

    @property
    def regulated(self) -> bool:
        """Whether the brand's industry is regulated."""
        ...

    @property
    def regulation_codes(self) -> tuple[str, ...]:
        """The regulations, as the profile names them."""
        ...

    @property
    def compliance_notes(self) -> str:
        """What the profile says of them."""
        ...

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages the brand writes (ISO 639-1)."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes when anything above does."""
        ...


@lru_cache(maxsize=16384)
def normalise_tag(text: str) -> str | None:
    """Return ``text`` as a tag: NFC, lower case, hyphens for all but letters, digits, ``:./``; None if empty.

    A tag longer than 64 characters is cut.
    """
    folded = normalize("NFC", normalize("NFC", text).lower())
    tag = _NOT_IN_TAG.sub("-", folded).strip(_EDGES)[:MAX_TAG_CHARS].strip(_EDGES)
    return tag or None


def normalise_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return the normalised tags, sorted, unique, at most 50 (the first ones given); unusable ones are left out."""
    kept = dict.fromkeys(tag for tag in map(normalise_tag, tags) if tag)
    return tuple(sorted(list(kept)[:MAX_TAGS]))


def checked_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return normalised tags from a call's arguments.

    Raises:
        InputError: More than 50 tags, one longer than 64 characters, or one with no letter or digit.
    """
    given = tuple(tags)
    if len(given) > MAX_TAGS:
        raise InputError(f"{len(given)} tags are too many.", f"Give at most {MAX_TAGS} tags.")
    for tag in given:
        if len(tag) > MAX_TAG_CHARS:
            raise InputError(
                f"The tag that starts with {tag[:20]!r} is too long.", f"Use at most {MAX_TAG_CHARS} characters."
            )
        if normalise_tag(tag) is None:
            raise InputError(f"The tag {tag!r} has no letter or digit.", "Leave it out or name it.")
    return normalise_tags(given)


@lru_cache(maxsize=16384)
def _tag(dimension: str, value: str) -> str | None:
    """Return ``dimension:value``, or None if the value has nothing a tag can contain."""
    slug = (normalise_tag(value.replace(":", "-")) or "")[:_MAX_VALUE_CHARS].strip(_EDGES)
    return f"{dimension}:{slug}" if slug else None


@lru_cache(maxsize=1024)
def _channel_tags(name: str) -> tuple[str, ...]:
    """Return the tags of a channel as a campaign names it: the known channels in the name, or the name itself."""
    own = _tag("channel", name)
    return channels_named(name) or ((own,) if own else ())


@lru_cache(maxsize=4096)
def _quarter_of(month: str) -> str | None:
    """Return the quarter tag of ``YYYY-MM``, or None for anything else."""
    year, dash, number = month[:4], month[4:5], month[5:7]
    if dash != "-" or not (year.isdecimal() and number.isdecimal() and month.isascii()) or not 1 <= int(number) <= 12:  # noqa: PLR2004  # months
        return None
    return f"quarter:{year}-q{(int(number) + 2) // 3}"


def _named_quarters(text: str) -> list[str]:
    lower = text.lower()
    first = [(match.start(), match[2][-2:], match[1]) for match in _QUARTER_FIRST.finditer(lower)]
    last = [(match.start(), match[1], match[2]) for match in _YEAR_FIRST.finditer(lower)]
    return [f"quarter:20{year}-q{number}" for at, year, number in first + last if not lower[at - 1 : at].isalnum()]


class Tagger:
    """Detects the tags of one brand's items.

    Args:
        context: The brand's industry, target markets and competitors.
    """

    def __init__(self, context: TaggingContext) -> None:
        self._brand_tags = _present([_tag("industry", context.industry)])
        markets = context.target_markets
        if len(markets) == 1:
            self._brand_tags += _present([_tag("market", markets[0])])
        self._context = context

    @cached_property
    def _markets(self) -> TermIndex:
        return TermIndex(_market_terms(self._context.target_markets))

    @cached_property
    def _terms(self) -> TermIndex:
        """Hundreds of terms, made for the first text: most syncs have none that changed."""
        context = self._context
        markets, competitors = _market_terms(context.target_markets), _competitor_terms(context.competitors)
        return TermIndex([*channel_terms(context.languages), *markets, *competitors])

    def tags(self, item: Item, content: str, words: Words | None = None, facts: Facts | None = None) -> tuple[str, ...]:
        """Return the detected tags, sorted and unique.

        Args:
            item: Its kind and date are looked at; its own tags are not.
            content: The text as it will be stored.
            words: ``words_of(content)``, where the caller has them already.
            facts: The item's facts without personal data; None for the item's own.
        """
        if words is None:
            words = words_of(content)
        found: set[str | None] = set(self._brand_tags)
        found.update(self._terms.find(content, words))
        if not _QUARTER_WORDS.isdisjoint(words):
            found.update(_named_quarters(content))
        found.update(self._from_facts(item, item.facts if facts is None else facts))
        return tuple(sorted(tag for tag in found if tag))

    def reasons(self, item: Item, content: str, facts: Facts) -> dict[str, tuple[str, tuple[str, ...]]]:
        """Return why ``tags`` detects what it does, by tag: in words, and the words of the text that speak for it."""
        reasons: dict[str, tuple[str, tuple[str, ...]]] = {
            tag: ("its date" if tag.startswith("quarter:") else "where it comes from", ())
            for tag in _present(self._from_facts(item, facts))
        }
        reasons |= dict.fromkeys(self._brand_tags, ("the brand's profile", ()))
        reasons |= dict.fromkeys(_named_quarters(content), ("the text names the quarter", ()))
        named = self._terms.named(content, words_of(content))
        return reasons | {tag: ("the text says", words) for tag, words in named.items()}

    def _from_facts(self, item: Item, facts: Facts) -> list[str | None]:
        get = facts.get
        kind: str = item.kind._value_
        tags = [_type_tag(item.kind, facts), _tag("source", _text(get("insight_source")) or kind)]
        if item.recorded_at:
            tags.append(_quarter_of(item.recorded_at[:7]))
        if campaign := _text(get("campaign_id")):
            tags.append(_tag("campaign", campaign))
        if name := _text(get("campaign_name")):
            tags += self._markets.find(name, words_of(name))
        channels = get("channels")
        if isinstance(channels, list):
            for channel in channels:
                tags += _channel_tags(channel)
        return tags


def _type_tag(kind: Kind, facts: Facts) -> str | None:
    if insight_type := _text(facts.get("insight_type")):
        return _tag("type", insight_type)
    if kind is Kind.CAMPAIGN and (section := _text(facts.get("section"))):
        return _tag("type", f"campaign-{section.partition('/')[0]}")
    return _tag("type", kind)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _present(tags: Iterable[str | None]) -> list[str]:
    return [tag for tag in tags if tag]


def _market_terms(markets: Iterable[str]) -> list[Term]:
    """Return the terms by which texts name the target markets; each stands for the market as the profile writes it."""
    terms = []
    for market in markets:
        if label := _tag("market", market):
            names = dict.fromkeys((market, *names_of(market)))
            terms += [Term(name, label, exact_case=name.isascii() and name.isupper()) for name in names]
    return terms


_LEGAL_FORM = re.compile(
    r"[\s,]+(?:inc|ltd|llc|corp|co|plc|gmbh|ag|s\.?a|s\.?r\.?l|b\.?v|limited|corporation)\.?$", re.IGNORECASE
)
_SHORT_NAME_CHARS = 7


def _competitor_terms(names: Iterable[str]) -> list[Term]:
    """Return the terms for competitors, with and without their legal form.

    A short capitalised name may be a common word (Target, Gap, Bolt): it is found only with its capital.
    """
    terms = []
    for name in names:
        short = _LEGAL_FORM.sub("", name.strip())
        label = _tag("competitor", short)
        if label:
            exact = short.istitle() and short.isalpha() and len(short) <= _SHORT_NAME_CHARS
            terms += [Term(form, label, exact_case=exact) for form in dict.fromkeys((name, short))]
    return terms
