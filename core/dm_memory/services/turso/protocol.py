"""The port of the durable store: where a brand's memory outlives its machine.

Contract, held by ``tests/services/turso/test_durable.py`` for both engines:

* Rows have ids of ours, writes are upserts: what was sent twice is there once. A write whose answer got lost may have
  been committed; sending it again is harmless. A row that is the same already is not touched.
* Each call that writes is one transaction, or several where it is long; each of them is whole or not there.
* ``updated_at`` (microseconds since 1970) is the store's own: strictly increasing over its tables in the order of
  commits. Whoever has read up to a key has missed nothing below it.
* Reading writes nothing, not even a file. A store that was never written reads as empty.
* Every method may raise ``LayerError``. Nothing is retried here.

Glossary:
    key: (``updated_at``, id): the place of a row in the order of changes.
    watermark: The ``updated_at`` up to which a reader knows everything. To read again inclusively, which databases with
        coarse clocks need, start after ``(watermark, "")``: every id is above the empty one.
    tombstone: What a deleted row leaves behind, so that copies of it can go too. A copy goes where it is older than the
        tombstone; storing the row again takes the tombstone away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from dm_memory.services.turso.rows import EmbeddingRow, EpisodeRow, PatternRow
from dm_memory.services.turso.schema import Table
from dm_memory.services.turso.statement import Row

__all__ = ["START", "DurableStore", "Key", "Page", "Pong", "Survey", "Table"]

Key = tuple[int, str]

START: Key = (-1, "")
"""Before every row."""


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in the order of their keys. ``columns`` names what stands where: id, ``updated_at``, then the table's."""

    columns: tuple[str, ...]
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class Pong:
    """What answered: the layout (``dm-memory``, ``do-memory``, ``empty``) and its schema's version, 0 unless ours."""

    layout: str
    schema_version: int


@dataclass(frozen=True, slots=True)
class Survey:
    """The state of a store, asked for in one round trip.

    Attributes:
        counts: Rows per table.
        changed: Rows per table above the keys that were asked about.
        newest: The highest key per table; ``START`` where there is no row.
        tombstones: Tombstones above the key that was asked about.
    """

    layout: str
    counts: Mapping[Table, int]
    changed: Mapping[Table, int]
    newest: Mapping[Table, Key]
    tombstones: int


class DurableStore(Protocol):
    """The durable memory of one brand."""

    @property
    def engine(self) -> str:
        """The engine, for people: ``SQLite file``, ``Turso (host:port)``. It tells one server from another."""

    @property
    def remote(self) -> bool:
        """True where an answer takes its time on the way, so that asking for several at once pays."""

    async def ping(self) -> Pong:
        """Ask for one round trip. Raises also where the schema is newer than this program knows, or nobody's."""

    async def migrate(self) -> None:
        """Create or update the tables. Idempotent; several processes may do it at once."""

    async def upsert_episodes(self, rows: Sequence[EpisodeRow]) -> None:
        """Store episodes of this brand."""

    async def upsert_patterns(self, rows: Sequence[PatternRow]) -> None:
        """Store patterns of this brand."""

    async def upsert_embeddings(self, rows: Sequence[EmbeddingRow]) -> None:
        """Store vectors of this brand."""

    async def delete(self, table: Table, ids: Sequence[str]) -> None:
        """Remove rows, with the embeddings of episodes and patterns, and leave tombstones. Unknown ids are no error."""

    async def survey(self, after: Mapping[Table, Key], tombstones_after: Key = START) -> Survey:
        """Return counts and what changed above these keys."""

    async def splits(self, table: Table, after: Key, every: int) -> list[Key]:
        """Return the key of each ``every``-th row above ``after``: where pages fetched in parallel meet."""

    async def page(self, table: Table, after: Key = START, *, limit: int = 500, through: Key | None = None) -> Page:
        """Return the first ``limit`` rows above ``after`` (exclusive), not above ``through`` (inclusive)."""

    async def rows(self, table: Table, ids: Sequence[str]) -> Page:
        """Return the rows with these ids, in no order; unknown ids are absent."""

    async def digests(self, after: Key = START, *, limit: int = 5000) -> list[Row]:
        """Return the first episodes above ``after`` as id, ``updated_at``, key, content hash and metadata hash.

        Raises for databases of other programs, which have no such columns.
        """

    async def digests_of(self, ids: Sequence[str]) -> list[Row]:
        """Return the same of these episodes, in no order; unknown ids are absent."""

    async def embeddings_of(self, item_ids: Sequence[str]) -> Page:
        """Return the embeddings of these episodes or patterns, in no order."""

    async def tombstones(self, after: Key = START, *, limit: int = 500) -> Page:
        """Return tombstones above ``after``: rows of id, ``updated_at`` and the table's name."""

    async def counts(self) -> Mapping[Table, int]:
        """Return the number of rows per table."""

    async def newest_episodes(self, limit: int) -> list[Key]:
        """Return the keys of the episodes that changed last, newest first."""

    async def checksums(self, table: Table, ids: Sequence[str]) -> Mapping[str, str]:
        """Return ``row_checksum`` of rows, computed from what they hold now; unknown ids are absent."""

    async def close(self) -> None:
        """Let go of files and connections. Idempotent."""
