"""A real memory.db, filled by hand: what storage_sync reads where no Turso is configured."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from dm_memory.embedding.batch import pack
from dm_memory.store.database import open_store

__all__ = ["MemoryDb"]


class MemoryDb:
    """Writes entries, vectors, patterns and tombstones, as the store does, in one transaction a call."""

    def __init__(self, memory_dir: Path, brand: str) -> None:
        self._store = open_store(memory_dir, brand)
        self._brand = brand

    def put(self, *numbers: int, text: str = "text", vectors: int = 1, tags: tuple[str, ...] = ("email",)) -> None:
        """Store entries with their vectors, or edit them."""
        with self._store.transaction() as connection:
            for number, moment in zip(numbers, self._store.ticks(len(numbers)), strict=True):
                content = f"{text} {number}"
                text_hash = sha256(content.encode()).hexdigest()
                connection.execute(
                    "INSERT INTO entries (id, key, kind, content_type, type_origin, source, content, content_hash,"
                    " metadata_hash, facts, recorded_at, created_at, priority, expires_at, related, version,"
                    " updated_from, origin, run, updated_at) VALUES (?, ?, 'insight', 'performance-insight', 'source',"
                    " 'sync', ?, ?, '', '{}', '', '', 'normal', '', '[]', 1, '', '', 1, ?) ON CONFLICT (id) DO UPDATE"
                    " SET content = excluded.content, content_hash = excluded.content_hash,"
                    " updated_at = excluded.updated_at, state = 'current'",
                    (f"e{number}", f"insight/{number}", content, text_hash, moment),
                )
                (seq,) = connection.execute("SELECT seq FROM entries WHERE id = ?", (f"e{number}",)).fetchone()
                connection.executemany(
                    "INSERT OR REPLACE INTO tags VALUES (?, ?, 'detected', 0)", [(seq, tag) for tag in tags]
                )
                connection.execute("DELETE FROM vectors WHERE seq = ?", (seq,))
                rows = [
                    (f"v{number}-{chunk}", seq, chunk, text_hash, pack([float(number), 1.0]), moment)
                    for chunk in range(vectors)
                ]
                connection.executemany("INSERT INTO vectors VALUES (?, ?, ?, 'm@1', ?, 2, 0, ?, ?)", rows)

    def patterns(self, *texts: str) -> None:
        """Store patterns."""
        with self._store.transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO patterns VALUES (?, ?, ?, ?, 'worked', 1, 1, 0, 1.0, '[]', '[]', '[]', '', '')",
                [
                    (text, moment, self._brand, text)
                    for text, moment in zip(texts, self._store.ticks(len(texts)), strict=True)
                ],
            )

    def retire(self, number: int) -> None:
        """Retire an entry: an edit with a moment."""
        with self._store.transaction() as connection:
            (moment,) = self._store.ticks(1)
            connection.execute(
                "UPDATE entries SET state = 'retired', retired_at = '2026-11-25', updated_at = ? WHERE id = ?",
                (moment, f"e{number}"),
            )

    def duplicate(self, number: int, of: int) -> None:
        """Make an entry a duplicate of another one: it is no episode any more."""
        with self._store.transaction() as connection:
            (moment,) = self._store.ticks(1)
            connection.execute(
                "UPDATE entries SET duplicate_of = (SELECT seq FROM entries WHERE id = ?), updated_at = ? WHERE id = ?",
                (f"e{of}", moment, f"e{number}"),
            )
            connection.execute(
                "DELETE FROM vectors WHERE seq IN (SELECT seq FROM entries WHERE id = ?)", [f"e{number}"]
            )
            connection.execute(
                "INSERT INTO tombstones VALUES ('episodes', ?, ?, ?, '')", (f"e{number}", moment, self._brand)
            )

    def forget(self, *numbers: int) -> None:
        """Delete entries with all that belongs to them."""
        with self._store.transaction() as connection:
            for number, moment in zip(numbers, self._store.ticks(len(numbers)), strict=True):
                connection.execute("DELETE FROM entries WHERE id = ?", (f"e{number}",))
                connection.execute(
                    "INSERT INTO tombstones VALUES ('episodes', ?, ?, ?, 'mac')", (f"e{number}", moment, self._brand)
                )

    def close(self) -> None:
        self._store.close()
