"""Drift: memory compared with itself and with what every service really has, and repaired if that is asked for.

missing: In memory: an entry without its words, facts or vectors. In a service: confirmed, and not there.
stale: A text that is not what its hash says; in a service: another text or other metadata than was confirmed.
unknown: The service has it, memory does not. Only services that can list what they have show these.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson

from dm_memory.errors import DamagedStoreError, ServiceError
from dm_memory.findings import Finding, Severity
from dm_memory.items import Payload
from dm_memory.operations.maintenance import deliver, delivering, maintenance
from dm_memory.requests import Progress
from dm_memory.results import Action, Drift, VerifyResult
from dm_memory.services.protocol import Service, unexpected
from dm_memory.store import entries as table
from dm_memory.store import outbox
from dm_memory.store.database import Store
from dm_memory.store.entries import SELECT_ENTRIES, EntryRow, effective, payload_of_row, version_of
from dm_memory.store.facts import Stated, store_facts
from dm_memory.store.from_0_2.takeover import remove_leftovers_of_0_2
from dm_memory.store.indexes import put_words, remove_words
from dm_memory.store.opening import damage_of
from dm_memory.sync.feed import Importing
from dm_memory.sync.finish import VERIFIED, failure_of
from dm_memory.sync.pipeline import model_in_use
from dm_memory.sync.run import Environment, Run
from dm_memory.sync.storing import Storing
from dm_memory.text.hashing import content_hash
from dm_memory.text.words import analyse

__all__ = ["verify_brand"]

_PAGE = 256
_EXAMPLES = 10


@dataclass(slots=True)
class _Found:
    """What was found in one place: ids or row numbers, with keys."""

    checked: int = 0
    missing: dict[str, str] = field(default_factory=dict)
    stale: dict[str, str] = field(default_factory=dict)
    unknown: list[Payload] | None = None
    repaired: int = 0

    def drift(self, name: str, engine: str, error: ServiceError | None = None) -> Drift:
        """Return it as the report shows it."""
        keys = [*self.missing.values(), *self.stale.values(), *(entry.key for entry in self.unknown or ())]
        return Drift(
            name=name,
            engine=engine,
            checked=self.checked,
            missing=len(self.missing),
            stale=len(self.stale),
            unknown=None if self.unknown is None else len(self.unknown),
            examples=tuple(keys[:_EXAMPLES]),
            repaired=self.repaired,
            failure=failure_of(error, name) if error else None,
        )


async def verify_brand(
    env: Environment, brand: str, *, repair: bool, progress: Progress, stop: asyncio.Event
) -> VerifyResult:
    """Compare memory with itself and with every service.

    Args:
        env: Where and how.
        brand: The slug.
        repair: Restore or store again what is missing or stale, and import what is unknown.
        progress: Called for each part.
        stop: When set, ends after the page at hand.

    Raises:
        DmMemoryError: The brand can't be locked or its memory not be read. A service that fails is in the result.
    """
    started = time.monotonic()
    async with maintenance(env, brand, progress, stop) as run:
        await progress("Checking memory", 0, 0)
        await run.worker.run(_check_file, run, repair)
        parts = [await run.worker.run(_memory, run, repair)]
        parts += [await _service(run, service, repair=repair) for service in env.services]
        if repair:
            await run.worker.run(_embed, run)  # what services gave back as well
        await run.worker.run(_remember, run, parts)
        if not any(part.failure or part.differing > part.repaired for part in parts):
            run.outcomes.add_findings(await run.worker.run(remove_leftovers_of_0_2, run.memory_dir))
        findings = tuple(run.outcomes.findings)
    return VerifyResult(brand, repair, tuple(parts), time.monotonic() - started, findings)


def _remember(run: Run, parts: Sequence[Drift]) -> None:
    """Keep what still differs: counts are equal where a text was changed, so a status could not see it."""
    before = run.store.meta(VERIFIED)
    differing: dict[str, tuple[str, int, str]] = run.store.meta_json(VERIFIED) or {}
    for part in parts[1:]:
        wrong = part.differing - part.repaired if part.repaired else part.missing + part.stale
        if part.failure is None:
            differing.pop(part.name, None)
            differing |= {part.name: (part.engine, wrong, run.now)} if wrong > 0 else {}
    if differing or before:
        run.store.set_meta(VERIFIED, orjson.dumps(differing).decode() if differing else "")


# Memory itself -------------------------------------------------------------------------------------------------------


def _check_file(run: Run, repair: bool) -> None:  # run on the worker by position
    """Check the file page by page, indexes and full text included; what they say is made again from the rows.

    Raises:
        DamagedStoreError: The rows themselves are damaged; a sync builds the memory again.
    """
    store = run.store
    if _is_sound(store):
        return
    if not repair:
        message = "The indexes of memory.db are damaged, or its rows."
        remedy = "Run dm-memory verify --repair: it makes them again."
        run.outcomes.add_findings([Finding("memory-damaged", Severity.ERROR, message, remedy)])
        return
    try:
        with store.transaction() as connection:
            run.note_change(connection)
            connection.execute("REINDEX")
            connection.execute("INSERT INTO words (words) VALUES ('rebuild')")
        sound = _is_sound(store)
    except DamagedStoreError:
        sound = False
    if not sound:
        raise damage_of(store)
    message = "The indexes of memory.db were damaged; they were made again."
    run.outcomes.add_findings([Finding("indexes-rebuilt", Severity.WARNING, message)])


def _is_sound(store: Store) -> bool:
    try:
        store.rows("INSERT INTO words (words) VALUES ('integrity-check')")
    except DamagedStoreError:
        return False
    return store.rows("PRAGMA integrity_check(1)") == [("ok",)] and not store.rows("PRAGMA foreign_key_check")


def _memory(run: Run, repair: bool) -> Drift:  # run on the worker by position
    found = _Found()
    damaged: list[EntryRow] = []
    bare: list[EntryRow] = []
    unembedded: list[int] = []
    model = model_in_use(run)
    after = 0
    sql = SELECT_ENTRIES + "duplicate_of IS NULL AND seq > ? ORDER BY seq LIMIT ?"
    while page := [EntryRow(*row) for row in run.store.rows(sql, (after, _PAGE))]:
        after = page[-1].seq
        found.checked += len(page)
        with_words, with_facts, with_vectors = _derived(run, [row.seq for row in page], model)
        for row in page:
            if not isinstance(row.content, str):
                raise damage_of(run.store)
            if content_hash(row.content) != row.content_hash:
                found.stale[row.id] = row.key
                damaged.append(row)
            elif row.seq not in with_words or row.seq not in with_facts:
                found.missing[row.id] = row.key
                bare.append(row)
            elif model and row.seq not in with_vectors:
                found.missing[row.id] = row.key
                unembedded.append(row.seq)
    if repair and (damaged or bare or unembedded):
        found.repaired = _repair_memory(run, damaged, bare, unembedded)
    return found.drift("memory", "Memory (memory.db)")


def _embed(run: Run) -> None:
    if model := model_in_use(run):
        for _ in Storing(run, model).embed_missing():
            pass


def _derived(run: Run, seqs: Sequence[int], model: str) -> tuple[set[int], set[int], set[int]]:
    """Return which entries have words, facts and sound vectors of the model."""
    wanted = table.in_json(seqs)
    words = run.store.rows("SELECT rowid FROM words WHERE rowid IN (SELECT value FROM json_each(?))", (wanted,))
    facts = run.store.rows(
        "SELECT DISTINCT entry FROM facts WHERE entry IN (SELECT value FROM json_each(?))", (wanted,)
    )
    vectors = run.store.rows(
        "SELECT v.seq, v.crc, v.vector FROM vectors v JOIN entries e"
        " ON e.seq = v.seq AND e.content_hash = v.content_hash"
        " WHERE v.model = ? AND v.seq IN (SELECT value FROM json_each(?))",
        (model, wanted),
    )
    broken = {seq for seq, crc, vector in vectors if zlib.crc32(vector) != crc}
    return {seq for (seq,) in words}, {seq for (seq,) in facts}, {seq for seq, _, _ in vectors} - broken


def _repair_memory(run: Run, damaged: Sequence[EntryRow], bare: Sequence[EntryRow], unembedded: Sequence[int]) -> int:
    """Write again what follows from sound texts; make the sources of damaged ones be read again by the next sync."""
    with run.store.transaction() as connection:
        run.note_change(connection)
        remove_words(connection, [row.seq for row in bare])
        put_words(connection, [(row.seq, analyse(row.content, row.language)) for row in bare])
        tags = table.tags_of(connection, [row.seq for row in bare])
        stated = [Stated(row.seq, payload_of_row(run.brand, row, effective(tags.get(row.seq, ())))) for row in bare]
        store_facts(connection, run.brand, stated, run.now)
        connection.executemany("UPDATE entries SET embedded = '' WHERE seq = ?", [(seq,) for seq in unembedded])
        for row in damaged:
            connection.execute(
                "UPDATE entries SET content_hash = ?, source_digest = '', embedded = '' WHERE seq = ?",
                (content_hash(row.content), row.seq),
            )
            connection.execute(
                "UPDATE source_files SET digest = NULL WHERE path IN (SELECT path FROM sightings WHERE seq = ?)"
                " OR path = ?",
                (row.seq, row.origin),
            )
    restored = _restore_from_journal(run, damaged)
    _embed(run)
    return len(bare) + len(unembedded) + restored


def _restore_from_journal(run: Run, damaged: Sequence[EntryRow]) -> int:
    wanted = {(row.key, row.content_hash): row.seq for row in damaged}
    restored = 0
    for record in run.journal.read().records if wanted else ():
        content = record.get("content")
        if not isinstance(content, str):
            continue
        digest = content_hash(content)
        seq = wanted.pop((str(record.get("key", "")), digest), None)
        if seq is None:
            continue
        with run.store.transaction() as connection:
            connection.execute(
                "UPDATE entries SET content = ?, content_hash = ?, embedded = '' WHERE seq = ?", (content, digest, seq)
            )
            remove_words(connection, [seq])
            language = run.store.rows("SELECT language FROM entries WHERE seq = ?", (seq,))[0][0]
            put_words(connection, [(seq, analyse(content, language))])
        restored += 1
    return restored


# A connected service -------------------------------------------------------------------------------------------------


async def _service(run: Run, service: Service, *, repair: bool) -> Drift:
    await run.progress(f"Comparing with {service.engine}", 0, 0)
    found = _Found()
    try:
        await _compare(run, service, found)
        if repair and (found.missing or found.stale):
            # Before the listing: what is damaged may be what can't be listed.
            await run.worker.run(_doubt, run, service.name, [*found.missing, *found.stale])
            delivered = await deliver(run, service)
            if delivered.failure is not None:
                return found.drift(service.name, service.engine, delivered.failure)
            found.repaired += max(0, len(found.missing) + len(found.stale) - delivered.failed)
        sound = set(found.stale)
        await _list_unknown(run, service, found)
        if repair and (altered := [id_ for id_ in found.stale if id_ not in sound]):
            # Its hashes are as confirmed, so looking at them again would find nothing to do.
            await run.worker.run(_doubt, run, service.name, altered, Action.FORCED)
            delivered = await deliver(run, service)
            found.repaired += min(len(altered), delivered.stored)
        if repair and found.unknown:
            new, changed = await run.worker.run(Importing(run, service.name).take, found.unknown)
            # What is left there of forgotten texts became due to be deleted.
            removed = (await delivering(run, service, "").run_deletions()).removed
            found.repaired += new + changed + removed
    except Exception as error:  # noqa: BLE001  # a bug in an adapter is reported, with the other parts
        return found.drift(service.name, service.engine, unexpected(service.engine, error))
    return found.drift(service.name, service.engine)


async def _compare(run: Run, service: Service, found: _Found) -> None:
    """Ask the service, a page at a time, for what it confirmed; compare texts if it can list them."""
    after = ""
    while not run.stop.is_set():
        page = await run.worker.run(run.store.rows, _CONFIRMED, (service.name, after, _PAGE))
        if not page:
            return
        after = page[-1][0]
        records = await service.fetch([id_ for id_, _, _ in page])
        for id_, key, confirmed in page:
            record = records.get(id_)
            state = "retired" if confirmed.endswith(":retired") else "current"
            if record is None:
                found.missing[id_] = key
            elif version_of(record.content_hash, record.metadata_hash, record.state or state) != confirmed:
                found.stale[id_] = key
        found.checked += len(page)


_CONFIRMED = (
    "SELECT d.id, e.key, d.confirmed FROM deliveries d JOIN entries e ON e.id = d.id"
    " WHERE d.service = ? AND d.kind = 'entry' AND d.confirmed <> '' AND d.wanted = d.confirmed AND d.id > ?"
    " ORDER BY d.id LIMIT ?"
)


async def _list_unknown(run: Run, service: Service, found: _Found) -> None:
    if not service.capabilities.lists:
        return
    found.unknown = []
    after: str | None = None
    while not run.stop.is_set():
        entries, after = await service.entries(after, _PAGE)
        known = {
            row[0] for row in await run.worker.run(run.store.rows, _KNOWN, (table.in_json([e.id for e in entries]),))
        }
        for entry in entries:
            if entry.id not in known:
                found.unknown.append(entry)
            elif content_hash(entry.content) != entry.content_hash and entry.id not in found.missing:
                found.stale[entry.id] = entry.key
        if after is None:
            return


_KNOWN = (
    "SELECT id FROM entries WHERE id IN (SELECT value FROM json_each(?1))"
    " UNION SELECT id FROM tombstones WHERE content_mac = '' AND id IN (SELECT value FROM json_each(?1))"
)


def _doubt(run: Run, service: str, ids: Sequence[str], action: Action = Action.MISSING) -> None:
    with run.store.transaction() as connection:
        outbox.doubt(connection, service, ids, run.number, action)
