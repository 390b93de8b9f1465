"""Export: a brand's memory, or all of them, as one file that can be read, kept, and imported elsewhere.

JSON Lines: a head, then a line an entry, with everything that memory knows of it beside what can be made again: key,
text, earlier texts, tags with their origins, dates, state. Markdown has the same for people: the text, and the rest in
a comment above it that the import reads. Duplicates come after the entries that stand for their texts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from dm_memory.errors import InputError
from dm_memory.requests import Progress
from dm_memory.results import ExportResult
from dm_memory.store import entries as table
from dm_memory.store.database import Store, read_store
from dm_memory.store.entries import SELECT_ENTRIES, EntryRow
from dm_memory.store.files import write_atomic
from dm_memory.store.importing import record_of_entry
from dm_memory.sync.run import Environment
from dm_memory.text.timestamps import to_iso

__all__ = ["FORMAT", "MARK", "export_brands"]

FORMAT = "dm-memory-export"
"""What the head says."""

_VERSION = 1

MARK = "<!-- dm-memory "
"""Begins the line of Markdown that has what memory knows of the text below it."""

_PAGE = 500


@dataclass(slots=True)
class _Counting:
    """What was written so far."""

    entries: dict[str, int] = field(default_factory=dict)
    retired: int = 0
    revisions: int = 0
    bytes: int = 0
    done: int = 0


async def export_brands(
    env: Environment,
    brands: Sequence[str],
    path: Path,
    *,
    markdown: bool = False,
    dry_run: bool = False,
    progress: Progress,
) -> ExportResult:
    """Write the memory of brands to a file; the old file stays if that fails.

    Raises:
        InputError: The file can't be written.
        StoreError: A memory can't be read.
    """
    started = time.monotonic()
    counting = _Counting()
    total = await asyncio.to_thread(_total, env, brands)
    pieces = _pieces(env, brands, counting, markdown=markdown)
    work = asyncio.to_thread(_drain if dry_run else _write, path, pieces)
    await _reporting(work, progress, "Exporting", lambda: counting.done, total)
    return ExportResult(
        "" if dry_run else str(path),
        "markdown" if markdown else "jsonl",
        counting.entries,
        counting.retired,
        counting.revisions,
        counting.bytes,
        dry_run,
        time.monotonic() - started,
    )


async def _reporting(
    work: Any,  # noqa: ANN401  # a coroutine
    progress: Progress,
    message: str,
    done: Callable[[], int],
    total: int,
) -> Any:  # noqa: ANN401  # what the coroutine returns
    """Await work on a thread, and report how far it is twice a second."""
    task = asyncio.ensure_future(work)
    while True:
        await progress(message, done(), total)
        finished, _ = await asyncio.wait({task}, timeout=0.5)
        if finished:
            return task.result()


def _total(env: Environment, brands: Sequence[str]) -> int:
    total = 0
    for brand in brands:
        with read_store(env.home.memory_dir(brand), brand) as store:
            total += store.value("SELECT count(*) FROM entries") if store is not None else 0
    return total


def _write(path: Path, pieces: Iterator[bytes]) -> None:
    try:
        write_atomic(path, pieces)
    except OSError as error:
        message = f"The export {path} can't be written ({error.strerror or type(error).__name__})."
        raise InputError(message, "Name a file in a folder that exists and can be written.") from error


def _drain(path: Path, pieces: Iterator[bytes]) -> None:
    del path
    for _ in pieces:
        pass


def _pieces(env: Environment, brands: Sequence[str], counting: _Counting, *, markdown: bool) -> Iterator[bytes]:
    for piece in _lines(env, brands, counting, markdown=markdown):
        counting.bytes += len(piece)
        yield piece


def _lines(env: Environment, brands: Sequence[str], counting: _Counting, *, markdown: bool) -> Iterator[bytes]:
    head = {"format": FORMAT, "version": _VERSION, "made_at": to_iso(env.clock()), "brands": list(brands)}
    note = f"{MARK}{_in_comment(head)} -->\n\nA memory of dm-memory, for people and for `dm-memory import`.\n"
    yield note.encode() if markdown else orjson.dumps(head) + b"\n"
    for brand in brands:
        counting.entries[brand] = 0
        if markdown:
            yield f"\n{MARK}{_in_comment({'heading': brand})} -->\n# {brand}\n".encode()
        with read_store(env.home.memory_dir(brand), brand) as store:
            if store is None:
                continue
            with store.snapshot():
                for record in _records(store, counting):
                    counting.done += 1
                    yield _as_markdown(record) if markdown else orjson.dumps(record) + b"\n"


def _records(store: Store, counting: _Counting) -> Iterator[dict[str, Any]]:
    for duplicates in ("IS NULL", "IS NOT NULL"):
        after = 0
        sql = f"{SELECT_ENTRIES}duplicate_of {duplicates} AND seq > ? ORDER BY seq LIMIT ?"
        while page := [EntryRow._make(row) for row in store.rows(sql, (after, _PAGE))]:
            after = page[-1].seq
            seqs = [row.seq for row in page]
            tags = table.tags_of(store.connection, seqs)
            owners = table.known_by_seq(store.connection, [row.duplicate_of for row in page if row.duplicate_of])
            earlier = _earlier(store, seqs)
            for row in page:
                counting.entries[store.brand] += row.duplicate_of is None
                counting.retired += row.state == "retired"
                counting.revisions += len(earlier.get(row.seq, ()))
                record = record_of_entry(row, tags.get(row.seq, ()), "entry", "")
                more = {
                    "brand": store.brand,
                    "content_hash": row.content_hash,
                    "updated_from": row.updated_from,
                    "source_updated_at": row.source_updated_at,
                    "duplicate_of": owners[row.duplicate_of].key if row.duplicate_of else "",
                    "revisions": earlier.get(row.seq, []),
                }
                del record["op"]
                yield record | {name: value for name, value in more.items() if value}


def _earlier(store: Store, seqs: Sequence[int]) -> dict[int, list[dict[str, str]]]:
    found: dict[int, list[dict[str, str]]] = {}
    sql = (
        "SELECT seq, content, recorded_at, replaced_at, reason FROM revisions"
        " WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq, number"
    )
    for seq, *values in store.rows(sql, (table.in_json(seqs),)):
        names = ("content", "recorded_at", "replaced_at", "reason")
        found.setdefault(seq, []).append(dict(zip(names, values, strict=True)))
    return found


# Markdown ------------------------------------------------------------------------------------------------------------


def _as_markdown(record: dict[str, Any]) -> bytes:
    """Return an entry: the comment, a heading, the text. A text that could be taken for markup of ours is in both."""
    content = record["content"]
    quotes = MARK in content or content.lstrip().startswith("### ")
    details = record if quotes else {name: value for name, value in record.items() if name != "content"}
    heading = " · ".join(
        part
        for part in (
            (record.get("recorded_at") or record.get("created_at", ""))[:10],
            record["content_type"],
            "retired" if record.get("retired_at") else "",
            ", ".join(tag for tag, _ in record.get("tags", ())),
        )
        if part
    )
    text = "\n".join(f"> {line}" for line in content.splitlines()) if quotes else content
    return f"\n{MARK}{_in_comment(details)} -->\n### {heading}\n\n{text}\n".encode("utf-8", "surrogatepass")


def _in_comment(value: dict[str, Any]) -> str:
    """Return JSON that ends no comment: two hyphens in a row stand in it as one and an escape."""
    return orjson.dumps(value).decode().replace("--", "-\\u002d")
