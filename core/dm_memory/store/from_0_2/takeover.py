"""Taking over a home of 0.2: its memory becomes a memory.db of ours, and no process of 0.2 works there any more.

The order makes it safe to be killed at any instant, and to have 0.2 run in between:

1. ``memory.db.new`` is built from 0.2's files, which are only read, and is on the disk when this ends. The journal gets
   what the brand's files can't give back.
2. An empty ``registry.db`` of a newer format takes the place of 0.2's in one step. Until then a next opening starts
   over; from then on 0.2 stops with its own message, and a next opening goes on with 3.
3. The old files go to ``from-0.2/``, and ``memory.db.new`` takes the place of 0.2's ``memory.db`` in one step.

The caller has the brand's lock, which is 0.2's as well. 0.2's searches take none: files that they have open are
renamed, never written or emptied under them. SQLite compares a file with its path before it removes a log by its name.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dm_memory.errors import HomeError, StoreError
from dm_memory.findings import Finding, Severity
from dm_memory.store.database import FILE_NAME, Store, open_store, read_store, store_errors
from dm_memory.store.files import make_private_folder, sync_folder, write_atomic
from dm_memory.store.from_0_2.entries import TAKEN_OVER, fill_from_0_2
from dm_memory.store.from_0_2.files import REGISTRY, UNFINISHED, is_home_0_2, is_registry_of_newer_version
from dm_memory.store.from_0_2.home import OldHome, read_home_0_2
from dm_memory.store.journal import Journal, Record
from dm_memory.store.opening import journal_records

__all__ = ["LEFTOVERS", "remove_leftovers_of_0_2", "take_over", "taken_over_copy"]

LEFTOVERS = "from-0.2"
"""Where 0.2's files are until a verification finds nothing missing."""

_INDEX = "_index.json"
_SUFFIXES = ("", "-wal", "-shm")


def take_over(memory_dir: Path, brand: str, now: str, languages: tuple[str, ...]) -> list[Finding]:
    """Take over a home of 0.2, or finish that; nothing happens if there is none. See ``is_home_0_2``.

    Args:
        memory_dir: The brand's memory folder.
        brand: The brand's slug.
        now: The present moment.
        languages: The brand's, the primary one first.

    Raises:
        HomeError: 0.2's files can't be read or moved; what was begun is finished by the next call.
        StoreError: The new store or the journal can't be written.
    """
    if not is_home_0_2(memory_dir):
        return []
    with _home_errors(memory_dir):
        if not is_registry_of_newer_version(memory_dir):
            _remove_unfinished(memory_dir)
            home = read_home_0_2(memory_dir)
            if home is None:
                return []
            _build(memory_dir, brand, home, now, languages)
            if home.foreign_index and not os.path.lexists(memory_dir / _INDEX):
                write_atomic(memory_dir / _INDEX, "[\n{}\n]\n".format(",\n".join(home.foreign_index)).encode())
            _stop_0_2(memory_dir)
        _replace_files(memory_dir)
    return _report(memory_dir, brand)


@contextlib.contextmanager
def taken_over_copy(memory_dir: Path, brand: str, now: str, languages: tuple[str, ...]) -> Iterator[Path]:
    """Provide a private folder with the memory.db that a takeover would make; the home stays as it is.

    For those who may not write: a dry run, and whoever reads before the first sync.

    Args:
        memory_dir: The brand's memory folder.
        brand: The brand's slug.
        now: The present moment.
        languages: The brand's, the primary one first.

    Raises:
        HomeError: 0.2's files can't be read.
        StoreError: The copy can't be written.
    """
    with tempfile.TemporaryDirectory(prefix="dm-memory-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with _home_errors(memory_dir):
            if is_registry_of_newer_version(memory_dir):
                shutil.copyfile(memory_dir / UNFINISHED, folder / FILE_NAME)
            elif (home := read_home_0_2(memory_dir)) is not None:
                _build(folder, brand, home, now, languages)
                (folder / UNFINISHED).rename(folder / FILE_NAME)
        yield folder


@contextlib.contextmanager
def _home_errors(memory_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"The files of version 0.2 in {memory_dir} can't be read or moved ({error.strerror or error})."
        remedy = (
            "Close other programs that use this memory, an older dm-memory above all, and make the folder writable."
        )
        raise HomeError(message, f"{remedy} Then sync again.") from error


def remove_leftovers_of_0_2(memory_dir: Path) -> list[Finding]:
    """Delete 0.2's files after a verification found nothing missing. The caller has the brand's lock."""
    folder = memory_dir / LEFTOVERS
    if not os.path.lexists(folder) or (memory_dir / UNFINISHED).exists():
        return []
    try:
        if folder.is_symlink() or not folder.is_dir():
            folder.unlink()
        else:
            shutil.rmtree(folder)
        sync_folder(memory_dir)
    except OSError as error:
        message = f"The files of version 0.2 in memory/{LEFTOVERS} can't be deleted ({error.strerror})."
        return [Finding("leftovers-kept", Severity.WARNING, message, "Delete that folder.", f"memory/{LEFTOVERS}")]
    message = f"The files of version 0.2 in memory/{LEFTOVERS} are no longer needed and were deleted."
    return [Finding("leftovers-deleted", Severity.INFO, message, path=f"memory/{LEFTOVERS}")]


def _report(memory_dir: Path, brand: str) -> list[Finding]:
    """Return what a person should know of a takeover that has ended, whichever call began it."""
    with read_store(memory_dir, brand) as store:
        if store is None:
            return []
        counts = [store.value(f"SELECT count(*) FROM {rows}") for rows in _COUNTED]
        damaged = json.loads(store.meta(TAKEN_OVER) or "{}").get("damaged", [])
    entries, bare, facts, patterns = counts
    message = (
        f"The memory of version 0.2 was taken over: {entries:,} entries, {facts:,} facts and {patterns:,} patterns"
        + (
            f"; {bare:,} of the entries get {'a vector' if bare == 1 else 'vectors'} with the next sync."
            if bare
            else "."
        )
    )
    remedy = f"Nothing to do: the old files stay in memory/{LEFTOVERS} until a verification finds nothing missing."
    findings = [Finding("taken-over", Severity.INFO, message, remedy, path=f"memory/{FILE_NAME}")]
    if damaged:
        names = " and ".join(damaged)
        message = (
            f"Version 0.2's {names} {'was' if len(damaged) == 1 else 'were'} damaged: what could be read was taken"
            " over; the brand's files and the connected services give back what they have."
        )
        remedy = f"Look through the next report, and keep memory/{LEFTOVERS} if something is missing."
        findings.append(Finding("takeover-damaged", Severity.WARNING, message, remedy, path=f"memory/{LEFTOVERS}"))
    return findings


_COUNTED = (
    "entries WHERE duplicate_of IS NULL",
    "entries WHERE duplicate_of IS NULL AND embedded = ''",
    "facts",
    "patterns",
)


# Files ---------------------------------------------------------------------------------------------------------------


def _remove_unfinished(memory_dir: Path) -> None:
    for suffix in _SUFFIXES:
        (memory_dir / f"{UNFINISHED}{suffix}").unlink(missing_ok=True)


def _stop_0_2(memory_dir: Path) -> None:
    """Put in the place of 0.2's registry one of a newer format, which 0.2 neither reads nor writes."""
    registry = memory_dir / REGISTRY
    if registry.is_file() and not registry.is_symlink():  # its log must not be read as the new one's
        with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(registry, timeout=5)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    _keep(registry)
    write_atomic(registry, _newer_registry())


def _newer_registry() -> bytes:
    """Return a registry that makes 0.2 stop.

    Without a table ``meta`` 0.2's readers would report an empty memory; without WAL 0.2 would write into it.
    """
    with tempfile.TemporaryDirectory(prefix="dm-memory-") as folder:
        path = Path(folder) / REGISTRY
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA page_size = 8192")
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            connection.execute("CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")
            connection.execute("PRAGMA user_version = 2")
        return path.read_bytes()


def _replace_files(memory_dir: Path) -> None:
    """Move 0.2's files away, and put the new store in the place of its durable one; does again what was not done."""
    for name in (*(f"{REGISTRY}{suffix}" for suffix in _SUFFIXES[1:]), *map("graph.db{}".format, _SUFFIXES), "vector"):
        _move(memory_dir / name)
    durable = memory_dir / FILE_NAME
    _keep(durable)
    for suffix in _SUFFIXES[1:]:  # a log of the old file would be read as one of the new file
        _move(memory_dir / f"{FILE_NAME}{suffix}")
    (memory_dir / UNFINISHED).replace(durable)
    sync_folder(memory_dir)


def _keep(path: Path) -> None:
    """Give a file a second name among the leftovers: the first is about to become another file's, in one step."""
    if not os.path.lexists(path):
        return
    if path.is_symlink() or not path.is_file():
        _move(path)
        return
    target = _place_for(path)
    try:
        os.link(path, target)
    except OSError:  # a file system without links
        shutil.copyfile(path, target)
        target.chmod(0o600)
        with target.open("rb+") as file:
            os.fsync(file.fileno())
    sync_folder(target.parent)


def _move(path: Path) -> None:
    if os.path.lexists(path):
        path.rename(_place_for(path))


def _place_for(path: Path) -> Path:
    """Return the place among the leftovers for a file, empty: a file of an earlier takeover gives way."""
    folder = path.parent / LEFTOVERS
    if folder.is_symlink():
        folder.unlink()
    make_private_folder(folder)
    target = folder / path.name
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    else:
        target.unlink(missing_ok=True)
    return target


# The new store -------------------------------------------------------------------------------------------------------


def _build(memory_dir: Path, brand: str, home: OldHome, now: str, languages: tuple[str, ...]) -> None:
    """Write everything that was found into ``memory.db.new``; it is on the disk when this returns."""
    path = memory_dir / UNFINISHED
    try:
        store = open_store(memory_dir, brand, name=UNFINISHED)
        try:
            store.rows("PRAGMA synchronous = OFF")  # nobody reads it before the fsync below
            fill_from_0_2(store, home, now, languages)
            _write_journal(store, Journal(memory_dir), now)
            if store.value("PRAGMA wal_checkpoint(TRUNCATE)"):
                message = f"The memory {path} is locked by another program."
                raise StoreError(message, "Close that program and sync again.")
        finally:
            store.close()
        with store_errors(path), path.open("rb+") as file:
            os.fsync(file.fileno())
        sync_folder(memory_dir)
    except BaseException:
        with contextlib.suppress(OSError):
            _remove_unfinished(memory_dir)
        raise


# The journal ---------------------------------------------------------------------------------------------------------


def _write_journal(store: Store, journal: Journal, now: str) -> None:
    """Add what the brand's files can't give back, behind what was handed in already and still waits to be stored.

    An attempt that was killed may have left the same records.
    """
    with journal.exclusively():
        known = (record for record in journal_records(store, now) if record["op"] != "store")
        records: list[Record] = [{"op": "store", "at": now}, *known]
        written = {_what(record) for record in records}
        waiting = [record for record in journal.read().records if _what(record) not in written]
        identity, end = journal.rewrite([*(record for record in waiting if record["op"] != "journal"), *records])
    with store.transaction():
        store.set_meta("journal", f"{identity}:{end}")


def _what(record: Record) -> tuple[object, ...]:
    return record["op"], record.get("key"), record.get("content")
