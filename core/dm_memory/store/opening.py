"""Opening a brand's memory for a run: made, taken over from 0.2, checked, and rebuilt if it is damaged or gone.

A damaged memory.db is set aside; what can still be read of it is copied, then the journal gives back what it has. The
brand's files and the connected services give back the rest in the run that follows. A lost or shortened journal is
written again from memory.db. The caller has the brand's lock.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import Any

from dm_memory.errors import DamagedStoreError, HomeError, StoreError, system_reason
from dm_memory.findings import Finding, Severity, count_of_entries
from dm_memory.items import storage_id
from dm_memory.store import entries as table
from dm_memory.store.allowing import ALLOWED, allowed_records, replay_allowed
from dm_memory.store.database import FILE_NAME, Store, connect_to_read, is_present, open_store, store_errors
from dm_memory.store.entries import SELECT_ENTRIES, EntryRow, Tag
from dm_memory.store.files import is_file, remove_leftovers, sqlite_uri, sync_folder
from dm_memory.store.forgetting import (
    PENDING,
    Forgotten,
    decision_records,
    remove_texts,
    replay_decisions,
    texts_with_macs,
)
from dm_memory.store.from_0_2.files import is_home_0_2
from dm_memory.store.importing import Imported, import_entries, imported_of_record, record_of_entry
from dm_memory.store.journal import Journal
from dm_memory.text.hashing import content_hash
from dm_memory.text.timestamps import Clock, from_iso, to_iso

__all__ = ["MOVED", "REBUILT", "damage_of", "journal_records", "missing_memory", "open_or_rebuild", "rebuild_next_time"]

REBUILT = "rebuilt"
"""The stored fact that connected services have yet to be asked for what only they still have."""

_CHECKPOINT = "sync-state.json"
_REBUILT_NAME = f"{FILE_NAME}.rebuilt"
_CHECKED = "checked_at"
_DAMAGED = "damaged"
_CHECK_EVERY = timedelta(days=7)
_CHUNK = 512
_LARGEST_SEQ = 1 << 40
_ROWS_A_PAGE = 64
"""More than fit: an entry takes 128 bytes for its hashes alone."""
_MOST_FAILURES = 50_000
"""Ranges of rows that can't be read, after which a table is given up: a second of work."""


def open_or_rebuild(
    memory_dir: Path, brand: str, clock: Clock, *, damaged: bool = False, languages: tuple[str, ...] = ()
) -> tuple[Store, list[Finding]]:
    """Open the memory for writing, whatever state it is in.

    Args:
        memory_dir: The brand's memory folder.
        brand: The brand's slug.
        clock: Returns the present moment.
        damaged: The memory turned out to be damaged while it was used.
        languages: The brand's, the primary one first.

    Raises:
        HomeError, StoreError: It can't be opened, or a damaged file can't be set aside.
    """
    remove_leftovers(memory_dir, "pending", "stored", "cache")
    now = to_iso(clock())
    journal = Journal(memory_dir)
    taken: list[Finding] = []
    if is_home_0_2(memory_dir):
        from dm_memory.store.from_0_2.takeover import take_over  # noqa: PLC0415  # once in a brand's life; it imports this module

        taken = take_over(memory_dir, brand, now, languages)
    _resume(memory_dir)
    if not damaged:
        with contextlib.suppress(DamagedStoreError):
            new = not is_present(memory_dir)
            if new and any(record.get("op") == "store" for record in journal.read().records):
                store, found = _rebuild(memory_dir, brand, journal, now, languages, damaged=False)
                return store, [*taken, *found]
            store = open_store(memory_dir, brand)
            try:
                if new:
                    _begin(store, journal, now)
                _check_if_due(store, clock)
                return store, [*taken, *_follow_journal(store, journal, now)]
            except BaseException:
                store.close()
                raise
    store, found = _rebuild(memory_dir, brand, journal, now, languages, damaged=True)
    return store, [*taken, *found]


def _begin(store: Store, journal: Journal, now: str) -> None:
    """Note that there is a memory from now on: a journal without it has only what was handed in before."""
    added = journal.append([{"op": "store", "at": now}])
    store.set_meta("journal", f"{added.identity}:{added.end}")


def _check_if_due(store: Store, clock: Clock) -> None:
    """Check the whole file after a run that ended early, and weekly. Raises ``DamagedStoreError``."""
    if store.meta(_CHECKED) == _DAMAGED:
        raise damage_of(store)
    last = from_iso(store.meta(_CHECKED))
    interrupted = store.value("SELECT count(*) FROM runs WHERE status = 'running'")
    if not interrupted and last is not None and timedelta() <= clock() - last < _CHECK_EVERY:
        return
    if last is not None or interrupted:
        answer = store.rows("PRAGMA quick_check(1)")
        if answer != [("ok",)]:
            raise damage_of(store)
    store.set_meta(_CHECKED, to_iso(clock()))


def damage_of(store: Store) -> DamagedStoreError:
    """Return what a memory is answered with that SQLite, or a reader, found damaged."""
    return DamagedStoreError(f"The memory {store.path} is damaged.", "Run a sync: it builds the memory again.")


def rebuild_next_time(store: Store) -> None:
    """Let the next opening build the memory again: SQLite's own check does not see every damage that a reader met."""
    store.set_meta(_CHECKED, _DAMAGED)


def missing_memory(memory_dir: Path) -> list[Finding]:
    """Say of a memory that is not there that there was one: a checkpoint, or a journal that began with it, is left."""
    try:
        had = is_file(memory_dir / _CHECKPOINT)
        had = had or any(record.get("op") == "store" for record in Journal(memory_dir).read().records)
    except (OSError, StoreError):
        return []
    if not had:
        return []
    message = f"The memory {FILE_NAME} is gone; what was in it can't be shown."
    remedy = "Sync: it builds the memory again from its journal, the brand's files and connected services."
    return [Finding("memory-gone", Severity.ERROR, message, remedy)]


def _set_aside(path: Path) -> Path:
    """Rename a damaged file, whatever it is, with its log; nothing is followed. Raises ``HomeError``."""
    number = 1
    while os.path.lexists(aside := path.with_name(f"{path.name}.damaged-{number}")):
        number += 1
    try:
        path.rename(aside)
        for suffix in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    except OSError as error:
        reason, remedy = system_reason(error)
        raise HomeError(f"The memory {path} is damaged and can't be set aside ({reason}).", remedy) from error
    return aside


def _rebuild(
    memory_dir: Path, brand: str, journal: Journal, now: str, languages: tuple[str, ...], *, damaged: bool
) -> tuple[Store, list[Finding]]:
    """Fill a new memory from what the damaged file and the journal still give, then put it in the place of the old one.

    Until it is whole it has another name: a process that is killed on the way leaves everything to the next one.
    """
    path = memory_dir / FILE_NAME
    store = open_store(memory_dir, brand, name=_REBUILT_NAME)
    try:
        store.set_meta("languages", " ".join(languages))  # by which the words of what comes back are analysed
        saved = _salvage(store, path, now) if damaged else 0
        replayed = _replay(store, journal, now)
        # Remove what a damaged file still had of texts that were forgotten.
        forgotten = Forgotten.load(store.connection)
        texts = texts_with_macs(store.connection, forgotten) if forgotten else []
        if texts:
            with store.transaction():
                remove_texts(store, texts, {}, now, 0)
        with store.transaction():
            store.set_meta(REBUILT, now)
            store.set_meta(_CHECKED, now)
        store.rows("PRAGMA wal_checkpoint(TRUNCATE)")  # its log does not go along
    finally:
        store.close()
    aside = _set_aside(path) if damaged else None
    _put_in_place(memory_dir)
    what = f"was damaged and was set aside as {aside.name}" if aside is not None else "was gone"
    message = (
        f"The memory {FILE_NAME} {what}. It was built again, with {count_of_entries(saved)} saved from it and"
        f" {replayed:,} from the journal; the brand's files and connected services give back the rest."
    )
    remedy = "Nothing to do. The file that was set aside can be deleted." if aside is not None else "Nothing to do."
    finding = Finding("memory-rebuilt", Severity.WARNING, message, remedy, path=f"memory/{FILE_NAME}")
    return open_store(memory_dir, brand), [finding]


def _resume(memory_dir: Path) -> None:
    """Finish a rebuild that was killed after the damaged file had been set aside; drop one that was killed before."""
    new = memory_dir / _REBUILT_NAME
    if not os.path.lexists(new):
        return
    if not os.path.lexists(memory_dir / FILE_NAME) and _is_whole(new):
        _put_in_place(memory_dir)
        return
    try:
        for suffix in ("", "-wal", "-shm"):
            new.with_name(new.name + suffix).unlink(missing_ok=True)
    except OSError as error:
        reason, remedy = system_reason(error)
        message = f"{new}, left by a process that was stopped, can't be removed ({reason})."
        raise HomeError(message, remedy) from error


def _is_whole(new: Path) -> bool:
    try:
        with connect_to_read(new) as connection:
            found = connection and connection.execute("SELECT 1 FROM meta WHERE name = ?", (REBUILT,)).fetchone()
            return bool(found)
    except (StoreError, sqlite3.Error):
        return False


def _put_in_place(memory_dir: Path) -> None:
    path = memory_dir / FILE_NAME
    try:
        for suffix in ("-wal", "-shm"):  # of a file that is gone; SQLite would take them for the new one's
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        (memory_dir / _REBUILT_NAME).replace(path)  # an empty file may be there
        sync_folder(memory_dir)
    except OSError as error:
        reason, remedy = system_reason(error)
        raise HomeError(f"The rebuilt memory can't be put in the place of {path} ({reason}).", remedy) from error


# What a damaged file still gives ------------------------------------------------------------------------------------


def _salvage(store: Store, damaged: Path, now: str) -> int:
    """Copy the entries that a damaged file still yields, with their tags and revisions."""
    if damaged.is_symlink() or not damaged.is_file():
        return 0  # what it points at is not ours
    saved = 0
    try:
        source = sqlite3.connect(sqlite_uri(damaged, "mode=rw"), uri=True, isolation_level=None)
    except sqlite3.Error:
        return 0
    with contextlib.closing(source):
        with contextlib.suppress(sqlite3.Error, UnicodeDecodeError):
            source.execute("PRAGMA writable_schema = ON")  # a file that is too short is opened all the same
        tags: dict[int, list[Tag]] = {}
        for seq, tag, origin, removed in _readable(source, "tags", "seq, tag, origin, removed"):
            tags.setdefault(seq, []).append(Tag(tag, origin, bool(removed)))
        revisions: dict[int, list[tuple[str, str, str, str]]] = {}
        for seq, content, recorded, replaced, reason in _readable(
            source, "revisions", "seq, content, recorded_at, replaced_at, reason"
        ):
            revisions.setdefault(seq, []).append((content, recorded, replaced, reason))
        chunk: list[Imported] = []
        texts: set[str] = set()
        for values in _readable(source, "entries", ", ".join(EntryRow._fields)):
            imported = _imported(EntryRow(*values), tags, revisions, store.brand)
            if imported is None or imported.payload.content_hash in texts:
                continue
            texts.add(imported.payload.content_hash)
            chunk.append(imported)
            if len(chunk) == _CHUNK:
                saved += _import(store, chunk, now)
        saved += _import(store, chunk, now)
        tombstones = list(_readable(source, "tombstones", "item_table, id, updated_at, brand, content_mac"))
        kept = [row for row in _readable(source, "meta", "name, value") if row[0] in _KEPT_META]
    with store.transaction() as connection:
        connection.executemany("INSERT OR IGNORE INTO tombstones VALUES (?, ?, ?, ?, ?)", tombstones)
        connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", kept)
    return saved


MOVED = "moved"
"""The stored fact of where files lay when their entries got their keys, by their paths, as JSON."""

_KEPT_META = frozenset({ALLOWED, MOVED, "mac_key", "corrections", PENDING, "last_complete_sync", "checkpoint"})


def _readable(source: sqlite3.Connection, name: str, columns: str) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a table that can be read; ranges of row numbers that can't are halved around the damage."""
    key = "rowid" if name not in {"tags", "tombstones", "meta"} else ""
    if not key:
        with contextlib.suppress(sqlite3.Error, UnicodeDecodeError):
            yield from source.execute(f"SELECT {columns} FROM {name}")
        return
    try:
        pages = int(source.execute("PRAGMA page_count").fetchone()[0])
    except (sqlite3.Error, UnicodeDecodeError):
        return  # not even its first page
    try:
        last = int(source.execute(f"SELECT max(rowid) FROM {name}").fetchone()[0] or 0)
    except (sqlite3.Error, TypeError, ValueError):  # UnicodeDecodeError is a ValueError
        last = _LARGEST_SEQ
    ranges = deque([(1, max(1, min(last, pages * _ROWS_A_PAGE)))])
    failures = 0
    while ranges and failures < _MOST_FAILURES:  # the widest ranges first: what is whole comes before the crumbs
        low, high = ranges.popleft()
        sql = f"SELECT {columns} FROM {name} WHERE rowid BETWEEN ? AND ? ORDER BY rowid"
        try:
            yield from source.execute(sql, (low, high)).fetchall()
        except (sqlite3.Error, UnicodeDecodeError):
            failures += 1
            if low < high:
                middle = (low + high) // 2
                ranges += [(low, middle), (middle + 1, high)]


def _imported(
    row: EntryRow,
    tags: dict[int, list[Tag]],
    revisions: dict[int, list[tuple[str, str, str, str]]],
    brand: str,
) -> Imported | None:
    """Return a salvaged row, None if its text is not what its hash says."""
    try:
        if row.duplicate_of is not None or content_hash(row.content) != row.content_hash:
            return None
        record = record_of_entry(row, tags.get(row.seq, ()), "entry", row.created_at)
    except (TypeError, ValueError, AttributeError):
        return None
    imported = imported_of_record(brand, record)
    if imported is None:
        return None
    return Imported(
        imported.payload,
        imported.tags,
        imported.list_key,
        imported.type_origin,
        imported.origin,
        str(row.source_updated_at or ""),
        imported.prepared_hash,
        tuple(revisions.get(row.seq, ())),
    )


def _import(store: Store, chunk: list[Imported], now: str) -> int:
    if not chunk:
        return 0
    languages = tuple(store.meta("languages").split())
    with store.transaction():
        import_entries(store, chunk, now, 0, languages, "restored")
    number = len(chunk)
    chunk.clear()
    return number


# What the journal gives back -----------------------------------------------------------------------------------------


def _replay(store: Store, journal: Journal, now: str) -> int:
    """Bring back what the journal has and memory has not; return how many entries came."""
    tail = journal.read()
    with store.transaction():
        replay_decisions(store, tail.records)
        replay_allowed(store, tail.records)
    lacking = _lacking(store, tail.records)
    owners = {
        text: row.key
        for text, row in table.owners_by_hash(store.connection, {each.payload.content_hash for each in lacking}).items()
    }
    came = 0
    chunk: list[Imported] = []
    twins: list[Imported] = []
    for each in lacking:
        owner = (
            owners.setdefault(each.payload.content_hash, each.payload.key) if each.payload.state == "current" else ""
        )
        if owner and owner != each.payload.key:
            twins.append(replace(each, duplicate_of=owner))
            continue
        chunk.append(each)
        if len(chunk) == _CHUNK:
            came += _import(store, chunk, now)
    came += _import(store, chunk, now)
    _import(store, twins, now)  # they stand for their texts as soon as their owners say something else
    with store.transaction():
        store.set_meta("journal", f"{tail.identity}:{tail.end}")
        store.set_meta("journal_read", f"{tail.identity}:{tail.end}")
        if came:
            store.set_meta("services", "")  # the next sync fills them with what came
    return came


def _lacking(store: Store, records: Iterable[Mapping[str, Any]]) -> list[Imported]:
    """Return the entries of a journal, as they were last, that are neither in memory nor forgotten."""
    forgotten = Forgotten.load(store.connection)
    latest: dict[str, Imported] = {}
    older: dict[str, list[tuple[str, str, str, str]]] = {}
    for record in records:
        key, op = str(record.get("key", "")), record.get("op")
        if op in {"entry", "retired", "decided"}:
            imported = imported_of_record(store.brand, record)
            if imported is not None:
                first = latest.get(key, imported).payload.author  # who hands the same text in later is not its author
                latest[key] = replace(imported, payload=replace(imported.payload, author=first))
        elif op == "replaced" and isinstance(text := record.get("content"), str):
            if forgotten.has(content_hash(text)):
                continue
            moment = str(record.get("at", ""))
            older.setdefault(key, []).append((text, "", moment, str(record.get("reason", "changed"))))
    known = table.known_by_key(store.connection, latest)
    return [
        replace(each, revisions=tuple(older.get(key, ())))
        for key, each in latest.items()
        if key not in known and not forgotten.has(each.payload.content_hash)
    ]


def _follow_journal(store: Store, journal: Journal, now: str) -> list[Finding]:
    """Write the journal again if it is gone or shorter than it was; return a finding that says so."""
    identity, _, end = store.meta("journal").partition(":")
    if not identity:
        return []
    tail = journal.read(max(0, int(end or 0)))
    if tail.identity == identity and journal.size() >= int(end or 0):
        return []
    with contextlib.suppress(DamagedStoreError):
        _replay(store, journal, now)
    _rewrite_journal(store, journal, now)
    message = "The journal was gone, or shorter than it had been; it was written again from memory."
    return [Finding("journal-rewritten", Severity.WARNING, message, path="memory/journal.jsonl")]


def _rewrite_journal(store: Store, journal: Journal, now: str) -> None:
    """Write the journal from memory: what files can't give back. Others wait for that moment with their hand-ins."""
    with journal.exclusively():
        waiting = [record for record in journal.read().records if _is_waiting(store, record)]
        identity, end = journal.rewrite(chain(journal_records(store, now), waiting))
    with store.transaction():
        store.set_meta("journal", f"{identity}:{end}")
        store.set_meta("journal_read", f"{identity}:{0 if waiting else end}")  # what waits is not in memory yet


def _is_waiting(store: Store, record: Mapping[str, Any]) -> bool:
    """Return whether a record was handed in and is not in memory yet."""
    if record.get("op") != "entry":
        return False
    key = str(record.get("key", ""))
    sql = "SELECT (SELECT count(*) FROM entries WHERE key = ?) + (SELECT count(*) FROM tombstones WHERE id = ?)"
    return not store.value(sql, (key, storage_id(store.brand, key)))


def journal_records(store: Store, now: str) -> Iterator[Mapping[str, object]]:
    """Yield what files can't give back of a memory, as the journal keeps it."""
    yield {"op": "store", "at": now}
    yield from decision_records(store, now)
    yield from allowed_records(store, now)
    kinds = ", ".join(f"'{kind}'" for kind in ("insight", "session", "prepared", "violation"))
    after = 0
    sql = (
        f"{SELECT_ENTRIES}duplicate_of IS NULL AND seq > ? AND (kind IN ({kinds})"
        " OR state = 'retired' OR origin = '' OR type_origin = 'user' OR priority <> 'normal' OR expires_at <> ''"
        " OR EXISTS (SELECT 1 FROM revisions r WHERE r.seq = entries.seq)"
        " OR EXISTS (SELECT 1 FROM tags t WHERE t.seq = entries.seq AND t.origin = 'user'))"
        " ORDER BY seq LIMIT 500"
    )
    while page := [EntryRow(*row) for row in store.rows(sql, (after,))]:
        after = page[-1].seq
        seqs = [row.seq for row in page]
        tags = table.tags_of(store.connection, seqs)
        with store_errors(store.path):
            rows = store.connection.execute(
                "SELECT e.key, r.content, r.replaced_at, r.reason FROM revisions r JOIN entries e ON e.seq = r.seq"
                " WHERE r.seq IN (SELECT value FROM json_each(?)) ORDER BY r.seq, r.number",
                (table.in_json(seqs),),
            ).fetchall()
        for key, content, replaced_at, reason in rows:
            yield {"op": "replaced", "at": replaced_at, "key": key, "content": content, "reason": reason}
        for row in page:
            op = "retired" if row.state == "retired" else "entry"
            yield record_of_entry(row, tags.get(row.seq, ()), op, row.retired_at or row.created_at or now)
