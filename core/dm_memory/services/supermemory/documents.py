"""Payloads as Supermemory's documents, and back.

A document's id is the entry's; its metadata is flat, with the names that the vector databases have too. ``dm_id`` and
``dm_brand`` are in it because documents can be listed by their metadata only.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from dm_memory.errors import ServiceError
from dm_memory.items import Payload
from dm_memory.services.entries import metadata_of, payload_of
from dm_memory.services.faults import refused
from dm_memory.services.protocol import StoredRecord
from dm_memory.services.supermemory.replies import Listed

__all__ = ["document_of", "filter_by_brand", "filter_by_ids", "id_of", "payload_from", "record_of", "unfit"]

_ID = "dm_id"
_BRAND = "dm_brand"
_SAFE_INTEGER = 2**53
_ADDRESS = re.compile(r"\s*[a-z][a-z0-9+.-]*://\S*\s*", re.IGNORECASE)


def document_of(payload: Payload) -> dict[str, Any]:
    """Return what is sent for a payload, but for its id: content, metadata and, if it is known, the date."""
    metadata = {**metadata_of(payload), _ID: payload.id, _BRAND: payload.brand}
    document: dict[str, Any] = {
        # What is an address and nothing else, Supermemory fetches and stores the page instead.
        "content": _without_nul(f"Link: {payload.content}" if _ADDRESS.fullmatch(payload.content) else payload.content),
        "metadata": {name: _storable(value) for name, value in metadata.items()},
    }
    if _is_date(payload.recorded_at):
        document["date"] = payload.recorded_at
    return document


def _storable(value: Any) -> Any:  # noqa: ANN401  # a value of metadata, of the type it came in
    """Return a value that survives the way: no NUL, no integer a double can't represent."""
    if isinstance(value, str):
        return _without_nul(value)
    if isinstance(value, list):
        return [_storable(part) for part in value]
    return str(value) if isinstance(value, int) and abs(value) > _SAFE_INTEGER else value


def _without_nul(text: str) -> str:
    """Return a text in which NUL, which databases refuse, is U+FFFD, as in CommonMark."""
    return text.replace("\x00", "\ufffd")


def _is_date(text: str) -> bool:
    try:
        return bool(text) and datetime.fromisoformat(text) is not None
    except ValueError:
        return False


def unfit(document: Mapping[str, Any]) -> ServiceError | None:
    """Return why a document can't be put into JSON, or None."""
    try:
        orjson.dumps(document)
    except orjson.JSONEncodeError:
        return _unfit("an unpaired surrogate")
    if any(isinstance(value, float) and not math.isfinite(value) for value in document["metadata"].values()):
        return _unfit("a number that is not finite")  # of which orjson makes null
    return None


def _unfit(what: str) -> ServiceError:
    return refused(f"The entry contains {what}.", "Correct it in its source and sync again.")


def filter_by_ids(ids: Sequence[str]) -> dict[str, Any]:
    """Return the condition "one of these entries". At most 200 ids; a deque, as ``Connection.add`` takes it."""
    return {"operator": "or", "operands": deque(_equals(_ID, entry) for entry in ids)}


def filter_by_brand(brand: str) -> dict[str, Any]:
    """Return the condition "stored by dm-memory for this brand"."""
    return _equals(_BRAND, brand)


def _equals(field: str, value: str) -> dict[str, Any]:
    return {"field": field, "operator": "eq", "value": value}


def id_of(listed: Listed) -> str:
    """Return the entry's id, or "" for a document that is not dm-memory's."""
    entry = listed.metadata.get(_ID)
    return entry if isinstance(entry, str) else ""


def record_of(listed: Listed) -> StoredRecord:
    """Return the hashes of a listed document; "" if there is none, so that it differs from every entry."""
    metadata = listed.metadata
    return StoredRecord(id_of(listed), str(metadata.get("hash", "")), str(metadata.get("meta_hash", "")))


def payload_from(listed: Listed) -> Payload | None:
    """Return a listed document as it was given to ``document_of``; None if it is not one of ours."""
    metadata = dict(listed.metadata)
    entry, brand = metadata.pop(_ID, None), metadata.pop(_BRAND, None)
    if not isinstance(entry, str) or not isinstance(brand, str):
        return None
    try:
        return payload_of(brand, entry, [{"document": listed.content or "", "metadata": metadata}])
    except (KeyError, TypeError):
        return None
