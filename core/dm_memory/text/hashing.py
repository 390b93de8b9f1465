"""What makes two texts, or two sets of metadata, the same.

The content hash covers the text as a reader sees it. Left out, so that a change of it alone embeds nothing again:

* the Unicode composition form (NFC, UAX #15): two keyboards write the same word differently;
* line ends and every other white space: runs count as one space, outer white space as none. An editor that re-wraps a
  guideline changed nothing that is worth remembering.

The metadata hash covers what a service stores beside the text. Left out:

* ``created_at``: says when memory first met the item, not what the item is;
* ``version`` and ``updated_from``: follow from the content hash; in the hash they would change it for ever;
* ``origin``: a file that is renamed says nothing new (and services do not store it);
* ``id``, ``brand`` and ``key``: identity, compared apart.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Sequence
from hashlib import sha256
from unicodedata import normalize

import orjson

from dm_memory.items import Facts

__all__ = ["HASH_VERSION", "content_hash", "content_mac", "metadata_hash", "normalise", "script_hash"]

HASH_VERSION = 1
"""Changes when the same text or metadata would hash otherwise: everything known is then looked at again."""

_SCRIPT_DIGITS = 16
"""Hex digits of the hashes that name texts in the script's files."""


def normalise(text: str) -> str:
    """Return ``text`` in the form the content hash covers: NFC, white space runs as one space, none outside."""
    if text.isascii():
        return " ".join(text.split())
    return " ".join(normalize("NFC", text).split())


def content_hash(text: str) -> str:
    """Return the SHA-256 (64 hex digits) of the normalised text in UTF-8; lone surrogates are hashed as they are."""
    return sha256(normalise(text).encode("utf-8", "surrogatepass")).hexdigest()


def content_mac(key: bytes, digest: str) -> str:
    """Return the HMAC-SHA-256 of a content hash: what a tombstone says of a text that was forgotten."""
    return hmac.new(key, digest.encode(), sha256).hexdigest()


def metadata_hash(
    *,
    content_type: str,
    kind: str,
    source: str,
    tags: Sequence[str],
    facts: Facts,
    recorded_at: str = "",
    priority: str = "normal",
    expires_at: str = "",
    related: Sequence[str] = (),
) -> str:
    """Return the SHA-256 (64 hex digits) of the metadata as canonical JSON: sorted keys, sorted tags, no white space.

    The order of ``related`` and of lists in ``facts`` counts; that of ``tags`` and of keys does not.
    """
    fields: dict[str, object] = {
        "content_type": content_type,
        "expires_at": expires_at,
        "facts": facts if type(facts) is dict else dict(facts),
        "kind": kind,
        "priority": priority,
        "recorded_at": recorded_at,
        "related": tuple(related),
        "source": source,
        "tags": sorted(tags),
    }
    return sha256(_canonical_json(fields)).hexdigest()


def _canonical_json(fields: dict[str, object]) -> bytes:
    """Serialise with orjson; what it refuses (integers beyond 64 bits, lone surrogates) goes through json."""
    try:
        return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode("ascii")


def script_hash(text: str) -> str:
    """Return how the plugin's own script names a text's file: the first 16 hex digits of the raw text's SHA-256."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_SCRIPT_DIGITS]
