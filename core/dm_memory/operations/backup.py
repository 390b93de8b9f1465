"""Backups of a brand's memory: one state of memory.db, and the journal; made while others write.

A backup is a folder with the files of a memory folder. It is put back into the database that is there, in one
transaction, so that readers see the old or the new memory and a killed process leaves the old one; what was there is
backed up first. Texts that were forgotten since stay out. Connected services are compared by hash and follow; a shared
store knows more than a backup, so what it has is learned again by the next sync.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import orjson

from dm_memory.brand.context import load_context
from dm_memory.errors import DmMemoryError, InputError
from dm_memory.findings import Finding, Severity
from dm_memory.operations.maintenance import deliver
from dm_memory.requests import Progress, SyncRequest
from dm_memory.results import BackupResult, RestoreResult, ServiceResult
from dm_memory.store import outbox
from dm_memory.store.database import FILE_NAME, Store, is_present, open_store, read_store, store_errors
from dm_memory.store.entries import in_json
from dm_memory.store.files import make_private_folder, sync_folder
from dm_memory.store.forgetting import PENDING, Forgotten, adopt_key, bury, remove_texts, texts_with_macs
from dm_memory.store.journal import JOURNAL, Journal, Record
from dm_memory.store.locks import brand_lock
from dm_memory.store.opening import open_or_rebuild
from dm_memory.store.traces import BACKUPS
from dm_memory.sync.exports import write_index
from dm_memory.sync.finish import failure_of
from dm_memory.sync.run import Environment, Run, count_entries
from dm_memory.text.hashing import content_hash
from dm_memory.text.timestamps import to_iso
from dm_memory.worker import worker_thread

__all__ = ["backup_brand", "restore_brand"]

_BUILDING = ".dm-memory-backup"
_MERGING = ".dm-memory-restore.db"
_KEPT_PLACES = 50


# Making one ----------------------------------------------------------------------------------------------------------


def backup_brand(env: Environment, brand: str, target: Path | None = None) -> BackupResult:
    """Back a brand's memory up. Takes no lock: others go on writing.

    Args:
        env: Where and how.
        brand: The slug.
        target: A folder that does not exist yet; None for one in ``memory/backups``, named by the moment.

    Raises:
        InputError: There is no memory, or the folder can't be made.
        StoreError: The memory can't be read.
    """
    started = time.monotonic()
    memory_dir = env.home.memory_dir(brand)
    if not is_present(memory_dir):
        raise InputError(f"There is no memory of {brand} yet.", "Sync once, then back it up.")
    now = env.clock()
    folder = (
        target.expanduser().absolute() if target is not None else _free(memory_dir / BACKUPS, f"{now:%Y%m%d-%H%M%S}")
    )
    if os.path.lexists(folder):
        raise InputError(f"{folder} exists already.", "Name a folder that does not exist yet.")
    building = folder.with_name(f"{_BUILDING}-{folder.name}")
    try:
        if target is None:
            make_private_folder(folder.parent)
        building.mkdir(mode=0o700)
        try:
            entries = _copy(memory_dir, brand, building)
            building.rename(folder)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise
        sync_folder(folder.parent)
        size = sum(path.stat().st_size for path in folder.iterdir())
    except OSError as error:
        message = f"The backup {folder} can't be made ({error.strerror or type(error).__name__})."
        raise InputError(message, "Free space, or name a folder that can be written.") from error
    if target is not None:
        _remember(memory_dir, brand, folder)
    return BackupResult(brand, str(folder), entries, size, to_iso(now), time.monotonic() - started)


def _free(parent: Path, name: str) -> Path:
    number = 1
    folder = parent / name
    while os.path.lexists(folder):
        number += 1
        folder = parent / f"{name}-{number}"
    return folder


def _copy(memory_dir: Path, brand: str, folder: Path) -> int:
    """Copy the memory and its journal, and check the copy; return how many entries it has."""
    path = folder / FILE_NAME
    with read_store(memory_dir, brand) as store:
        if store is None:
            raise InputError(f"There is no memory of {brand} yet.", "Sync once, then back it up.")
        with store_errors(store.path):
            store.connection.execute("VACUUM INTO ?", (str(path),))  # one read transaction
    path.chmod(0o600)
    journal = Journal(memory_dir)
    if journal.path.exists():
        with journal.exclusively():
            data = journal.path.read_bytes()
        (folder / JOURNAL).touch(0o600)
        (folder / JOURNAL).write_bytes(data)
    entries = _checked(folder, brand)
    for file in folder.iterdir():
        with file.open("rb+") as opened:
            os.fsync(opened.fileno())
    sync_folder(folder)
    return entries


def _checked(folder: Path, brand: str) -> int:
    """Return how many entries a backup has. Raises ``InputError`` if it is damaged, or another brand's."""
    try:
        copy = open_store(folder, brand)
    except DmMemoryError as error:
        raise InputError(f"The backup {folder} can't be used: {error.problem}", "Name another backup.") from error
    try:
        if copy.rows("PRAGMA quick_check(1)") != [("ok",)]:
            raise InputError(f"The backup {folder} is damaged.", "Name another backup.")
        if (other := copy.meta("brand")) != brand:
            raise InputError(f"The backup {folder} is of the brand {other}.", f"Name a backup of {brand}.")
        return count_entries(copy)
    finally:
        copy.close()


def _remember(memory_dir: Path, brand: str, folder: Path) -> None:
    """Note where a backup is, so that what is forgotten later goes there as well."""
    with contextlib.closing(open_store(memory_dir, brand)) as store, store.transaction():
        places = orjson.loads(store.meta("backups") or "[]")
        store.set_meta("backups", orjson.dumps([*dict.fromkeys((*places, str(folder)))][-_KEPT_PLACES:]).decode())


# Putting one back ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Before:
    """What is needed of the memory that goes: what services have, what was handed in and is not stored, the clock."""

    confirmed: Mapping[str, list[str]]
    unread: list[Record]
    journal: tuple[str, int]
    clock: int
    aside: str
    tombstones: list[tuple[str, str]]
    keys: list[str]
    kept: list[tuple[str, str]]


async def restore_brand(
    env: Environment, brand: str, source: Path, progress: Progress, stop: asyncio.Event
) -> RestoreResult:
    """Put a backup back, with the brand locked; then let connected services follow.

    Raises:
        InputError: The backup is damaged, missing, or another brand's.
        DmMemoryError: The brand can't be locked, or its memory not be written. A service that fails is in the result.
    """
    started = time.monotonic()
    folder = await asyncio.to_thread(_backup_in, source)
    memory_dir = env.home.memory_dir(brand)
    async with (
        worker_thread("dm-memory-restore") as worker,
        brand_lock(memory_dir, env.lock_timeout, env.clock, progress, stop) as waited,
    ):
        context = await worker.run(load_context, env.home, brand, env.limits)
        await worker.run(_checked, folder, brand)
        await progress("Putting the backup back", 0, 0)
        opening = partial(open_or_rebuild, memory_dir, brand, env.clock, languages=context.languages)
        store, findings = await worker.run(opening)
        try:
            before = await worker.run(_before, env, store, memory_dir, brand)
            kept_out = await worker.run(_put_back, store, folder, before, to_iso(env.clock()))
            run = await worker.run(
                partial(Run.begin, env, SyncRequest(brand), brand, context, store, worker, progress, stop, waited)
            )
            await worker.run(_reconcile, run, before)
            services = [await _service(run, service.name) for service in env.services]
            entries = await worker.run(count_entries, store)
            await worker.run(write_index, store, memory_dir, env.vector_db)
            await worker.run(_finish, run)
            findings = [*findings, *run.outcomes.findings, *_advice(env)]
        finally:
            await worker.run(store.close)
    return RestoreResult(
        brand,
        str(folder),
        entries,
        before.aside,
        kept_out,
        tuple(services),
        time.monotonic() - started,
        tuple(findings),
    )


def _backup_in(source: Path) -> Path:
    folder = source.expanduser().absolute()
    if not (folder / FILE_NAME).is_file():
        raise InputError(f"There is no backup in {folder}.", "Name the folder that dm-memory backup made.")
    return folder


def _before(env: Environment, store: Store, memory_dir: Path, brand: str) -> _Before:
    confirmed: dict[str, list[str]] = {}
    for service, id_ in store.rows("SELECT service, id FROM deliveries WHERE kind = 'entry' AND confirmed <> ''"):
        confirmed.setdefault(service, []).append(id_)
    known = {key for (key,) in store.rows("SELECT key FROM entries")}  # first: they are in what is put aside
    aside = ""
    if known:
        aside = backup_brand(env, brand, None).path
    journal = Journal(memory_dir)
    identity, _, place = store.meta("journal_read").partition(":")
    tail = journal.read(int(place or 0))
    unread = [record for record in tail.records if record.get("op") == "entry"] if tail.identity == identity else []
    return _Before(
        confirmed,
        [record for record in unread if record.get("key") not in known],
        (tail.identity, tail.end),
        int(store.meta("clock") or 0),
        aside,
        store.rows("SELECT id, content_mac FROM tombstones WHERE item_table = 'episodes' AND content_mac <> ''"),
        store.meta("mac_key").split(),
        store.rows("SELECT name, value FROM meta WHERE name = 'backups' OR name LIKE 'owed:%'"),
    )


def _put_back(store: Store, folder: Path, before: _Before, now: str) -> int:
    """Write the backup into the database, without what was forgotten since; return how many texts stayed out."""
    memory_dir = store.path.parent
    merging = memory_dir / _MERGING
    for path in (merging, *(merging.with_name(merging.name + end) for end in ("-wal", "-shm"))):
        path.unlink(missing_ok=True)
    shutil.copyfile(folder / FILE_NAME, merging)
    merged = open_store(memory_dir, store.brand, name=_MERGING)
    try:
        with merged.transaction() as connection:
            for key in reversed(before.keys):
                adopt_key(merged, bytes.fromhex(key))
            bury(merged, before.tombstones)
            texts = texts_with_macs(connection, Forgotten.load(connection))
            if texts:
                remove_texts(merged, texts, {}, now, 0)
            for name, value in before.kept:
                merged.set_meta(name, value)
            _renew_clock(merged, before.clock)
            connection.execute("UPDATE source_files SET digest = NULL")
        with store_errors(store.path):
            merged.connection.backup(store.connection)  # one transaction
    finally:
        merged.close()
        for path in (merging, *(merging.with_name(merging.name + end) for end in ("-wal", "-shm"))):
            path.unlink(missing_ok=True)
    _put_journal_back(store, folder, before)
    return len(texts)


def _renew_clock(store: Store, last: int) -> None:
    """Give every row a moment after the last one there was: readers follow the clock, and it never goes back."""
    if int(store.meta("clock") or 0) < last:
        store.set_meta("clock", str(last))
    for name in ("entries", "vectors", "patterns"):
        count = store.value(f"SELECT max(rowid) FROM {name}")
        first = store.ticks(count + 1)[0] if count else 0
        store.connection.execute(f"UPDATE {name} SET updated_at = ? + rowid", (first,))


def _put_journal_back(store: Store, folder: Path, before: _Before) -> None:
    """Write the backup's journal, and behind it what was handed in since and is in no memory yet."""
    journal = Journal(store.path.parent)
    kept = Journal(folder)
    identity, _, place = store.meta("journal_read").partition(":")
    tail = kept.read()
    unread = len(kept.read(int(place or 0)).records) if tail.identity == identity else 0
    forgotten = Forgotten.load(store.connection)
    records = [
        record
        for record in tail.records
        if record["op"] != "journal"
        and not (forgotten and "content" in record and forgotten.has(content_hash(str(record["content"]))))
    ]
    read = max(0, len(records) - unread)
    with journal.exclusively():
        # What was handed in since the journal was read: nobody waits for a lock with that.
        id_before, place_before = before.journal
        late = journal.read(place_before)
        handed_in = [each for each in late.records if late.identity == id_before and each["op"] == "entry"]
        identity, end = journal.rewrite([*records, *before.unread, *handed_in])
        place_read = journal.place_of(1 + read)
    with store.transaction():
        store.set_meta("journal", f"{identity}:{end}")
        store.set_meta("journal_read", f"{identity}:{place_read}")
        store.set_meta(PENDING, "")


def _reconcile(run: Run, before: _Before) -> None:
    """Make due in each service what differs: unknown versions are compared by hash, entries of later are deleted."""
    store = run.store
    with store.transaction() as connection:
        run.note_change(connection)
        present = {id_ for (id_,) in store.rows("SELECT id FROM entries WHERE duplicate_of IS NULL")}
        for service in run.env.services:
            had = before.confirmed.get(service.name, [])
            outbox.forget_service(connection, service.name)
            outbox.fill(connection, service.name, run.number, keeps_retired=service.capabilities.keeps_retired)
            if service.capabilities.shared:  # what others stored there since is newer: it is learned again
                connection.execute(
                    "UPDATE deliveries SET confirmed = wanted WHERE service = ?"
                    " AND id IN (SELECT value FROM json_each(?))",
                    (service.name, in_json(had)),
                )
                for name in ("seen", "buried"):
                    store.set_meta(f"{name}:{service.name}", "")
                continue
            connection.execute("UPDATE deliveries SET confirmed = '?' WHERE service = ?", (service.name,))
            outbox.delete(connection, [service.name], [id_ for id_ in had if id_ not in present], run.number)
        store.set_meta("services", "\n".join(run.service_names))


async def _service(run: Run, name: str) -> ServiceResult:
    service = next(each for each in run.env.services if each.name == name)
    await run.progress(f"Comparing with {service.engine}", 0, 0)
    delivered = await deliver(run, service)
    connection = run.store.connection
    due = await run.worker.run(outbox.count_due, connection, name)
    return ServiceResult(
        name=name,
        role=service.role,
        engine=service.engine,
        stored=delivered.stored,
        failed=delivered.failed,
        removed=delivered.removed,
        queued=due - delivered.failed,
        entries=await run.worker.run(outbox.count_confirmed, connection, name),
        counted=delivered.counted,
        missing=delivered.missing,
        asked=delivered.asked,
        failure=failure_of(delivered.failure, name) if delivered.failure else None,
    )


def _finish(run: Run) -> None:
    with run.store.transaction():
        run.finish("maintenance", run.outcomes.counts)


def _advice(env: Environment) -> list[Finding]:
    shared = [service.engine for service in env.services if service.capabilities.shared]
    if not shared:
        return []
    message = f"What other computers stored in {shared[0]} since the backup is newer; the next sync brings it back."
    return [Finding("shared-is-newer", Severity.INFO, message)]
