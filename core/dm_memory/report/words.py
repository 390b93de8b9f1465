"""Numbers, sizes, times, names and lists in words, the same way in every report."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from dm_memory.findings import count_of_entries as entries
from dm_memory.report.escape import code, inline
from dm_memory.services.protocol import Capacity

__all__ = [
    "ago",
    "amount",
    "capital",
    "counted",
    "duration",
    "entries",
    "listed",
    "model_words",
    "number",
    "percent",
    "place_of",
    "role_of",
    "role_words",
    "sentence_end",
    "short_id",
    "short_key",
    "size",
    "tally",
    "when",
]

_KILO = 1000
_DAY = 86_400
_HOUR = 3_600
_MINUTE = 60


_SHORT = 8
_LONG_HEX = re.compile(r"\b[0-9a-f]{16,}\b")

_ROLES = {
    "vector": "vector database",
    "graph": "knowledge graph",
    "cross-session": "cross-session memory",
    "durable": "durable store",
}
_CONTAINERS = {
    "qdrant": "collection",
    "falkordb": "group",
    "neo4j": "group",
    "supermemory": "namespace",
}


def role_of(service: str) -> str:
    """Return what a service is to the brand, out of its name: ``vector`` of ``vector@qdrant:host/collection``."""
    return inline(service.partition("@")[0], 40)


def role_words(role: str) -> str:
    """Return a service's role as people say it: ``vector database``."""
    return _ROLES.get(role, inline(role, 40))


def place_of(service: str, brand: str) -> str:
    """Return where in a service a brand's entries are, out of the service's name: ``collection `dm-memory```, or ""."""
    vendor, _, place = service.partition("@")[2].partition(":")
    container = place.rpartition("/")[2] if "/" in place else ""
    if vendor == "pinecone":  # its index is in the engine's name
        return f"namespace {code(brand, 60)}"
    return f"{_CONTAINERS[vendor]} {code(container, 60)}" if container and vendor in _CONTAINERS else ""


def model_words(tag: str) -> str:
    """Return an embedding model's name without the digest of its weights."""
    return inline(tag.partition("@")[0], 80)


def number(value: int) -> str:
    """Return ``10500`` as ``10,500``."""
    return f"{value:,}"


def counted(value: int, singular: str, plural: str = "") -> str:
    """Return ``1 thing``, ``10,500 things``; ``plural`` if an s is not enough."""
    return f"{value:,} {singular if value == 1 else plural or singular + 's'}"


def size(value: int) -> str:
    """Return bytes in the unit a person reads: ``512 bytes``, ``1.4 MB`` (1 MB is 1,000,000 bytes, as plans count)."""
    if value < _KILO:
        return counted(value, "byte")
    amount_left, unit = value / _KILO, "KB"
    for larger in ("MB", "GB", "TB"):
        if round(amount_left, 1) < _KILO:
            break
        amount_left, unit = amount_left / _KILO, larger
    return f"{amount_left:,.1f} {unit}"


def amount(value: int, unit: str) -> str:
    """Return ``value`` of a capacity's unit: bytes as a size, anything else counted as the provider names it."""
    if unit in {"byte", "bytes"}:
        return size(value)
    name = inline(unit, 30)
    return entries(value) if name == "entries" else counted(value, name.removesuffix("s"), name)


def percent(capacity: Capacity) -> str:
    """Return how full a service is, ``83 %``; one that is not full never reads as 100 %."""
    value = capacity.percent or 0.0
    if 0 < value < 1:
        return "less than 1 %"
    return f"{int(value)} %"


def duration(seconds: float) -> str:
    """Return seconds, rounded, in the unit that makes sense: ``20 ms``, ``3.4 seconds``, ``2 minutes``, ``5 hours``."""
    if seconds < 0.9995:  # noqa: PLR2004  # what rounds to a second is one
        return f"{max(0, round(seconds * 1000))} ms"
    if seconds < 9.95:  # noqa: PLR2004  # one decimal says something only below ten
        text = f"{seconds:.1f}".removesuffix(".0")
        return f"{text} second{'' if text == '1' else 's'}"
    whole = round(seconds)
    for unit_seconds, smaller, unit in ((_DAY, _HOUR, "day"), (_HOUR, _MINUTE, "hour"), (_MINUTE, 1, "minute")):
        if whole >= unit_seconds - smaller // 2:
            return counted(round(whole / unit_seconds), unit)
    return counted(whole, "second")


def ago(seconds: float) -> str:
    """Return an age: ``just now``, ``2 minutes ago``. A negative age (a clock that went back) reads as now."""
    return "just now" if seconds < _MINUTE else f"{duration(seconds)} ago"


def when(moment: str) -> str:
    """Return an ISO-8601 time as ``2026-11-21 01:45``, with its zone if it names one; a mere day stays a day.

    Text that is no time is shown escaped, as it stands.
    """
    try:
        parsed = datetime.fromisoformat(moment)
    except ValueError:
        return inline(moment, 40)
    if len(moment) == len("2026-11-21"):
        return moment
    offset = parsed.utcoffset()
    zone = "" if offset is None else " UTC" if offset == timedelta(0) else f" {parsed:%z}"
    return f"{parsed:%Y-%m-%d %H:%M}{zone}"


def listed(parts: Iterable[str]) -> str:
    """Return ``a``, ``a and b``, ``a, b and c``."""
    *head, last = parts
    return f"{', '.join(head)} and {last}" if head else last


def tally(counts: Mapping[str, int]) -> str:
    """Return counts per name, the largest first: ``120 campaign-learning, 90 performance-insight``."""
    ranked = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    return ", ".join(f"{number(count)} {inline(name, 40)}" for name, count in ranked if count)


def short_id(value: str) -> str:
    """Return the first 8 digits of a hash or an id, as Markdown shows it."""
    return value[:_SHORT]


def short_key(text: str) -> str:
    """Return a key, or a text with keys, in which whole hashes are cut to 8 digits."""
    return _LONG_HEX.sub(lambda match: match[0][:_SHORT] + "…", text)


def capital(text: str) -> str:
    """Return ``text`` with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def sentence_end(text: str) -> str:
    """Return ``text`` with a full stop if it has no end of its own; escaped if ``1.`` would begin a list."""
    if text.isdigit():
        return f"{text}\\."
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."
