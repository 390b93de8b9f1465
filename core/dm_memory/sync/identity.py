"""Which entry an item is: the key under which it is known, for items whose source gives them no identity of their own.

* Insights that were recorded at one moment share a key. An entry keeps the key under which its text is known; others
  get the next ordinal, ``~2``, ``~3``. Their file rolls, so a position says nothing.
* An entry of a list has the key ``{list}/{12 hex of the text it was first stored with}`` for ever. Equal texts are the
  same entry; among what is left on both sides, a likeness finds edits (``text.likeness``).
* An insight and a session's learning that state the same are one entry, with the contexts of both.
* An insight without a date has a key of its first text; a likeness finds its edits as long as nothing has rolled out.
* A guideline section whose heading changed is found by its text in the same way, within its file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import orjson

from dm_memory.brand.sources.insights import with_contexts
from dm_memory.items import ContentType, Item, Kind, Source
from dm_memory.store.entries import (
    SELECT_ROWS,
    EntryRow,
    Known,
    in_json,
    known_by_key,
    known_by_list,
    known_by_seq,
    owners_by_statement,
    seqs_seen_in,
    seqs_undated,
    statement_hash,
    texts_of,
)
from dm_memory.store.forgetting import Forgotten, stand_ins

__all__ = ["ROLLING_LIMIT", "identified"]

ROLLING_LIMIT = 200
"""The plugin's scripts keep this many insights; a file with fewer has lost none."""

_TextHash = Callable[[Item], str]
Digest = Callable[[Item], str]


def identified(
    connection: sqlite3.Connection,
    path: str,
    items: Sequence[Item],
    text_hash: _TextHash,
    digest: Digest,
    met: dict[str, Known],
    *,
    may_have_rolled: bool,
) -> list[Item]:
    """Return the items of one file with the keys under which they are known, or will be.

    Args:
        connection: To memory.db.
        path: The file.
        items: What it states.
        text_hash: Returns the content hash that an item will have in memory.
        digest: Returns what an entry's ``source_digest`` is if the item reads as it did when it was stored; much
            cheaper than the hash, which only the guard's text has.
        met: Gains the entries of the file's lists, by key: nobody has to read them again.
        may_have_rolled: Whether entries may have left the file unseen.
    """
    items = _ties(connection, items, text_hash, may_have_rolled=may_have_rolled)
    items = items if may_have_rolled else _undated(connection, path, items, text_hash, digest)
    items = _lists(connection, items, text_hash, digest, met)
    items = _headings(connection, path, items, text_hash, digest)
    return _statements(connection, items)


def _ties(
    connection: sqlite3.Connection, items: Sequence[Item], text_hash: _TextHash, *, may_have_rolled: bool
) -> list[Item]:
    groups: dict[str, list[int]] = {}
    for index, item in enumerate(items):
        if item.kind is Kind.INSIGHT and not item.list_key:
            groups.setdefault(item.key, []).append(index)
    later = known_by_list(connection, groups) if groups else {}
    tied = {key for key, members in groups.items() if len(members) > 1} | later.keys()
    if not tied:
        return list(items)
    first = known_by_key(connection, tied)
    keyed = list(items)
    for base in tied:
        known = ([first[base]] if base in first else []) + later.get(base, [])
        members = groups[base]
        hashes = [text_hash(items[index]) for index in members]
        standing = stand_ins(connection, {row.seq: row.id for row in known}, hashes)
        for index, key in zip(members, _tied_keys(base, hashes, known, may_have_rolled, standing), strict=True):
            keyed[index] = replace(items[index], key=key, list_key="" if key == base else base)
    return keyed


def _undated(
    connection: sqlite3.Connection, path: str, items: Sequence[Item], text_hash: _TextHash, digest: Digest
) -> list[Item]:
    """Let an insight without a date that was edited be the entry it was; its key was made of its first text."""
    undated = {item.key: item for item in items if item.key.startswith("insight/undated-")}
    known = known_by_key(connection, undated) if undated else {}
    fresh = [item for key, item in undated.items() if key not in known]
    vanished = known_by_seq(connection, seqs_undated(connection, path)).values() if fresh else ()
    gone = [row for row in vanished if row.key not in undated]
    found = _matched(connection, fresh, gone, text_hash, digest) if gone else {}
    keys = {fresh[position].key: key for position, key in found.items()}
    return [replace(item, key=keys.get(item.key, item.key)) for item in items] if keys else list(items)


def _tied_keys(
    base: str, hashes: Sequence[str], known: list[Known], may_have_rolled: bool, standing: Mapping[str, int]
) -> list[str]:
    free = list(known)
    keys = []
    for text in hashes:
        same = next((row for row in free if row.content_hash == text or row.seq == standing.get(text)), None)
        keys.append(same.key if same else "")
        if same:
            free.remove(same)
    taken = {row.key for row in known}
    edits_possible = not may_have_rolled and len(hashes) >= len(known)
    for index, key in enumerate(keys):
        if not key:
            keys[index] = free.pop(0).key if edits_possible and free else _free_key(base, taken)
            taken.add(keys[index])
    return keys


def _free_key(base: str, taken: set[str]) -> str:
    key, ordinal = base, 1
    while key in taken:
        ordinal += 1
        key = f"{base}~{ordinal}"
    return key


def _lists(
    connection: sqlite3.Connection,
    items: Sequence[Item],
    text_hash: _TextHash,
    digest: Digest,
    met: dict[str, Known],
) -> list[Item]:
    groups: dict[str, list[int]] = {}
    for index, item in enumerate(items):
        if item.list_key and item.kind is not Kind.INSIGHT:
            groups.setdefault(item.list_key, []).append(index)
    keyed = list(items)
    known = known_by_list(connection, groups, retired=True) if groups else {}
    for list_key, members in groups.items():
        rows = {row.key: row for row in known.get(list_key, ())}
        met |= rows
        taken = set(rows)
        own = [items[index] for index in members]
        found = _matched(connection, own, known.get(list_key, ()), text_hash, digest)
        for position, index in enumerate(members):
            key = found.get(position) or _free_key(items[index].key, taken)
            taken.add(key)
            if key != items[index].key:
                keyed[index] = replace(items[index], key=key)
    return keyed


def _matched(
    connection: sqlite3.Connection, items: Sequence[Item], known: Iterable[Known], text_hash: _TextHash, digest: Digest
) -> dict[int, str]:
    """Return the keys of known entries by the positions of the items that are these entries."""
    found, free = _unchanged(items, list(known), digest)
    left = [place for place in range(len(items)) if place not in found]
    if not free or not left:
        return found
    by_hash: dict[str, list[Known]] = {}
    for row in free:  # current ones come first
        by_hash.setdefault(row.content_hash, []).append(row)
    hashes = {place: text_hash(items[place]) for place in left}
    rows_by_seq = {row.seq: row for row in free}
    for text, seq in stand_ins(connection, {row.seq: row.id for row in free}, hashes.values()).items():
        by_hash.setdefault(text, []).append(rows_by_seq[seq])
    for position, text in hashes.items():
        if same := by_hash.get(text):
            found[position] = same.pop(0).key
    taken = set(found.values())
    rows = [row for row in free if row.key not in taken and row.state == "current"]
    forgotten = Forgotten.load(connection)
    rest = [place for place in left if place not in found and not forgotten.has(hashes[place])]
    if rows and rest:
        from dm_memory.text.likeness import match_texts  # noqa: PLC0415  # 0.01 s, and few runs compare texts

        texts = texts_of(connection, [row.seq for row in rows])
        pairs = match_texts([items[position].content for position in rest], [texts[row.seq] for row in rows])
        found |= {rest[new]: rows[old].key for new, old in pairs.items()}
    return found


def _unchanged(items: Sequence[Item], known: list[Known], digest: Digest) -> tuple[dict[int, str], list[Known]]:
    """Return the keys of entries whose items read as they did when they were stored, by position, and the rest."""
    current = {row.key: row for row in known if row.state == "current" and row.source_digest}
    found: dict[int, str] = {}
    for place, item in enumerate(items):
        row = current.get(item.key)
        if row is not None and row.source_digest == digest(item):
            found[place] = current.pop(item.key).key
    taken = set(found.values())
    return found, [row for row in known if row.key not in taken]


def _headings(
    connection: sqlite3.Connection, path: str, items: Sequence[Item], text_hash: _TextHash, digest: Digest
) -> list[Item]:
    sections = [item for item in items if item.kind is Kind.GUIDELINE and not item.list_key]
    if not sections or not path:
        return list(items)
    seen = seqs_seen_in(connection, path)
    if not seen:
        return list(items)
    keys = {item.key for item in sections}
    vanished = [row for row in known_by_seq(connection, seen).values() if row.key not in keys]
    present = known_by_key(connection, keys) if vanished else {}
    fresh = [item for item in sections if item.key not in present]
    found = _matched(connection, fresh, vanished, text_hash, digest) if fresh else {}
    keys_of = {fresh[position].key: key for position, key in found.items()}
    return [replace(item, key=keys_of[item.key]) if item.key in keys_of else item for item in items]


def _statements(connection: sqlite3.Connection, items: Sequence[Item]) -> list[Item]:
    """Let insights and learnings be the entry that makes the same statement already, with their contexts joined.

    The session-end hook writes a learning with a context, while an assistant hands the same sentence in without one.
    """
    hashes = {
        index: statement_hash(item.kind.value, item.content)
        for index, item in enumerate(items)
        if item.kind in {Kind.INSIGHT, Kind.SESSION} and not item.list_key
    }
    owners = owners_by_statement(connection, set(hashes.values()) - {""}) if hashes else {}
    if not owners:
        return list(items)
    known = known_by_key(connection, [items[index].key for index in hashes])
    seqs = in_json([row.seq for row in owners.values()])
    rows = {row.seq: row for row in (EntryRow(*values) for values in connection.execute(SELECT_ROWS, (seqs,)))}
    keyed = list(items)
    for index, digest in hashes.items():
        item, owner = items[index], owners.get(digest)
        if owner is None or (item.key != owner.key and item.key in known):
            continue
        row = rows[owner.seq]
        content = with_contexts(row.content, [item.content])
        if item.key == owner.key:
            keyed[index] = replace(item, content=content)
        elif Kind.SESSION.value in {item.kind.value, owner.kind}:
            keyed[index] = _as_stored(row, content, item.tags)
    return keyed


def _as_stored(row: EntryRow, content: str, tags: tuple[str, ...]) -> Item:
    """Return an entry as its source would state it with another text."""
    return Item(
        key=row.key,
        content=content,
        kind=Kind(row.kind),
        content_type=ContentType(row.content_type),
        recorded_at=row.recorded_at,
        facts=orjson.loads(row.facts),
        tags=tags,
        origin=row.origin,
        source=Source(row.source),
        list_key=row.list_key,
        rolling=True,  # one of the two was handed in: a file that drops the text takes nothing back
        source_updated_at=row.source_updated_at,
        created_at=row.created_at,
        author=row.author,
    )
