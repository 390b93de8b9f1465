"""The tables of memory.db. ``PRAGMA user_version`` is the schema's version, ``application_id`` says whose file it is.

Tables:
    meta: Facts about the database: its brand, the store's clock, models, what the last runs left.
    entries: One row a remembered text. ``duplicate_of`` points at the entry that stands for the same text: a duplicate
        has no vectors, words, facts or deliveries of its own. ``embedded`` names the model whose vectors it has;
        ``statement`` is the hash of an insight without its context.
    tags: Where each tag of an entry comes from; a removed one stays, so that no sync brings it back.
    sightings: Which file states which entry. An entry that no file states any more is retired.
    revisions: The texts an entry had before.
    vectors: A chunk's vector, raw little-endian float32, with the CRC-32 (zlib) of its bytes.
    words: FTS5 over the analysed words of each current text (``text.words.analyse``); its rowid is ``entries.seq``.
    entities, facts, mentions: See ``store.facts``.
    patterns: What worked and what failed over campaigns; has the shape of the durable store's table.
    deliveries: The outbox. ``wanted`` and ``confirmed`` are versions of an entry (``version_of``); "" means that the
        service must not, or does not, have it. What differs is due. No foreign key: a deletion outlives its entry.
    tombstones: What was forgotten. ``content_mac`` is the HMAC-SHA-256 of the content hash under ``meta.mac_key``.
    runs, source_files: Bookkeeping.

Views ``episodes``, ``embeddings`` and ``dm_memory_meta`` give the file the shape of the durable store on Turso, so that
``storage_sync`` reads either.
"""

from __future__ import annotations

__all__ = ["APPLICATION_ID", "MIGRATIONS", "SCHEMA_VERSION"]

APPLICATION_ID = 0x444D4D31
"""``DMM1`` in the file's header."""

_DURABLE_VERSION = 2
"""The version of the durable store's schema whose rows the views return."""

_VERSION_1 = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE entries (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, key TEXT NOT NULL UNIQUE, list_key TEXT NOT NULL DEFAULT '',
    kind TEXT NOT NULL, content_type TEXT NOT NULL, type_origin TEXT NOT NULL, source TEXT NOT NULL,
    content TEXT NOT NULL, content_hash TEXT NOT NULL, metadata_hash TEXT NOT NULL, facts TEXT NOT NULL,
    recorded_at TEXT NOT NULL, day INTEGER, created_at TEXT NOT NULL, priority TEXT NOT NULL, expires_at TEXT NOT NULL,
    related TEXT NOT NULL, version INTEGER NOT NULL, updated_from TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'current' CHECK (state IN ('current', 'retired')),
    retired_at TEXT NOT NULL DEFAULT '', duplicate_of INTEGER REFERENCES entries (seq), origin TEXT NOT NULL,
    source_updated_at TEXT NOT NULL DEFAULT '', source_digest TEXT NOT NULL DEFAULT '',
    prepared_hash TEXT NOT NULL DEFAULT '', language TEXT NOT NULL DEFAULT '', author TEXT NOT NULL DEFAULT '',
    embedded TEXT NOT NULL DEFAULT '', run INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    statement TEXT NOT NULL DEFAULT '');
CREATE INDEX entries_by_statement ON entries (statement) WHERE statement <> '';
CREATE INDEX entries_by_text ON entries (content_hash);
CREATE INDEX entries_by_list ON entries (list_key) WHERE list_key <> '';
CREATE INDEX entries_by_owner ON entries (duplicate_of) WHERE duplicate_of IS NOT NULL;
CREATE INDEX entries_by_type ON entries (content_type, state, kind) WHERE duplicate_of IS NULL;
CREATE INDEX entries_changes ON entries (updated_at, id);
CREATE INDEX entries_to_embed ON entries (embedded) WHERE duplicate_of IS NULL;
CREATE TABLE tags (
    seq INTEGER NOT NULL REFERENCES entries (seq) ON DELETE CASCADE, tag TEXT NOT NULL, origin TEXT NOT NULL,
    removed INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (seq, tag)) WITHOUT ROWID;
CREATE INDEX tags_by_tag ON tags (tag, seq) WHERE removed = 0;
CREATE TABLE sightings (path TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (path, seq)) WITHOUT ROWID;
CREATE INDEX sightings_of ON sightings (seq);
CREATE TABLE revisions (
    seq INTEGER NOT NULL REFERENCES entries (seq) ON DELETE CASCADE, number INTEGER NOT NULL, content TEXT NOT NULL,
    content_hash TEXT NOT NULL, recorded_at TEXT NOT NULL, replaced_at TEXT NOT NULL, reason TEXT NOT NULL,
    PRIMARY KEY (seq, number));
CREATE TABLE vectors (
    id TEXT NOT NULL UNIQUE, seq INTEGER NOT NULL REFERENCES entries (seq) ON DELETE CASCADE, chunk INTEGER NOT NULL,
    model TEXT NOT NULL, content_hash TEXT NOT NULL, dimension INTEGER NOT NULL, crc INTEGER NOT NULL,
    vector BLOB NOT NULL, updated_at INTEGER NOT NULL);
CREATE INDEX vectors_of ON vectors (seq);
CREATE INDEX vectors_changes ON vectors (updated_at, id);
CREATE VIRTUAL TABLE words USING fts5(text, tokenize = "unicode61 remove_diacritics 0");
CREATE TABLE patterns (
    id TEXT PRIMARY KEY NOT NULL, updated_at INTEGER NOT NULL, brand TEXT NOT NULL, text TEXT NOT NULL,
    outcome TEXT NOT NULL, occurrence_count INTEGER NOT NULL, worked_count INTEGER NOT NULL,
    failed_count INTEGER NOT NULL, success_rate REAL NOT NULL, campaigns TEXT NOT NULL, channels TEXT NOT NULL,
    episode_ids TEXT NOT NULL, first_seen TEXT NOT NULL, last_seen TEXT NOT NULL);
CREATE INDEX patterns_changes ON patterns (brand, updated_at, id);
CREATE TABLE deliveries (
    service TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, wanted TEXT NOT NULL,
    confirmed TEXT NOT NULL DEFAULT '', attempts INTEGER NOT NULL DEFAULT 0, next_attempt TEXT NOT NULL DEFAULT '',
    error TEXT NOT NULL DEFAULT '', action TEXT NOT NULL, run INTEGER NOT NULL,
    confirmed_at TEXT NOT NULL DEFAULT '', PRIMARY KEY (service, kind, id)) WITHOUT ROWID;
CREATE INDEX deliveries_due ON deliveries (service, kind, id) WHERE wanted <> confirmed;
CREATE TABLE tombstones (
    item_table TEXT NOT NULL, id TEXT NOT NULL, updated_at INTEGER NOT NULL, brand TEXT NOT NULL,
    content_mac TEXT NOT NULL DEFAULT '', PRIMARY KEY (item_table, id));
CREATE INDEX tombstones_changes ON tombstones (brand, updated_at, id);
CREATE TABLE runs (
    number INTEGER PRIMARY KEY, run_id TEXT NOT NULL, started_at TEXT NOT NULL, finished_at TEXT NOT NULL DEFAULT '',
    status TEXT NOT NULL, scope TEXT NOT NULL, counts TEXT NOT NULL DEFAULT '{{}}');
CREATE TABLE source_files (
    path TEXT PRIMARY KEY NOT NULL, digest BLOB, fingerprint TEXT NOT NULL, items INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE entities (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, type TEXT NOT NULL, name TEXT NOT NULL, words TEXT NOT NULL);
CREATE INDEX entities_by_words ON entities (words);
CREATE TABLE facts (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL, entry INTEGER NOT NULL REFERENCES entries (seq),
    subject INTEGER NOT NULL, relation TEXT NOT NULL, object INTEGER NOT NULL, text TEXT, slot TEXT,
    stated_at TEXT NOT NULL, valid_at TEXT NOT NULL, ended_at TEXT NOT NULL DEFAULT '',
    invalid_at TEXT NOT NULL DEFAULT '');
CREATE INDEX facts_by_entry ON facts (entry);
CREATE INDEX facts_by_subject ON facts (subject, valid_at);
CREATE INDEX facts_by_object ON facts (object, valid_at);
CREATE INDEX facts_by_slot ON facts (slot) WHERE slot IS NOT NULL;
CREATE INDEX facts_ended_by_subject ON facts (subject, invalid_at) WHERE invalid_at <> '';
CREATE INDEX facts_ended_by_object ON facts (object, invalid_at) WHERE invalid_at <> '';
CREATE TABLE mentions (
    entity INTEGER NOT NULL, day INTEGER NOT NULL, entry INTEGER NOT NULL REFERENCES entries (seq),
    PRIMARY KEY (entity, day, entry)) WITHOUT ROWID;
CREATE INDEX mentions_by_entry ON mentions (entry);
CREATE TABLE points (
    pattern TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (pattern, seq)) WITHOUT ROWID;
CREATE INDEX points_of ON points (seq);
CREATE VIEW episodes AS SELECT
    e.id AS id, e.updated_at AS updated_at, (SELECT value FROM meta WHERE name = 'brand') AS brand, e.key AS key,
    e.kind AS kind, e.content_type AS content_type, e.source AS source, e.content AS content,
    e.content_hash AS content_hash, e.metadata_hash AS metadata_hash,
    (SELECT json_group_array(tag) FROM (SELECT tag FROM tags WHERE seq = e.seq AND removed = 0 ORDER BY tag)) AS tags,
    e.facts AS facts, e.recorded_at AS recorded_at, e.created_at AS created_at, e.version AS version,
    e.updated_from AS updated_from, e.priority AS priority, e.expires_at AS expires_at, e.related AS related,
    e.state AS state, e.retired_at AS retired_at, e.author AS author
    FROM entries e WHERE e.duplicate_of IS NULL;
CREATE VIEW embeddings AS SELECT
    v.id AS id, v.updated_at AS updated_at, (SELECT value FROM meta WHERE name = 'brand') AS brand, e.id AS item_id,
    'episode' AS item_type, v.chunk AS chunk, v.content_hash AS content_hash, v.model AS model,
    v.dimension AS dimension, v.vector AS vector
    FROM vectors v JOIN entries e ON e.seq = v.seq;
CREATE VIEW dm_memory_meta AS
    SELECT name, CAST(value AS INTEGER) AS value FROM meta WHERE name IN ('schema_version', 'clock');
INSERT INTO meta VALUES ('schema_version', '{_DURABLE_VERSION}'), ('clock', '0');
"""

MIGRATIONS = (_VERSION_1,)
"""What leads from each version to the next; statements end with a semicolon at the end of a line."""

SCHEMA_VERSION = len(MIGRATIONS)
