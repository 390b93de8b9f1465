"""audiences.json and panels/*/panel.json -> an audience each: pains, motivations, what they respond to."""

from __future__ import annotations

from pathlib import PurePosixPath

from dm_memory.brand.context import BrandContext
from dm_memory.brand.files import Limits
from dm_memory.brand.formats.text import fields_of, inline, labels, slug_of, title_of
from dm_memory.brand.formats.units import with_units
from dm_memory.brand.parsed import Collector, ParsedFile, SourceFile
from dm_memory.brand.records import date_of, first_label, lines_of, open_records, records_in
from dm_memory.items import ContentType, Kind, Value
from dm_memory.text.hashing import content_hash

__all__ = ["parse_audiences"]


def parse_audiences(file: SourceFile, data: bytes, context: BrandContext, limits: Limits) -> ParsedFile:
    """Return the audiences of a file.

    Raises:
        BrandFileError: The file can't be read.
    """
    collector, value = open_records(file, data, Kind.INSIGHT, limits)
    if isinstance(value, dict) and isinstance(fields_of(value).get("segments"), list):
        return _panel(collector, fields_of(value), context)
    entries = 0
    for given, fields in records_in(collector, value, ("audiences", "personas", "segments")):
        entries += 1
        name = first_label(fields, "name", "audience", "segment", "persona", "title") or given
        lines = lines_of(fields, {"name", "audience", "segment", "persona", "title", "tags"})
        if not lines:
            collector.empty(name or f"position {entries - 1}")
            continue
        collector.updated_at = date_of(fields, context.date_order, ("updated_at", "created_at", "date"))
        _add(
            collector,
            f"audience/{_known_by(name, lines)}",
            f"Audience {name}".strip(),
            lines,
            fields,
            date_of(fields, context.date_order),
        )
    return collector.result(entries)


def _known_by(name: str, lines: list[str]) -> str:
    """Return what identifies an audience. One without a name is known by what it says: a place in the list is none."""
    return slug_of(name) if name else content_hash(lines[0])[:12]


def _panel(collector: Collector, panel: dict[str, object], context: BrandContext) -> ParsedFile:
    """A panel is a set of audiences: one entry each, and one for how well it was calibrated if that is known."""
    path = PurePosixPath(collector.file.path)  # audiences.json lies in no folder of its own
    panel_id = first_label(panel, "panel_id", "id") or path.parent.name or collector.file.stem
    title = first_label(panel, "panel_name", "name") or title_of(panel_id)
    date = date_of(panel, context.date_order, ("updated_at", "created_at", "recorded_at"))
    collector.updated_at = date
    segments, bare = panel["segments"], list[str]()
    assert isinstance(segments, list)  # noqa: S101  # the caller looked
    for segment in segments:
        units = with_units(segment)
        fields: dict[str, object] = fields_of(units) if isinstance(units, dict) else {"name": inline(segment)}
        name = first_label(fields, "name", "segment", "audience")
        lines = lines_of(fields, {"name", "segment", "audience", "tags"})
        bare += [name] if name and not lines else []
        if lines:
            _add(
                collector,
                f"panel/{panel_id}/{_known_by(name, lines)}",
                f"Audience {name} ({title})".replace("  ", " "),
                lines,
                fields,
                date,
            )
    if bare:
        _add(collector, f"panel/{panel_id}/names", f"Panel {title}", [f"Audiences: {', '.join(bare)}"], {}, date)
    if calibrations := inline(panel.get("calibrations")):
        text = [f"Calibrations: {calibrations}"]
        _add(collector, f"panel/{panel_id}/calibrations", f"Panel {title}", text, {}, date)
    return collector.result(len(segments))


def _add(  # one call a kind of audience
    collector: Collector, key: str, heading: str, lines: list[str], fields: dict[str, object], date: str
) -> None:
    facts: dict[str, Value] = {"insight_type": "audience", "insight_source": "audiences", "name": heading[:200]}
    if channels := labels(fields.get("channels")):
        facts["channels"] = channels
    text = "\n".join([heading, *lines])
    collector.add(
        key, text, ContentType.CAMPAIGN_LEARNING, recorded_at=date, facts=facts, tags=labels(fields.get("tags"))
    )
