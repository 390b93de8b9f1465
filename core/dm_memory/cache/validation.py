"""Is the cache what the durable store says it should be? Typed findings; nothing is repaired here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from zlib import crc32

from dm_memory.cache.cache import Cache
from dm_memory.cache.plan import expected
from dm_memory.cache.records import Record, checksum_of, records_of
from dm_memory.cache.results import StorageSyncRequest
from dm_memory.findings import Finding, Severity
from dm_memory.services.turso.protocol import START, Key, Page, Survey
from dm_memory.services.turso.rows import row_checksum
from dm_memory.services.turso.schema import NATIVE, Table
from dm_memory.services.turso.store import DurableStore
from dm_memory.worker import Worker

__all__ = ["validate", "validate_counts"]

_NEWEST = 20
_SAMPLE = 50
_LATEST = 20
"""Written rows per table that are also asked for once more."""
_AT_ONCE = 1000
_REPAIR = "Run storage_sync with repair."
_REMEDIES = {NATIVE.name: "Run dm-memory verify --repair: it stores the entries again that are missing there."}
_OTHERS = "Correct that database with the program that wrote it."


def validate_counts(cache: Cache, survey: Survey, request: StorageSyncRequest) -> list[Finding]:
    """Compare numbers and the newest episode with an answer the store has given; costs no round trip. Blocks."""
    found = []
    wanted, cached = expected(survey, request), cache.count(Table.EPISODES)
    if wanted != cached:
        found.append(_count(Table.EPISODES, wanted, cached))
    if request.sync_patterns and survey.counts[Table.PATTERNS] != cache.count(Table.PATTERNS):
        found.append(_count(Table.PATTERNS, survey.counts[Table.PATTERNS], cache.count(Table.PATTERNS)))
    newest = survey.newest[Table.EPISODES]
    if wanted and newest != START:
        found += _missing(cache, [newest])
    return found


async def validate(
    store: DurableStore,
    cache: Cache,
    worker: Worker,
    *,
    survey: Survey,
    request: StorageSyncRequest,
    touched: Mapping[Table, Mapping[str, int]],
) -> list[Finding]:
    """Compare cache and store: numbers, the newest episodes, orphans on both sides, and checksums.

    What was written is read back (of more than some thousand rows, the last); a sample of all is asked for once more.

    Args:
        store: The durable store.
        cache: The cache, filled from it.
        worker: The cache's thread.
        request: What the cache should have.
        survey: The store's numbers as of now, when nobody had changed anything since the cache was filled.
        touched: By id the CRC-32 of each row that was written.

    Raises:
        ServiceError: The store failed.
        CacheError: The cache failed.
    """
    looked: _Look = await worker.run(_look, cache, survey, request, touched)
    newest = min(_NEWEST, request.max_episodes_cache) if expected(survey, request) else 0
    tables = [table for table, sample in looked.sample.items() if sample]
    (keys, lost), pages = await asyncio.gather(
        _newest_and_lost(store, newest),
        asyncio.gather(*(store.rows(table, [record.key for record in looked.sample[table]]) for table in tables)),
    )
    followed = {Table.PATTERNS: request.sync_patterns, Table.EMBEDDINGS: request.sync_embeddings}
    settled = {table: survey.newest[table][0] if followed.get(table, True) else 0 for table in Table}
    answers = dict(zip(tables, pages, strict=True))
    compared: list[Finding] = await worker.run(_compare, cache, looked, keys, answers, settled)
    return [*compared, *_lost(*lost, _REMEDIES.get(survey.layout, _OTHERS))]


async def _newest_and_lost(store: DurableStore, newest: int) -> tuple[list[Key], tuple[int, str]]:
    return await store.newest_episodes(newest), await store.lost_embeddings()


@dataclass(frozen=True, slots=True)
class _Look:
    """What the cache alone shows: findings, and the rows that are compared with the store's."""

    findings: list[Finding]
    sample: dict[Table, list[Record]]


def _look(
    cache: Cache, survey: Survey, request: StorageSyncRequest, touched: Mapping[Table, Mapping[str, int]]
) -> _Look:
    spoiled = [_wrong(table, key) for table, written in touched.items() for key in _spoiled(cache, table, written)]
    findings = [*validate_counts(cache, survey, request), *orphans(cache), *spoiled]
    return _Look(findings, {table: _sample(cache, table, [*touched.get(table, {})][-_LATEST:]) for table in Table})


def _spoiled(cache: Cache, table: Table, written: Mapping[str, int]) -> Iterable[str]:
    """Yield what was written and reads otherwise. What went since (evicted, swept) is a matter of the numbers."""
    keys = [*written]
    for start in range(0, len(keys), _AT_ONCE):
        found = cache.get_many(table, keys[start : start + _AT_ONCE])
        yield from (key for key, record in found.items() if crc32(record.value) != written[key])


def _compare(
    cache: Cache, looked: _Look, newest: list[Key], pages: Mapping[Table, Page], settled: Mapping[Table, int]
) -> list[Finding]:
    absent = [finding for finding in _missing(cache, newest) if finding not in looked.findings]
    wrong = [
        finding
        for table, page in pages.items()
        for finding in _differing(table, looked.sample[table], page, settled[table])
        if finding not in looked.findings
    ]
    return [*looked.findings, *absent, *wrong]


def _missing(cache: Cache, keys: Iterable[tuple[int, str]]) -> list[Finding]:
    wanted = dict((identity, moment) for moment, identity in keys)  # noqa: C402  # turns the pairs round
    cached = cache.get_many(Table.EPISODES, wanted)
    gone = [key for key, moment in wanted.items() if key not in cached or cached[key].recorded_at < moment]
    message = "One of the newest episodes is missing in the cache or old there."
    return [Finding("cache-newest-missing", Severity.ERROR, message, _REPAIR, key=key) for key in gone]


def orphans(cache: Cache) -> list[Finding]:
    """Return a finding where embeddings belong to nothing that is cached. Reads all of them; blocks."""
    count = 0
    first = ""
    for page in cache.scan(Table.EMBEDDINGS):
        owners = {record.parent for record in page}
        known = set(cache.get_many(Table.EPISODES, owners))
        known |= cache.get_many(Table.PATTERNS, owners - known).keys()
        lost = [record.key for record in page if record.parent not in known]
        count += len(lost)
        first = first or next(iter(lost), "")
    message = f"In the cache {count} embeddings belong to nothing that is there."
    return [Finding("cache-orphan", Severity.ERROR, message, _REPAIR, key=first)] if count else []


def _sample(cache: Cache, table: Table, touched: list[str]) -> list[Record]:
    """Return what was written last, and the first of the table by id: ids are hashes, so those are any rows."""
    records = cache.get_many(table, touched)
    for page in cache.scan(table, _SAMPLE):
        records |= {record.key: record for record in page}
        break
    return list(records.values())


def _differing(table: Table, sample: list[Record], page: Page, settled: int) -> list[Finding]:
    """Compare rows. One that is gone, or changed in the store since ``settled``, is the next run's business."""
    stored = {record.key: (record, row) for record, row in zip(records_of(table, page), page.rows, strict=True)}
    pairs = [(cached, *stored[cached.key]) for cached in sample if cached.key in stored]
    return [
        _wrong(table, cached.key)
        for cached, record, row in pairs
        if cached != record
        and (record.recorded_at <= cached.recorded_at or record.recorded_at < settled)
        and row_checksum(row) != checksum_of(table, cached)  # another version may have packed the same row differently
    ]


def _count(table: Table, wanted: int, cached: int) -> Finding:
    message = f"The cache has {cached} {table.value}, but should have {wanted} according to the durable store."
    return Finding("cache-count", Severity.ERROR, message, _REPAIR, key=table.value)


def _lost(count: int, first: str, remedy: str) -> list[Finding]:
    """Return a finding about embeddings of the durable store itself, which no run of the cache removes."""
    if not count:
        return []
    verb = "embedding belongs" if count == 1 else "embeddings belong"
    message = f"In the durable store {count} {verb} to no episode and no pattern; the cache leaves them out."
    return [Finding("durable-orphan", Severity.WARNING, message, remedy, key=first)]


def _wrong(table: Table, key: str) -> Finding:
    message = f"A row of {table.value} in the cache is not what it is in the durable store."
    return Finding("cache-checksum", Severity.ERROR, message, _REPAIR, key=key)
