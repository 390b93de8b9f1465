"""The durable store's change feed: before anything is planned, memory catches up with what other machines stored there.

The store says what changed since the last look, by hashes alone; whole entries are read only if they are news. So a
second machine with an empty memory knows what is stored, and stores none of it again.

What happens to an entry, by what this memory knows of it:
    unknown: It is stored here, and becomes due in this machine's other services.
    known, with the same version: The store has it, whether or not this memory saw the confirmation.
    known, with another version: The newer word counts. What this machine has yet to deliver stands; else the other
        machine's version is taken, and the text it replaces becomes a revision.
    unknown, with a text that another entry here stands for: It stays there, and is nothing new here.
    forgotten: A tombstone removes it here as well.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from operator import methodcaller
from typing import Any

from dm_memory.facts.patterns import Counted, PatternRow
from dm_memory.findings import Finding, Severity, count_of_entries
from dm_memory.items import Payload
from dm_memory.results import Action
from dm_memory.services.protocol import Service, unexpected
from dm_memory.services.resilience import ask
from dm_memory.store import entries as table
from dm_memory.store import outbox
from dm_memory.store.entries import Known, version_of
from dm_memory.store.forgetting import Forgotten, lift, macs_of_entry
from dm_memory.store.importing import Imported, import_entries, record_of_payload
from dm_memory.store.opening import REBUILT
from dm_memory.store.patterns import campaigns_here
from dm_memory.sync.run import Delivered, Run
from dm_memory.sync.writing import Writing, versions_for
from dm_memory.text.hashing import content_hash

__all__ = ["Importing", "place_of", "place_text", "pull_feed", "pulled_at", "push_patterns", "reclaim", "seen_at"]

_log = logging.getLogger(__name__)

_PAGE = 256
_ELSEWHERE = "changed on another computer"


async def pull_feed(run: Run) -> None:
    """Catch up with every shared store. One that can't be read is left out of this run, and says so."""
    for service in run.env.services:
        if not service.capabilities.shared:
            continue
        delivered = run.delivered.setdefault(service.name, Delivered())
        if delivered.failure is not None:
            continue
        try:
            learned, changed = await _pull(run, service)
        except Exception as error:  # noqa: BLE001  # a bug in an adapter must not cost the run; it is reported
            delivered.failure = unexpected(service.engine, error)
            continue
        delivered.asked = True
        if learned or changed:
            parts = [f"{count_of_entries(learned)} that this computer did not know"] if learned else []
            parts += [f"{count_of_entries(changed)} with changes"] if changed else []
            they = "it is" if learned + changed == 1 else "they are"
            message = f"{service.engine} had {' and '.join(parts)}; {they} in memory here now."
            run.outcomes.add_findings([Finding("durable-learned", Severity.INFO, message)])
            run.outcomes.counts.learned += learned + changed


def seen_at(service: str) -> str:
    """Return the name of the stored fact that says up to where a shared store's feed was read."""
    return f"seen:{service}"


def pulled_at(service: str) -> str:
    """Return the name of the stored fact that says when a shared store's feed was last read to its end."""
    return f"pulled:{service}"


async def _pull(run: Run, service: Service) -> tuple[int, int]:
    learned = changed = 0
    name = seen_at(service.name)
    place = place_of(await run.worker.run(run.store.meta, name))
    importing = Importing(run, service.name)
    while True:
        digests, following = await ask(service, methodcaller("changes", place))
        if not digests:
            break
        news = await run.worker.run(_news, run, service.name, digests)
        for at in range(0, len(news), _PAGE):
            payloads: list[Payload] = await ask(service, methodcaller("payloads", news[at : at + _PAGE]))
            sound = [payload for payload in payloads if content_hash(payload.content) == payload.content_hash]
            earlier = await ask(service, methodcaller("revisions", [payload.id for payload in sound]))
            new, other = await run.worker.run(importing.take, sound, earlier)
            learned, changed = learned + new, changed + other
        place = following or place
        if not run.request.dry_run:
            await run.worker.run(run.store.set_meta, name, place_text(place))
        if following is None:
            break
    if not run.request.dry_run:
        await run.worker.run(run.store.set_meta, pulled_at(service.name), run.now)
    return learned, changed


async def reclaim(run: Run) -> None:
    """After a loss, ask every service that can list what it has for entries that memory does not have any more.

    What no file, no journal and no damaged database gives back is only there: entries are matched by their texts before
    any of them is new. A service that fails is asked again by the next run.
    """
    if run.request.dry_run or not await run.worker.run(run.store.meta, REBUILT):
        return
    failed = False
    for service in run.env.services:
        if not service.capabilities.lists or service.capabilities.shared:
            continue
        came = 0
        after: str | None = None
        importing = Importing(run, service.name)
        try:
            while True:
                entries, after = await service.entries(after, _PAGE)
                sound = [entry for entry in entries if content_hash(entry.content) == entry.content_hash]
                came += await run.worker.run(_take_lost, run, service, importing, sound)
                if after is None:
                    break
        except Exception as error:  # noqa: BLE001  # delivery meets the same error, and reports it
            _log.info("%s could not be asked for lost entries: %s", service.engine, type(error).__name__)
            failed = True
        if came:
            message = f"{service.engine} gave back {count_of_entries(came)} that memory had lost."
            run.outcomes.add_findings([Finding("reclaimed", Severity.INFO, message)])
    if not failed:
        await run.worker.run(run.store.set_meta, REBUILT, "")


def _take_lost(run: Run, service: Service, importing: Importing, entries: Sequence[Payload]) -> int:
    """Take entries that memory has lost; what is a duplicate or retired here by now has to go there."""
    known = table.known_by_key(run.store.connection, [entry.key for entry in entries])
    keeps_retired = service.capabilities.keeps_retired
    ended = [
        row.id
        for row in known.values()
        if row.duplicate_of is not None or (row.state != "current" and not keeps_retired)
    ]
    if ended:
        with run.store.transaction() as connection:
            outbox.delete(connection, [service.name], ended, run.number)
    new, _ = importing.take([entry for entry in entries if entry.key not in known])
    return new


def _news(run: Run, service: str, digests: Sequence[Any]) -> list[str]:
    """Note what is stored there as this memory wants it; return the ids of what has to be read."""
    store = run.store
    known = table.known_by_key(store.connection, [digest.key for digest in digests])
    waiting = {
        row[0]
        for row in store.rows(
            "SELECT id FROM deliveries WHERE service = ? AND kind = 'entry' AND wanted <> confirmed",
            (service,),
        )
    }
    same, unknown = [], []
    for digest in digests:
        row = known.get(digest.key)
        if row is None:
            unknown.append(digest.id)
        elif row.duplicate_of is None and version_of(row.content_hash, row.metadata_hash, row.state) == _version(
            digest
        ):
            same.append((digest.id, _version(digest)))
        elif row.duplicate_of is None and digest.id not in waiting:
            unknown.append(digest.id)
    with store.transaction() as connection:
        outbox.confirm(connection, service, same, run.now, run.number)
    return unknown


def _version(digest: Any) -> str:  # noqa: ANN401  # the store's own digest
    return version_of(digest.content_hash, digest.metadata_hash, getattr(digest, "state", "current"))


async def push_patterns(run: Run, service: Service, delivered: Delivered) -> None:
    """Store the patterns that changed since they were last stored there."""
    name = f"patterns:{service.name}"
    since = int(await run.worker.run(run.store.meta, name) or 0)
    rows, gone, files, last = await run.worker.run(_changed_patterns, run, since)
    if not rows and not gone:
        return
    try:
        counted = Counted(rows, files, whole=not since)
        await ask(service, methodcaller("put_patterns", counted, gone), stores=True)
    except Exception as error:  # noqa: BLE001  # as in ``pull_feed``
        delivered.failure = unexpected(service.engine, error)
        return
    await run.worker.run(run.store.set_meta, name, str(last))


def _changed_patterns(run: Run, since: int) -> tuple[list[PatternRow], list[str], frozenset[str], int]:
    names = PatternRow.__dataclass_fields__
    found = run.store.rows(f"SELECT {', '.join(names)}, updated_at FROM patterns WHERE updated_at > ?", (since,))
    gone = run.store.rows(
        "SELECT id, updated_at FROM tombstones WHERE item_table = 'patterns' AND updated_at > ?", (since,)
    )
    last = max([since, *(row[-1] for row in found), *(row[1] for row in gone)])
    files = frozenset(campaigns_here(run.store.connection))
    return [PatternRow(*row[:-1]) for row in found], [row[0] for row in gone], files, last


def place_of(text: str) -> Any:  # noqa: ANN401  # the store's own place: (moment, id)
    """Return a place in a shared store's feed from the text that was kept of it; None at its start."""
    moment, _, id_ = text.partition("/")
    return (int(moment), id_) if moment else None


def place_text(place: Any) -> str:  # noqa: ANN401
    """Return what is kept of a place in a shared store's feed; ``place_of`` is the way back."""
    return f"{place[0]}/{place[1]}" if place else ""


class Importing:
    """Takes entries into memory as they are, and makes them due everywhere but where they come from.

    Args:
        run: The run.
        source: The name of the service they come from, "" for none.
    """

    def __init__(self, run: Run, source: str) -> None:
        self._run = run
        self._source = source

    def take(self, payloads: Sequence[Payload], earlier: Sequence[Any] = ()) -> tuple[int, int]:
        """Store entries; return how many were new and how many were changed.

        An entry whose text another one here stands for is left out. The journal gets what no file of this machine has.

        Args:
            payloads: As a service has them.
            earlier: Texts that they had before, oldest first (a shared store's revisions). An entry that is known here
                has those that it had here.
        """
        store = self._run.store
        known = table.known_by_key(store.connection, [payload.key for payload in payloads])
        owners = table.owners_by_hash(store.connection, [payload.content_hash for payload in payloads])
        wanted: dict[str, Payload] = {}
        for payload in self._without_forgotten(payloads):
            row, owner = known.get(payload.key), owners.get(payload.content_hash)
            if owner is None or (row is not None and owner.seq == row.seq):
                wanted.setdefault(payload.content_hash if payload.state == "current" else payload.key, payload)
        if not wanted:
            return 0, 0
        forgotten = Forgotten.load(store.connection)
        texts: dict[str, list[tuple[str, str, str, str]]] = {}
        for each in earlier:
            if content_hash(each.content) == each.content_hash and not forgotten.has(each.content_hash):
                texts.setdefault(each.id, []).append((each.content, each.recorded_at, each.replaced_at, _ELSEWHERE))
        imported = [
            Imported(payload, revisions=() if payload.key in known else tuple(texts.get(payload.id, ())))
            for payload in wanted.values()
        ]
        added = self._run.append(self._records(imported, known))
        with store.transaction() as connection:
            self._run.note_change(connection)
            self._run.note_journal(added)
            return self._write(imported, known)

    def _without_forgotten(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Leave out texts that were forgotten, and make them due to be deleted where they come from.

        A shared store lets nobody store a forgotten text under its id: what it has all the same was restored elsewhere.
        """
        store, run = self._run.store, self._run
        forgotten = Forgotten.load(store.connection)
        buried = {payload.id: payload for payload in payloads if forgotten.has(payload.content_hash)}
        if not buried:
            return list(payloads)
        shares = any(service.name == self._source and service.capabilities.shared for service in run.env.services)
        with store.transaction() as connection:
            if shares:
                for id_, payload in list(buried.items()):
                    macs = set(macs_of_entry(connection, id_)) & set(forgotten.macs_of(payload.content_hash))
                    if macs:
                        lift(store, macs)
                        del buried[id_]
            if self._source:
                outbox.delete(connection, [self._source], buried, run.number)
        return [payload for payload in payloads if payload.id not in buried]

    def _records(self, imported: Sequence[Imported], known: dict[str, Known]) -> list[dict[str, object]]:
        """Return what the journal gets: what other computers stored, and the texts that it takes the place of."""
        texts = table.texts_of(self._run.store.connection, [row.seq for row in known.values()])
        now = self._run.now
        records: list[dict[str, object]] = []
        for each in imported:
            key = each.payload.key
            row = known.get(key)
            replaced = [(text, at, reason) for text, _, at, reason in each.revisions]
            replaced += [] if row is None else [(texts[row.seq], now, "elsewhere")]
            records += [
                {"op": "replaced", "at": at, "key": key, "content": text, "reason": reason}
                for text, at, reason in replaced
            ]
            records.append(record_of_payload(each.payload, now))
        return records

    def _write(self, imported: Sequence[Imported], known: dict[str, Known]) -> tuple[int, int]:
        run = self._run
        rows = import_entries(run.store, imported, run.now, run.number, run.context.languages, _ELSEWHERE)
        # Confirm the entries where they come from, and make them due everywhere else.
        connection = run.store.connection
        learned = [(row, row.state, Action.LEARNED) for row in rows]
        Writing(run, connection).want(learned)
        for service in run.env.services:
            if service.name == self._source:
                versions = [(id_, version) for id_, version, _ in versions_for(service, learned)]
                outbox.confirm(connection, service.name, versions, run.now, run.number)
        before = [known[row.key] for row in rows if row.key in known]
        Writing(run, connection).promote(before)  # duplicates of what changed elsewhere
        changed = sum(row.key in known for row in rows)
        return len(rows) - changed, changed
