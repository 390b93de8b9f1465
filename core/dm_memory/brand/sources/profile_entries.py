"""profile.json -> what can be asked of it: positioning, voice, words, goals, markets, channels, competitors.

One entry a subject, with the profile's date. ``product-marketing-context.md``, the file that public marketing agents
keep, is a page whose sections are entries.
"""

from __future__ import annotations

from collections.abc import Sequence

from dm_memory.brand.context import BrandContext
from dm_memory.brand.files import Limits, broken
from dm_memory.brand.formats.pages import Target
from dm_memory.brand.formats.text import (
    NestedTooDeeplyError,
    canonical,
    capitalised,
    fields_of,
    inline,
    is_empty,
    is_placeholder,
    label,
    words,
)
from dm_memory.brand.formats.units import with_units
from dm_memory.brand.parsed import Collector, ParsedFile, SourceFile
from dm_memory.brand.records import date_of, open_records
from dm_memory.brand.sources.guidelines import parse_file
from dm_memory.items import ContentType, Kind, Value

__all__ = ["parse_context_page", "parse_profile"]

_NOT_TOLD = frozenset(
    {
        "brand_name",
        "brand_slug",
        "schema_version",
        "created_at",
        "updated_at",
        "last_updated",
        "version",
        "slug",
        "name",
    }
)
_WORDS = (
    ("avoid_words", "Words to avoid"),
    ("prefer_words", "Words to prefer"),
    ("this_not_that", "This, not that"),
    ("do_not_translate", "Words that are not translated"),
)
_TITLES = {
    "identity": "identity and positioning",
    "business_model": "business model",
    "industry": "industry and regulation",
    "target_markets": "target markets and audiences",
    "brand_voice": "brand voice",
    "channels": "channels",
    "competitors": "competitors",
    "goals": "goals",
    "language": "languages",
}
_NAMES = {"usp": "USP (unique selling proposition)", "unique_selling_proposition": "Unique selling proposition (USP)"}
# Scales that a new profile is filled with; alone they say nothing.
_SCALES = frozenset({"formality", "energy", "humor", "humour", "authority"})
_WORD_FIELDS = frozenset(name for name, _title in _WORDS)


def parse_profile(file: SourceFile, data: bytes, context: BrandContext, limits: Limits) -> ParsedFile:
    """Return an entry for each subject of a profile that says something.

    Raises:
        BrandFileError: The file can't be read, or is no object.
    """
    collector, value = open_records(file, data, Kind.GUIDELINE, limits)
    if not isinstance(value, dict):
        raise broken(file.path, "is not a profile: an object is expected")
    fields = fields_of(value)
    date = date_of(fields, context.date_order, ("updated_at", "last_updated", "created_at"))
    collector.updated_at = date
    entries = 0
    loose: list[str] = []
    for name, entry in fields.items():
        if name in _NOT_TOLD or is_empty(entry):
            continue
        entries += 1
        try:
            if not isinstance(entry, dict | list):
                loose += _lines({name: entry})
                continue
            _add_subject(collector, context, name, with_units(entry), date)
        except NestedTooDeeplyError:
            collector.malformed(name, "is nested too deeply")
    if loose:
        _add(collector, "brand", f"{context.name}, profile", loose, date)
    return collector.result(entries)


def _add_subject(collector: Collector, context: BrandContext, name: str, value: object, date: str) -> None:
    title = f"{context.name}, {_TITLES.get(name) or words(name)}"
    fields = fields_of(value) if isinstance(value, dict) else {}
    said = [f"{heading}: {text}" for word, heading in _WORDS if (text := _list(fields.get(word)))]
    if said:
        lead = f"{context.name}, words the brand uses and avoids"
        _add(collector, "words", lead, said, date)
    rest = {key: entry for key, entry in fields.items() if key not in _WORD_FIELDS}
    lines = (
        _lines(rest)
        if fields
        else [text for entry in _entries(value) if (text := inline(entry)) and not is_placeholder(text)]
    )
    if name == "industry" and not label(fields.get("primary")) and len(lines) == 1:
        return  # "Regulated: no" and nothing else
    if set(map(canonical, (line.partition(":")[0] for line in lines))) <= _SCALES:
        return
    _add(collector, name, title, lines, date)


def _add(collector: Collector, name: str, title: str, lines: Sequence[str], date: str) -> None:
    kind = ContentType.COMPETITIVE_INTEL if name == "competitors" else ContentType.GUIDELINE
    facts: dict[str, Value] = {"insight_type": "profile", "insight_source": "profile", "section": words(name)}
    collector.add(f"profile/{name}", "\n".join([title, *lines]), kind, recorded_at=date, facts=facts)


def _entries(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _list(value: object) -> str:
    """Return a list of words as text; pairs read "witty, not silly"."""
    if isinstance(value, dict):
        return inline(value)
    texts = []
    for entry in _entries(value):
        fields = fields_of(entry) if isinstance(entry, dict) else {}
        this, that = inline(fields.get("this")), inline(fields.get("not") or fields.get("that"))
        text = f"{this}, not {that}" if this and that else inline(entry)
        if text and not is_placeholder(text):
            texts.append(text)
    return ("; " if any("," in text for text in texts) else ", ").join(texts)


def _lines(fields: dict[str, object]) -> list[str]:
    lines = []
    for name, value in fields.items():
        text = "" if is_empty(value) else inline(value)
        if text and not is_placeholder(text):
            lines.append(f"{_NAMES.get(name) or capitalised(name)}: {text}")
    return lines


def parse_context_page(file: SourceFile, data: bytes, context: BrandContext, limits: Limits) -> ParsedFile:
    """Return the sections of a product marketing context."""
    facts = {"insight_type": "profile", "insight_source": "product-marketing-context"}
    target = Target(Collector(file, Kind.GUIDELINE, limits), "context", "", ContentType.GUIDELINE, facts)
    return parse_file(target, data, context)
