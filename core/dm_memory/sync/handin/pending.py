"""The payloads waiting in ``memory/pending/``, in the plugin's own format, and their move to ``memory/stored/``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import orjson

from dm_memory.brand.files import BrandFileError, parse_json, read_brand_file
from dm_memory.brand.parsed import ParsedFile
from dm_memory.brand.sources.pending import parse_pending, parse_stored, pending_files, stored_files
from dm_memory.facts.prepared import graph_payload
from dm_memory.findings import Finding, Severity
from dm_memory.items import Item
from dm_memory.store.database import Store
from dm_memory.store.entries import in_json
from dm_memory.store.files import make_own_folder, read_own, write_atomic
from dm_memory.sync.run import Run
from dm_memory.text.timestamps import to_local_iso

__all__ = ["PENDING", "export_prepared", "move_stored", "past_items", "waiting_items"]

PENDING = "pending"
_STORED = "stored"


def waiting_items(run: Run) -> tuple[list[Item], list[str], list[Finding]]:
    """Read what waits in ``memory/pending/``, graph statements included; return items, file names and findings."""
    items: list[Item] = []
    names: list[str] = []
    findings: list[Finding] = []
    brand_dir = run.env.home.brand_dir(run.brand)
    try:
        waiting = pending_files(run.memory_dir)
    except BrandFileError as error:
        return [], [], [error.finding]
    for name in (*waiting.prepared, *waiting.graph):
        try:
            data = read_brand_file(brand_dir, f"memory/{PENDING}/{name}", run.env.limits)
            graph = name in waiting.graph
            parsed = _statement(name, data, run.brand) if graph else parse_pending(name, data, run.env.limits)
        except BrandFileError as error:
            findings.append(error.finding)
            continue
        items += parsed.items
        findings += parsed.findings
        names.append(name)
    return items, names, findings


def _statement(name: str, data: bytes, brand: str) -> ParsedFile:
    path = f"memory/{PENDING}/{name}"
    document = parse_json(data, path)
    parsed = graph_payload(name, document)
    findings = list(parsed.findings)
    named = document.get("brand") if isinstance(document, dict) else None
    if parsed.item and isinstance(named, str) and named.strip() not in {"", brand}:
        message = (
            f"{path} names the brand {named.strip()[:60]!r} and lies in the folder of {brand}, where it is remembered."
        )
        remedy = "If it belongs to the other brand, prepare it there and exclude it here."
        findings.append(Finding("other-brand", Severity.WARNING, message, remedy, path))
    return ParsedFile([parsed.item] if parsed.item else [], findings, 1)


def past_items(run: Run) -> tuple[list[Item], list[Finding]]:
    """Read what the plugin's script stored before there was a memory; files whose texts are known are not opened."""
    brand_dir = run.env.home.brand_dir(run.brand)
    try:
        found = stored_files(run.memory_dir)
    except BrandFileError as error:
        return [], [error.finding]
    names = {name.removesuffix(".json"): name for name in (*found.prepared, *found.graph)}
    known = "SELECT prepared_hash FROM entries WHERE prepared_hash IN (SELECT value FROM json_each(?))"
    for (hash16,) in run.store.rows(known, (in_json(names),)) if names else ():
        names.pop(hash16, None)
    items: list[Item] = []
    findings: list[Finding] = []
    for name in names.values():
        try:
            data = read_brand_file(brand_dir, f"memory/{_STORED}/{name}", run.env.limits)
            parsed = parse_stored(name, data, run.env.limits, partial(_is_ours, run.store))
        except BrandFileError as error:
            findings.append(error.finding)
            continue
        items += parsed.items
        findings += parsed.findings
    return items, findings


def _is_ours(store: Store, storage: str) -> bool:
    """Return whether a file in ``memory/stored`` is our own export."""
    return bool(store.value("SELECT count(*) FROM entries WHERE id = ?", (storage,)))


def export_prepared(store: Store, memory_dir: Path, since: int, vector_db: str) -> None:
    """Write a payload that was prepared since a moment of the store's clock to ``stored/``, in the plugin's format.

    The plugin's script searches these files. Raises ``OSError``.
    """
    for hash16, content, content_type, source, tags, storage, created_at, priority, expires_at, author in store.rows(
        "SELECT prepared_hash, content, content_type, source, (SELECT json_group_array(tag) FROM (SELECT tag FROM tags"
        " WHERE tags.seq = entries.seq AND removed = 0 ORDER BY tag)), id, created_at, priority, expires_at, author"
        " FROM entries WHERE kind = 'prepared' AND prepared_hash <> '' AND state = 'current' AND updated_at > ?",
        (since,),
    ):
        path = memory_dir / _STORED / f"{hash16}.json"
        if path.exists() or (memory_dir / PENDING / path.name).exists():
            continue
        make_own_folder(path.parent)
        at = to_local_iso(created_at)
        document = {
            "content_hash": hash16,
            "brand": store.brand,
            "content": content,
            "content_type": content_type,
            "tags": orjson.loads(tags),
            "source": source,
            "created_at": at,
            "metadata": {"char_count": len(content), "word_count": len(content.split())},
            "priority": priority,
            "expires_at": expires_at,
            "vector_db": vector_db,
            "storage_id": storage,
            "stored_at": at,
        }
        document |= {"author": author} if author else {}
        write_atomic(path, orjson.dumps(document, option=orjson.OPT_INDENT_2), durable=False)


def move_stored(store: Store, memory_dir: Path, names: Sequence[str], vector_db: str) -> list[Finding]:
    """Move those of the files ``names`` whose texts are in memory to ``stored/``; return findings for the others.

    A new file is complete before the old one goes: killed in between, the next sync finds both and ends the move.
    """
    findings = []
    for name in names:
        try:
            _move(store, memory_dir, name, vector_db)
        except FileNotFoundError:
            continue  # somebody else, the plugin's script most likely, has moved it
        except (OSError, BrandFileError, TypeError):  # TypeError: no object any more, or a number beyond JSON's
            message = f"memory/{PENDING}/{name} is stored, but could not be moved to memory/{_STORED}."
            remedy = "Check the file and the free space; the next sync moves it."
            findings.append(
                Finding("export-failed", Severity.WARNING, message, remedy, path=f"memory/{PENDING}/{name}")
            )
    return findings


def _move(store: Store, memory_dir: Path, name: str, vector_db: str) -> None:
    found = store.rows(
        "SELECT o.id, o.created_at FROM entries i JOIN entries o ON o.seq = coalesce(i.duplicate_of, i.seq)"
        " WHERE i.prepared_hash = ?",
        (name.removesuffix(".json"),),
    )
    if not found:
        return
    storage, stored_at = found[0]
    path = memory_dir / PENDING / name
    document = cast("dict[str, Any]", parse_json(read_own(path), f"memory/{PENDING}/{name}"))
    content = document | {
        "vector_db": vector_db,
        "storage_id": storage,
        "stored_at": to_local_iso(stored_at),
    }
    make_own_folder(memory_dir / _STORED)
    write_atomic(memory_dir / _STORED / name, orjson.dumps(content, option=orjson.OPT_INDENT_2))
    path.unlink()
