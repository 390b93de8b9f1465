"""Reads what version 0.2 stored for a brand, so that it can be taken over. Writes nothing into its folder.

0.2 had a file for each of its parts: ``registry.db`` (what was wanted, and what each service confirmed), ``memory.db``
(episodes, patterns, vectors; absent where Turso was configured) and ``graph.db`` (entities and facts). The folder of
its vector engine is not read. The registry is believed first, as it may contain what was not stored anywhere else yet;
what can't be read there is looked for in ``memory.db``, then in the graph, which contains each entry as well.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar
from unicodedata import normalize
from uuid import UUID, uuid5

from dm_memory.store.from_0_2.files import DURABLE, GRAPH, REGISTRY, OldFile, Row, is_file, nothing, opened

__all__ = [
    "OldEntry",
    "OldFact",
    "OldHome",
    "OldService",
    "read_home_0_2",
]


@dataclass(frozen=True, slots=True)
class _OldTag:
    """A tag.

    Attributes:
        origin: ``user`` (given to a sync, or with a payload whose text was known), ``duplicate`` (taken from an entry
            with the same text), or "" where 0.2 does not say: detected, or the source's own.
    """

    name: str
    origin: str = ""


@dataclass(frozen=True, slots=True)
class _OldVector:
    """The vector of one chunk: 32-bit floats, little-endian. ``model`` is its name, ``@``, 12 digits of its weights."""

    model: str
    chunk: int
    data: bytes


@dataclass(frozen=True, slots=True)
class OldEntry:
    """A remembered text.

    Attributes:
        content: As it was stored: masked.
        key: In a damaged registry, of an entry that was never delivered, it can be damaged itself.
        content_hash: Was compared with the content.
        content_type_origin: ``user`` if a sync was asked for another type than the source's, else ``source``.
        created_at: When 0.2 first met it; of prepared payloads naive, in local time.
        origin: The file it was read from, inside the brand's folder; "" for session learnings, for what another
            machine stored, and for what was not found in the registry.
        previous: The text of the version before, if ``memory.db`` still contained that; else "".
        duplicate_of: The key of the entry that stands for the same text, or "". Duplicates have no vectors.
        vectors: Those made from this very text. Several models can have theirs.
        number: Its place in the registry, from 1 in the order in which entries were first met; 0 if it is not there.
        changed_at: When the run began that wrote it last, or "".
    """

    key: str
    content: str
    content_hash: str
    metadata_hash: str
    content_type: str
    kind: str
    source: str
    tags: tuple[_OldTag, ...]
    details: Mapping[str, Any]
    recorded_at: str
    created_at: str
    priority: str
    expires_at: str
    related: tuple[str, ...]
    version: int
    updated_from: str
    content_type_origin: str = "source"
    origin: str = ""
    prepared_hash: str = ""
    previous: str = ""
    duplicate_of: str = ""
    vectors: tuple[_OldVector, ...] = ()
    number: int = 0
    changed_at: str = ""


@dataclass(frozen=True, slots=True)
class _OldEntity:
    """A node of the graph."""

    id: str
    type: str
    name: str


@dataclass(frozen=True, slots=True)
class OldFact:
    """An edge of the graph.

    Attributes:
        entry: The key of the entry that states it.
        subject: An entity's id.
        object: An entity's id.
        text: "" for the entry's own text.
        slot: What a later fact replaces; "" for what only a newer version of the entry replaces.
        ended_at: When its entry ceased to state it, or "".
        invalid_at: When it ceased to be true: at ``ended_at``, or when a later fact of its slot began; or "".
    """

    id: str
    entry: str
    subject: str
    relation: str
    object: str
    text: str
    slot: str
    stated_at: str
    valid_at: str
    ended_at: str
    invalid_at: str


@dataclass(frozen=True, slots=True)
class _OldDelivery:
    """What a service confirmed last of an entry.

    Attributes:
        state: 0 due, 1 stored, 2 failed, 3 removal due: the entry became a duplicate, and the service may contain it.
        content_hash: Of the text it contains; "" if it never confirmed one.
        stored_at: When it confirmed that, or "".
    """

    key: str
    state: int
    content_hash: str
    metadata_hash: str
    stored_at: str


@dataclass(frozen=True, slots=True)
class OldService:
    """A connected service, as ``durable@turso:{host}/{path}``; one that is no longer configured is among them.

    Attributes:
        fingerprint: What its entries were made with.
        rebuilding: What its entries are being made with again, "" if that is not under way.
        seen: The place in its change feed up to which everything is known (Turso only): microseconds and id.
    """

    name: str
    fingerprint: str
    rebuilding: str
    seen: tuple[int, str] | None
    deliveries: tuple[_OldDelivery, ...]


@dataclass(frozen=True, slots=True)
class _OldRun:
    """A run of 0.2's. ``counts`` is JSON; ``status`` ``running`` means that it was killed."""

    number: int
    run_id: str
    started_at: str
    finished_at: str
    status: str
    scope: str
    counts: str


@dataclass(frozen=True, slots=True)
class _OldCheckpoint:
    """The last sync after which nothing was missing."""

    at: str
    run_id: str
    items: int
    by_content_type: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class OldHome:
    """What was found.

    Attributes:
        entries: In the order of their keys, duplicates as well.
        fingerprints: What each part, embedded or connected, was filled with, by its name.
        services: The connected ones.
        foreign_index: Entries of ``_index.json`` that the plugin's script wrote, as JSON.
        damaged: Names of the files that could not be read whole.
        runs: The latest ones, oldest first.
        clock: Up to where ``memory.db`` used its clock: microseconds since 1970.
        graph_texts: The texts that the facts of entries were read from, by key, of entries whose facts can't be read
            from texts again: something ended, or began later than it was stated. It is not the entry's text if that was
            changed and never delivered to the graph.
    """

    entries: tuple[OldEntry, ...]
    entities: tuple[_OldEntity, ...]
    facts: tuple[OldFact, ...]
    services: tuple[OldService, ...]
    fingerprints: Mapping[str, str]
    checkpoint: _OldCheckpoint | None
    foreign_index: tuple[str, ...]
    damaged: tuple[str, ...]
    runs: tuple[_OldRun, ...]
    clock: int
    graph_texts: Mapping[str, str]


# Everything in them --------------------------------------------------------------------------------------------------


def read_home_0_2(memory_dir: Path) -> OldHome | None:
    """Return what 0.2 left in a brand's memory folder, or None if these are not its files (any more).

    The caller owns the brand (0.2's lock is ``.sync.lock``). Damaged files yield what can still be read of them.

    Raises:
        OSError: A file is there and can't be read; nothing may be concluded from that.
    """
    with ExitStack() as stack:
        registry = stack.enter_context(opened(memory_dir / REGISTRY))
        durable = stack.enter_context(opened(memory_dir / DURABLE))
        graph = stack.enter_context(opened(memory_dir / GRAPH))
        if registry is not None and not registry.has_format(1):
            registry = None
        if graph is not None and not graph.has_format(1):
            graph = None
        if durable is not None and not _is_durable_store(durable, beside_others=bool(registry or graph)):
            durable = None
        found = {REGISTRY: registry, DURABLE: durable, GRAPH: graph}
        if not any(database and database.tables for database in found.values()):
            return None  # nothing there says that it is 0.2's
        home = _Reading(
            registry or nothing(stack), durable or nothing(stack), graph or nothing(stack), memory_dir
        ).home()
        damaged = tuple(name for name, database in found.items() if database and database.damaged)
        return replace(home, damaged=damaged)


def _is_durable_store(database: OldFile, *, beside_others: bool) -> bool:
    """Return whether ``memory.db`` is 0.2's. A file that says nothing of itself is, among others of 0.2."""
    if database.header is None:
        return beside_others
    return database.has_format(0) and {"dm_memory_meta", "episodes"} <= database.tables


# Entries -------------------------------------------------------------------------------------------------------------

_ITEMS = (
    "SELECT rowid AS rowid, key, content, content_hash, metadata_hash, content_type, kind, source, details,"
    " recorded_at, created_at, version, updated_from, sticky_tags, sticky_type, origin, prepared_hash, duplicate_of,"
    " source_digest, run FROM items WHERE rowid > ? ORDER BY rowid"
)
_EPISODES = (
    "SELECT rowid AS rowid, id, brand, key, content, content_hash, metadata_hash, content_type, kind, source, tags,"
    " facts, related, recorded_at, created_at, version, updated_from, priority, expires_at, updated_at"
    " FROM episodes WHERE rowid > ? ORDER BY rowid"
)
_GRAPH_ENTRIES = (
    "SELECT rowid AS rowid, key, content, content_hash, metadata_hash, content_type, source, tags, recorded_at, details"
    " FROM entries WHERE rowid > ? ORDER BY rowid"
)
_EMBEDDINGS = (
    "SELECT rowid AS rowid, item_type, chunk, content_hash, model, CAST(dimension AS INTEGER) AS dimension, vector"
    " FROM embeddings WHERE rowid > ? ORDER BY rowid"
)
_ENTITIES = "SELECT rowid AS rowid, id, type, name FROM entities WHERE rowid > ? ORDER BY rowid"
_FACTS = (
    "SELECT rowid AS rowid, id, entry, subject, relation, object, text, slot, stated_at, valid_at, ended_at, invalid_at"
    " FROM facts WHERE rowid > ? ORDER BY rowid"
)

_Value = TypeVar("_Value")
_NAMESPACE = UUID("6f1c2a52-6a0e-5d0c-9a53-7d1f0c8a4e21")
_NOT_AS_WRITTEN = (ValueError, TypeError, KeyError, RecursionError)
"""What a row that was damaged, and yet is a row, raises when it is read."""


@dataclass(frozen=True, slots=True)
class _Reading:
    registry: OldFile
    durable: OldFile
    graph: OldFile
    memory_dir: Path

    def home(self) -> OldHome:
        meta = dict(self.registry.table("meta", _META))
        items = self.registry.rows("items", _ITEMS)
        keys = {row["rowid"]: row["key"] for row in items if _are_texts(row, ("key",))}
        entities = {row["rowid"]: entity for row in self.graph.rows("entities", _ENTITIES) for entity in _entity(row)}
        runs = tuple(_OldRun(*row) for row in self.registry.table("runs", _RUNS))
        stated = {row["rowid"]: row for row in _sound(self.graph, self.graph.rows("entries", _GRAPH_ENTRIES))}
        facts = tuple(self._facts(entities, stated))
        moved = {fact.entry for fact in facts if fact.ended_at or fact.stated_at != fact.valid_at}
        clock = self.durable.table("dm_memory_meta", _CLOCK)
        generation = "generation:"
        return OldHome(
            entries=self._entries(items, stated.values(), {run.number: run.started_at for run in runs}),
            entities=tuple(entities.values()),
            facts=facts,
            services=tuple(self._services(meta, keys)),
            fingerprints={
                name.removeprefix(generation): value for name, value in meta.items() if name.startswith(generation)
            },
            checkpoint=_checkpoint(meta.get("checkpoint", ""), self.memory_dir / "sync-state.json"),
            foreign_index=tuple(entry for (entry,) in self.registry.table("foreign_index", _FOREIGN)),
            damaged=(),
            runs=runs,
            clock=int(clock[0][0]) if clock else 0,
            graph_texts={row["key"]: row["content"] for row in stated.values() if row["key"] in moved},
        )

    def _entries(self, items: Sequence[Row], stated: Iterable[Row], runs: Mapping[int, str]) -> tuple[OldEntry, ...]:
        episodes = {row["key"]: row for row in _sound(self.durable, self.durable.rows("episodes", _EPISODES))}
        wanted = {entry.key: entry for entry in _from_items(self.registry, items, runs)}
        entries: dict[str, OldEntry] = {}
        if self.registry.damaged or not items:
            rows = (row for row in stated if row["key"] not in wanted)
            entries |= {entry.key: entry for entry in _parsed(self.graph, _from_graph, rows)}
        rows = (row for key, row in episodes.items() if key not in wanted)
        entries |= {entry.key: entry for entry in _parsed(self.durable, _from_episode, rows)}
        entries |= wanted
        vectors = _vectors(self.durable.rows("embeddings", _EMBEDDINGS))
        found = []
        for key, entry in sorted(entries.items()):
            stored = episodes.get(key)
            was_replaced = stored is not None and stored["content_hash"] == entry.updated_from
            previous = stored["content"] if stored and was_replaced else ""
            own = () if entry.duplicate_of else vectors.get(entry.content_hash, ())
            found.append(replace(entry, previous=previous, vectors=own) if own or previous else entry)
        return tuple(found)

    def _facts(self, entities: Mapping[int, _OldEntity], stated: Mapping[int, Row]) -> Iterator[OldFact]:
        names = ("id", "relation", "stated_at", "valid_at", "ended_at", "invalid_at")
        for row in self.graph.rows("facts", _FACTS):
            entry, subject, thing = stated.get(row["entry"]), entities.get(row["subject"]), entities.get(row["object"])
            if entry and subject and thing and _are_texts(row, names):
                yield OldFact(
                    entry=entry["key"],
                    subject=subject.id,
                    object=thing.id,
                    text=row["text"] or "",
                    slot=row["slot"] or "",
                    **{name: row[name] for name in names},
                )

    def _services(self, meta: Mapping[str, str], keys: Mapping[int, str]) -> Iterator[OldService]:
        deliveries: dict[str, list[_OldDelivery]] = {}
        for name in meta:
            prefix, _, service = name.partition(":")
            if prefix == "generation" and "@" in service:
                deliveries[service] = []
        for service, seq, *confirmed in self.registry.table("deliveries", _DELIVERIES):
            if seq in keys:
                deliveries.setdefault(service, []).append(_OldDelivery(keys[seq], *confirmed))
        for service, known in sorted(deliveries.items()):
            fingerprint = meta.get(f"generation:{service}", "")
            rebuilding = meta.get(f"rebuilding:{service}", "")
            yield OldService(service, fingerprint, rebuilding, _place(meta.get(f"seen:{service}", "")), tuple(known))


_META = "SELECT name, value FROM meta WHERE typeof(name) = 'text' AND typeof(value) = 'text'"
_RUNS = (
    "SELECT id, run_id, started_at, finished_at, status, scope, counts FROM runs WHERE typeof(run_id) = 'text'"
    " AND typeof(started_at) = 'text' AND typeof(finished_at) = 'text' AND typeof(status) = 'text'"
    " AND typeof(scope) = 'text' AND typeof(counts) = 'text' ORDER BY id"
)
_CLOCK = "SELECT value FROM dm_memory_meta WHERE name = 'clock' AND typeof(value) = 'integer'"
_FOREIGN = "SELECT entry FROM foreign_index WHERE typeof(entry) = 'text'"
_DELIVERIES = (
    "SELECT layer, seq, state, content_hash, metadata_hash, stored_at FROM deliveries WHERE instr(layer, '@')"
    " AND typeof(state) = 'integer' AND typeof(content_hash) = 'text' AND typeof(metadata_hash) = 'text'"
    " AND typeof(stored_at) = 'text'"
)


def _parsed(database: OldFile, parse: Callable[[Row], _Value], rows: Iterable[Row]) -> Iterator[_Value]:
    """Yield what ``parse`` makes of rows; leave out those that are not as 0.2 wrote them, and note the damage."""
    for row in rows:
        try:
            yield parse(row)
        except _NOT_AS_WRITTEN:
            database.damaged = True


def _from_items(registry: OldFile, rows: Sequence[Row], runs: Mapping[int, str]) -> Iterator[OldEntry]:
    """Yield the registry's entries. The duplicates' rows show which of an entry's tags are not a user's."""
    keys = {row["rowid"]: row["key"] for row in rows if _are_texts(row, ("key",))}
    of_duplicates: dict[int, set[str]] = {}
    for row in rows:
        if row["duplicate_of"] is not None:
            tags = set(next(_parsed(registry, _tags_of_item, [row]), [])) - set(str(row["sticky_tags"]).split())
            of_duplicates.setdefault(row["duplicate_of"], set()).update(tags)
    for row in rows:
        # Without the digest of a source, the entry came from another machine, with all tags sticky.
        sticky = set(str(row["sticky_tags"]).split()) if row["source_digest"] else set()
        merged = of_duplicates.get(row["rowid"], set())
        origins = {tag: "duplicate" if tag in merged else "user" for tag in sticky}
        yield from _parsed(registry, partial(_from_item, origins, keys, runs), [row])


def _tags_of_item(row: Row) -> list[str]:
    tags: list[str] = json.loads(row["details"])[0]
    return tags


def _from_item(origins: Mapping[str, str], keys: Mapping[int, str], runs: Mapping[int, str], row: Row) -> OldEntry:
    if not _are_texts(row, ("origin", "prepared_hash")):
        raise ValueError(row["key"])
    tags, facts, priority, expires_at, related = json.loads(row["details"])
    rest = {"tags": tags, "facts": facts, "priority": priority, "expires_at": expires_at, "related": related}
    return _entry(
        row | rest,
        origins,
        content_type_origin="user" if row["sticky_type"] else "source",
        origin=row["origin"],
        prepared_hash=row["prepared_hash"],
        duplicate_of=keys.get(row["duplicate_of"], ""),
        number=row["rowid"],
        changed_at=runs.get(row["run"], ""),
    )


def _from_episode(row: Row) -> OldEntry:
    if row["id"] != str(uuid5(_NAMESPACE, f"{row['brand']}/{row['key']}")):
        raise ValueError(row["id"])
    return _entry(row | {name: json.loads(row[name]) for name in ("tags", "facts", "related")})


def _from_graph(row: Row) -> OldEntry:
    details = json.loads(row["details"])
    return _entry(row | details | {"tags": row["tags"].split("\n")[1:-1]})


def _entry(row: Row, origins: Mapping[str, str] | None = None, **more: Any) -> OldEntry:  # noqa: ANN401  # fields
    """Return an entry. Raises ``ValueError`` if it is not what was stored."""
    names = (
        "key", "content", "content_hash", "metadata_hash", "content_type", "kind", "source", "recorded_at",
        "created_at", "priority", "expires_at", "updated_from",
    )  # fmt: skip
    tags, related = row["tags"], row["related"]
    are_texts = _are_texts(row, names) and all(isinstance(name, str) for name in (*tags, *related))
    if not are_texts or _content_hash(row["content"]) != row["content_hash"]:
        raise ValueError(row["key"])
    origins = origins or {}
    return OldEntry(
        **{name: row[name] for name in names},
        tags=tuple(_OldTag(name, origins.get(name, "")) for name in tags),
        details=dict(row["facts"]),
        related=tuple(related),
        version=int(row["version"]),
        **more,
    )


def _entity(row: Row) -> Iterator[_OldEntity]:
    if _are_texts(row, ("id", "type", "name")):
        yield _OldEntity(row["id"], row["type"], row["name"])


def _are_texts(row: Row, names: Iterable[str]) -> bool:
    return all(isinstance(row[name], str) for name in names)


def _sound(database: OldFile, rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the rows that have the texts that their hashes say; note the damage of others."""
    for row in rows:
        if _are_texts(row, ("key", "content")) and _content_hash(row["content"]) == row["content_hash"]:
            yield row
        else:
            database.damaged = True


def _content_hash(text: str) -> str:
    """Return 0.2's hash of a text, version 1: NFC, white space as one space."""
    text = text if text.isascii() else normalize("NFC", text)
    return sha256(" ".join(text.split()).encode("utf-8", "surrogatepass")).hexdigest()


def _vectors(rows: Sequence[Row]) -> dict[str, tuple[_OldVector, ...]]:
    """Return vectors by the hash of the text that they were made from; those of a model with a gap are left out."""
    found: dict[tuple[str, str], dict[int, bytes]] = {}
    for row in rows:
        data, chunk = row["vector"], row["chunk"]
        is_whole = isinstance(data, bytes) and len(data) == 4 * row["dimension"] > 0 and isinstance(chunk, int)
        if is_whole and row["item_type"] == "episode" and _are_texts(row, ("content_hash", "model")):
            found.setdefault((row["content_hash"], row["model"]), {})[chunk] = data
    vectors: dict[str, tuple[_OldVector, ...]] = {}
    for (content_hash, model), chunks in sorted(found.items()):
        if sorted(chunks) == list(range(len(chunks))):
            made = tuple(_OldVector(model, chunk, chunks[chunk]) for chunk in sorted(chunks))
            vectors[content_hash] = vectors.get(content_hash, ()) + made
    return vectors


def _place(text: str) -> tuple[int, str] | None:
    try:
        moment, id_ = json.loads(text)
        return int(moment), str(id_)
    except _NOT_AS_WRITTEN:
        return None


def _checkpoint(text: str, export: Path) -> _OldCheckpoint | None:
    """Return the registry's checkpoint, or the one in the file that was exported for people."""
    try:
        known = json.loads(text) if text or not is_file(export) else json.loads(export.read_bytes())["checkpoint"]
        return _OldCheckpoint(known["at"], known["run_id"], int(known["items"]), dict(known["by_content_type"]))
    except _NOT_AS_WRITTEN:
        return None
