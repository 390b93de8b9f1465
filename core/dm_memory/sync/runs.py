"""The record of a run, and what a run finds when it starts: leftovers, a damaged registry, a clock that went back."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import orjson

from dm_memory.errors import HomeError
from dm_memory.findings import Finding, Severity
from dm_memory.sync.files import remove_leftovers
from dm_memory.sync.registry import FILE_NAME, DamagedRegistryError, Registry, open_writer
from dm_memory.sync.requests import SyncRequest
from dm_memory.sync.rows import (
    IN_MEMORY,
    DeliveryState,
    ItemRow,
    insert_items,
    mark_missing,
    mark_stale,
    metadata_hash_of,
    tags_of,
)
from dm_memory.text.hashing import HASH_VERSION, content_hash
from dm_memory.text.timestamps import Clock, from_iso, to_iso

__all__ = ["LAST_COMPLETE", "MAINTENANCE", "Run", "begin_run", "finish_run", "generation_name", "open_or_rebuild"]

_CLOCK_TOLERANCE = timedelta(minutes=2)
_KEPT_RUNS = 200
_LAYERS = "layers"

MAINTENANCE = "maintenance"
"""The status of runs that are no syncs, as others' reports need not tell of them."""

LAST_COMPLETE = "last-complete-sync"
"""The stored fact that says when everything was last known to be stored."""


def generation_name(layer: str) -> str:
    """Return the name of the stored fact that says what a layer's entries were made with."""
    return f"generation:{layer}"


@dataclass(slots=True)
class Run:
    """A run under way.

    Attributes:
        number: The registry's own number for it; rows carry it.
        left_over: ``seq`` of items that an earlier run left due or failed; those planned anew are taken out.
        left_over_by_origin: How many of them each source file has.
        failed_before: Those that failed.
        in_doubt: Those a layer may hold although the registry does not say so; stays as it is.
        adopted: ``seq`` and action of items that were prepared since the last run and never tried: they are this run's.
        registry_is_new: True where the layers may hold entries that the registry knows nothing of.
        items_before: Distinct entries before the run.
        added: ``seq`` of those among the left-over ones that are due only because a layer is new.
        learned: ``seq`` of those that are due because another machine stored them in the durable store.
    """

    number: int
    run_id: str
    started_at: str
    waited: float
    left_over: set[int]
    left_over_by_origin: Counter[str]
    failed_before: frozenset[int]
    adopted: Mapping[int, str]
    in_doubt: frozenset[int]
    registry_is_new: bool
    items_before: int
    added: set[int] = field(default_factory=set)
    learned: set[int] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)


def begin_run(
    registry: Registry,
    request: SyncRequest,
    clock: Clock,
    waited: float,
    *,
    layers: Sequence[str] = (),
    is_wanted: Callable[[sqlite3.Row], bool] = lambda _: False,
) -> Run:
    """Record the start of a run; the caller holds the brand, so a run that still says ``running`` was interrupted.

    Args:
        registry: Open for writing.
        request: For the record.
        clock: Tells the time.
        waited: Seconds spent waiting for the brand.
        layers: Names of those the run stores in; what was never planned for one of them becomes due there.
        is_wanted: Tells which prepared rows of ``items`` the run takes up.
    """
    now = clock()
    findings = _clock_findings(registry, now)
    run_id = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    with registry.transaction() as connection:
        _rehash_if_needed(connection)
        connection.execute("UPDATE runs SET status = 'interrupted' WHERE status = 'running'")
        _prune(connection)
        cursor = connection.execute(
            "INSERT INTO runs (run_id, started_at, status, scope, holder) VALUES (?, ?, 'running', ?, ?)",
            (run_id, to_iso(now), request.scope, str(os.getpid())),
        )
        number = int(cursor.lastrowid or 0)
        adopted = _adopt_prepared(connection, number, is_wanted)
        _fill_new_layers(connection, layers, number)
        if layers:
            _follow_layers(connection, layers, number)
    left_over = registry.rows(
        "SELECT d.seq, i.origin, max(d.state) AS state, min(d.action = 'added' AND d.run = ?) AS added"
        " FROM deliveries d JOIN items i ON i.seq = d.seq WHERE d.state <> 1 AND d.state IN (0, 2) GROUP BY d.seq",
        (number,),
    )
    seqs = {row["seq"] for row in left_over}
    return Run(
        number,
        run_id,
        to_iso(now),
        waited,
        seqs,
        Counter(row["origin"] for row in left_over),
        frozenset(row["seq"] for row in left_over if row["state"] == DeliveryState.FAILED),
        adopted,
        in_doubt=frozenset(seqs - adopted.keys()),
        added={row["seq"] for row in left_over if row["added"]},
        # Until everything was stored once on this registry's word: the first runs may be partial ones.
        registry_is_new=not registry.meta(LAST_COMPLETE),
        items_before=registry.value(f"SELECT count(*) FROM items WHERE {IN_MEMORY}"),  # noqa: S608  # a constant
        findings=findings,
    )


def _prune(connection: sqlite3.Connection) -> None:
    """Keep the latest runs, and those of prepared items that still wait; many payloads must not hide a sync."""
    connection.execute(
        "DELETE FROM runs WHERE status = 'prepared' AND id NOT IN (SELECT run FROM deliveries WHERE state <> 1)"
    )
    connection.execute(
        "DELETE FROM runs WHERE status <> 'prepared' AND id NOT IN"
        " (SELECT id FROM runs WHERE status <> 'prepared' ORDER BY id DESC LIMIT ?)",
        (_KEPT_RUNS,),
    )


def _fill_new_layers(connection: sqlite3.Connection, layers: Sequence[str], run: int) -> None:
    """Make due what the registry knows in layers that were never used: they are new, or the registry was rebuilt."""
    for layer in layers:
        name = generation_name(layer)
        if connection.execute("SELECT 1 FROM meta WHERE name = ?", (name,)).fetchone() is None:
            mark_missing(connection, layer, run)


def _follow_layers(connection: sqlite3.Connection, layers: Sequence[str], run: int) -> None:
    """Park what is due in layers that are no longer configured, and catch up in those that are configured again.

    A parked layer keeps what it is known to hold, so nothing is stored in it twice when it comes back.
    """
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (_LAYERS,)).fetchone()
    before: list[str] = orjson.loads(row[0]) if row else list(layers)
    waiting = connection.execute("SELECT DISTINCT layer FROM deliveries WHERE state <> 1").fetchall()
    for layer in {row[0] for row in waiting} - set(layers):
        connection.execute(
            "DELETE FROM deliveries WHERE layer = ? AND state <> 1 AND state <> 3 AND stored_at = ''", (layer,)
        )
        connection.execute(
            "UPDATE deliveries SET state = 1, attempts = 0, error = '' WHERE layer = ? AND state <> 1", (layer,)
        )
    for layer in set(layers) - set(before):
        mark_missing(connection, layer, run)
        mark_stale(connection, layer, run)
    if row is None or before != list(layers):
        value = orjson.dumps(list(layers)).decode()
        connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_LAYERS, value))


def _adopt_prepared(
    connection: sqlite3.Connection, run: int, is_wanted: Callable[[sqlite3.Row], bool]
) -> dict[int, str]:
    """Make prepared items that no run has tried yet the business of this run."""
    found = connection.execute(
        "SELECT DISTINCT i.*, d.action FROM deliveries d JOIN items i ON i.seq = d.seq"
        " JOIN runs r ON r.id = d.run WHERE d.state = 0 AND r.status = 'prepared'"
    ).fetchall()
    adopted = {row["seq"]: row["action"] for row in found if is_wanted(row)}
    connection.executemany("UPDATE deliveries SET run = ? WHERE seq = ? AND state = 0", [(run, seq) for seq in adopted])
    return adopted


def _clock_findings(registry: Registry, now: datetime) -> list[Finding]:
    rows = registry.rows("SELECT started_at FROM runs ORDER BY id DESC LIMIT 1")
    last = from_iso(rows[0]["started_at"]) if rows else None
    if last is None or last - now <= _CLOCK_TOLERANCE:
        return []
    message = f"This computer's clock is behind the last sync ({rows[0]['started_at']}); nothing was lost."
    return [Finding("clock-went-back", Severity.WARNING, message, "Check the date and time of this computer.")]


def finish_run(connection: sqlite3.Connection, run: Run, status: str, at: str, counts: dict[str, int]) -> None:
    """Record the end of a run. Inside a transaction."""
    connection.execute(
        "UPDATE runs SET status = ?, finished_at = ?, counts = ? WHERE id = ?",
        (status, at, orjson.dumps(counts).decode(), run.number),
    )


# A registry that can't be used ---------------------------------------------------------------------------------------


def open_or_rebuild(memory_dir: Path, *, damaged: bool = False) -> tuple[Registry, list[Finding]]:
    """Open the registry for writing; set a damaged one aside and save what can still be read of it.

    Args:
        memory_dir: The brand's; the caller holds the brand.
        damaged: The registry turned out to be damaged while it was used.
    """
    remove_leftovers(memory_dir)
    if damaged:
        return _rebuilt(memory_dir)
    try:
        return open_writer(memory_dir), []
    except DamagedRegistryError:
        return _rebuilt(memory_dir)


def _rebuilt(memory_dir: Path) -> tuple[Registry, list[Finding]]:
    path = memory_dir / FILE_NAME
    aside = _set_aside(path)
    registry = open_writer(memory_dir)
    saved = _salvage(aside, registry)
    message = f"The registry was damaged; it was set aside as {aside.name} and built again ({saved} entries saved)."
    remedy = "Nothing to do: what the files and the vector database hold is taken up again in this run."
    return registry, [Finding("registry-rebuilt", Severity.WARNING, message, remedy, path=f"memory/{FILE_NAME}")]


def _set_aside(path: Path) -> Path:
    number = 1
    while os.path.lexists(aside := path.with_name(f"{path.name}.damaged-{number}")):
        number += 1
    try:
        path.rename(aside)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    except OSError as error:
        message = f"The registry {path} is damaged and can't be set aside ({error.strerror})."
        raise HomeError(message, "Move the file away by hand, then sync again.") from error
    return aside


def _salvage(aside: Path, registry: Registry) -> int:
    """Copy the items that a damaged registry still yields; they are due in every layer, which are asked first."""
    saved = 0
    if aside.is_symlink():
        return saved  # what it points at is not ours
    names = ", ".join(ItemRow._fields)
    try:
        connection = sqlite3.connect(f"file:{aside.as_posix()}?mode=ro&immutable=1", uri=True)
        with contextlib.closing(connection):
            for row in connection.execute(f"SELECT {names} FROM items WHERE duplicate_of IS NULL ORDER BY seq"):  # noqa: S608
                with registry.transaction() as target:
                    insert_items(target, [ItemRow(*row)])
                saved += 1
    except (sqlite3.DatabaseError, TypeError, ValueError):
        return saved  # from here on the file yields nothing; the finding says how much was saved
    return saved


# A new version of the hashes -----------------------------------------------------------------------------------------


def _rehash_if_needed(connection: sqlite3.Connection) -> None:
    """After a change of our hashing, compute all hashes anew; stored texts stay stored, nothing is embedded again."""
    row = connection.execute("SELECT value FROM meta WHERE name = 'hash-version'").fetchone()
    if row is not None and row[0] == str(HASH_VERSION):
        return
    if row is not None:
        _rehash(connection)
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('hash-version', ?)", (str(HASH_VERSION),))


def _rehash(connection: sqlite3.Connection) -> None:
    columns = "seq, content, content_hash, content_type, kind, source, details, recorded_at"
    for row in connection.execute(f"SELECT {columns} FROM items").fetchall():  # noqa: S608  # a constant
        text = content_hash(row["content"])
        digest = metadata_hash_of(row, tags_of(row["details"]))
        connection.execute(
            "UPDATE items SET content_hash = ?, metadata_hash = ? WHERE seq = ?", (text, digest, row["seq"])
        )
        connection.execute(
            "UPDATE deliveries SET state = 0, action = 'metadata', content_hash = ? WHERE seq = ? AND content_hash = ?",
            (text, row["seq"], row["content_hash"]),
        )
