"""Which entry a person means: a whole key or id, a key as reports print it, or the first digits of an id."""

from __future__ import annotations

import re
import sqlite3

from dm_memory.errors import InputError

__all__ = ["cut_key", "full_id", "full_key"]

_SHORTEST = 6
_SHORT_ID = re.compile(rf"[0-9a-f]{{{_SHORTEST},8}}(?:-[0-9a-f-]*)?")
_CUT = re.compile("\u2026|\\.\\.\\.")
_CUT_HASH = re.compile(r"[/#][0-9a-f]{8,}$")
"""A key's end whose ellipsis was not copied with it."""

_HASH = re.compile(r"\b([0-9a-f]{8})(?:[0-9a-f]{8,}\b|[0-9a-f]*(?:\u2026|\.\.\.))")
"""A whole hash, or one that is cut."""

_AFTER = "\U0010ffff"
_NAMED = 5
_NAMED_CHARS = 60


def full_key(connection: sqlite3.Connection, name: str) -> str | None:
    """Return the key of the entry that is meant, None if there is no such one.

    Args:
        connection: To the brand's memory.
        name: A key, an id, a key in which hashes are cut, or at least six digits of an id.

    Raises:
        InputError: It fits several entries.
    """
    name = name.strip().strip("`")
    whole = connection.execute(
        "SELECT key FROM entries WHERE key = ?1 OR id = ?1 ORDER BY key = ?1 DESC LIMIT 1", (name,)
    ).fetchone()
    if whole:
        return str(whole[0])
    start = name.casefold()
    fitting: list[tuple[str, str, int]] = []
    if _SHORT_ID.fullmatch(start):
        sql = f"{_ROWS} id >= ? AND id < ? ORDER BY seq"
        fitting = connection.execute(sql, (start, start + _AFTER)).fetchall()
    fitting = fitting or _by_key(connection, name)
    if len({entry for _, _, entry in fitting}) > 1:
        texts = [f"\u201c{' '.join(content.split())[:_NAMED_CHARS]}\u201d" for _, content, _ in fitting[:_NAMED]]
        named = ", ".join(texts) + (", \u2026" if len(fitting) > _NAMED else "")
        raise InputError(f"{name[:200]!r} fits {len(fitting)} entries: {named}.", "Pass more of the key or of the id.")
    return fitting[0][0] if fitting else None


def full_id(connection: sqlite3.Connection, name: str) -> str | None:
    """Return the id of a forgotten entry's tombstone that begins so, None if none or several do."""
    name = name.strip().strip("`").casefold()
    if not _SHORT_ID.fullmatch(name):
        return None
    rows = connection.execute(
        "SELECT id FROM tombstones WHERE item_table = 'episodes' AND id >= ? AND id < ? LIMIT 2", (name, name + _AFTER)
    ).fetchall()
    return str(rows[0][0]) if len(rows) == 1 else None


def cut_key(name: str) -> str:
    """Return a key as reports print it, without the ellipses; the same for a whole key and for one that is cut."""
    return _CUT.sub("", _HASH.sub(r"\1", name.strip().strip("`")))


_ROWS = "SELECT key, content, coalesce(duplicate_of, seq) FROM entries WHERE"


def _by_key(connection: sqlite3.Connection, name: str) -> list[tuple[str, str, int]]:
    parts = _CUT.split(name)
    if len(parts) == 1 and _CUT_HASH.search(name):
        parts.append("")
    if len(parts) == 1 or not parts[0]:
        return []
    pattern = re.compile(".*".join(map(re.escape, parts)), re.DOTALL)
    rows = connection.execute(f"{_ROWS} key >= ? AND key < ? ORDER BY seq", (parts[0], parts[0] + _AFTER))
    return [row for row in rows if pattern.fullmatch(row[0])]
