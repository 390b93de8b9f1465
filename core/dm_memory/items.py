"""The values that travel through the core: an item (what a brand file states) and a payload (what a service stores).

Glossary:
    key: An item's identity, stable while its text changes: ``insight/2026-01-05T10:00:00``.
    content: The text that is remembered, embedded and searched.
    facts: What becomes metadata beside the text: insight type, campaign name and status, metrics, ...
    content hash / metadata hash: see ``dm_memory.text.hashing``.
    storage id: uuid5 of brand and key: the same item always lands in the same place.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha1

__all__ = ["ContentType", "Facts", "Item", "Kind", "Payload", "Priority", "Source", "Value", "storage_id"]

Value = str | int | float | bool | list[str]
"""What metadata may contain: the widest set that every service (Pinecone is the narrowest) stores without loss."""

Facts = Mapping[str, Value]


class ContentType(StrEnum):
    """The plugin's own content types."""

    GUIDELINE = "guideline"
    CAMPAIGN_LEARNING = "campaign-learning"
    COMPETITIVE_INTEL = "competitive-intel"
    PERFORMANCE_INSIGHT = "performance-insight"
    BRAND_ASSET = "brand-asset"


class Kind(StrEnum):
    """Where an item comes from; the first segment of its key."""

    INSIGHT = "insight"
    CAMPAIGN = "campaign"
    PERFORMANCE = "performance"
    GUIDELINE = "guideline"
    SESSION = "session"
    PREPARED = "prepared"


class Source(StrEnum):
    """Who handed an item in; the plugin's own list."""

    SESSION = "session"
    IMPORT = "import"
    AGENT = "agent"
    SYNC = "sync"


class Priority(StrEnum):
    """How much a prepared item matters to whoever prepared it."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class Item:
    """One thing worth remembering, as its source states it. Nothing in it has been masked, tagged or hashed yet.

    Attributes:
        key: Identity inside the brand, ``{kind}/...`` (docs/content-types.md), at most 512 characters.
        content: The text; never empty.
        kind: Where it comes from.
        content_type: By source, unless the caller overrides it for a run.
        recorded_at: ISO-8601 as the source wrote it (naive means local time), or "" if it states none.
        facts: Metadata. Well-known names: ``insight_type``, ``insight_source``, ``actionable``, ``campaign_id``,
            ``campaign_name``, ``campaign_status``, ``channels`` (list), ``section``, ``period``, ``name``.
        tags: Tags the source itself carries, besides what is detected later.
        origin: The file it was read from, relative to the brand's folder, or "" for items that came as arguments.
        source: One of the plugin's sources.
        priority: Only prepared items carry another one than normal.
        expires_at: ISO-8601, or "" for never.
        related: Keys or hashes of related entries, as the caller gave them.
        created_at: When the item was handed in, ISO-8601; "" lets the store fill it in.
        prepared_hash: For ``prepared/`` items the 16 hex digits that name their file in ``memory/pending/``.
        list_key: For an entry of a list that has no identity of its own, the list: ``campaign/x#learnings``. Its
            ``key`` is then a proposal, ``{list_key}/{first 12 hex of its content hash}``, which the plan replaces by
            the key under which the entry is known already.
        rolling: True where entries leave their file without having been deleted (insights, violations).
        source_updated_at: When the source says it was last changed; of several files that state one key, the newest
            counts. "" is older than any moment.
        author: Who handed it in, if that is known.
    """

    key: str
    content: str
    kind: Kind
    content_type: ContentType
    recorded_at: str = ""
    facts: Facts = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    origin: str = ""
    source: Source = Source.SYNC
    priority: Priority = Priority.NORMAL
    expires_at: str = ""
    related: tuple[str, ...] = ()
    created_at: str = ""
    prepared_hash: str = ""
    list_key: str = ""
    rolling: bool = False
    source_updated_at: str = ""
    author: str = ""


@dataclass(frozen=True, slots=True)
class Payload:
    """What a service is asked to store: guarded, tagged, hashed. The same payload goes to every service.

    Attributes:
        id: ``storage_id(brand, key)``, a UUID as text.
        content_hash: 64 hex digits, covers the text.
        metadata_hash: 64 hex digits, covers everything below except ``created_at``, ``version``, ``updated_from``.
        version: 1 for a new item, one more with each change of its content.
        updated_from: The content hash of the version before, or "".
        state: ``current`` or ``retired``.
        vectors: Raw little-endian float32 of the text's chunks, made by the model ``vector_model`` names; () where the
            service did not ask for them or the store has none.
    """

    id: str
    brand: str
    key: str
    content: str
    content_hash: str
    metadata_hash: str
    content_type: str
    kind: str
    source: str
    tags: tuple[str, ...]
    facts: Facts
    recorded_at: str
    created_at: str
    version: int = 1
    updated_from: str = ""
    priority: str = "normal"
    expires_at: str = ""
    related: tuple[str, ...] = ()
    state: str = "current"
    retired_at: str = ""
    author: str = ""
    vectors: tuple[bytes, ...] = ()
    vector_model: str = ""


_NAMESPACE = uuid.UUID("6f1c2a52-6a0e-5d0c-9a53-7d1f0c8a4e21")
_NAMESPACE_BYTES = _NAMESPACE.bytes


def storage_id(brand: str, key: str) -> str:
    """Return the UUID (version 5, RFC 9562) under which every service stores the item ``key`` of ``brand``.

    Written out because ``uuid.uuid5`` costs several times as much and a first sync makes one per item.
    """
    name = f"{brand}/{key}".encode("utf-8", "surrogatepass")
    digest = sha1(_NAMESPACE_BYTES + name, usedforsecurity=False).digest()
    value = int.from_bytes(digest[:16], "big")
    value = value & ~(0xF000 << 64) & ~(0xC000 << 48) | 5 << 76 | 0x8000 << 48
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
