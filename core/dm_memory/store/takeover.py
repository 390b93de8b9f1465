"""Taking over a home of 0.2: its memory becomes a memory.db of ours, and no process of 0.2 works there any more.

The order makes it safe to be killed at any instant, and to have 0.2 run in between:

1. ``memory.db.new`` is built from 0.2's files, which are only read, and is on the disk when this ends. The journal gets
   what the brand's files can't give back.
2. An empty ``registry.db`` of a newer format takes the place of 0.2's in one step. Until then a next opening starts
   over; from then on 0.2 stops with its own message, and a next opening goes on with 3.
3. The old files go to ``from-0.2/``, and ``memory.db.new`` takes the place of 0.2's ``memory.db`` in one step.

The caller has the brand's lock, which is 0.2's as well. 0.2's searches take none: files that they have open are renamed,
never written or emptied under them. SQLite compares the file with its path before it removes a log by its name.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sqlite3
import struct
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from dm_memory.embedding.chunking import CHUNK_CHARS, CHUNKING_VERSION, chunk
from dm_memory.errors import HomeError, StoreError
from dm_memory.facts.draft import statement_text
from dm_memory.facts.model import Entity, EntityType, Fact, Relation, entry_slot
from dm_memory.findings import Finding, Severity
from dm_memory.items import Payload, storage_id
from dm_memory.store.database import FILE_NAME, Store, open_store, read_store, store_errors
from dm_memory.store.entries import Tag, version_of
from dm_memory.store.files import make_private_folder, sync_folder, write_atomic
from dm_memory.store.home_0_2 import (
    UNFINISHED,
    OldEntry,
    OldFact,
    OldHome,
    OldService,
    is_home_0_2,
    is_registry_of_newer_version,
    read_home_0_2,
)
from dm_memory.store.importing import Imported, import_entries
from dm_memory.store.journal import Journal, Record
from dm_memory.store.opening import REBUILT, journal_records
from dm_memory.text.hashing import metadata_hash
from dm_memory.text.words import words_version

__all__ = ["LEFTOVERS", "remove_leftovers_of_0_2", "take_over"]

LEFTOVERS = "from-0.2"
"""Where 0.2's files are until a verification finds nothing missing."""

_TAKEN_OVER = "taken_over"
"""The stored fact that says when, and what was damaged."""

_REGISTRY = "registry.db"
_INDEX = "_index.json"
_SUFFIXES = ("", "-wal", "-shm")
_CHUNK = 512


def take_over(memory_dir: Path, brand: str, now: str, languages: tuple[str, ...]) -> list[Finding]:
    """Take over a home of 0.2, or finish that; nothing happens if there is none. See ``is_home_0_2``.

    Args:
        memory_dir: The brand's memory folder.
        brand: The brand's slug.
        now: The present moment.
        languages: The brand's, the primary one first.

    Raises:
        HomeError: 0.2's files can't be read or moved; what was begun is finished by the next call.
        StoreError: The new store or the journal can't be written.
    """
    if not is_home_0_2(memory_dir):
        return []
    try:
        if not is_registry_of_newer_version(memory_dir):
            _remove_unfinished(memory_dir)
            home = read_home_0_2(memory_dir)
            if home is None:
                return []
            _build(memory_dir, brand, home, now, languages)
            if home.foreign_index and not os.path.lexists(memory_dir / _INDEX):
                write_atomic(memory_dir / _INDEX, "[\n{}\n]\n".format(",\n".join(home.foreign_index)).encode())
            _stop_0_2(memory_dir)
        _replace_files(memory_dir)
    except OSError as error:
        message = f"The files of version 0.2 in {memory_dir} can't be read or moved ({error.strerror or error})."
        remedy = (
            "Close other programs that use this memory, an older dm-memory above all, and make the folder writable."
        )
        raise HomeError(message, f"{remedy} Then sync again.") from error
    return _report(memory_dir, brand)


def remove_leftovers_of_0_2(memory_dir: Path) -> list[Finding]:
    """Delete 0.2's files after a verification found nothing missing. The caller has the brand's lock."""
    folder = memory_dir / LEFTOVERS
    if not os.path.lexists(folder) or (memory_dir / UNFINISHED).exists():
        return []
    try:
        if folder.is_symlink() or not folder.is_dir():
            folder.unlink()
        else:
            shutil.rmtree(folder)
        sync_folder(memory_dir)
    except OSError as error:
        message = f"The files of version 0.2 in memory/{LEFTOVERS} can't be deleted ({error.strerror})."
        return [Finding("leftovers-kept", Severity.WARNING, message, "Delete that folder.", f"memory/{LEFTOVERS}")]
    message = f"The files of version 0.2 in memory/{LEFTOVERS} are no longer needed and were deleted."
    return [Finding("leftovers-deleted", Severity.INFO, message, path=f"memory/{LEFTOVERS}")]


def _report(memory_dir: Path, brand: str) -> list[Finding]:
    """Return what a person should know of a takeover that has ended, whichever call began it."""
    with read_store(memory_dir, brand) as store:
        if store is None:
            return []
        counts = [store.value(f"SELECT count(*) FROM {rows}") for rows in _COUNTED]
        damaged = json.loads(store.meta(_TAKEN_OVER) or "{}").get("damaged", [])
    entries, bare, facts, patterns = counts
    message = (
        f"The memory of version 0.2 was taken over: {entries:,} entries, {facts:,} facts and {patterns:,} patterns"
        + (
            f"; {bare:,} of the entries get {'a vector' if bare == 1 else 'vectors'} with the next sync."
            if bare
            else "."
        )
    )
    remedy = f"Nothing to do: the old files stay in memory/{LEFTOVERS} until a verification finds nothing missing."
    findings = [Finding("taken-over", Severity.INFO, message, remedy, path=f"memory/{FILE_NAME}")]
    if damaged:
        names = " and ".join(damaged)
        message = (
            f"Version 0.2's {names} {'was' if len(damaged) == 1 else 'were'} damaged: what could be read was taken"
            " over; the brand's files and the connected services give back what they have."
        )
        remedy = f"Look through the next report, and keep memory/{LEFTOVERS} if something is missing."
        findings.append(Finding("takeover-damaged", Severity.WARNING, message, remedy, path=f"memory/{LEFTOVERS}"))
    return findings


_COUNTED = (
    "entries WHERE duplicate_of IS NULL",
    "entries WHERE duplicate_of IS NULL AND embedded = ''",
    "facts",
    "patterns",
)


# Files ---------------------------------------------------------------------------------------------------------------


def _remove_unfinished(memory_dir: Path) -> None:
    for suffix in _SUFFIXES:
        (memory_dir / f"{UNFINISHED}{suffix}").unlink(missing_ok=True)


def _stop_0_2(memory_dir: Path) -> None:
    """Put in the place of 0.2's registry one of a newer format, which 0.2 neither reads nor writes."""
    registry = memory_dir / _REGISTRY
    if registry.is_file() and not registry.is_symlink():  # its log must not be read as the new one's
        with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(registry, timeout=5)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    _keep(registry)
    write_atomic(registry, _newer_registry())


def _newer_registry() -> bytes:
    """Return a registry that makes 0.2 stop.

    Without a table ``meta`` 0.2's readers would report an empty memory; without WAL 0.2 would write into it.
    """
    with tempfile.TemporaryDirectory(prefix="dm-memory-") as folder:
        path = Path(folder) / _REGISTRY
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA page_size = 8192")
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            connection.execute("CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")
            connection.execute("PRAGMA user_version = 2")
        return path.read_bytes()


def _replace_files(memory_dir: Path) -> None:
    """Move 0.2's files away, and put the new store in the place of its durable one; does again what was not done."""
    for name in (*(f"{_REGISTRY}{suffix}" for suffix in _SUFFIXES[1:]), *map("graph.db{}".format, _SUFFIXES), "vector"):
        _move(memory_dir / name)
    durable = memory_dir / FILE_NAME
    _keep(durable)
    for suffix in _SUFFIXES[1:]:  # a log of the old file would be read as one of the new file
        _move(memory_dir / f"{FILE_NAME}{suffix}")
    (memory_dir / UNFINISHED).replace(durable)
    sync_folder(memory_dir)


def _keep(path: Path) -> None:
    """Give a file a second name among the leftovers: the first is about to become another file's, in one step."""
    if not os.path.lexists(path):
        return
    if path.is_symlink() or not path.is_file():
        _move(path)
        return
    target = _place_for(path)
    try:
        os.link(path, target)
    except OSError:  # a file system without links
        shutil.copyfile(path, target)
        target.chmod(0o600)
        with target.open("rb+") as file:
            os.fsync(file.fileno())
    sync_folder(target.parent)


def _move(path: Path) -> None:
    if os.path.lexists(path):
        path.rename(_place_for(path))


def _place_for(path: Path) -> Path:
    """Return the place among the leftovers for a file, empty: a file of an earlier takeover gives way."""
    folder = path.parent / LEFTOVERS
    if folder.is_symlink():
        folder.unlink()
    make_private_folder(folder)
    target = folder / path.name
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    else:
        target.unlink(missing_ok=True)
    return target


# The new store -------------------------------------------------------------------------------------------------------


def _build(memory_dir: Path, brand: str, home: OldHome, now: str, languages: tuple[str, ...]) -> None:
    """Write everything that was found into ``memory.db.new``; it is on the disk when this returns."""
    path = memory_dir / UNFINISHED
    try:
        store = open_store(memory_dir, brand, name=UNFINISHED)
        try:
            store.rows("PRAGMA synchronous = OFF")  # nobody reads it before the fsync below
            _fill(store, home, now, languages)
            _write_journal(store, Journal(memory_dir), now)
            if store.value("PRAGMA wal_checkpoint(TRUNCATE)"):
                message = f"The memory {path} is locked by another program."
                raise StoreError(message, "Close that program and sync again.")
        finally:
            store.close()
        with store_errors(path), path.open("rb+") as file:
            os.fsync(file.fileno())
        sync_folder(memory_dir)
    except BaseException:
        with contextlib.suppress(OSError):
            _remove_unfinished(memory_dir)
        raise


def _fill(store: Store, home: OldHome, now: str, languages: tuple[str, ...]) -> None:
    run = max((each.number for each in home.runs), default=1)
    reading = _Reading(home, store.brand, now)
    versions: dict[str, str] = {}
    with store.transaction():
        store.set_meta("clock", str(home.clock))
    for entries in _entries(home):
        for start in range(0, len(entries), _CHUNK):
            imported = [reading.imported(entry) for entry in entries[start : start + _CHUNK]]
            with store.transaction():
                rows = import_entries(store, imported, now, run, languages, "changed")
            for row in rows:
                versions[row.key] = "" if row.duplicate_of else version_of(row.content_hash, row.metadata_hash)
    with store.transaction() as connection:
        _put_bookkeeping(connection, home)
        for service in home.services:
            _put_deliveries(connection, store.brand, service, versions, run)
        for name, value in _meta(home, reading.model, now, languages):
            store.set_meta(name, value)


def _entries(home: OldHome) -> tuple[list[OldEntry], list[OldEntry]]:
    """Return the entries in the order in which they were met: one for each text, and those whose text another has."""
    met = sorted(home.entries, key=lambda entry: (entry.number or 1 << 62, entry.key))
    named = {entry.duplicate_of for entry in met}
    owners: dict[str, str] = {}
    for entry in sorted(met, key=lambda entry: (bool(entry.duplicate_of), entry.key not in named)):
        owners.setdefault(entry.content_hash, entry.key)
    standing = [replace(entry, duplicate_of="") for entry in met if owners[entry.content_hash] == entry.key]
    return standing, [
        replace(entry, duplicate_of=owner) for entry in met if (owner := owners[entry.content_hash]) != entry.key
    ]


class _Reading:
    """What is needed to make 0.2's entries ours. ``model`` is the tag of the model that its vectors are of."""

    def __init__(self, home: OldHome, brand: str, now: str) -> None:
        self._brand = brand
        self._now = now
        self._is_damaged = bool(home.damaged)
        self._graph_texts = home.graph_texts
        self._facts = dict(_facts(home, brand))
        self._sizes = dict(_models(home))
        self.model = next(iter(self._sizes), "")

    def imported(self, entry: OldEntry) -> Imported:
        """Return an entry of 0.2's as it goes into memory."""
        tags = [Tag(tag.name, _ORIGINS[tag.origin]) for tag in sorted(entry.tags, key=lambda tag: tag.name)]
        model, vectors = ("", ()) if entry.duplicate_of else self._vectors(entry)
        payload = Payload(
            id=storage_id(self._brand, entry.key),
            brand=self._brand,
            key=entry.key,
            content=entry.content,
            content_hash=entry.content_hash,
            metadata_hash=entry.metadata_hash,
            content_type=entry.content_type,
            kind=entry.kind,
            source=entry.source,
            tags=tuple(dict.fromkeys(tag.tag for tag in tags)),
            facts=entry.details,
            recorded_at=entry.recorded_at,
            created_at=entry.created_at,
            version=entry.version,
            updated_from=entry.updated_from,
            priority=entry.priority,
            expires_at=entry.expires_at,
            related=entry.related,
            vectors=vectors,
            vector_model=model,
        )
        return Imported(
            replace(payload, metadata_hash=_metadata_hash(payload)) if self._is_damaged else payload,
            tuple(tags),
            type_origin=entry.content_type_origin,
            origin=entry.origin,
            prepared_hash=entry.prepared_hash,
            revisions=((entry.previous, "", entry.changed_at or self._now, "changed"),) if entry.previous else (),
            duplicate_of=entry.duplicate_of,
            facts=() if entry.duplicate_of else tuple(self._facts.get(entry.key, ())),
            facts_text=self._graph_texts.get(entry.key, ""),
        )

    def _vectors(self, entry: OldEntry) -> tuple[str, tuple[bytes, ...]]:
        """Return the vectors of a text and their model, if they are complete: 0.2 noted nowhere how many there are."""
        found: dict[str, list[bytes]] = {}
        for vector in entry.vectors:
            found.setdefault(vector.model, []).append(vector.data)
        for model in (*self._sizes, *sorted(found.keys() - self._sizes)):
            vectors, size = found.get(model, ()), self._sizes.get(model, CHUNK_CHARS)
            is_sound = not self._is_damaged or all(map(_has_unit_length, vectors))
            if vectors and size and is_sound and len(vectors) == len(chunk(entry.content, size)):
                return model, tuple(vectors)
        return "", ()


_ORIGINS = {"user": "user", "duplicate": "merged", "": "source"}


def _metadata_hash(payload: Payload) -> str:
    return metadata_hash(
        content_type=payload.content_type,
        kind=payload.kind,
        source=payload.source,
        tags=payload.tags,
        facts=payload.facts,
        recorded_at=payload.recorded_at,
        priority=payload.priority,
        expires_at=payload.expires_at,
        related=payload.related,
    )


def _has_unit_length(vector: bytes) -> bool:
    """Return whether a vector is as 0.2 stored it: of length 1, or 0 for a text without words. It had no checksums."""
    length = sum(number * number for number in struct.unpack(f"<{len(vector) // 4}f", vector))
    return length == 0 or abs(length - 1) < 1e-3  # noqa: PLR2004  # far above rounding, far below a wrong exponent


def _models(home: OldHome) -> Iterator[tuple[str, int]]:
    """Yield the tags of models, the one in use first, with the size at which each cuts texts; 0: by other rules."""
    parts = sorted(home.fingerprints, key=lambda part: (part != "vector", part))
    for part in parts:
        made = _MADE_WITH.fullmatch(home.fingerprints[part])
        if made:
            size = int(made["size"] or CHUNK_CHARS) if int(made["version"]) == CHUNKING_VERSION else 0
            yield f"{made['name']}@{made['weights'][:12]}", size


_MADE_WITH = re.compile(
    r"(?P<name>.+) \(\d+ dimensions, weights (?P<weights>[^)]*)\), chunking (?P<version>\d+)"
    r"(?: at (?P<size>\d+) characters)?"
)


def _facts(home: OldHome, brand: str) -> Iterator[tuple[str, list[tuple[Fact, str]]]]:
    """Yield, by key, the facts of entries that can't be read from texts again: something ended, or began later."""
    entities = {}
    for entity in home.entities:
        with contextlib.suppress(ValueError):  # a type that was damaged
            entities[entity.id] = Entity(entity.id, brand, EntityType(entity.type), entity.name)
    stated: dict[str, list[OldFact]] = {}
    for old in home.facts:
        stated.setdefault(old.entry, []).append(old)
    for key, facts in stated.items():
        if key in home.graph_texts and any(old.ended_at or old.stated_at != old.valid_at for old in facts):
            found = []
            for old in facts:
                with contextlib.suppress(KeyError, ValueError):
                    found.append((_fact(old, brand, entities, home.graph_texts), old.stated_at))
            yield key, found


def _fact(old: OldFact, brand: str, entities: Mapping[str, Entity], texts: Mapping[str, str]) -> Fact:
    entry = storage_id(brand, old.entry)
    return Fact(
        old.id,
        brand,
        entities[old.subject],
        Relation(old.relation),
        entities[old.object],
        old.text or statement_text(texts[old.entry]),
        old.valid_at,
        entry,
        old.slot or entry_slot(entry),
        old.ended_at,
    )


def _put_bookkeeping(connection: sqlite3.Connection, home: OldHome) -> None:
    """Record runs, and which files are known: all of them are parsed by the next sync."""
    connection.executemany(
        "INSERT OR IGNORE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (
                run.number,
                run.run_id,
                run.started_at,
                run.finished_at,
                "interrupted" if run.status == "running" else run.status,
                run.scope,
                run.counts,
            )
            for run in home.runs
        ],
    )
    connection.execute(
        "INSERT OR REPLACE INTO source_files SELECT origin, NULL, '', count(*) FROM entries"
        " WHERE origin <> '' AND origin NOT LIKE 'memory/%' GROUP BY origin"
    )


def _put_deliveries(
    connection: sqlite3.Connection, brand: str, service: OldService, versions: Mapping[str, str], run: int
) -> None:
    """Record what a connected service confirmed. Its name is the same; what differs from what is wanted is due.

    Args:
        connection: In a transaction.
        brand: The brand's slug.
        service: The service.
        versions: What it should have of each entry, by key; "" for a duplicate.
        run: The last run's number. Not 0: what this machine has yet to deliver is newer than what the service has.
    """
    rows = []
    for each in service.deliveries:
        wanted = versions.get(each.key, "")
        confirmed = version_of(each.content_hash, each.metadata_hash) if each.content_hash else ""
        if not wanted and each.state == _REMOVAL_DUE:
            confirmed = confirmed or "?"
        if each.key in versions and (wanted or confirmed):
            action = "added" if wanted else "duplicate"
            rows.append((service.name, storage_id(brand, each.key), wanted, confirmed, action, run, each.stored_at))
    connection.executemany(
        "INSERT OR REPLACE INTO deliveries (service, id, kind, wanted, confirmed, action, run, confirmed_at)"
        " VALUES (?, ?, 'entry', ?, ?, ?, ?, ?)",
        rows,
    )


_REMOVAL_DUE = 3


def _meta(home: OldHome, model: str, now: str, languages: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the facts that later runs look for."""
    languages = tuple(languages)
    yield "languages", " ".join(languages)
    yield "words", words_version(languages)
    yield "model", model
    if home.damaged:
        yield REBUILT, now
    yield _TAKEN_OVER, json.dumps({"at": now, "damaged": home.damaged})
    if (known := home.checkpoint) is not None:
        checkpoint = {
            "at": known.at,
            "run_id": known.run_id,
            "items": known.items,
            "by_content_type": dict(known.by_content_type),
        }
        yield "last_complete_sync", known.at
        yield "checkpoint", json.dumps(checkpoint)
    for service in home.services:
        yield f"made:{service.name}", service.fingerprint
        yield f"rebuilding:{service.name}", service.rebuilding
        if service.seen:
            yield f"seen:{service.name}", f"{service.seen[0]}/{service.seen[1]}"


# The journal ---------------------------------------------------------------------------------------------------------


def _write_journal(store: Store, journal: Journal, now: str) -> None:
    """Add what the brand's files can't give back, behind what was handed in already and still waits to be stored.

    An attempt that was killed may have left the same records.
    """
    with journal.exclusively():
        records = list(journal_records(store, now))
        written = {_what(record) for record in records}
        waiting = [record for record in journal.read().records if _what(record) not in written]
        identity, end = journal.rewrite([*(record for record in waiting if record["op"] != "journal"), *records])
    with store.transaction():
        store.set_meta("journal", f"{identity}:{end}")


def _what(record: Record) -> tuple[object, ...]:
    return record["op"], record.get("key"), record.get("content")
