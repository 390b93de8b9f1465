"""What version 0.2 knew, as memory.db keeps it: entries, their vectors and facts, deliveries, bookkeeping."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from dm_memory.embedding.batch import CHUNK_CHARS, CHUNKING_VERSION, chunk
from dm_memory.facts.draft import statement_text
from dm_memory.facts.extract import EXTRACTION_VERSION
from dm_memory.facts.model import Entity, EntityType, Fact, Relation, entry_slot
from dm_memory.items import Payload, storage_id
from dm_memory.store.database import Store
from dm_memory.store.entries import Tag, version_of
from dm_memory.store.from_0_2.home import OldEntry, OldFact, OldHome, OldService
from dm_memory.store.importing import Imported, import_entries
from dm_memory.store.opening import REBUILT
from dm_memory.text.hashing import metadata_hash
from dm_memory.text.words import words_version

__all__ = ["TAKEN_OVER", "fill_from_0_2"]

TAKEN_OVER = "taken_over"
"""The stored fact that says when, and what was damaged."""

_CHUNK = 512


def fill_from_0_2(store: Store, home: OldHome, now: str, languages: tuple[str, ...]) -> None:
    """Write everything that 0.2 knew into an empty store: a transaction a chunk.

    Args:
        store: Open for writing.
        home: What 0.2 left.
        now: The present moment.
        languages: The brand's, the primary one first.
    """
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
    length: float = sum(number * number for number in struct.unpack(f"<{len(vector) // 4}f", vector))
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
    yield "extraction", str(EXTRACTION_VERSION)
    if home.damaged:
        yield REBUILT, now
    yield TAKEN_OVER, json.dumps({"at": now, "damaged": home.damaged})
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
