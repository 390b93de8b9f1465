"""Is the cache what the durable store says it should be? Typed findings; nothing is mended here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dm_memory.cache.plan import expected
from dm_memory.cache.protocol import Cache, Record
from dm_memory.cache.results import StorageSyncRequest
from dm_memory.cache.sync_records import checksum_of, records_of
from dm_memory.findings import Finding, Severity
from dm_memory.services.turso.protocol import START, DurableStore, Key, Page, Survey
from dm_memory.services.turso.rows import row_checksum
from dm_memory.services.turso.schema import Table
from dm_memory.sync.worker import Worker

__all__ = ["validate", "validate_counts"]

_NEWEST = 20
_SAMPLE = 50
_REPAIR = "Run storage_sync with repair."


def validate_counts(cache: Cache, survey: Survey, request: StorageSyncRequest) -> list[Finding]:
    """Compare numbers and the newest episode with an answer the store has given; costs no round trip. Blocks."""
    found = []
    wanted, held = expected(survey, request), cache.count(Table.EPISODES)
    if wanted != held:
        found.append(_count(Table.EPISODES, wanted, held))
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
    touched: Mapping[Table, list[str]],
) -> list[Finding]:
    """Compare cache and store: numbers, the newest episodes, and the checksums of a sample.

    Args:
        store: The durable store.
        cache: The cache, filled from it.
        worker: The cache's thread.
        request: What the cache should hold.
        survey: The store's numbers as of now, when nobody had changed anything since the cache was filled.
        touched: Rows that belong into the sample.

    Raises:
        LayerError: The store failed.
        CacheError: The cache failed.
    """
    looked: _Look = await worker.run(_look, cache, survey, request, touched)
    newest = min(_NEWEST, request.max_episodes_cache) if expected(survey, request) else 0
    tables = [table for table, sample in looked.sample.items() if sample]
    keys, *pages = await asyncio.gather(
        store.newest_episodes(newest),
        *(store.rows(table, [record.key for record in looked.sample[table]]) for table in tables),
    )
    compared: list[Finding] = await worker.run(_compare, cache, looked, keys, dict(zip(tables, pages, strict=True)))
    return compared


@dataclass(frozen=True, slots=True)
class _Look:
    """What the cache alone tells: findings, and the rows that are compared with the store's."""

    findings: list[Finding]
    sample: dict[Table, list[Record]]


def _look(cache: Cache, survey: Survey, request: StorageSyncRequest, touched: Mapping[Table, list[str]]) -> _Look:
    findings = [*validate_counts(cache, survey, request), *orphans(cache)]
    return _Look(findings, {table: _sample(cache, table, touched.get(table, [])) for table in Table})


def _compare(cache: Cache, looked: _Look, newest: list[Key], pages: Mapping[Table, Page]) -> list[Finding]:
    absent = [finding for finding in _missing(cache, newest) if finding not in looked.findings]
    wrong = [finding for table, page in pages.items() for finding in _differing(table, looked.sample[table], page)]
    return [*looked.findings, *absent, *wrong]


def _missing(cache: Cache, keys: Iterable[tuple[int, str]]) -> list[Finding]:
    wanted = dict((identity, moment) for moment, identity in keys)  # noqa: C402  # turns the pairs round
    cached = cache.get_many(Table.EPISODES, wanted)
    gone = [key for key, moment in wanted.items() if key not in cached or cached[key].recorded_at < moment]
    return [_absent(key) for key in gone]


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
    return [_orphaned(count, first)] if count else []


def _sample(cache: Cache, table: Table, touched: list[str]) -> list[Record]:
    """Return what was written last, and the first of the table by id: ids are hashes, so those are any rows."""
    records = cache.get_many(table, touched)
    for page in cache.scan(table, _SAMPLE):
        records |= {record.key: record for record in page}
        break
    return list(records.values())


def _differing(table: Table, sample: list[Record], page: Page) -> list[Finding]:
    """Compare rows. One that is gone or newer in the store changed this moment: the next run's business."""
    stored = {record.key: (record, row) for record, row in zip(records_of(table, page), page.rows, strict=True)}
    pairs = [(cached, *stored[cached.key]) for cached in sample if cached.key in stored]
    return [
        _wrong(table, cached.key)
        for cached, record, row in pairs
        if cached != record
        and record.recorded_at <= cached.recorded_at
        and row_checksum(row) != checksum_of(table, cached)  # another version may have packed the same row differently
    ]


def _count(table: Table, wanted: int, held: int) -> Finding:
    message = f"The cache holds {held} {table.value} where the durable store says {wanted}."
    return Finding("cache-count", Severity.ERROR, message, _REPAIR, key=table.value)


def _absent(key: str) -> Finding:
    message = "One of the newest episodes is missing in the cache or old there."
    return Finding("cache-newest-missing", Severity.ERROR, message, _REPAIR, key=key)


def _orphaned(count: int, first: str) -> Finding:
    message = f"In the cache {count} embeddings belong to nothing that is there."
    return Finding("cache-orphan", Severity.ERROR, message, _REPAIR, key=first)


def _wrong(table: Table, key: str) -> Finding:
    message = f"A row of {table.value} in the cache is not what the durable store holds."
    return Finding("cache-checksum", Severity.ERROR, message, _REPAIR, key=key)
