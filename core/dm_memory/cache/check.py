"""The examination of a cache: are its file, its values and its indexes what they should be?"""

from __future__ import annotations

from collections.abc import Iterator

from dm_memory.cache.changes import INDEXES
from dm_memory.cache.engine import CacheDamagedError, Engine, Space
from dm_memory.cache.findings import broken_index, damaged_file, damaged_value, orphan
from dm_memory.cache.paging import pages
from dm_memory.cache.records import Record, decode, key_bytes
from dm_memory.findings import Finding
from dm_memory.services.turso.schema import Table

__all__ = ["check_engine"]

_LISTED = 100
"""Findings of one kind that are listed; the count of all is in the last one."""


def check_engine(engine: Engine) -> list[Finding]:
    """Return what is wrong, one finding each; lists end with a finding that has the count of what is not listed."""
    try:
        if not engine.check_integrity():
            return [damaged_file()]
        found: list[Finding] = []
        for table in Table:
            found += _first(_values(engine, table))
        for table in INDEXES:
            found += _first(_index(engine, table))
        found += _first(_orphans(engine))
    except CacheDamagedError:
        return [damaged_file()]
    return found


def _first(findings: Iterator[Finding]) -> list[Finding]:
    listed: list[Finding] = []
    more = 0
    for finding in findings:
        if len(listed) < _LISTED:
            listed.append(finding)
        else:
            more += 1
    if more:
        last = listed[-1]
        listed.append(Finding(last.code, last.severity, f"And {more} more of the same kind.", last.remedy))
    return listed


def _pages(engine: Engine, table: Table) -> Iterator[list[tuple[bytes, Record | None]]]:
    for entries in pages(engine, table.value):
        yield [(key, decode(key, frame)) for key, frame in entries]


def _values(engine: Engine, table: Table) -> Iterator[Finding]:
    for page in _pages(engine, table):
        yield from (damaged_value(table.value, key) for key, record in page if record is None)


def _index(engine: Engine, table: Table) -> Iterator[Finding]:
    index, place = INDEXES[table]
    missing = expected = 0
    for page in _pages(engine, table):
        places = [place(key, record) for key, record in page if record is not None]
        missing += engine.get_many(index.value, places).count(None)
        expected += len(places)
    left_over = engine.count(index.value) - (expected - missing)
    if missing or left_over:
        yield broken_index(table, missing, left_over)


def _orphans(engine: Engine) -> Iterator[Finding]:
    for page in _pages(engine, Table.EMBEDDINGS):
        owned = [record for _, record in page if record is not None and record.parent]
        parents = [key_bytes(record.parent) for record in owned]
        episodes = engine.get_many(Space.EPISODES.value, parents)
        patterns = engine.get_many(Space.PATTERNS.value, parents)
        for record, episode, pattern in zip(owned, episodes, patterns, strict=True):
            if episode is None and pattern is None:
                yield orphan(record.key)
