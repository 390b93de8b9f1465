"""The journal: everything of a brand's memory that its files can't give back, one JSON object a line, for people too.

``memory/journal.jsonl`` is appended to and fsynced before the transaction that makes the same true in memory.db. So a
damaged or lost database is built again from the files and the journal, and what was handed in is never lost, whatever
happens between the hand-in and the transaction.

Records (``op``), after the first one (``journal``, with the file's id):
    store: A memory.db was made: without one, what stands here was handed in before there was any.
    entry: An entry as it was first stored, of those that no file keeps: session learnings, prepared payloads, entries
        of rolling files, what other machines stored.
    replaced: The text an entry had before its file changed it.
    retired: An entry whose file dropped it, whole. ``current`` again: its key.
    decided: An entry, whole, to which a user gave, or from which they took, tags, type, priority or expiry.
    decision: What a user had forgotten (``forget``) or allowed again (``restore``), by MACs. A correction is an
        ``entry`` that names the text it ``replaces``.
    refused: The hash of a text that was handed in and not stored, with the reason.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import filelock
import orjson

from dm_memory.errors import StoreError, system_reason
from dm_memory.store.entries import to_json
from dm_memory.store.files import is_file, make_private_folder, open_own, read_own, sync_folder, write_atomic

__all__ = ["JOURNAL", "Appended", "Journal", "Record"]

JOURNAL = "journal.jsonl"

_LOCK = ".journal.lock"
_LOCK_SECONDS = 30.0
_VERSION = 1
_APPENDING = os.O_RDWR | os.O_CREAT | os.O_APPEND
_MOST_BYTES = 1 << 30
"""A journal of a million entries has less; reading one that is larger, a sparse file for one, would fill the memory."""

_MOVE_AWAY = "Move it out of the way, then sync again: it is written again from memory."

Record = Mapping[str, Any]


class Appended(NamedTuple):
    """Where records were added: the file's id, and the places in bytes before and behind them."""

    identity: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Tail:
    """What stands in the journal from a place on.

    Attributes:
        identity: The file's id; "" if there is no journal, or its first line can't be read.
        end: The place behind the last record.
    """

    identity: str
    end: int
    records: Sequence[Record]


class Journal:
    """The journal of one brand. Every method may raise ``StoreError``; any number of processes may append at once.

    Args:
        folder: The brand's memory folder.
        name: The file's name.
    """

    def __init__(self, folder: Path, name: str = JOURNAL) -> None:
        self.path = folder / name
        self._lock_path = folder / _LOCK

    def append(self, records: Iterable[Record]) -> Appended:
        """Add records and return where, after the disk has them.

        A last line that a crash tore is closed first, so that it costs nobody else's record.
        """
        lines = [_line(record) for record in records]
        with self._locked(), self._errors():
            with os.fdopen(open_own(self.path, _APPENDING), "r+b", buffering=0) as file:
                size = file.seek(0, os.SEEK_END)
                identity = self._identity(file)
                if not size or not identity:
                    identity = secrets.token_hex(8)
                    lines.insert(0, _line({"op": "journal", "id": identity}))
                if size:
                    file.seek(size - 1)
                    lines[:0] = [b""] if file.read(1) != b"\n" else []
                _write_all(file.fileno(), b"".join(line + b"\n" for line in lines))
                os.fsync(file.fileno())
                end = file.seek(0, os.SEEK_END)
            if not size:
                sync_folder(self.path.parent)
        return Appended(identity, size, end)

    def read(self, start: int = 0) -> _Tail:
        """Return the records from a place on, without waiting for anybody; torn and damaged lines are left out."""
        if not os.path.lexists(self.path):
            return _Tail("", 0, ())
        with self._errors(), os.fdopen(open_own(self.path), "rb") as file:
            identity = self._identity(file)
            file.seek(start)
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise self._unusable(f"{self.path.name} is larger than {_MOST_BYTES:,} bytes", _MOVE_AWAY)
        records = [record for line in data.split(b"\n") if (record := _record(line)) is not None]
        return _Tail(identity, start + len(data), records)

    def after(self, place: str) -> _Tail:
        """Return the records behind a place, ``identity:end`` as it was noted; all of them if it is of another file."""
        identity, _, end = place.partition(":")
        tail = self.read(int(end or 0))
        return tail if tail.identity == identity else self.read()

    def size(self) -> int:
        """Return the file's size in bytes, 0 if there is none."""
        try:
            return self.path.lstat().st_size if is_file(self.path) else 0
        except OSError:
            return 0

    def rewrite(self, records: Iterable[Record]) -> tuple[str, int]:
        """Replace the journal by these records, atomically; return its new id and end.

        The caller has seen to it that nothing is appended between its reading and this call (``exclusively``).
        """
        identity = secrets.token_hex(8)
        head: Record = {"op": "journal", "id": identity}
        lines = (_line(record) + b"\n" for record in chain((head,), records))
        with self._errors():
            write_atomic(self.path, lines)
        return identity, self.size()

    def place_of(self, line: int) -> int:
        """Return the place at which a line (from 0) begins, the end if there are fewer."""
        with self._errors():
            data = read_own(self.path, _MOST_BYTES)
        place = 0
        for _ in range(line):
            place = data.find(b"\n", place) + 1 or len(data)
        return place

    @contextlib.contextmanager
    def exclusively(self) -> Iterator[None]:
        """Keep others from appending. Short: a hand-in waits for it."""
        with self._locked():
            yield

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with self._errors():
            make_private_folder(self.path.parent)
            for path in (self.path, self._lock_path):
                is_file(path)  # else it is refused: a pipe or a device is never opened
        lock = filelock.FileLock(self._lock_path, mode=0o600, thread_local=False, timeout=_LOCK_SECONDS)
        try:
            with self._errors():
                lock.acquire()
        except filelock.Timeout:
            raise self._unusable("another program keeps it locked", "Close that program and try again.") from None
        try:
            yield
        finally:
            lock.release()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if isinstance(error, filelock.Timeout):
                raise
            raise self._unusable(*system_reason(error)) from error

    def _unusable(self, why: str, remedy: str) -> StoreError:
        return StoreError(f"The journal {self.path} can't be read or written ({why}).", remedy)

    @staticmethod
    def _identity(file: Any) -> str:  # noqa: ANN401  # a raw or a buffered file
        file.seek(0)
        record = _record(file.read(256).split(b"\n", 1)[0])
        return str(record.get("id", "")) if record and record.get("op") == "journal" else ""


def _line(record: Record) -> bytes:
    """Return a record as a line."""
    return to_json({"v": _VERSION, **record}).encode()


def _record(line: bytes) -> Record | None:
    try:
        record = orjson.loads(line) if b"\\ud" not in line else json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and isinstance(record.get("op"), str) else None


def _write_all(descriptor: int, data: bytes) -> None:
    """Write everything: a system may take less than it was given. What a full disk let through is cut off again."""
    before = os.fstat(descriptor).st_size
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, before)
        raise
