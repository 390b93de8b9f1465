"""performance/*.json -> one item per snapshot."""

from __future__ import annotations

from dm_memory.brand.files import Limits, broken, parse_json
from dm_memory.brand.parsed import Collector, ParsedFile, SourceFile
from dm_memory.brand.text import NestedTooDeeplyError, capitalised, inline, is_empty, label, stamp
from dm_memory.items import ContentType, Kind, Value

__all__ = ["parse_performance"]

_IN_HEADING = frozenset(
    {"snapshot_id", "recorded_at", "campaign_id", "period", "brand", "brand_slug", "schema_version"}
)
_NAMES = {"vs_kpi": "Against the targets", "channel_breakdown": "By channel"}


def parse_performance(file: SourceFile, data: bytes, limits: Limits) -> ParsedFile:
    """Return the item of one snapshot file; a file that holds a list of snapshots gives one each.

    Raises:
        BrandFileError: The file is not JSON, or neither an object nor a list.
    """
    document = parse_json(data, file.path)
    if not isinstance(document, dict | list):
        raise broken(file.path, "is not a performance snapshot: an object is expected")
    snapshots = document if isinstance(document, list) else [document]
    collector = Collector(file.path, Kind.PERFORMANCE, limits)
    for position, snapshot in enumerate(snapshots):
        if not isinstance(snapshot, dict):
            collector.malformed(f"position {position}", "is not an object")
            continue
        try:
            _add_snapshot(collector, snapshot, file.stem)
        except NestedTooDeeplyError:
            collector.malformed(f"position {position}", "is nested too deeply")
    return collector.result(len(snapshots))


def _add_snapshot(collector: Collector, snapshot: dict[str, object], stem: str) -> None:
    snapshot_id = label(snapshot.get("snapshot_id")) or stem
    campaign_id, period = label(snapshot.get("campaign_id")), inline(snapshot.get("period"))
    lines = [
        f"{_NAMES.get(name) or capitalised(name)}: {text}"
        for name, value in snapshot.items()
        if name not in _IN_HEADING and not is_empty(value) and (text := inline(value))
    ]
    if not lines:
        collector.empty(snapshot_id)
        return
    facts: dict[str, Value] = {"section": "snapshot"}
    if campaign_id:
        facts["campaign_id"] = campaign_id
    if period:
        facts["period"] = label(period)
    heading = f"Performance of {campaign_id or snapshot_id}{f', {period}' if period else ''}"
    content = "\n".join((heading, *lines))
    recorded_at = stamp(snapshot.get("recorded_at"))
    collector.add(f"performance/{snapshot_id}", content, ContentType.PERFORMANCE_INSIGHT, recorded_at, facts)
