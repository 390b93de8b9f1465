"""Import: an export of dm-memory, JSON Lines or Markdown, into the memory of the brands it names.

Entries keep their keys, so that the same memory has the same ids everywhere. A text that another entry here stands for
becomes a duplicate of that one; what this memory changed more often than the export stays. The guard looks at every
text; what was forgotten here stays out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from dm_memory.errors import InputError
from dm_memory.items import ContentType, Item, Kind
from dm_memory.operations.exporting import FORMAT, MARK
from dm_memory.operations.maintenance import maintenance
from dm_memory.requests import Progress
from dm_memory.results import Action, ImportResult
from dm_memory.store import entries as table
from dm_memory.store.entries import effective
from dm_memory.store.forgetting import Forgotten
from dm_memory.store.importing import Imported, import_entries, imported_of_record, record_of_payload
from dm_memory.sync.exports import write_index
from dm_memory.sync.pipeline import model_in_use
from dm_memory.sync.run import Environment, Run
from dm_memory.sync.storing import Storing
from dm_memory.sync.writing import Writing
from dm_memory.text.hashing import content_hash

__all__ = ["import_file"]

_CHUNK = 512
_SHOWN = 200


@dataclass(slots=True)
class _Counting:
    brands: dict[str, int] = field(default_factory=dict)
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    forgotten: int = 0
    duplicates: dict[str, str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    def refuse(self, line: str) -> None:
        """Note a line that was left out."""
        if len(self.refused) < _SHOWN:
            self.refused.append(line)


async def import_file(
    env: Mapping[str, Environment],
    path: Path,
    *,
    brand: str = "",
    dry_run: bool,
    progress: Progress,
    stop: asyncio.Event,
) -> ImportResult:
    """Import a file.

    Args:
        env: By brand, where and how: those that are in this home.
        path: The export.
        brand: Import everything into this brand; "" for the brands that the file names.
        dry_run: Only count.
        progress: Called every few hundred entries.
        stop: When set, ends after the entries at hand, which are stored.

    Raises:
        InputError: The file can't be read, is no export, or names a brand that is not in this home.
        DmMemoryError: A memory can't be used.
    """
    started = time.monotonic()
    counting = _Counting()
    records = await asyncio.to_thread(_read, path, brand, counting)
    missing = sorted(records.keys() - env.keys())
    if missing:
        raise InputError(
            f"The export has the memory of {', '.join(missing)}, and there is no such brand here.",
            f'Make it first (dm-memory init "{missing[0]}"), or name the brand to import into.',
        )
    findings, done, total = [], 0, sum(map(len, records.values()))
    for slug, own in records.items():
        counting.brands[slug] = len(own)
        async with maintenance(env[slug], slug, progress, stop) as run:
            for at in range(0, len(own), _CHUNK):
                await progress("Importing", done, total)
                chunk = own[at : at + _CHUNK]
                await run.worker.run(partial(_take, run, chunk, counting, dry_run=dry_run))
                done += len(chunk)
                if stop.is_set():
                    break
            if not dry_run:
                await run.worker.run(_finish, run)
            findings += run.outcomes.findings
    await progress("Importing", done, total)
    counted = {each.name: getattr(counting, each.name) for each in fields(counting)}
    counted |= {"refused": tuple(counting.refused), "seconds": time.monotonic() - started}
    return ImportResult(str(path), **counted, dry_run=dry_run, findings=tuple(findings))


# Reading -------------------------------------------------------------------------------------------------------------


def _read(path: Path, brand: str, counting: _Counting) -> dict[str, list[dict[str, Any]]]:
    """Return the file's records by brand: entries first, then their duplicates."""
    try:
        text = path.read_bytes().decode("utf-8-sig", "surrogatepass")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The export {path} can't be read.", "Name a file that dm-memory export made.") from error
    if text.startswith(MARK):
        found = list(_markdown_records(text))
    else:
        found = [(number, _parsed(line)) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    head = found[0][1] if found else None
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise InputError(f"{path} is no export of dm-memory.", "Name a file that dm-memory export made.")
    if not isinstance(head.get("version"), int) or head["version"] > 1:
        raise InputError(f"{path} was made by a newer dm-memory.", "Update dm-memory on this computer.")
    records: dict[str, list[dict[str, Any]]] = {}
    for line, record in found[1:]:
        if not isinstance(record, dict) or not (brand or record.get("brand")):
            counting.refuse(f"line {line}: it can't be read, or names no brand")
            continue
        records.setdefault(brand or str(record.get("brand", "")), []).append(record)
    for own in records.values():
        own.sort(key=lambda record: bool(record.get("duplicate_of")))
    return records


def _markdown_records(text: str) -> Iterator[tuple[int, Any]]:
    """Yield what the comments say, each with the text below it; a text that was edited by hand counts as edited."""
    details: Any = None
    start = 0
    body: list[str] = []
    for number, line in enumerate([*text.split("\n"), MARK], 1):
        if not line.startswith(MARK):
            body.append(line)
            continue
        if start and not (isinstance(details, dict) and "heading" in details):
            yield start, _with_text(details, body)
        details, start, body = _parsed(line.removeprefix(MARK).removesuffix(" -->")), number, []


def _with_text(details: Any, body: Sequence[str]) -> Any:  # noqa: ANN401  # JSON
    if not isinstance(details, dict) or details.keys() & {"format", "content"}:
        return details
    lines = list(body)
    if lines and lines[0].startswith("### "):
        del lines[0]
    return {**details, "content": "\n".join(lines).strip()}


def _parsed(line: str) -> Any:  # noqa: ANN401  # JSON
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


# Storing -------------------------------------------------------------------------------------------------------------


def _take(run: Run, records: Sequence[dict[str, Any]], counting: _Counting, *, dry_run: bool) -> None:
    store = run.store
    entries = {each.payload.key: each for record in records if (each := _entry(run, record, counting)) is not None}
    known = table.known_by_key(store.connection, entries)
    owners = table.owners_by_hash(store.connection, {each.payload.content_hash for each in entries.values()})
    tags = table.tags_of(store.connection, [row.seq for row in known.values()])
    forgotten = Forgotten.load(store.connection)
    stands: dict[str, str] = {digest: row.key for digest, row in owners.items()}
    wanted: list[Imported] = []
    for key, each in entries.items():
        payload, row = each.payload, known.get(key)
        if forgotten.has(payload.content_hash):
            counting.forgotten += 1
            continue
        owner = stands.setdefault(payload.content_hash, key) if payload.state == "current" else key
        if owner != key:
            counting.duplicates[key] = owner
        same = row is not None and (row.content_hash, row.metadata_hash, row.state) == (
            payload.content_hash,
            payload.metadata_hash,
            payload.state,
        )
        if row is not None and (
            row.version > payload.version or (same and effective(tags.get(row.seq, ())) == payload.tags)
        ):
            counting.unchanged += 1
            continue
        counting.new += row is None
        counting.changed += row is not None
        wanted.append(replace(each, duplicate_of=owner if owner != key else ""))
    for pointing in (False, True):  # who stands for a text comes before those that point at it
        part = [each for each in wanted if bool(each.duplicate_of) is pointing]
        if part and not dry_run:
            _store(run, part, known)


def _entry(run: Run, record: Mapping[str, Any], counting: _Counting) -> Imported | None:
    """Return a record as an entry, guarded; None if it is none."""
    key = str(record.get("key", ""))
    each = imported_of_record(run.brand, {**record, "op": "entry"}) if key and record.get("content") else None
    try:
        if each is None:
            raise ValueError  # noqa: TRY301  # one answer for all that is wrong
        payload = each.payload
        item = Item(key, payload.content, Kind(payload.kind), ContentType(payload.content_type), facts=payload.facts)
        revisions = tuple(
            (
                str(old["content"]),
                str(old.get("recorded_at", "")),
                str(old.get("replaced_at", "")),
                str(old.get("reason", "")),
            )
            for old in record.get("revisions") or ()
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        counting.refuse(f"{key or 'an entry without a key'}: it is no entry that this dm-memory knows")
        return None
    prepared = run.preparer.prepare(item)
    if prepared.refused:
        counting.refuse(f"{key}: {prepared.refused}")
        return None
    content = prepared.content
    guarded = (
        payload if content == payload.content else replace(payload, content=content, content_hash=content_hash(content))
    )
    return replace(
        each,
        payload=replace(guarded, updated_from=str(record.get("updated_from", ""))),
        revisions=revisions,
        source_updated_at=str(record.get("source_updated_at", "")),
        origin="",  # the file is on another computer: that it is not here does not retire the entry
    )


def _store(run: Run, wanted: Sequence[Imported], known: Mapping[str, table.Known]) -> None:
    store = run.store
    texts = table.texts_of(store.connection, [row.seq for row in known.values()])
    records: list[dict[str, Any]] = []
    for each in wanted:
        row = known.get(each.payload.key)
        if row is not None and row.content_hash != each.payload.content_hash:
            records.append(
                {"op": "replaced", "at": run.now, "key": row.key, "content": texts[row.seq], "reason": _REASON}
            )
        for content, _, replaced, reason in each.revisions:
            records.append(
                {"op": "replaced", "at": replaced, "key": each.payload.key, "content": content, "reason": reason}
            )
        records.append(_record(each, run.now))
    added = run.append(records)
    with store.transaction() as connection:
        run.note_change(connection)
        run.note_journal(added)
        rows = import_entries(store, wanted, run.now, run.number, run.context.languages, _REASON)
        changed = table.in_json(row.seq for row in rows if row.key in known)
        connection.execute("DELETE FROM vectors WHERE seq IN (SELECT value FROM json_each(?))", (changed,))
        standing = [(row, row.state, Action.ADDED) for row in rows if row.duplicate_of is None]
        Writing(run, connection).want(standing)
        Writing(run, connection).promote([known[row.key] for row in rows if row.key in known])


_REASON = "imported"


def _record(each: Imported, now: str) -> dict[str, Any]:
    return record_of_payload(each.payload, now) | {
        "list": each.list_key,
        "type_origin": each.type_origin,
        "tags": [[tag.tag, tag.origin] for tag in each.tags if not tag.removed],
        "untagged": [tag.tag for tag in each.tags if tag.removed],
        "origin": each.origin,
        "prepared": each.prepared_hash,
        "version": each.payload.version,
    }


def _finish(run: Run) -> None:
    model = model_in_use(run)
    if model:
        for _ in Storing(run, model).embed_missing():
            pass
    write_index(run.store, run.memory_dir, run.env.vector_db)
