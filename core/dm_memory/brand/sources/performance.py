"""performance/* -> an item per snapshot, per piece of an export, and per sentence that stands beside figures.

The period is part of a snapshot's identity: July's figures in the file of June are another snapshot, not an edit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dm_memory.brand.context import BrandContext
from dm_memory.brand.files import Limits, broken, decode_text
from dm_memory.brand.formats.documents import read_document
from dm_memory.brand.formats.tables import read_tables, table_pieces
from dm_memory.brand.formats.text import (
    NestedTooDeeplyError,
    capitalised,
    fields_of,
    inline,
    is_empty,
    is_placeholder,
    label,
    labels,
    says_something,
    stamp,
    title_of,
    words,
)
from dm_memory.brand.formats.units import with_units
from dm_memory.brand.parsed import Collector, ParsedFile, SourceFile
from dm_memory.items import ContentType, Kind, Value
from dm_memory.text.dates import dates_in_heading

__all__ = ["parse_performance"]

_PERFORMANCE = ContentType.PERFORMANCE_INSIGHT
_IN_HEADING = frozenset(
    {"snapshot_id", "recorded_at", "campaign_id", "period", "brand", "brand_slug", "schema_version", "tags", "id"}
)
_NAMES = {"vs_kpi": "Against the targets", "channel_breakdown": "By channel"}
_DATES = ("recorded_at", "date", "created_at", "timestamp", "end_date", "period_end", "updated_at")
_SENTENCE_WORDS = 5
_LONG_LIST = 5


def parse_performance(file: SourceFile, data: bytes, context: BrandContext, limits: Limits) -> ParsedFile:
    """Return the items of one file: a snapshot, a list of them, or the rows of an export.

    Raises:
        BrandFileError: The file can't be read, or is neither an object nor a list.
    """
    collector = Collector(file, Kind.PERFORMANCE, limits)
    if file.suffix in {".csv", ".tsv"}:
        return _table(collector, decode_text(data), context.date_order)
    document = read_document(file, data)
    if not isinstance(document.value, dict | list):
        raise broken(file.path, "is not a performance snapshot: an object is expected")
    collector.findings, collector.whole = document.findings, document.whole
    snapshots = _snapshots(document.value)
    for position, snapshot in enumerate(snapshots):
        if not isinstance(snapshot, dict):
            collector.malformed(f"position {position}", "is not an object")
            continue
        try:
            units = with_units(snapshot)
            assert isinstance(units, dict)  # noqa: S101  # an object stays one
            _add_snapshot(collector, fields_of(units), context.date_order, several=isinstance(document.value, list))
        except NestedTooDeeplyError:
            collector.malformed(f"position {position}", "is nested too deeply")
    return collector.result(len(snapshots))


def _snapshots(value: dict[str, object] | list[object]) -> list[object]:
    if isinstance(value, list):
        return value
    fields = fields_of(value)
    inner = fields.get("snapshots", fields.get("reports"))
    return inner if isinstance(inner, list) and any(isinstance(entry, dict) for entry in inner) else [value]


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """What the items of one snapshot share."""

    key: str
    heading: str
    recorded_at: str
    facts: dict[str, Value]
    tags: tuple[str, ...]
    rolling: bool

    def add(self, collector: Collector, text: str, part: str = "") -> None:
        """Add the figures, or an entry of the list ``part``."""
        heading = f"{self.heading}, {part}:{chr(10) if text.startswith('- ') else ' '}" if part else f"{self.heading}\n"
        put = collector.add_entry if part else collector.add
        put(
            f"{self.key}#{part}" if part else self.key,
            f"{heading}{text}",
            _PERFORMANCE,
            recorded_at=self.recorded_at,
            facts={**self.facts, "section": part} if part else self.facts,
            tags=self.tags,
            rolling=self.rolling,
        )


def _snapshot(fields: dict[str, object], file: SourceFile, order: str, *, several: bool) -> _Snapshot:
    snapshot_id = label(fields.get("snapshot_id"))
    campaign_id, period = label(fields.get("campaign_id")), inline(fields.get("period"))
    known = snapshot_id or file.id
    facts: dict[str, Value] = {"section": "snapshot"}
    if campaign_id:
        facts["campaign_id"] = campaign_id
    if period:
        facts["period"] = label(period)
    date = next(filter(None, (stamp(fields.get(name), order) for name in _DATES)), "")
    # Of several in one file none is known by its place.
    moment = label(period) or (date if several else "")
    return _Snapshot(
        f"performance/{known}" if snapshot_id or not moment else f"performance/{known}@{moment}",
        f"Performance of {campaign_id or known}{f', {period}' if period else ''}",
        date or stamp(period, order) or _date_in_name(file.stem, order),
        facts,
        tuple(labels(fields.get("tags"))),
        # Without an id of its own a file is written again for the next period; its figures leave it and stay true.
        rolling=not snapshot_id and bool(period),
    )


def _add_snapshot(collector: Collector, fields: dict[str, object], order: str, *, several: bool) -> None:
    snapshot = _snapshot(fields, collector.file, order, several=several)
    collector.updated_at = stamp(fields.get("updated_at"), order) or snapshot.recorded_at
    lines: list[str] = []
    parts: list[tuple[str, str]] = []
    for name, value in fields.items():
        if name in _IN_HEADING or is_empty(value) or (isinstance(value, str) and is_placeholder(value)):
            continue
        if sentences := list(_sentences(value)):
            parts += [(words(name), text) for text in sentences]
        elif rows := _rows(value):
            parts += [(words(name), piece) for piece in _grouped(rows)]
        elif text := inline(value):
            lines.append(f"{_NAMES.get(name) or capitalised(name)}: {text}")
    if lines:
        snapshot.add(collector, "\n".join(lines))
    for name, text in parts:
        snapshot.add(collector, text, name)
    if not lines and not parts:
        collector.empty(snapshot.key)


def _sentences(value: object) -> Iterator[str]:
    """Yield what somebody wrote beside the figures: sentences, alone or in a list; a list with figures has none."""
    entries = [entry for entry in (value if isinstance(value, list) else [value]) if not is_empty(entry)]
    texts = [entry.strip() for entry in entries if isinstance(entry, str)]
    if len(texts) == len(entries) and any(len(text.split()) >= _SENTENCE_WORDS for text in texts):
        yield from (text for text in texts if says_something(text) and not is_placeholder(text))


def _rows(value: object) -> list[str]:
    """Return the rows of a long list of objects, each with the names of its columns; [] for what fits into a line."""
    if not isinstance(value, list) or len(value) <= _LONG_LIST or not all(isinstance(entry, dict) for entry in value):
        return []
    return [text for entry in value if (text := inline(entry))]


def _grouped(rows: list[str]) -> Iterator[str]:
    lines: list[str] = []
    for row in rows:
        if lines and sum(map(len, lines)) + len(row) > 1200:  # noqa: PLR2004  # what a reader takes in at once
            yield "\n".join(lines)
            lines = []
        lines.append(f"- {row}")
    if lines:
        yield "\n".join(lines)


def _table(collector: Collector, text: str, order: str) -> ParsedFile:
    """An export: what stands before its header names it, every piece of its rows carries the header."""
    from dm_memory.brand.formats.pages import without_double_encoding  # noqa: PLC0415  # only for such a file

    stem, entries = collector.file.stem, 0
    facts: dict[str, Value] = {"section": "report", "name": label(title_of(stem))}
    for before, header, rows in read_tables(without_double_encoding(text)):
        found = [date for line in [*before, stem] if (date := dates_in_heading(line, order))]
        heading = ", ".join([f"Performance report {title_of(stem)}", *before])
        entries += len(rows)
        for piece in table_pieces(header, rows):
            content = f"{heading}\n{piece}"
            key = f"performance/{collector.file.name.removeprefix('performance/')}#rows"
            recorded_at = found[0].iso if found else ""
            collector.add_entry(key, content, _PERFORMANCE, recorded_at=recorded_at, facts=facts)
    if not collector.items:
        collector.nothing()
    return collector.result(entries)


def _date_in_name(stem: str, order: str) -> str:
    written = dates_in_heading(stem, order)
    return written.iso if written else ""
