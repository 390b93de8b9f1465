"""Entries of the embedded graph as rows, and rows as what the layer hands out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson

from dm_memory.errors import ErrorClass, LayerError
from dm_memory.facts.draft import statement_text
from dm_memory.facts.extract import EXTRACTION_VERSION, facts_of
from dm_memory.facts.model import Entity, EntityType, Fact, GraphPiece, Relation, entry_slot
from dm_memory.items import Payload

__all__ = ["FACTS_WHERE", "ReadEntry", "day_number", "fact_of", "read_entry", "split_tags"]

ReadEntry = tuple[Payload, GraphPiece, tuple[object, ...]]
"""A payload, its piece of the graph, and the values of its row in the order of the table's columns, without ``seq``."""


def read_entry(payload: Payload) -> ReadEntry | LayerError:
    """Return what is to be stored of a payload, or why it can't be."""
    piece = facts_of(payload)
    details = {
        "kind": payload.kind,
        "facts": payload.facts if type(payload.facts) is dict else dict(payload.facts),
        "created_at": payload.created_at,
        "version": payload.version,
        "updated_from": payload.updated_from,
        "priority": payload.priority,
        "expires_at": payload.expires_at,
        "related": payload.related,
    }
    try:
        row = (
            payload.id,
            payload.key,
            payload.content,
            _names(piece),
            payload.content_hash,
            payload.metadata_hash,
            payload.content_type,
            payload.source,
            _joined(payload.tags),
            payload.recorded_at,
            day_number(payload.recorded_at),
            _expiry(payload.expires_at),
            orjson.dumps(details).decode(),
            piece.facts[0].valid_at,
            EXTRACTION_VERSION,
        )
        for text in (payload.content, payload.key, row[3], row[8]):
            if not text.isascii():
                text.encode()
    except (UnicodeEncodeError, orjson.JSONEncodeError):
        return _UNFIT
    return payload, piece, row


def _names(piece: GraphPiece) -> str:
    """Return the names by which an entry is found besides its text; its brand's would find everything."""
    return "\n".join([entity.name for entity in piece.entities if entity.type is not EntityType.BRAND])


def _joined(tags: Sequence[str]) -> str:
    """Return tags so that each can be looked for with a line break on both its sides."""
    return "\n".join(("", *tags, "")) if tags else ""


def split_tags(text: str) -> tuple[str, ...]:
    """Return what ``tags`` holds."""
    return tuple(text.split("\n")[1:-1])


def day_number(moment: str) -> int | None:
    """Return the day of an ISO-8601 date or time as yyyymmdd, as it is written; None where it is not one."""
    digits = moment[:10].replace("-", "")
    return int(digits) if len(digits) == len("yyyymmdd") and digits.isascii() and digits.isdigit() else None


def _expiry(expires_at: str) -> int | None:
    """Return a moment in seconds since 1970, or None where there is none that can be read."""
    if not expires_at:
        return None
    try:
        return int(datetime.fromisoformat(expires_at).timestamp())
    except (ValueError, OverflowError, OSError):
        return None


FACTS_WHERE = (
    "SELECT f.seq, f.stated_at, f.ended_at, f.id, f.relation, f.text, f.valid_at, f.invalid_at, f.slot,"
    " e.id, e.content, s.id, s.type, s.name, o.id, o.type, o.name"
    " FROM facts f JOIN entries e ON e.seq = f.entry"
    " JOIN entities s ON s.seq = f.subject JOIN entities o ON o.seq = f.object WHERE "
)


def fact_of(brand: str, row: Sequence[Any]) -> Fact:
    """Return the fact in a row of ``FACTS_WHERE``."""
    fact_id, relation, text, valid_at, invalid_at, slot, entry, content, *ends = row[3:]
    subject, thing = (Entity(ends[at], brand, EntityType(ends[at + 1]), ends[at + 2]) for at in (0, 3))
    return Fact(
        id=fact_id,
        brand=brand,
        subject=subject,
        relation=Relation(relation),
        object=thing,
        text=statement_text(content) if text is None else text,
        valid_at=valid_at,
        entry_id=entry,
        slot=slot or entry_slot(entry),
        invalid_at=invalid_at,
    )


_UNFIT = LayerError(
    "The entry holds half a character pair, which is no text.",
    "Correct it in its source and sync again.",
    error_class=ErrorClass.VALIDATION,
    code="not-utf-8",
)
