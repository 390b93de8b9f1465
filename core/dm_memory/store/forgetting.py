"""What users took out of memory for good: how it is removed, and what keeps it out.

A tombstone has the MAC of the content hash of a text that was forgotten, and an entry's id. Whatever the key, a text
with that MAC is not stored again: not from a file, the journal, a service or another machine, until it is restored. An
edited text has another hash and is new. An entry may have had several texts; those after the first have ids made from
the entry's (``_family``), so that they travel through the shared store like any other tombstone.

A correction leaves its old text among the revisions, with the reason ``CORRECTED``: a file that goes on stating that
text changes nothing. A killed process may have removed the rows and nothing else; ``PENDING`` says so, and the next run
cleans the files (``store.traces``).
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from dm_memory.items import storage_id
from dm_memory.store import outbox
from dm_memory.store.database import Store, store_errors
from dm_memory.store.entries import KEPT_REVISIONS, SELECT_ROWS, EntryRow, effective, in_json, payload_of_row, tags_of
from dm_memory.store.facts import Stated, remove_facts, store_facts
from dm_memory.store.indexes import remove_words
from dm_memory.store.journal import Journal, Record
from dm_memory.store.patterns import update_patterns
from dm_memory.text.hashing import content_hash, content_mac

__all__ = [
    "CORRECTED",
    "PENDING",
    "Debts",
    "Forgotten",
    "Text",
    "adopt_key",
    "bury",
    "corrected_texts",
    "decision",
    "decision_records",
    "is_correction",
    "lift",
    "macs_of_entry",
    "note_correction",
    "own_key",
    "purge_journal",
    "reason_of",
    "remaining",
    "remove_texts",
    "replay_decisions",
    "same_texts",
    "scrub",
    "stand_ins",
    "texts_with_macs",
]

CORRECTED = "corrected"
"""Why a text was replaced: a user said that it was wrong. See ``reason_of``."""

PENDING = "forgetting"
"""The stored fact that rows were removed and files have yet to be cleaned."""

_KEY = "mac_key"
_CORRECTIONS = "corrections"
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Text:
    """A text that is to go: an entry's own (``number`` 0), or one that it had before."""

    seq: int
    id: str
    key: str
    number: int
    content: str
    content_hash: str
    language: str = ""
    prepared_hash: str = ""


# What is kept out ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The texts that were forgotten, known by nothing but their MACs."""

    keys: tuple[bytes, ...] = ()
    macs: frozenset[str] = frozenset()

    @classmethod
    def load(cls, connection: sqlite3.Connection) -> Forgotten:
        """Return what a memory was made to forget."""
        macs = frozenset(
            mac for (mac,) in connection.execute("SELECT content_mac FROM tombstones WHERE content_mac <> ''")
        )
        return cls(_keys(connection), macs) if macs else cls()

    def __bool__(self) -> bool:
        """Return whether anything was forgotten."""
        return bool(self.macs)

    def has(self, digest: str) -> bool:
        """Return whether the text with a content hash was forgotten."""
        return bool(self.macs) and any(content_mac(key, digest) in self.macs for key in self.keys)

    def macs_of(self, digest: str) -> list[str]:
        """Return the MACs that tombstones have of a content hash."""
        return [mac for key in self.keys if (mac := content_mac(key, digest)) in self.macs]


def _keys(connection: sqlite3.Connection) -> tuple[bytes, ...]:
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (_KEY,)).fetchone()
    return tuple(bytes.fromhex(key) for key in row[0].split()) if row else ()


def own_key(store: Store) -> bytes:
    """Return the key of new tombstones; it is made if there is none. Inside a transaction."""
    keys = _keys(store.connection)
    if keys:
        return keys[0]
    key = secrets.token_bytes(32)
    store.set_meta(_KEY, key.hex())
    return key


def adopt_key(store: Store, key: bytes) -> None:
    """Make a key the one of new tombstones: the team's. Older keys go on saying what older tombstones mean."""
    keys = dict.fromkeys((key, *_keys(store.connection)))
    store.set_meta(_KEY, " ".join(each.hex() for each in keys))


def bury(store: Store, pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Leave tombstones: ids of entries, and MACs of texts they had. Inside a transaction.

    Returns:
        The MAC by the id of the tombstone, which for an entry's further texts is made from the entry's id.
    """
    connection = store.connection
    known = set(connection.execute("SELECT id, content_mac FROM tombstones WHERE item_table = 'episodes'"))
    taken = dict(known)
    placed: dict[str, str] = {}
    for id_, mac in dict.fromkeys(pairs):
        place = next(free for free in _family(id_) if taken.get(free, mac) in {mac, ""})
        placed[place] = taken[place] = mac
    fresh = [(id_, mac) for id_, mac in placed.items() if (id_, mac) not in known]
    ticks = store.ticks(len(fresh)) if fresh else range(0)
    connection.executemany(
        "INSERT OR REPLACE INTO tombstones VALUES ('episodes', ?, ?, ?, ?)",
        [(id_, tick, store.brand, mac) for (id_, mac), tick in zip(fresh, ticks, strict=True)],
    )
    return placed


def _family(id_: str) -> Iterable[str]:
    """Yield the ids that an entry's tombstones have: its own, then as many as it may have had texts, and more."""
    yield id_
    number = 1
    while True:
        yield storage_id("", f"forgotten/{id_}/{number}")
        number += 1


def macs_of_entry(connection: sqlite3.Connection, entry: str) -> list[str]:
    """Return the MACs of the texts of one entry that were forgotten."""
    family = [id_ for id_, _ in zip(_family(entry), range(4 * KEPT_REVISIONS), strict=False)]
    rows = connection.execute(
        "SELECT content_mac FROM tombstones WHERE item_table = 'episodes' AND content_mac <> ''"
        " AND id IN (SELECT value FROM json_each(?))",
        (in_json(family),),
    )
    return [mac for (mac,) in rows]


def lift(store: Store, macs: Collection[str]) -> list[str]:
    """Let texts be stored again; return the ids of their tombstones. Inside a transaction.

    The brand's files are parsed again by the next sync: they may state these texts.
    """
    connection = store.connection
    where = "item_table = 'episodes' AND content_mac <> '' AND content_mac IN (SELECT value FROM json_each(?))"
    ids = [
        id_ for (id_,) in connection.execute(f"SELECT id FROM tombstones WHERE {where}", (in_json(macs),))
    ]  # our own words
    connection.execute(f"DELETE FROM tombstones WHERE {where}", (in_json(macs),))  # as above
    if ids:
        connection.execute("UPDATE source_files SET digest = NULL")
    return ids


def reason_of(author: str) -> str:
    """Return the reason of a revision whose text ``author`` ("" for unknown) corrected."""
    return f"{CORRECTED} by {author}" if author else CORRECTED


def is_correction(reason: str) -> bool:
    """Return whether a revision's text was replaced by a user."""
    return reason == CORRECTED or reason.startswith(f"{CORRECTED} by ")


def corrected_texts(connection: sqlite3.Connection, seqs: Collection[int]) -> set[tuple[int, str]]:
    """Return the texts (entry's row, content hash) that users replaced by better ones.

    Their files may still state them.
    """
    if not seqs or connection.execute("SELECT 1 FROM meta WHERE name = ?", (_CORRECTIONS,)).fetchone() is None:
        return set()
    sql = "SELECT seq, content_hash, reason FROM revisions WHERE seq IN (SELECT value FROM json_each(?))"
    rows = connection.execute(sql, (in_json(seqs),)).fetchall()
    return {(seq, digest) for seq, digest, reason in rows if is_correction(reason)}


def stand_ins(connection: sqlite3.Connection, entries: Mapping[int, str], hashes: Iterable[str]) -> dict[str, int]:
    """Return by content hash which entry a text belongs to although it says something else now: it was corrected.

    Args:
        connection: To memory.db.
        entries: The entries that come into question: their rows, and ids.
        hashes: What a file states.
    """
    found = {digest: seq for seq, digest in corrected_texts(connection, entries)}
    forgotten = Forgotten.load(connection)
    purged = {digest: macs for digest in hashes if digest not in found and (macs := forgotten.macs_of(digest))}
    if purged:
        own = {seq: set(macs_of_entry(connection, id_)) for seq, id_ in entries.items()}
        found |= {digest: seq for digest, macs in purged.items() for seq in own if own[seq] & set(macs)}
    return found


def note_correction(store: Store) -> None:
    """Remember that there are corrections, so that memories without any never look for them. Inside a transaction."""
    store.set_meta(_CORRECTIONS, "1")


# Decisions in the journal ---------------------------------------------------------------------------------------------


def decision(store: Store, now: str, what: str, macs: Mapping[str, str]) -> Record:
    """Return a decision for the journal: ids and MACs, never texts; with the keys, without which a MAC says nothing."""
    keys = [key.hex() for key in _keys(store.connection)]
    return {"op": "decision", "what": what, "at": now, "macs": dict(macs), "keys": keys}


def decision_records(store: Store, now: str) -> Iterator[Record]:
    """Yield the records of everything that was forgotten, for a journal that is written again."""
    macs = dict(
        store.rows("SELECT id, content_mac FROM tombstones WHERE item_table = 'episodes' AND content_mac <> ''")
    )
    if macs:
        yield decision(store, now, "forget", macs)


def replay_decisions(store: Store, records: Iterable[Record]) -> None:
    """Do again what users decided, as the journal has it. Inside a transaction."""
    macs: dict[str, str] = {}
    keys: dict[str, None] = {}
    for record in records:
        what, stones = record.get("what"), record.get("macs")
        if record.get("op") != "decision" or not isinstance(stones, dict):
            continue
        keys |= dict.fromkeys(record.get("keys") or ())
        if what == "forget":
            macs |= stones
        elif what == "restore":
            gone = set(stones.values())
            macs = {id_: mac for id_, mac in macs.items() if mac not in gone}
    known = {key.hex() for key in _keys(store.connection)}
    for key in reversed([key for key in keys if key not in known]):
        adopt_key(store, bytes.fromhex(key))
    if macs:
        bury(store, macs.items())


# Finding texts -------------------------------------------------------------------------------------------------------

_OWN = "SELECT seq, id, key, 0, content, content_hash, language, prepared_hash FROM entries"
_BEFORE = (
    "SELECT e.seq, e.id, e.key, r.number, r.content, r.content_hash, e.language, '' FROM revisions r"
    " JOIN entries e ON e.seq = r.seq"
)


def same_texts(connection: sqlite3.Connection, seqs: Collection[int], hashes: Collection[str]) -> list[Text]:
    """Return all texts of some entries, and those of every other entry, now or before, that have one of the hashes.

    An entry that says one of them now goes with all it said before.
    """
    entries = {
        seq
        for (seq,) in connection.execute(
            "SELECT seq FROM entries WHERE seq IN (SELECT value FROM json_each(?))"
            " OR content_hash IN (SELECT value FROM json_each(?))",
            (in_json(seqs), in_json(hashes)),
        )
    }
    whole = in_json(entries)
    rows = connection.execute(f"{_OWN} WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq", (whole,)).fetchall()
    rows += connection.execute(
        f"{_BEFORE} WHERE r.seq IN (SELECT value FROM json_each(?))"
        " OR r.content_hash IN (SELECT value FROM json_each(?)) ORDER BY r.seq, r.number",
        (whole, in_json(hashes)),
    ).fetchall()
    return [Text(*row) for row in rows]


def texts_with_macs(connection: sqlite3.Connection, forgotten: Forgotten) -> list[Text]:
    """Return the texts in memory that tombstones speak of."""
    rows = connection.execute("SELECT content_hash FROM entries UNION SELECT content_hash FROM revisions")
    found = [digest for (digest,) in rows if forgotten.has(digest)]
    return same_texts(connection, (), found) if found else []


def remaining(connection: sqlite3.Connection) -> Iterator[str]:
    """Yield every text that is in memory, with all that was made from it or says where it is from."""
    for sql in _REMAINING:
        for row in connection.execute(sql):
            yield "\n".join(str(value) for value in row if value)


_REMAINING = (
    "SELECT content, key, facts, related, origin, list_key FROM entries",
    "SELECT content FROM revisions",
    "SELECT text FROM words",
    "SELECT text FROM facts WHERE text IS NOT NULL",
    "SELECT name, words FROM entities",
    "SELECT text, campaigns, channels FROM patterns",
    "SELECT DISTINCT tag FROM tags",
    "SELECT path FROM source_files",
    "SELECT name, value FROM meta",
    "SELECT error FROM deliveries WHERE error <> ''",
)


# Removing them -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Debts:
    """What a service has yet to be asked for besides the outbox's deletions, kept until it was.

    Attributes:
        forget: Content hashes by id of tombstones that a shared store is to have.
        again: Entries that are to be deleted and stored once more: the service keeps texts they had before.
        restore: Ids of tombstones that a shared store is to lift.
    """

    forget: dict[str, str] = field(default_factory=dict)
    again: list[str] = field(default_factory=list)
    restore: list[str] = field(default_factory=list)

    @classmethod
    def load(cls, store: Store, service: str) -> Debts:
        """Return what a service is owed."""
        text = store.meta(f"owed:{service}")
        return cls(**orjson.loads(text)) if text else cls()

    def save(self, store: Store, service: str) -> None:
        """Store what is left of it."""
        present = {"forget": self.forget, "again": self.again, "restore": self.restore}
        store.set_meta(f"owed:{service}", orjson.dumps(present).decode() if any(present.values()) else "")


def remove_texts(
    store: Store, texts: Sequence[Text], services: Mapping[str, bool], now: str, run: int
) -> dict[str, str]:
    """Remove texts with everything that was derived from them, and leave tombstones. Inside a transaction.

    Args:
        store: Open.
        texts: Entries' own texts come with all that they said before (``same_texts``).
        services: By name, whether other machines store there too: what is to go there becomes due.
        now: The present moment.
        run: The run's number.

    Returns:
        The MAC by the id of its tombstone.
    """
    connection = store.connection
    whole = {text.seq: text.id for text in texts if not text.number}
    _remove_entries(store, whole, services, run)
    again = _remove_revisions(store, [text for text in texts if text.number and text.seq not in whole], now)
    key = own_key(store)
    stays = _stay(connection, {text.content_hash for text in texts})
    hashes = {
        content_mac(key, text.content_hash): text.content_hash for text in texts if text.content_hash not in stays
    }
    by_mac = {digest: mac for mac, digest in hashes.items()}
    ordered = sorted(texts, key=lambda text: text.number)
    pairs = [(text.id, mac) for text in ordered if (mac := by_mac.get(text.content_hash))]
    stones = bury(store, pairs)
    for service, shared in services.items():
        debts = Debts.load(store, service)
        debts.forget |= {id_: hashes[mac] for id_, mac in stones.items()} if shared else {}
        debts.again = [*dict.fromkeys((*debts.again, *again))]
        debts.save(store, service)
    connection.execute(
        "UPDATE entries SET updated_from = '' WHERE updated_from IN (SELECT value FROM json_each(?))",
        (in_json(by_mac),),
    )
    noted = store.meta(PENDING)
    pending = orjson.loads(noted) if noted else {"hashes": [], "keys": [], "prepared": []}
    pending["hashes"] = [*{*pending["hashes"], *by_mac}]
    pending["keys"] = [*{*pending["keys"], *(text.key for text in texts if text.seq in whole)}]
    pending["prepared"] = [*{*pending["prepared"], *(text.prepared_hash for text in texts if text.prepared_hash)}]
    store.set_meta(PENDING, orjson.dumps(pending).decode())
    connection.execute("INSERT INTO words (words) VALUES ('optimize')")
    return stones


def _stay(connection: sqlite3.Connection, hashes: Collection[str]) -> set[str]:
    """Return those texts that other entries go on saying: only one entry's past was to go."""
    rows = connection.execute(
        "SELECT content_hash FROM entries WHERE content_hash IN (SELECT value FROM json_each(?1))"
        " UNION SELECT content_hash FROM revisions WHERE content_hash IN (SELECT value FROM json_each(?1))",
        (in_json(hashes),),
    )
    return {digest for (digest,) in rows}


def _remove_entries(store: Store, whole: Mapping[int, str], services: Collection[str], run: int) -> None:
    connection = store.connection
    seqs = [*whole]
    chosen = in_json(seqs)
    remove_facts(connection, seqs)
    remove_words(connection, seqs)
    # What these files still state is not "unchanged: in memory already" in the next report.
    connection.execute(
        "UPDATE source_files SET digest = NULL WHERE path IN"
        " (SELECT path FROM sightings WHERE seq IN (SELECT value FROM json_each(?1))"
        " UNION SELECT origin FROM entries WHERE seq IN (SELECT value FROM json_each(?1)))",
        (chosen,),
    )
    connection.execute("DELETE FROM sightings WHERE seq IN (SELECT value FROM json_each(?))", (chosen,))
    gone = connection.execute(
        "SELECT id, 'embeddings' FROM vectors WHERE seq IN (SELECT value FROM json_each(?))", (chosen,)
    ).fetchall()
    connection.execute("DELETE FROM entries WHERE seq IN (SELECT value FROM json_each(?))", (chosen,))
    if gone:
        connection.executemany(
            "INSERT OR REPLACE INTO tombstones VALUES (?, ?, ?, ?, '')",
            [(kind, id_, tick, store.brand) for (id_, kind), tick in zip(gone, store.ticks(len(gone)), strict=True)],
        )
    update_patterns(connection, store.brand, seqs, store.ticks)
    outbox.remove(connection, whole.values(), run, "forgotten")
    outbox.delete(connection, services, [*whole.values()], run)


def _remove_revisions(store: Store, texts: Sequence[Text], now: str) -> list[str]:
    """Remove texts that entries had before; return the ids of these entries. What they stated before goes as well."""
    connection = store.connection
    connection.executemany(
        "DELETE FROM revisions WHERE seq = ? AND number = ?", [(text.seq, text.number) for text in texts]
    )
    rows = [
        EntryRow(*row)
        for row in connection.execute(
            SELECT_ROWS + " AND duplicate_of IS NULL", (in_json({text.seq for text in texts}),)
        )
    ]
    tags = tags_of(connection, [row.seq for row in rows])
    remove_facts(connection, [row.seq for row in rows])
    stated = [Stated(row.seq, payload_of_row(store.brand, row, effective(tags.get(row.seq, ())))) for row in rows]
    store_facts(connection, store.brand, stated, now)
    return [row.id for row in rows]


def scrub(store: Store, *, whole: bool = False) -> bool:
    """Fold the log into the file and cut it to nothing; return whether that was possible.

    Deleted text stays in SQLite's bytes until secure_delete, FTS5's ``optimize`` and this. Not inside a transaction.
    Pages that became free are given back to the disk.

    Args:
        store: Open for writing.
        whole: Write the whole file again first: SQLite moves rows between pages and may leave a copy behind.
    """
    with store_errors(store.path):
        # As a script: ``execute`` takes one step of the pragma, which is one page.
        store.connection.executescript("VACUUM" if whole else "PRAGMA incremental_vacuum")
        busy, *_ = store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


# The journal ---------------------------------------------------------------------------------------------------------


def purge_journal(store: Store, journal: Journal, keys: Collection[str], hashes: Collection[str]) -> int:
    """Write the journal again without some entries and texts, under its own lock; return how many records went.

    What was handed in and not read yet stays unread.
    """
    keys, hashes = set(keys), set(hashes)
    with journal.exclusively():
        identity, _, place = store.meta("journal_read").partition(":")
        tail = journal.read()
        if not tail.identity and not tail.records:
            return 0
        unread = len(journal.read(int(place or 0)).records) if identity == tail.identity else len(tail.records)
        first_unread = len(tail.records) - unread
        kept = [
            (number, record)
            for number, record in enumerate(tail.records)
            if record["op"] != "journal" and not _speaks_of(record, keys, hashes)
        ]
        identity, end = journal.rewrite(record for _, record in kept)
        read = sum(number < first_unread for number, _ in kept)
        place_read = journal.place_of(1 + read)
    with store.transaction():
        store.set_meta("journal", f"{identity}:{end}")
        store.set_meta("journal_read", f"{identity}:{place_read}")
    return len(tail.records) - 1 - len(kept)


def _speaks_of(record: Record, keys: Collection[str], hashes: Collection[str]) -> bool:
    if record["op"] == "decision":
        return False
    content: Any = record.get("content")
    return record.get("key") in keys or (isinstance(content, str) and content_hash(content) in hashes)
