"""memory/pending/*.json: payloads the plugin's memory-manager.py, or our own prepare_store, left for the next sync."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from dm_memory.brand.files import BrandFileError, Limits, broken, parse_json
from dm_memory.brand.parsed import ParsedFile
from dm_memory.brand.text import label, labels, stamp
from dm_memory.findings import Finding, Severity
from dm_memory.items import ContentType, Item, Kind, Priority, Source

__all__ = ["GRAPH_PREFIX", "PendingFiles", "parse_pending", "pending_files"]

_M = TypeVar("_M", Source, Priority)
_PREPARED = re.compile(r"[0-9a-f]{16}\.json")
# The plugin's have twelve hex digits; people's have any name.
_GRAPH = re.compile(r"graph-[0-9A-Za-z][0-9A-Za-z_.-]{0,99}\.json")

GRAPH_PREFIX = "graph-"
"""What the names of graph files, and the keys of their items behind ``prepared/``, begin with."""


@dataclass(frozen=True, slots=True)
class PendingFiles:
    """File names in ``memory/pending/``, sorted: payloads to store, and statements for the knowledge graph."""

    prepared: tuple[str, ...] = ()
    graph: tuple[str, ...] = ()


def pending_files(memory_dir: Path) -> PendingFiles:
    """Return what waits in ``memory_dir/pending``; a missing folder holds nothing.

    Raises:
        BrandFileError: The folder can't be listed.
    """
    try:
        with os.scandir(memory_dir / "pending") as entries:
            names = [entry.name for entry in entries]
    except FileNotFoundError:
        return PendingFiles()
    except OSError as error:
        message = f"memory/pending can't be listed ({os.strerror(error.errno or 0)})."
        finding = Finding("unreadable-file", Severity.ERROR, message, "Check its permissions.", "memory/pending")
        raise BrandFileError(finding) from None
    prepared = sorted(name for name in names if _PREPARED.fullmatch(name))
    return PendingFiles(tuple(prepared), tuple(sorted(name for name in names if _GRAPH.fullmatch(name))))


def parse_pending(name: str, data: bytes, limits: Limits) -> ParsedFile:
    """Return the item in the pending file ``name``; none where its text is empty or too long, with the finding why.

    Its key is ``prepared/`` and the SHA-256 of its raw content; the file's own name is kept as ``prepared_hash``.

    Raises:
        BrandFileError: The file is not JSON, or no payload.
    """
    path = f"memory/pending/{name}"
    document = parse_json(data, path)
    if not isinstance(document, dict) or not isinstance(document.get("content"), str):
        raise broken(path, "is not a prepared payload: an object with a text as its content is expected")
    content: str = document["content"]
    if refusal := _refusal(content, path, limits):
        return ParsedFile([], [refusal], 1)
    content_type, findings = _content_type(document.get("content_type"), path)
    item = Item(
        key=f"prepared/{hashlib.sha256(content.encode()).hexdigest()}",
        content=content.strip(),
        kind=Kind.PREPARED,
        content_type=content_type,
        recorded_at=stamp(document.get("created_at")),
        tags=tuple(labels(document.get("tags"))),
        origin=path,
        source=_member(Source, document.get("source"), Source.SESSION),
        priority=_member(Priority, document.get("priority"), Priority.NORMAL),
        expires_at=stamp(document.get("expires_at")),
        related=tuple(labels(document.get("related"))),
        created_at=stamp(document.get("created_at")),
        prepared_hash=PurePosixPath(name).stem,
    )
    return ParsedFile([item], findings, 1)


def _refusal(content: str, path: str, limits: Limits) -> Finding | None:
    if not content.strip():
        return Finding("empty-text", Severity.INFO, f"{path} has no text; there is nothing to remember.", path=path)
    if len(content) > limits.max_content_chars:
        message = f"{path} holds {len(content):,} characters, more than the limit of {limits.max_content_chars:,}."
        remedy = "Shorten it, or raise DM_MEMORY_MAX_CONTENT_CHARS."
        return Finding("text-too-long", Severity.WARNING, message, remedy, path)
    return None


def _content_type(value: object, path: str) -> tuple[ContentType, list[Finding]]:
    """A payload of an unknown type is kept as a brand asset, the one type that promises nothing about its text."""
    wanted = label(value)
    known = next((member for member in ContentType if member.value == wanted), None)
    if known:
        return known, []
    message = f"{path} has the unknown content type {wanted!r}; it is treated as {ContentType.BRAND_ASSET.value}."
    remedy = f"Use one of {', '.join(ContentType)}."
    return ContentType.BRAND_ASSET, [Finding("malformed-entry", Severity.WARNING, message, remedy, path)]


def _member(members: type[_M], value: object, default: _M) -> _M:
    return next((member for member in members if member.value == value), default)
