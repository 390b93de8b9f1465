"""The entries of the sample brand, as a sync makes them."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from dm_memory.brand.context import load_context
from dm_memory.brand.files import Limits
from dm_memory.brand.home import Home
from dm_memory.brand.sources import list_sources, parse_source, read_source
from dm_memory.items import Item, Payload, storage_id
from dm_memory.sync.payloads import Preparer
from tests.facts.pieces import MET_AT

SAMPLE = "ember-and-oak"

_REPOSITORY = Path(__file__).resolve().parents[2]


def payload_of(brand: str, preparer: Preparer, item: Item) -> Payload:
    """Return what the store is given of an item."""
    made = preparer.prepare(item)
    return Payload(
        id=storage_id(brand, item.key),
        brand=brand,
        key=item.key,
        content=made.content,
        content_hash=made.content_hash,
        metadata_hash=sha256(repr((made.item.facts, made.given)).encode()).hexdigest(),
        content_type=item.content_type.value,
        kind=item.kind.value,
        source=item.source.value,
        tags=tuple(sorted({*made.given, *made.detected})),
        facts=made.facts,
        recorded_at=item.recorded_at,
        created_at=item.created_at or MET_AT,
    )


def sample_payloads() -> dict[str, Payload]:
    """Return the entries of the sample brand by their keys, as a sync makes them."""
    home, limits = Home(_REPOSITORY / "examples" / "home"), Limits()
    context = load_context(home, SAMPLE, limits)
    preparer = Preparer.of(SAMPLE, context, "mask")
    items = [
        item
        for file in list_sources(home, SAMPLE, "all").files
        for item in parse_source(file, read_source(home, SAMPLE, file, limits), context, limits).items
    ]
    return {item.key: payload_of(SAMPLE, preparer, item) for item in items}
