"""insights.json -> items, one per entry. Entries roll out of the file; what left it stays in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from dm_memory.brand.context import BrandContext
from dm_memory.brand.files import Limits, broken
from dm_memory.brand.formats.documents import read_document
from dm_memory.brand.formats.text import (
    MAX_DEPTH,
    NestedTooDeeplyError,
    block,
    capitalised,
    fields_of,
    inline,
    is_bare,
    is_empty,
    is_placeholder,
    label,
    labels,
    raw_stamp,
    says_something,
)
from dm_memory.brand.formats.units import with_units
from dm_memory.brand.parsed import Collector, ParsedFile, SourceFile
from dm_memory.items import ContentType, Kind, Value
from dm_memory.text.dates import read_date

__all__ = ["content_type_of", "parse_insights", "statement_of", "with_contexts"]

_COMPETITIVE = frozenset(
    {"competitor_insight", "competitive_alert", "competitive_insight", "competitive_intel", "competitor", "competition"}
)
_LEARNING = frozenset({"strategy_adjustment", "strategy_decision", "decision", "strategy", "campaign_learning"})
_GUIDELINE = frozenset({"guideline", "brand_rule"})
_TEXTS = (
    *("insight", "finding", "learning", "lesson", "text", "note", "observation", "takeaway", "statement", "message"),
    *("content", "description", "summary", "erkenntnis", "hallazgo", "constat", "aprendizaje", "aprendizado"),
    *(
        "apprendimento",
        "inzicht",
        "wniosek",
        "вывод",
        "気づき",
        "学び",
        "洞察",
        "经验",
        "인사이트",
        "key_insight",
        "body",
    ),
)
_TEXT_NAMES = frozenset(_TEXTS)
_SETS = frozenset(
    {"insights", "learnings", "findings", "lessons", "key_learnings", "key_insights", "takeaways", "notes"}
)
_DATES = (
    *(
        "recorded_at",
        "date",
        "timestamp",
        "created_at",
        "time",
        "datum",
        "fecha",
        "data",
        "updated_at",
        "дата",
        "tarih",
    ),
    *("dato", "日付", "日期", "날짜"),
)
_PERIODS = ("observed_at", "learned_at", "noted_at", "period", "quarter", "month", "week", "zeitraum", "quartal")
_IDS = frozenset({"id", "uuid", "insight_id", "brand", "brand_slug", "schema_version", "version"})


def content_type_of(insight_type: str) -> ContentType:
    """Return the content type of an insight type: a performance insight unless the type says otherwise."""
    name = insight_type.strip().lower().replace("-", "_").replace(" ", "_")
    if name in _COMPETITIVE or name.startswith(("competit", "wettbewerb")):
        return ContentType.COMPETITIVE_INTEL
    if name in _LEARNING:
        return ContentType.CAMPAIGN_LEARNING
    return ContentType.GUIDELINE if name in _GUIDELINE else ContentType.PERFORMANCE_INSIGHT


def parse_insights(file: SourceFile, data: bytes, context: BrandContext, limits: Limits) -> ParsedFile:
    """Return the items of insights.json. Entries recorded at the same instant share a key; ordinals come later.

    Raises:
        BrandFileError: The file can't be read, or is no list in any shape.
    """
    document = read_document(file, data)
    entries = _lists_of(document.value)
    if entries is None:
        raise broken(file.path, "is not a list of insights")
    collector = Collector(file, Kind.INSIGHT, limits, rolling=True, findings=document.findings, whole=document.whole)
    for position, entry in enumerate(entries):
        if not isinstance(entry, str | list | dict):
            collector.malformed(f"position {position}", "is not an object")
            continue
        try:
            for one in _single(entry):
                _add_insight(collector, one, position, context.date_order)
        except NestedTooDeeplyError:
            collector.malformed(f"position {position}", "is nested too deeply")
    return collector.result(len(entries))


def _single(entry: object, depth: int = 0) -> Iterator[dict[str, object]]:
    """Yield the insights of an entry: a list of them is one each, an object below the text's name is the entry."""
    if depth > MAX_DEPTH:
        raise NestedTooDeeplyError
    if isinstance(entry, list):
        for one in entry:
            yield from _single(one, depth + 1)
    elif isinstance(entry, dict):
        fields = fields_of(entry)
        name = next((name for name in (*_TEXTS, *_SETS) if not is_empty(fields.get(name))), "")
        value = fields.get(name)
        rest = {key: other for key, other in fields.items() if key != name}
        if isinstance(value, list):
            for one in value:
                own = one if isinstance(one, dict) else {"insight": one} if says_something(inline(one)) else {}
                yield from _single(rest | own, depth + 1)
        elif isinstance(value, dict) and any(not is_empty(fields_of(value).get(inner)) for inner in _TEXTS):
            yield from _single(rest | value, depth + 1)
        else:
            yield entry
    else:
        yield {"insight": entry} if isinstance(entry, str) and says_something(entry) else {}


def _lists_of(value: object) -> list[object] | None:
    """Return the entries of a document: a list, the lists inside an object, or its members by their dates or ids."""
    if isinstance(value, list):
        return value
    if not isinstance(value, dict):
        return None
    fields = fields_of(value)
    if any(not is_empty(fields.get(name)) and not isinstance(fields.get(name), list | dict) for name in _TEXTS):
        return [value]
    found: list[object] = []
    for name, entry in value.items():
        if isinstance(entry, list):
            found += entry
        elif isinstance(entry, dict):
            dated = read_date(name) is not None and not any(read in fields_of(entry) for read in _DATES)
            inner = _lists_of(entry) if not any(name in fields_of(entry) for name in _TEXTS) else None
            found += inner if inner is not None else [{**entry, "date": name} if dated else entry]
    return found


def _add_insight(collector: Collector, entry: dict[str, object], position: int, order: str) -> None:
    fields = fields_of(entry)
    name = _text_name(fields)
    text = fields.get(name)
    if isinstance(text, bool):
        collector.malformed(f"position {position}", "has a yes or no where its text belongs")
        return
    text = block(text)
    date_name = next((name for name in _DATES if raw_stamp(fields.get(name))), "")
    date = fields.get(date_name)
    raw, written = raw_stamp(date), read_date(date if isinstance(date, str | int | float) else None, order)
    facts, tags = _facts(fields)
    title = label(fields["title"]) if "title" in fields else ""
    content = f"{title}: {text}" if title and title.casefold() not in text.casefold() else text
    content += _context(fields, name) + _rest(fields, {name, date_name})
    if name not in fields and _TEXT_NAMES.isdisjoint(fields):
        text = content = content.strip()  # figures with their names, and no sentence
    if not text or is_placeholder(text) or (content == text and is_bare(text)):
        collector.empty(f"position {position}")
        return
    if written is None and not raw:
        written = next((read for name in _PERIODS if (read := read_date(raw_stamp(fields.get(name)), order))), None)
    if raw and (written is None or not written.exact):
        content += f"\n\nDate: {raw}"
    collector.add(
        f"insight/{raw or _undated(text)}",
        content,
        content_type_of(str(facts.get("insight_type", ""))),
        recorded_at=written.iso if written else "",
        facts=facts,
        tags=tags,
        shared_key=bool(raw),
    )


def _text_name(fields: dict[str, object]) -> str:
    """Return the name of the field that is an insight's text: one of the usual ones, else the longest sentence."""
    known = next((name for name in _TEXTS if not is_empty(fields.get(name))), "")
    if known or not _TEXT_NAMES.isdisjoint(fields):
        return known
    said = {
        name: len(value)
        for name, value in fields.items()
        if isinstance(value, str) and name not in _FACTS and says_something(value) and not is_placeholder(value)
        if name not in _DATES and read_date(value) is None and not is_bare(value)
    }
    return max(said, key=said.__getitem__, default="")


def _undated(text: str) -> str:
    return f"undated-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


_FACTS = {
    "type": "insight_type",
    "source": "insight_source",
    "campaign_id": "campaign_id",
    "campaign": "campaign_name",
    "campaign_name": "campaign_name",
    "confidence": "confidence",
    "metric": "metric",
    "impact": "impact",
    "priority": "priority",
}


def _facts(fields: dict[str, object]) -> tuple[dict[str, Value], tuple[str, ...]]:
    """Return what becomes metadata: facts by their names, and the entry's own tags."""
    facts: dict[str, Value] = {}
    for name, value in fields.items():
        if name in _FACTS:
            if text := label(value):
                facts[_FACTS[name]] = text
        elif name in {"channel", "channels"}:
            if channels := labels(value):
                facts["channels"] = channels
        elif name == "actionable" and isinstance(value, bool):
            facts["actionable"] = value
    return facts, tuple(labels(fields["tags"])) if "tags" in fields else ()


_SHOWN_ELSEWHERE = _IDS | {
    *("type", "source", "tags", "context", "actionable", "campaign_id", "recorded_at", "created_at", "updated_at"),
    "title",
}


def _context(fields: dict[str, object], text_name: str) -> str:
    context, action = fields.get("context") if text_name != "context" else None, fields.get("actionable")
    text = ""
    if not is_empty(context) and (words := block(context)):
        text = f"\n\nContext: {words}" if "\n" not in words else f"\n\nContext:\n{words}"
    if not isinstance(action, bool | int | float) and not is_empty(action) and (words := block(action)):
        text += f"\nAction: {words}" if text else f"\n\nAction: {words}"
    return text


def _rest(fields: dict[str, object], shown: set[str]) -> str:
    """Return what stands beside the text as lines of their own: evidence, metrics, whatever it is called."""
    rest = {name: value for name, value in fields.items() if name not in _SHOWN_ELSEWHERE and name not in shown}
    if not rest:
        return ""
    units = with_units(rest)
    assert isinstance(units, dict)  # noqa: S101  # an object stays one
    texts = ((name, "" if is_empty(value) else inline(value)) for name, value in units.items())
    lines = [f"{capitalised(name)}: {text}" for name, text in texts if text and not is_placeholder(text)]
    return "\n\n" + "\n".join(lines) if lines else ""


def statement_of(content: str) -> str:
    """Return an insight's text without its context: what the session's hook and an assistant have in common."""
    return content.partition("\n\nContext:")[0].strip()


def with_contexts(content: str, others: list[str]) -> str:
    """Return ``content`` with the contexts that other records of the same statement have."""
    statement = statement_of(content)
    found = [text.strip().removeprefix(statement_of(text)).strip() for text in (content, *others)]
    contexts = list(dict.fromkeys(text for text in found if text))
    return "\n\n".join([statement, *contexts])
