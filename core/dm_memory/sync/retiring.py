"""Retiring: what no file states any more is kept, labelled, and leaves the services that have only current entries.

An entry that a file dropped has a sighting without a path until it is known whether another file still states it; a run
that is killed in between leaves that to the next one. More than half of a source at once is a question, not a deed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dm_memory.findings import Finding, Severity
from dm_memory.results import Action
from dm_memory.store import entries as table
from dm_memory.store.entries import EntryRow, Known
from dm_memory.store.facts import retire_facts
from dm_memory.store.importing import record_of_entry
from dm_memory.store.patterns import update_patterns
from dm_memory.sync.run import KINDS, Run
from dm_memory.sync.writing import Writing

__all__ = ["dropped", "forget_files", "reread", "retire"]

_UNSEEN = (
    "INSERT OR IGNORE INTO sightings SELECT ?, seq FROM entries WHERE origin = ? AND state = 'current'"
    " AND kind IN ('campaign', 'guideline') AND key NOT LIKE 'violation/%' AND seq NOT IN (SELECT seq FROM sightings)"
)
"""What only a conflict copy stated, which is no sighting; files that roll have none either, and their entries stay."""
_HELD_BACK = 10
"""From so many entries on, a sync asks before it retires more than half of a source."""


def forget_files(run: Run, paths: Iterable[str]) -> None:
    """Note that files are gone: what only they stated is to be retired."""
    with run.store.transaction() as connection:
        for path in paths:
            run.note_change(connection)
            table.see(connection, {path: set()})
            connection.execute(_UNSEEN, (table.DROPPED, path))
            connection.execute("DELETE FROM source_files WHERE path = ?", (path,))


def dropped(run: Run) -> set[int]:
    """Return the entries that a file dropped, in this run or in one that did not get as far as here."""
    return table.seqs_seen_in(run.store.connection, table.DROPPED)


def reread(run: Run) -> list[str]:
    """Return the files that still state entries which another file dropped: their words count again.

    These files have to be parsed once more, although they did not change.
    """
    sql = (
        "SELECT DISTINCT s.path FROM sightings s JOIN entries e ON e.seq = s.seq"
        " WHERE s.path <> '' AND s.seq IN (SELECT value FROM json_each(?)) AND e.origin <> s.path"
    )
    return [path for (path,) in run.store.rows(sql, (table.in_json(dropped(run)),))]


def retire(run: Run) -> None:
    """Retire the entries that no file states any more, unless that concerns more than half of a source."""
    waiting = dropped(run)
    if not waiting:
        return
    kinds: dict[str, list[Known]] = {}
    for row in table.known_by_seq(run.store.connection, waiting).values():
        if row.kind in KINDS[run.request.scope]:
            kinds.setdefault(row.kind, []).append(row)
    for kind, rows in kinds.items():
        gone = _unstated(run, rows)
        total = run.store.value(
            "SELECT count(*) FROM entries WHERE kind = ? AND state = 'current' AND duplicate_of IS NULL", (kind,)
        )
        if len(gone) >= _HELD_BACK and len(gone) * 2 > total and not run.request.retire:
            run.outcomes.add_findings([_too_many(kind, len(gone), total)])
            run.outcomes.counts.held_back += len(gone)
            run.broken = True
            _retire(run, [row for row in rows if row not in gone], [])
        else:
            _retire(run, rows, gone)


def _unstated(run: Run, rows: Sequence[Known]) -> list[Known]:
    sql = "SELECT value FROM json_each(?) WHERE value NOT IN (SELECT seq FROM sightings WHERE path <> '')"
    left = {seq for (seq,) in run.store.rows(sql, (table.in_json(row.seq for row in rows),))}
    return [row for row in rows if row.seq in left and row.state == "current"]


def _retire(run: Run, settled: Sequence[Known], gone: Sequence[Known]) -> None:
    """Retire entries; of all that are settled, nothing waits any longer."""
    now, store = run.now, run.store
    seqs = [row.seq for row in gone]
    texts = table.texts_of(store.connection, seqs)
    whole = [EntryRow(*row) for row in store.rows(table.SELECT_ROWS, (table.in_json(seqs),))]
    tags = table.tags_of(store.connection, seqs)
    place = run.append([record_of_entry(row, tags.get(row.seq, ()), "retired", now) for row in whole])
    with store.transaction() as connection:
        run.note_change(connection)
        run.note_journal(place)
        connection.executemany(
            "DELETE FROM sightings WHERE path = ? AND seq = ?", [(table.DROPPED, row.seq) for row in settled]
        )
        ticks = store.ticks(len(seqs))
        connection.executemany(
            "UPDATE entries SET state = 'retired', retired_at = ?, updated_at = ?, run = ? WHERE seq = ?",
            [(now, tick, run.number, seq) for seq, tick in zip(seqs, ticks, strict=True)],
        )
        writing = Writing(run, connection)
        owners = [row for row in gone if row.duplicate_of is None]
        retire_facts(connection, [row.seq for row in owners], now)
        writing.promote(owners)
        writing.want([(row, "retired", Action.RETIRED) for row in owners])
        update_patterns(connection, run.brand, seqs, store.ticks)
    run.outcomes.retired(gone, texts)


def _too_many(kind: str, gone: int, total: int) -> Finding:
    message = f"{gone} of {total} entries of the kind {kind} are no longer in the brand's files; none was retired."
    remedy = (
        "Restore the files if that was a mistake, or sync with retire=true (command line: --retire) to retire them."
    )
    return Finding("retire-held-back", Severity.WARNING, message, remedy)
