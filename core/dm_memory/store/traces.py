"""Where a forgotten text may still stand below ``memory/``: cleaning these files, and looking at their bytes.

Bytes are read in a process of its own (``find_in_files``): on POSIX, closing any descriptor of a file drops the locks
that SQLite has on it in the whole process, and another process would then delete a log that is still being written.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import filelock
import orjson

from dm_memory.errors import StoreError
from dm_memory.store.database import FILE_NAME, Store, open_store
from dm_memory.store.forgetting import PENDING, Text, purge_journal, remove_texts, same_texts, scrub
from dm_memory.store.journal import JOURNAL, Journal
from dm_memory.text import byte_search
from dm_memory.text.hashing import content_hash
from dm_memory.text.words import analyse

__all__ = ["BACKUPS", "Traces", "clean_files", "find_in_files", "finish_pending", "needles_of", "prove"]

BACKUPS = "backups"
"""Where backups are made unless another place is named."""

_PAYLOADS = ("pending", "stored")
_CACHE = "cache"
_ASIDE = (f"{FILE_NAME}.damaged-", ".dm-memory-")
_LEFTOVERS = "from-0.2"
_LOCK_SECONDS = 10.0
_WINDOW = byte_search.WINDOW
_BLOCK_CHARS = 1 << 21
_SHORTEST = 8
"""The least number of bytes by which a text can be distinguished from others."""


@dataclass(slots=True)
class Traces:
    """What a look at the bytes found.

    Attributes:
        files / bytes: What was looked at.
        left: Files that still contain a text, relative to the folder.
        cleaned: Files that were removed, or written again, because they contained one.
        short: Texts too short to be distinguished from others by their bytes.
    """

    files: int = 0
    bytes: int = 0
    left: list[str] = field(default_factory=list)
    cleaned: list[str] = field(default_factory=list)
    short: int = 0


# Cleaning ------------------------------------------------------------------------------------------------------------


def clean_files(store: Store, memory_dir: Path) -> list[str]:
    """Take out of the files what ``remove_texts`` took out of the database; return those that were changed.

    Idempotent: a killed process leaves it to the next one.
    """
    pending = orjson.loads(store.meta(PENDING) or "{}")
    if not pending:
        return []
    hashes, prepared = set(pending["hashes"]), set(pending["prepared"])
    cleaned = [JOURNAL] if purge_journal(store, Journal(memory_dir), pending["keys"], hashes) else []
    for folder in _PAYLOADS:
        cleaned += [f"{folder}/{name}" for name in _clean_payloads(memory_dir / folder, hashes, prepared)]
    cleaned += [f"{_CACHE}/{name}" for name in _drop_cache(memory_dir / _CACHE)]
    cleaned += [
        _name(backup, memory_dir) for backup in _backups(store, memory_dir) if _clean_backup(backup, store, hashes)
    ]
    return cleaned


def _clean_payloads(folder: Path, hashes: Collection[str], prepared: Collection[str]) -> Iterator[str]:
    """Delete the plugin's files of payloads that say a text, or are named for one."""
    for path in _regular(folder, "*.json"):
        content = None
        with contextlib.suppress(OSError, ValueError):
            document = orjson.loads(path.read_bytes())
            content = document.get("content") if isinstance(document, dict) else None
        says = isinstance(content, str) and content_hash(content) in hashes
        if says or path.stem in prepared:
            path.unlink(missing_ok=True)
            yield path.name


def _drop_cache(folder: Path) -> Iterator[str]:
    """Delete the local cache, which ``storage_sync`` fills again; whoever has it open finds out by its identity."""
    files = [path for path in _regular(folder, "cache.v*") if not path.name.endswith(".lock")]
    if not files:
        return
    lock = filelock.FileLock(folder / ".storage-sync.lock", mode=0o600, thread_local=False, timeout=_LOCK_SECONDS)
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(filelock.Timeout):  # a run that has it is behind the tombstones as well
            stack.enter_context(lock)
        for path in files:
            with contextlib.suppress(OSError):
                path.unlink()
                yield path.name


def _backups(store: Store, memory_dir: Path) -> list[Path]:
    """Return the backups there are: in the folder for them, and where else they were made."""
    folder = memory_dir / BACKUPS
    own = sorted(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []
    elsewhere = [Path(place) for place in orjson.loads(store.meta("backups") or "[]")]
    return [path for path in (*own, *elsewhere) if path.is_dir() and not path.is_symlink()]


def _clean_backup(backup: Path, store: Store, hashes: Collection[str]) -> bool:
    """Make a backup forget what its brand forgot. A damaged one is left to the look at bytes."""
    if not (backup / FILE_NAME).is_file():
        return False
    try:
        copy = open_store(backup, store.brand)
    except StoreError:
        return False
    try:
        texts = same_texts(copy.connection, (), hashes)
        if texts:
            with copy.transaction():
                copy.set_meta("mac_key", store.meta("mac_key"))
                remove_texts(copy, texts, {}, "", 0)
            scrub(copy)
        journaled = purge_journal(copy, Journal(backup), [text.key for text in texts if not text.number], hashes)
        with copy.transaction():
            copy.set_meta(PENDING, "")
        scrub(copy)
    finally:
        copy.close()
    return bool(texts or journaled)


def finish_pending(store: Store, memory_dir: Path) -> bool:
    """Clean what a killed process left uncleaned; return whether there was anything.

    Its texts are not known any more: files that were set aside go without being looked at.
    """
    if not store.meta(PENDING):
        return False
    clean_files(store, memory_dir)
    for path in _files_below(memory_dir):
        if _is_aside(path.relative_to(memory_dir).as_posix()):
            path.unlink(missing_ok=True)
    scrub(store)
    store.set_meta(PENDING, "")
    return True


def _is_aside(name: str) -> bool:
    return name.startswith((*_ASIDE, f"{_LEFTOVERS}/")) or (name.startswith(f"{_CACHE}/") and ".damaged-" in name)


# Looking at bytes ----------------------------------------------------------------------------------------------------


def needles_of(texts: Sequence[Text], others: Iterable[str]) -> tuple[list[bytes], int]:
    """Return pieces of texts by which any copy of them is found, and the number of texts that are too short for that.

    Args:
        texts: Those that went.
        others: Everything that may stay: a piece that occurs in it proves nothing.
    """
    pieces: set[bytes] = set()
    short = 0
    for text in texts:
        forms = {text.content, analyse(text.content, text.language)}
        own = {piece for form in forms for data in _encodings(form) for piece in _cut(data)}
        short += not own
        pieces |= own
    for block in _blocks(others) if pieces else ():
        for data in _encodings(block):
            pieces -= byte_search.find(data, pieces)
    return sorted(pieces), short


def _blocks(texts: Iterable[str]) -> Iterator[str]:
    """Join many texts into few: each search has its price."""
    block: list[str] = []
    size = 0
    for text in texts:
        block.append(text)
        size += len(text)
        if size > _BLOCK_CHARS:
            yield "\0".join(block)
            block, size = [], 0
    yield "\0".join(block)


def _json_text(text: str) -> bytes:
    """Return a text as JSON has it, without its quotes."""
    try:
        return orjson.dumps(text)[1:-1]
    except orjson.JSONEncodeError:
        return b""


def _encodings(text: str) -> set[bytes]:
    """Return a text as databases, JSON and ASCII-only JSON have it."""
    return {text.encode("utf-8", "surrogatepass"), _json_text(text), json.dumps(text)[1:-1].encode()}


def _cut(data: bytes) -> Iterator[bytes]:
    """Yield what stands at every 32nd byte, and at the end: 64 bytes in a row contain one of these pieces whole."""
    if len(data) < _SHORTEST:
        return
    for start in range(0, max(1, len(data) - _WINDOW + 1), _WINDOW):
        yield data[start : start + _WINDOW]
    yield data[-_WINDOW:]


def prove(store: Store, memory_dir: Path, needles: Sequence[bytes], short: int) -> Traces:
    """Look for pieces of texts in every file of a folder, and clean what can be cleaned.

    The database is written again whole if it contains one; what was set aside is deleted; files that are not ours stay,
    and are named.
    """
    outside = [path for backup in _backups(store, memory_dir) for path in _files_below(backup)]
    found = find_in_files(memory_dir, needles, outside)
    traces = Traces(short=short)
    if any(name.partition("-")[0] == FILE_NAME for name in found.hits):
        scrub(store, whole=True)
    for name in found.hits:
        path = memory_dir / name
        if _is_aside(name) or name.split("/")[0] in _PAYLOADS:
            for twin in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
                with contextlib.suppress(OSError):
                    twin.unlink(missing_ok=True)
            traces.cleaned.append(name)
        elif name.startswith(f"{BACKUPS}/"):  # it can't be opened, or says it in another way: it is of no use
            shutil.rmtree(memory_dir / BACKUPS / name.split("/")[1], ignore_errors=True)
            traces.cleaned.append(name)
    if found.hits:
        found = find_in_files(memory_dir, needles, outside)
    traces.files, traces.bytes, traces.left = found.files, found.bytes, found.hits
    return traces


def _files_below(folder: Path) -> Iterator[Path]:
    """Yield the regular files below a folder; links are not followed, and nothing special is opened."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(parent, name)
            with contextlib.suppress(OSError):
                if stat.S_ISREG(path.lstat().st_mode):
                    yield path


@dataclass(frozen=True, slots=True)
class Found:
    """``hits``: the files, relative to the folder, that contain one of the pieces looked for."""

    files: int
    bytes: int
    hits: list[str]


def find_in_files(folder: Path, needles: Sequence[bytes], more: Iterable[Path] = ()) -> Found:
    """Return which files below a folder, and which others, contain any of some pieces.

    Raises:
        StoreError: That can't be found out.
    """
    paths = dict.fromkeys(str(path) for path in (*_files_below(folder), *more))
    question = orjson.dumps({"needles": [needle.hex() for needle in needles], "paths": [*paths]})
    try:
        answer = subprocess.run(  # noqa: S603  # our own file, our own interpreter
            [sys.executable, "-P", byte_search.__file__], input=question, capture_output=True, check=True
        )
        result: Mapping[str, list[int]] = orjson.loads(answer.stdout)
    except (OSError, subprocess.CalledProcessError, ValueError) as error:
        message = f"The files in {folder} could not be searched ({type(error).__name__})."
        remedy = "What was to be forgotten is gone from the memory; look at these files by hand."
        raise StoreError(message, remedy) from error
    hits = [_name(Path(path), folder) for path, (_, hit) in result.items() if hit]
    return Found(len(result), sum(size for size, _ in result.values()), hits)


def _name(path: Path, folder: Path) -> str:
    """Return a path relative to a folder that it is in, else as it is."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def _regular(folder: Path, pattern: str) -> list[Path]:
    if folder.is_symlink():
        return []
    return [path for path in sorted(folder.glob(pattern)) if stat.S_ISREG(path.lstat().st_mode)]
