"""The durable store: where a brand's memory is read from by other machines and by the cache.

One set of calls, ``DurableStore`` in ``store.py``, over two engines: Turso (or a libsql-server) over HTTP, and
memory.db itself, read through its views. Contract, checked by ``tests/services/turso/test_durable.py``:

* Rows have ids of ours, writes are upserts: what was sent twice is there once. A write whose answer got lost may have
  been committed; sending it again is harmless. A row that is the same already is not touched.
* Each call that writes is one transaction, or several if it is long; each of them is whole or not there.
* ``updated_at`` (microseconds since 1970) is the store's own: strictly increasing over its tables in the order of
  commits. Whoever has read up to a key has missed nothing below it.
* Reading writes nothing, not even a file. A store that was never written reads as empty.
* Every method may raise ``ServiceError``. Nothing is retried here.

Glossary:
    key: (``updated_at``, id): the place of a row in the order of changes.
    watermark: The ``updated_at`` up to which a reader knows everything. To read again inclusively, which databases with
        coarse clocks need, start after ``(watermark, "")``: every id is above the empty one.
    tombstone: What a deleted row leaves behind, so that copies of it can go too. A copy goes if it is older than the
        tombstone. That of something forgotten has the MAC of its content hash, and lets nobody store that text again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from dm_memory.services.turso.schema import Row, Statement, Table

__all__ = ["START", "Engine", "Key", "Page", "Pong", "Survey", "Table", "WritingEngine"]

Key = tuple[int, str]

START: Key = (-1, "")
"""Before every row."""


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in the order of their keys. ``columns`` names their values: id, ``updated_at``, then the table's."""

    columns: tuple[str, ...]
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class Pong:
    """What answered: the name of its ``Layout`` and its schema's version, 0 unless ours."""

    layout: str
    schema_version: int


@dataclass(frozen=True, slots=True)
class Survey:
    """The state of a store, asked for in one round trip.

    Attributes:
        counts: Rows per table.
        changed: Rows per table above the keys that were asked about.
        newest: The highest key per table; ``START`` if there is no row.
        tombstones: Tombstones above the key that was asked about.
    """

    layout: str
    counts: Mapping[Table, int]
    changed: Mapping[Table, int]
    newest: Mapping[Table, Key]
    tombstones: int


class Engine(Protocol):
    """What runs statements that read. An answer has tuples in the order of the statement's columns."""

    @property
    def name(self) -> str:
        """For people: ``memory.db``, ``Turso (host:port)``. It distinguishes one server from another."""

    @property
    def remote(self) -> bool:
        """Whether an answer takes its time on the way, so that asking for several at once pays."""

    async def read(self, statements: Sequence[Statement]) -> list[list[Row]]:
        """Run statements that only read, in one round trip, and return each one's rows."""

    async def close(self) -> None:
        """Close files and connections. Idempotent."""


class WritingEngine(Engine, Protocol):
    """What also writes."""

    @property
    def batch_rows(self) -> int:
        """Most rows of one transaction."""

    async def connect(self) -> None:
        """Make what the first request needs. Sends nothing."""

    async def write(self, statements: Sequence[Statement]) -> None:
        """Run statements in one transaction, of which all is committed or nothing."""
