"""Items for the tests of this folder."""

from __future__ import annotations

from dm_memory.items import ContentType, Facts, Item, Kind, Source


def make_item(
    content: str = "Short subject lines win.",
    facts: Facts | None = None,
    *,
    kind: Kind = Kind.INSIGHT,
    recorded_at: str = "",
    tags: tuple[str, ...] = (),
    source: Source = Source.SYNC,
    key: str = "",
) -> Item:
    return Item(
        key or f"{kind}/1",
        content,
        kind,
        ContentType.CAMPAIGN_LEARNING,
        recorded_at,
        facts or {},
        tags,
        source=source,
    )
