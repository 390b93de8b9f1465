"""memory/pending/ and memory/stored/: payloads that the plugin's memory-manager.py or our prepare_store left there."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TypeVar

from dm_memory.brand.files import BrandFileError, Limits, broken, parse_json, stays_inside
from dm_memory.brand.formats.text import is_empty, label, labels, stamp
from dm_memory.brand.parsed import ParsedFile
from dm_memory.findings import Finding, Severity
from dm_memory.items import ContentType, Item, Kind, Priority, Source, Value
from dm_memory.text.authors import clean_author

__all__ = ["GRAPH_PREFIX", "PendingFiles", "parse_pending", "parse_stored", "pending_files", "stored_files"]

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
    """Return what waits in ``memory_dir/pending``; a missing folder is empty.

    Raises:
        BrandFileError: The folder can't be listed.
    """
    return _files_in(memory_dir, "pending")


def _files_in(memory_dir: Path, folder: str) -> PendingFiles:
    path = memory_dir / folder
    if os.path.islink(path) and not stays_inside(memory_dir.parents[2], path):  # noqa: PTH114  # never raises
        message = f"memory/{folder} is a link that leaves the home folder and was not followed."
        finding = Finding(
            "link-refused", Severity.ERROR, message, "Replace the link by the folder.", f"memory/{folder}"
        )
        raise BrandFileError(finding)
    try:
        with os.scandir(path) as entries:
            names = [entry.name for entry in entries]
    except FileNotFoundError:
        return PendingFiles()
    except OSError as error:
        message = f"memory/{folder} can't be listed ({os.strerror(error.errno or 0)})."
        finding = Finding("unreadable-file", Severity.ERROR, message, "Check its permissions.", f"memory/{folder}")
        raise BrandFileError(finding) from None
    prepared = sorted(name for name in names if _PREPARED.fullmatch(name))
    return PendingFiles(tuple(prepared), tuple(sorted(name for name in names if _GRAPH.fullmatch(name))))


def parse_pending(name: str, data: bytes, limits: Limits) -> ParsedFile:
    """Return the item in the pending file ``name``; none if its text is empty or too long, with the finding why.

    Its key is ``prepared/`` and the SHA-256 of its raw content; the file's own name is kept as ``prepared_hash``.

    Raises:
        BrandFileError: The file is not JSON, or no payload.
    """
    path = f"memory/pending/{name}"
    return _parsed(path, name, parse_json(data, path), limits)


def _parsed(path: str, name: str, document: object, limits: Limits) -> ParsedFile:
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
        author=clean_author(label(document.get("author"))),
    )
    return ParsedFile([item], findings, 1)


def stored_files(memory_dir: Path) -> PendingFiles:
    """Return what lies in ``memory_dir/stored``: our own exports, and what the plugin's script stored before us.

    Raises:
        BrandFileError: The folder can't be listed.
    """
    return _files_in(memory_dir, "stored")


def parse_stored(name: str, data: bytes, limits: Limits, is_ours: Callable[[str], bool]) -> ParsedFile:
    """Return the item in a file of ``memory/stored/``; none if it is our own export.

    It has the key of the payload it once was, so that the same text still pending is no second entry.

    Args:
        name: The file's name.
        data: Its bytes.
        limits: The limits for a text.
        is_ours: Returns whether a ``storage_id`` is one of ours.

    Raises:
        BrandFileError: The file is not JSON, or no payload.
    """
    path = f"memory/stored/{name}"
    document = parse_json(data, path)
    stored_id = label(document.get("storage_id")) if isinstance(document, dict) else ""
    if stored_id and is_ours(stored_id):
        return ParsedFile([], [], 1)
    parsed = _parsed(path, name, document, limits)
    facts: dict[str, Value] = {}
    for field, fact in (("vector_db", "stored_in"), ("storage_id", "stored_id"), ("stored_at", "stored_at")):
        if isinstance(document, dict) and (text := label(document.get(field))):
            facts[fact] = text
    source = _member(Source, document.get("source") if isinstance(document, dict) else None, Source.IMPORT)
    return replace(parsed, items=[replace(item, facts=facts, source=source) for item in parsed.items])


def _refusal(content: str, path: str, limits: Limits) -> Finding | None:
    if is_empty(content):
        return Finding("empty-text", Severity.INFO, f"{path} has no text; there is nothing to remember.", path=path)
    if len(content) > limits.max_content_chars:
        message = f"{path} has {len(content):,} characters, more than the limit of {limits.max_content_chars:,}."
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
